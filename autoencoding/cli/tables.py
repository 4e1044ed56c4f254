"""The command `table`: train on a table of your own, and score new rows of it.

With a FILE it trains, and writes codes, reconstructions, outliers with their causes and a report.
With --load and --score it does so for new rows, by a model that was trained before. A folder of
files, or a pattern such as 'days/*.parquet', is a table in parts, which memory need not hold.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from autoencoding.cli import arguments
from autoencoding.cli.results import CONTAMINATION, PAGE, is_reported, show_results, worst_rows
from autoencoding.data import folders, tables
from autoencoding.data.delimited import Dialect
from autoencoding.data.tables import Table
from autoencoding.data.writing import Writer
from autoencoding.models import MODELS

if TYPE_CHECKING:
    from autoencoding.estimators.tables import TableModel

READING = {"missing", "separator", "decimal", "encoding"}  # options of any file
SCORING = {"load", "score", "output", "contamination", "report", *READING}
STARTING = "folder of a model of the same columns, whose weights training begins with"


def parse(
    argv: Sequence[str] | None, description: str | None, prog: str | None = None
) -> Namespace:
    """Read these arguments, the command line's by default."""
    parser = arguments.parser(
        description, prog=prog, hidden=64, batch_size=128, checkpoint="./table.ckpt"
    )
    command = parser.prog if prog else f"python {parser.prog}"
    parser.set_defaults(epochs=20, learning_rate=0.01, command=command)
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
    add(
        "--contamination",
        type=arguments.share,
        help=f"share of outliers; {CONTAMINATION} in training",
    )
    add("--output", help="folder for the results; ./table in training, ./scores of new rows")
    add("--report", action="store_true", help=f"with --load, write {PAGE}, as in training")
    _add_reading(parser)
    arguments.add_cluster(parser)
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
    place, dialect = args.score or args.data, Dialect(args.separator, args.decimal, args.encoding)
    try:
        with arguments.first_worker_prints(args):
            if folders.is_folder(place):
                arguments.quiet_tensorflow()
                from autoencoding.cli.folders import run_folder

                reading = {"dialect": dialect, "missing": args.missing, "dropped": args.drop}
                run_folder(replace(folders.find(place, apart=args.output), **reading), args)
            else:
                run(tables.read(place, dialect, args.missing).without(args.drop), args)
    except (OSError, ValueError) as error:
        sys.exit(str(error))


def run(table: Table, args: Namespace) -> None:
    """Train on a table or score it, as the options say; write the results."""
    arguments.quiet_tensorflow()
    from autoencoding.cli.training import Data, decided, train
    from autoencoding.estimators.tables import TableModel

    print(f"{table.source}: {table.n_rows} rows{f'; {table.dialect}' if table.dialect else ''}")
    for remark in table.remarks:
        print(f"  {remark}")
    trained: dict[str, Any] = {}
    if args.load:
        model = TableModel.load(args.load)
    else:
        known = {"bytes": Path(table.source).stat().st_size}
        data = Data(lambda: (decided(table, args), known), lambda columns: columns.encode(table))
        returned = train(data, args)
        if returned is None:
            return
        model, trained = returned
    with model.model:
        if args.load and args.contamination is not None:
            model = model.calibrated(model.columns.encode(table), args.contamination)
        results = model.results(table)
        outliers, folder = results["outliers"], Path(args.output)
        folder.mkdir(parents=True, exist_ok=True)
        suffix = ".parquet" if Path(table.source).suffix.lower() == ".parquet" else ".csv"
        paths = [folder / f"{name}{suffix}" for name in results]
        with ThreadPoolExecutor(1) as writer:  # while the page is made
            written = writer.map(write, results.values(), paths)
            if is_reported(args):
                paths.append(folder / PAGE)
                save_page(paths[-1], model, table, outliers, trained)
            list(written)  # raises what writing has
        worst = worst_rows(model, table, outliers)
    show_results(model, outliers["score"].to_numpy(), worst, paths, args)


def save_page(
    path: Path, model: TableModel, table: Table, outliers: pd.DataFrame, trained: dict[str, Any]
) -> None:
    """Write the page of a table's outliers, with what is to be told of training."""
    from autoencoding.estimators.reporting import page_of
    from autoencoding.reports import html

    scores = outliers["score"].to_numpy()  # [n]
    choice = html.choose(scores, len(model.columns.names))
    found = outliers.iloc[choice.numbers]
    shown = model.explanations(table.take(choice.numbers))
    described = model.columns.described(table)
    title = Path(table.source).name
    page_of(model, title, scores, choice, found, shown, described, **trained).save(path)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table to a file, as Parquet or CSV by its name."""
    with Writer(path) as writer:
        writer.write(table)
