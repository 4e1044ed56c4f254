"""The command `table`: train on a table of your own, and score new rows of it.

With a FILE it trains, and writes codes, reconstructions, outliers with their causes and a report.
With --load and --score it does so for new rows, by a model that was trained before. A folder of
files, or a pattern such as 'days/*.parquet', is a table in parts, which memory need not hold.
"""

from __future__ import annotations

import sys
import warnings
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from autoencoding.cli import arguments
from autoencoding.data import folders, tables
from autoencoding.data.delimited import Dialect
from autoencoding.data.tables import Table
from autoencoding.data.writing import Writer
from autoencoding.models import MODELS, create

if TYPE_CHECKING:
    from autoencoder import Autoencoder
    from autoencoding.data.encoding import Columns
    from autoencoding.estimators.tables import TableModel
    from autoencoding.reports.figures import Panel

    Encode = Callable[[Columns], np.ndarray]

READING = {"missing", "separator", "decimal", "encoding"}  # options of any file
SCORING = {"load", "score", "output", "contamination", *READING}
STARTING = "folder of a model of the same columns, whose weights training begins with"
WORST = 10  # rows that are printed
SHOWN = 20  # columns in the report, those with the largest errors


def parse(
    argv: Sequence[str] | None, description: str | None, prog: str | None = None
) -> Namespace:
    """Read these arguments, the command line's by default."""
    parser = arguments.parser(
        description, prog=prog, hidden=64, batch_size=128, checkpoint="./table.ckpt"
    )
    parser.set_defaults(epochs=20, learning_rate=0.01)
    add = parser.add_argument
    add("file", nargs="?", type=arguments.table, metavar="FILE", help="the same as --data FILE")
    known = ", ".join(tables.SUFFIXES)
    add("--data", type=arguments.table, help=f"table to train on: {known}; or a folder of parts")
    add("--drop", nargs="+", default=[], metavar="NAME", help="columns to leave out")
    add("--load", type=arguments.folder, help="folder of a model, from --checkpoint")
    add("--score", type=arguments.table, help="table of new rows for the loaded model")
    add("--start-from", type=arguments.folder, metavar="CHECKPOINT", help=STARTING)
    names = [name for name, entry in MODELS.items() if entry.first == "columns"]
    add("--model", choices=names, default="denoising", help="kind of model")
    add("--layers", type=arguments.count, nargs="+", help="widths of the hidden layers")
    add("--contamination", type=arguments.share, help="share of outliers; 0.1 in training")
    add("--output", help="folder for the results; ./table in training, ./scores of new rows")
    _add_reading(parser)
    args = parser.parse_args(argv)
    if args.file and args.data:
        parser.error("give FILE or --data, not both")
    args.data = args.data or args.file
    if (args.data is None) == (args.load is None) or (args.load is None) != (args.score is None):
        parser.error("give a FILE to train on, or --load and --score for new rows")
    if args.start_from:
        _refuse_other_models(parser, argv, args)
    if args.layers and "layers" not in MODELS[args.model].for_images:
        parser.error("--layers needs --model stacked or variational")
    if args.load:
        _refuse_training_options(parser, _given(parser, argv, args))
    args.output = args.output or ("./scores" if args.load else "./table")
    return args


def _add_reading(parser: ArgumentParser) -> None:
    reading = parser.add_argument_group("how a table is read, where a guess is wrong")
    add = reading.add_argument
    several: dict[str, Any] = {"nargs": "+", "default": []}
    kinds = "number, category, time, id or drop"
    add("--types", type=_pair, metavar="NAME=KIND", help=f"what a column is: {kinds}", **several)
    add("--id", metavar="NAME", help="columns that come along, not to learn from", **several)
    add("--missing", metavar="WORD", help="further words for an empty cell", **several)
    add("--separator", type=_character, help="between fields of text")
    add("--decimal", choices=[".", ","], help="decimal mark of text")
    add("--encoding", help="of text, such as cp1252")


