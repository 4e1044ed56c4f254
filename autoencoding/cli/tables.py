"""The command `table`: train on a table of your own, and score new rows of it.

With a FILE it trains, and writes codes, reconstructions, outliers with their causes and a report.
With --load and --score it does so for new rows, by a model that was trained before.
"""

from __future__ import annotations

import sys
import warnings
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from autoencoding.cli import arguments
from autoencoding.data import tables
from autoencoding.models import MODELS, create

if TYPE_CHECKING:
    from autoencoding.estimators.tables import TableModel
    from autoencoding.reports.figures import Panel

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
    add("--data", type=arguments.file, help="table: .csv, .parquet, .npy or .npz")
    add("--drop", nargs="+", default=[], metavar="NAME", help="columns to leave out")
    add("--load", type=arguments.folder, help="folder of a model, from --checkpoint")
    add("--score", type=arguments.file, help="table of new rows for the loaded model")
    names = [name for name, entry in MODELS.items() if entry.first == "columns"]
    add("--model", choices=names, default="denoising", help="kind of model")
    add("--layers", type=arguments.count, nargs="+", help="widths of the hidden layers")
    add("--contamination", type=arguments.share, default=0.1, help="share of outliers in the table")
    add("--output", default="./table", help="folder for the results")
    args = parser.parse_args(argv)
    if args.file and args.data:
        parser.error("give FILE or --data, not both")
    args.data = args.data or args.file
    if (args.data is None) == (args.load is None) or (args.load is None) != (args.score is None):
        parser.error("give a FILE to train on, or --load and --score for new rows")
    if args.layers and "layers" not in MODELS[args.model].for_images:
        parser.error("--layers needs --model stacked or variational")
    return args


def main(
    argv: Sequence[str] | None = None, prog: str | None = None, description: str | None = __doc__
) -> None:
    """Run the command with these arguments, the command line's by default."""
    args = parse(argv, description, prog)
    arguments.quiet_tensorflow()
    try:
        run(tables.read(args.score or args.data, args.drop), args)
    except (OSError, ValueError) as error:
        sys.exit(str(error))


def run(table: pd.DataFrame, args: Namespace) -> None:
    """Train on a table or score it, as the options say; write the results."""
    from autoencoding.estimators.tables import TableModel
    from autoencoding.reports import figures, pages

    source, folder = args.score or args.data, Path(args.output)
    model, panels = (TableModel.load(args.load), []) if args.load else train(table, args)
    with model.model:
        results = model.results(table, source)
    outliers, codes = results["outliers"], results["codes"].to_numpy()  # [n, hidden_dim]
    panels += pages.panels_of_scores(outliers["score"].to_numpy(), model.threshold, codes)
    paths = [*write(results, folder, source), folder / "report.png"]
    figures.page(*panels).savefig(paths[-1], dpi=150)
    worst = outliers.sort_values("score", ascending=False).head(10)
    print(f"\n{outliers['outlier'].sum()} of {len(outliers)} rows are outliers; the worst are")
    print(worst.to_string(index=False, float_format="{:.4g}".format))
    print(f"\nsaved {', '.join(map(str, paths))}")


def train(table: pd.DataFrame, args: Namespace) -> tuple[TableModel, list[Panel]]:
    """Train a model as the options say and save it; print how well it does, and draw that."""
    from autoencoding.data.encoding import Columns
    from autoencoding.estimators.outliers import AutoencoderOutlierDetector
    from autoencoding.estimators.tables import TableModel
    from autoencoding.reports import figures
    from autoencoding.reports.evaluation import evaluate

    columns = Columns.of(table, args.data)
    rows = columns.encode(table, args.data)  # [n, d]
    options = {**arguments.of_model(args), **AutoencoderOutlierDetector.options_of(args.model)}
    if args.layers:
        options["layers"] = args.layers
    ae = create(args.model, rows.shape[1:], **options)
    history = arguments.train(ae, rows, args)
    with warnings.catch_warnings():  # robust losses are after something else than PCA's squares
        warnings.simplefilter("ignore", UserWarning)
        evaluation = evaluate(ae, rows)  # the table shows PCA's all the same
    print(f"\n{len(rows)} rows, {rows.shape[1]} numbers each\n{evaluation}")
    model = TableModel.calibrated(ae, columns, rows, args.contamination)
    model.save(args.checkpoint)
    errors = {"model": evaluation.features["rmse"], "mean row": evaluation.features["mean_rmse"]}
    return model, [
        figures.loss_curve(history, "loss", {}),
        figures.features("errors of columns", errors, columns.labels, SHOWN),
    ]


def write(results: Mapping[str, pd.DataFrame], folder: Path, source: str) -> list[Path]:
    """Write tables into a folder, as Parquet where their source was, else as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, table in results.items():
        if Path(source).suffix == ".parquet":
            paths.append(folder / f"{name}.parquet")
            table.to_parquet(paths[-1], index=False)
        else:
            paths.append(folder / f"{name}.csv")
            table.to_csv(paths[-1], index=False)
    return paths
