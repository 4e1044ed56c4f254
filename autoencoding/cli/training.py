"""Training of the command `table`: a table whole or in parts, on one machine or several."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoencoder import Autoencoder
from autoencoding.cli import arguments
from autoencoding.cli.results import CONTAMINATION
from autoencoding.data.encoding import Columns
from autoencoding.data.rows import Rows, check
from autoencoding.data.sampling import set_apart_together
from autoencoding.data.tables import Table
from autoencoding.estimators.density import REFERENCES
from autoencoding.estimators.outliers import AutoencoderOutlierDetector
from autoencoding.estimators.tables import TableModel
from autoencoding.models import create, from_save, of_parameters
from autoencoding.reports.evaluation import evaluate
from autoencoding.saving import checkpoints
from autoencoding.team import ALONE, Team
from autoencoding.training.cluster import joined

HOLDING = 0  # seed of which rows are held out: the same in each run on a table


@dataclass(frozen=True)
class Data:
    """Give training what it asks of a table.

    Parameters
    ----------
    decide : callable
        Tells what columns are, and what tells the data from others, to be saved with the model.
    encode : callable
        Makes all rows [n, d], of columns.
    share : callable, optional
        Makes rows [m, d] that are this worker's own, of columns and a team; by default each worker
        has all, and takes every n-th.
    """

    decide: Callable[[], tuple[Columns, dict[str, Any]]]
    encode: Callable[[Columns], np.ndarray]
    share: Callable[[Columns, Team], np.ndarray] | None = None


def decided(table: Table, args: Namespace) -> Columns:
    """Decide what columns are, but for what the options say, and print it."""
    table.require(args.id)
    columns = Columns.of(
        table, {**dict(args.types), **dict.fromkeys([*table.index, *args.id], "id")}
    )
    print(columns.summary(table))
    return columns


def train(data: Data, args: Namespace) -> tuple[TableModel, dict[str, Any]] | None:
    """Train a model as the options say and save it; print how well it does.

    Returned with the model is what its page tells of training, keywords of `page_of`.

    Of several workers, all but the first return None.
    """
    cluster = arguments.cluster(args, own_rows=data.share is not None)
    team = ALONE if cluster is None else joined(cluster)
    found = team.tell(_decided_by_first, data, args, team)
    columns, ae = found if team.size == 1 else _shared(found, args, team)
    all_given = team.size == 1 or data.share is None
    own = (data.encode, columns) if all_given else (data.share, columns, team)
    rows = team.tell(*own)  # [n, d]
    table = team.tell(_checked, ae, rows)
    kept, rest = set_apart_together(table, REFERENCES, HOLDING, ALONE if all_given else team)
    history = arguments.train(ae, rest, args, cluster=cluster)
    if not team.is_first:
        return None
    if not all_given:
        rest = rows = data.encode(columns)  # [n, d], of all parts
    held = len(kept.held_out)
    evaluation = evaluate(ae, rest, validation=kept.held_out if held else None)
    print(f"\n{len(rows)} rows, {rows.shape[1]} numbers each; {held} not trained on, for p-values")
    if args.start_from:
        print(f"p-values hold as far as {args.start_from} was not trained on these rows either")
    print(evaluation)
    contamination = CONTAMINATION if args.contamination is None else args.contamination
    model = TableModel.of(ae, columns, kept, args.id).calibrated(rows, contamination)
    model.save(args.checkpoint)
    named = {"RMSE": "rmse", "RMSE of the mean row": "mean_rmse"}
    errors = {  # [columns] each, of all numbers of a column together
        label: np.sqrt(columns.of_columns(np.square(evaluation.features[name])))
        for label, name in named.items()
    }
    return model, {"errors": errors, "history": history, "evaluation": str(evaluation)}


def _checked(model: Autoencoder, rows: np.ndarray) -> Rows:
    """Return rows [n, d] of a model, all finite."""
    found = model._open_rows(rows, None, None)
    check(found)
    return found


def _decided_by_first(
    data: Data, args: Namespace, team: Team
) -> tuple[Columns, Autoencoder] | None:
    """Return what columns are, and the model to train, on worker 0, which alone looks at files."""
    if not team.is_first:
        return None
    columns, known = data.decide()
    known = {"columns": columns.to_json(), **known}
    if args.resume:
        columns = Columns.from_json(same_table(args.checkpoint, known))
    Path(args.output).mkdir(parents=True, exist_ok=True)  # before the training, not after
    if args.start_from:
        columns, ae = started(columns, args)
        known["columns"] = columns.to_json()
    else:
        ae = made(len(columns.labels), args)
    ae.metadata["table"] = known
    return columns, ae


def _shared(
    found: tuple[Columns, Autoencoder] | None, args: Namespace, team: Team
) -> tuple[Columns, Autoencoder]:
    """Return the columns of worker 0, and a model like its own."""
    told = None
    if found is not None:
        columns, ae = found
        told = {"columns": columns.to_json(), "class": type(ae).__name__, "made": ae.parameters}
    told = team.gather_json(told)[0]
    if found is not None:
        return found
    return Columns.from_json(told["columns"]), of_parameters(
        told["class"], told["made"], checkpoint=None
    )


def made(width: int, args: Namespace) -> Autoencoder:
    """Make the model that the options name, for rows of so many numbers."""
    options = {**arguments.of_model(args), **AutoencoderOutlierDetector.options_of(args.model)}
    options["scaling"] = None  # the columns are scaled
    if args.layers:
        options["layers"] = args.layers
    return create(args.model, (width,), **options)


def started(columns: Columns, args: Namespace) -> tuple[Columns, Autoencoder]:
    """Make the model that training begins with, which must be of the same columns.

    What these are in detail, such as which words are frequent, stays as it is there.
    """
    prefix, manifest = checkpoints.newest(args.start_from)
    saved = manifest.get("metadata", {}).get("table")
    if saved is None:
        raise ValueError(f"{prefix} is not of a table: train without --start-from")
    former = Columns.from_json(saved["columns"])
    old = {name: former.kinds[name].name for name in former.names}
    new = {name: columns.kinds[name].name for name in columns.names}
    names = [name for name in {**new, **old} if new.get(name) != old.get(name)]
    if names:
        told = (f"{n} is {new.get(n, 'left out')}, there {old.get(n, 'left out')}" for n in names)
        raise ValueError(
            f"{prefix} has other columns: {'; '.join(told)}. Give them the same --types, or train "
            "without --start-from"
        )
    options = arguments.of_model(args)
    own = {name: options[name] for name in ("epoch", "learning_rate", "seed")}
    if own["seed"] is None:
        del own["seed"]
    manifest["parameters"] |= own
    model = from_save(prefix, manifest, checkpoint=args.checkpoint)
    model._start = model.weights
    return former, model


def same_table(folder: str, known: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that a checkpoint was trained on; a ValueError if the table is another.

    They are compared by name, so that a table whose columns have moved is the same.
    """
    prefix, manifest = checkpoints.newest(folder)
    saved = manifest.get("metadata", {}).get("table")
    if saved is None:
        raise ValueError(f"{prefix} is not of a table: train without --resume")
    here, there = known["columns"], saved["columns"]
    old, new = there["kinds"], here["kinds"]
    names = [name for name in {**new, **old} if new.get(name) != old.get(name)]
    if names:
        raise ValueError(
            f"{prefix} was trained on another table: {', '.join(names)} differ in name, type or "
            "values; train without --resume"
        )
    sizes = [(of["columns"]["n_rows"], of["bytes"], of.get("parts")) for of in (known, saved)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"{prefix} was trained on {there['n_rows']} rows in {saved['bytes']} bytes, got "
            f"{here['n_rows']} and {known['bytes']}{' or other parts' * ('parts' in known)}; train "
            "without --resume, perhaps with --start-from"
        )
    return there
