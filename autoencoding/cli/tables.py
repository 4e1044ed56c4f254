"""The command `table`: train on a table of your own, and score new rows of it.

With a FILE it trains, and writes codes, reconstructions, outliers with their causes and a report.
With --load and --score it does so for new rows, by a model that was trained before.
"""

from __future__ import annotations

import sys
import warnings
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from autoencoding.cli import arguments
from autoencoding.data import tables
from autoencoding.data.delimited import Dialect
from autoencoding.data.tables import Table
from autoencoding.models import MODELS, create

if TYPE_CHECKING:
    from autoencoding.estimators.tables import TableModel
    from autoencoding.reports.figures import Panel

READING = {"missing", "separator", "decimal", "encoding"}  # options of any file
SCORING = {"load", "score", "output", "contamination", *READING}
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
    add("file", nargs="?", type=arguments.file, metavar="FILE", help="the same as --data FILE")
    add("--data", type=arguments.file, help=f"table to train on: {', '.join(tables.SUFFIXES)}")
    add("--drop", nargs="+", default=[], metavar="NAME", help="columns to leave out")
    add("--load", type=arguments.folder, help="folder of a model, from --checkpoint")
    add("--score", type=arguments.file, help="table of new rows for the loaded model")
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
    if args.layers and "layers" not in MODELS[args.model].for_images:
        parser.error("--layers needs --model stacked or variational")
    if args.load:
        unset = Namespace(**dict.fromkeys(vars(args), None))
        given = {name for name, value in vars(parser.parse_args(argv, unset)).items() if value}
        _refuse_training_options(parser, given)
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
    try:
        dialect = Dialect(args.separator, args.decimal, args.encoding)
        table = tables.read(args.score or args.data, dialect, args.missing).without(args.drop)
        table.require(args.id)
        run(table, args)
    except (OSError, ValueError) as error:
        sys.exit(str(error))


def run(table: Table, args: Namespace) -> None:
    """Train on a table or score it, as the options say; write the results."""
    from autoencoding.estimators.tables import TableModel
    from autoencoding.reports import figures

    print(f"{table.source}: {table.n_rows} rows{f'; {table.dialect}' if table.dialect else ''}")
    for remark in table.remarks:
        print(f"  {remark}")
    folder = Path(args.output)
    model, panels = (TableModel.load(args.load), []) if args.load else train(table, args)
    with model.model:
        if args.load and args.contamination is not None:
            model = model.calibrated(model.columns.encode(table), args.contamination)
        results = model.results(table)
    folder.mkdir(parents=True, exist_ok=True)
    suffix = ".parquet" if Path(table.source).suffix.lower() == ".parquet" else ".csv"
    paths = [folder / f"{name}{suffix}" for name in results]
    with ThreadPoolExecutor(1) as writer:  # while the report is drawn
        written = writer.map(write, results.values(), paths)
        figures.save(folder / "report.png", *panels, *drawn_scores(model, results))
        list(written)  # raises what writing has
    outliers = results["outliers"]
    worst = outliers.nlargest(10, "score")
    print(f"\n{outliers['outlier'].sum()} of {len(outliers)} rows are outliers; the worst are")
    print(worst.to_string(index=False, float_format="{:.4g}".format))
    print(f"\nsaved {', '.join(map(str, [*paths, folder / 'report.png']))}")


def drawn_scores(model: TableModel, results: Mapping[str, pd.DataFrame]) -> list[Panel]:
    """Draw the scores of a table, and its rows in the plane of their codes."""
    from autoencoding.reports import pages

    codes = results["codes"].filter(regex=r"^code\d+$").to_numpy()  # [n, hidden_dim]
    drawn = pages.panels_of_scores(results["outliers"]["score"].to_numpy(), model.threshold, codes)
    if len(drawn) == 1:
        print("the report has no plane of codes: it takes three rows, and a code of two or more")
    return drawn


def train(table: Table, args: Namespace) -> tuple[TableModel, list[Panel]]:
    """Train a model as the options say and save it; print how well it does, and draw that."""
    from autoencoding.data.encoding import Columns
    from autoencoding.estimators.outliers import AutoencoderOutlierDetector
    from autoencoding.estimators.tables import TableModel
    from autoencoding.reports import figures
    from autoencoding.reports.evaluation import evaluate

    types = {**dict(args.types), **dict.fromkeys([*table.index, *args.id], "id")}
    columns = Columns.of(table, types)
    print(columns.summary(table))
    known = {"columns": columns.to_json(), "bytes": Path(table.source).stat().st_size}
    if args.resume:
        columns = Columns.from_json(same_table(args.checkpoint, known))
    rows = columns.encode(table)  # [n, d]
    Path(args.output).mkdir(parents=True, exist_ok=True)  # before the training, not after
    options = {**arguments.of_model(args), **AutoencoderOutlierDetector.options_of(args.model)}
    options["scaling"] = None  # the columns are scaled
    if args.layers:
        options["layers"] = args.layers
    ae = create(args.model, rows.shape[1:], **options)
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
    if (here["n_rows"], known["bytes"]) != (there["n_rows"], saved["bytes"]):
        raise ValueError(
            f"{prefix} was trained on {there['n_rows']} rows in {saved['bytes']} bytes, got "
            f"{here['n_rows']} and {known['bytes']}; train without --resume"
        )
    return there


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table to a file, as Parquet or CSV by its name."""
    if path.suffix == ".parquet":
        table.to_parquet(path, index=False)
        return
    times = {name: table[name].astype(str) for name in table.select_dtypes("datetime")}
    arrow = pa.Table.from_pandas(table.assign(**times), preserve_index=False)
    csv.write_csv(arrow, path)  # as `to_csv` does, many times as fast