def _given(parser: ArgumentParser, argv: Sequence[str] | None, args: Namespace) -> set[str]:
    """Return the names of the options that are given."""
    unset = Namespace(**dict.fromkeys(vars(args), None))
    return {name for name, value in vars(parser.parse_args(argv, unset)).items() if value}


def _refuse_other_models(
    parser: ArgumentParser, argv: Sequence[str] | None, args: Namespace
) -> None:
    """End the script where an option is given that the model to start from has decided."""
    given = sorted(_given(parser, argv, args) & {"model", "hidden", "layers", "resume"})
    if given:
        options = ", ".join(f"--{name}" for name in given)
        parser.error(f"{options}: not with --start-from, whose model is taken as it is")


def _refuse_training_options(parser: ArgumentParser, given: set[str]) -> None:
    """End the script where an option is given that only matters in training."""
    if given - SCORING:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(given - SCORING))
        parser.error(f"{options}: only in training, not with --load")


def _pair(text: str) -> tuple[str, str]:
    """Read NAME=KIND, for argparse."""
    name, equals, kind = text.rpartition("=")
    if not equals:
        raise ArgumentTypeError(f"it must be NAME=KIND, got {text}")
    return name, kind


def _character(text: str) -> str:
    """Read one character, for argparse; a tab may be written as such."""
    text = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(text) != 1:
        raise ArgumentTypeError(f"it must be one character, or tab, got {text}")
    return text


def main(
    argv: Sequence[str] | None = None, prog: str | None = None, description: str | None = __doc__
) -> None:
    """Run the command with these arguments, the command line's by default."""
    args = parse(argv, description, prog)
    arguments.quiet_tensorflow()
    place, dialect = args.score or args.data, Dialect(args.separator, args.decimal, args.encoding)
    try:
        if folders.is_folder(place):
            from autoencoding.cli.folders import run_folder

            found = folders.find(place, apart=args.output)
            run_folder(
                replace(found, dialect=dialect, missing=args.missing, dropped=args.drop), args
            )
            return
        run(tables.read(place, dialect, args.missing).without(args.drop), args)
    except (OSError, ValueError) as error:
        sys.exit(str(error))


def run(table: Table, args: Namespace) -> None:
    """Train on a table or score it, as the options say; write the results."""
    from autoencoding.estimators.tables import TableModel
    from autoencoding.reports import figures

    print(f"{table.source}: {table.n_rows} rows{f'; {table.dialect}' if table.dialect else ''}")
    for remark in table.remarks:
        print(f"  {remark}")
    folder, panels = Path(args.output), list[Any]()
    if args.load:
        model = TableModel.load(args.load)
    else:
        known = {"bytes": Path(table.source).stat().st_size}
        columns = decided(table, args)
        model, panels = train(columns, lambda columns: columns.encode(table), known, args)
    with model.model:
        if args.load and args.contamination is not None:
            model = model.calibrated(model.columns.encode(table), args.contamination)
        results = model.results(table)
    folder.mkdir(parents=True, exist_ok=True)
    suffix = ".parquet" if Path(table.source).suffix.lower() == ".parquet" else ".csv"
    paths = [folder / f"{name}{suffix}" for name in results]
    outliers, codes = results["outliers"], results["codes"]
    with ThreadPoolExecutor(1) as writer:  # while the report is drawn
        written = writer.map(write, results.values(), paths)
        scores = outliers["score"].to_numpy()  # [n]
        drawn = drawn_scores(model, scores, scores, codes)
        figures.save(folder / "report.png", *panels, *drawn)
        list(written)  # raises what writing has
    worst = outliers.nlargest(WORST, "score")
    count = int(outliers["outlier"].sum())
    show_results(count, worst, len(outliers), [*paths, folder / "report.png"])


def show_results(outliers: int, worst: pd.DataFrame, n_rows: int, saved: Sequence[Path]) -> None:
    """Print how many rows are outliers, the worst of them, and where all of them are."""
    print(f"\n{outliers} of {n_rows} rows are outliers; the worst are")
    print(worst.to_string(index=False, float_format="{:.4g}".format))
    print(f"\nsaved {', '.join(map(str, saved))}")


def drawn_scores(
    model: TableModel, scores: np.ndarray, some: np.ndarray, codes: pd.DataFrame
) -> list[Panel]:
    """Draw the scores [n] of a table, and some rows, of scores [m], in a plane of their codes."""
    from autoencoding.reports import pages

    units = codes.filter(regex=r"^code\d+$").to_numpy()  # [m, hidden_dim]
    drawn = [
        pages.histogram_of_scores(scores, model.threshold),
        *pages.plane_of_codes(units, some > model.threshold),
    ]
    if len(drawn) == 1:
        print("the report has no plane of codes: it takes three rows, and a code of two or more")
    return drawn


def decided(table: Table, args: Namespace) -> Columns:
    """Decide what columns are, but for what the options say, and print it."""
    from autoencoding.data.encoding import Columns

    table.require(args.id)
    columns = Columns.of(
        table, {**dict(args.types), **dict.fromkeys([*table.index, *args.id], "id")}
    )
    print(columns.summary(table))
    return columns


def train(
    columns: Columns, encode: Encode, known: dict[str, Any], args: Namespace
) -> tuple[TableModel, list[Panel]]:
    """Train a model as the options say and save it; print how well it does, and draw that.

    Parameters
    ----------
    columns : Columns
        What the columns of the data are by themselves.
    encode : callable
        Makes rows [n, d] of the data, of columns.
    known : dict
        What tells the data from others, to be saved with the model.
    args : Namespace
    """
    from autoencoding.data.encoding import Columns
    from autoencoding.estimators.tables import TableModel
    from autoencoding.reports import figures
    from autoencoding.reports.evaluation import evaluate

    known = {"columns": columns.to_json(), **known}
    if args.resume:
        columns = Columns.from_json(same_table(args.checkpoint, known))
    Path(args.output).mkdir(parents=True, exist_ok=True)  # before the training, not after
    if args.start_from:
        columns, ae = started(columns, args)
        known["columns"] = columns.to_json()
    else:
        ae = made(len(columns.labels), args)
    rows = encode(columns)  # [n, d]
    ae.metadata["table"] = known
    history = arguments.train(ae, rows, args)
    with warnings.catch_warnings():  # robust losses are after something else than PCA's squares
        warnings.simplefilter("ignore", UserWarning)
        evaluation = evaluate(ae, rows)  # the table shows PCA's all the same
    print(f"\n{len(rows)} rows, {rows.shape[1]} numbers each\n{evaluation}")
    contamination = 0.1 if args.contamination is None else args.contamination
    model = TableModel.of(ae, columns, rows, args.id).calibrated(rows, contamination)
    model.save(args.checkpoint)
    named = {"model": "rmse", "mean row": "mean_rmse"}
    errors = {  # [columns] each, of all numbers of a column together
        label: np.sqrt(columns.of_columns(np.square(evaluation.features[name])))
        for label, name in named.items()
    }
    return model, [
        figures.loss_curve(history, "loss", {}),
        figures.features("errors of columns", errors, columns.names, SHOWN),
    ]


def made(width: int, args: Namespace) -> Autoencoder:
    """Make the model that the options name, for rows of so many numbers."""
    from autoencoding.estimators.outliers import AutoencoderOutlierDetector

    options = {**arguments.of_model(args), **AutoencoderOutlierDetector.options_of(args.model)}
    options["scaling"] = None  # the columns are scaled
    if args.layers:
        options["layers"] = args.layers
    return create(args.model, (width,), **options)


def started(columns: Columns, args: Namespace) -> tuple[Columns, Autoencoder]:
    """Make the model that training begins with, which must be of the same columns.

    What these are in detail, such as which words are frequent, stays as it is there.
    """
    from autoencoding.data.encoding import Columns
    from autoencoding.models import from_save
    from autoencoding.saving import checkpoints

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
    from autoencoding.saving import checkpoints

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


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table to a file, as Parquet or CSV by its name."""
    with Writer(path) as writer:
        writer.write(table)
