"""Train on a table, and score one: codes, reconstructions, outliers with causes, a report."""

from __future__ import annotations

import json
import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from autoencoder import Autoencoder
from autoencoding.cli import arguments
from autoencoding.cli.arguments import TABLE_FILE
from autoencoding.data.encoding import Columns
from autoencoding.estimators.outliers import AutoencoderOutlierDetector, attributions, mean_errors
from autoencoding.models import create, from_save
from autoencoding.reports import figures as draw
from autoencoding.reports.evaluation import evaluate
from autoencoding.reports.figures import Panel
from autoencoding.saving import checkpoints

FORMAT = 1
CAUSES = 3  # columns that are named with each score
SHOWN = 20  # columns in the report, those that are rebuilt worst
POINTS = 5000  # codes in the report


@dataclass(frozen=True)
class TableModel:
    """A trained model, and what it takes to ask it about a table.

    Parameters
    ----------
    model : Autoencoder
    columns : Columns
    threshold : float
        Score above which a row is an outlier.
    """

    model: Autoencoder
    columns: Columns
    threshold: float

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Put what the table needs beside the newest save of the model, which is there already."""
        prefix, _ = checkpoints.newest(folder)
        found = {
            "format": FORMAT,
            "save": prefix.name,
            "columns": self.columns.to_json(),
            "threshold": self.threshold,
        }
        path = Path(folder) / TABLE_FILE
        written = path.with_suffix(".new")
        written.write_text(json.dumps(found, indent=1), encoding="utf-8")
        written.replace(path)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> TableModel:
        """Load what `save` has saved, and the model.

        Raises
        ------
        FileNotFoundError, ValueError
            There is none, or it is damaged, or of another save than the newest.
        """
        path = Path(folder) / TABLE_FILE
        prefix, manifest = checkpoints.newest(folder)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            columns, threshold = Columns.from_json(found["columns"]), float(found["threshold"])
            form, save = found["format"], found["save"]
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is missing: train with main_table.py --data") from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{path} is damaged: {error!r:.200}") from None
        if form != FORMAT:
            raise ValueError(f"{path} has format {form!r}, this version reads {FORMAT}")
        if save != prefix.name:
            raise ValueError(f"{path} is of {save}, but {prefix.name} is the newest: train again")
        return cls(from_save(prefix, manifest), columns, threshold)

    def errors(self, rows: np.ndarray) -> np.ndarray:
        """Return the share of each column in the score of each row [n, d], [n, columns]."""
        of_column = self.columns.owners[:, None] == np.arange(len(self.columns.names))
        return attributions(self.model, rows) @ of_column  # [n, columns]

    def results(self, table: pd.DataFrame, source: str) -> dict[str, pd.DataFrame]:
        """Codes, reconstructions and outliers of a table, by name, a row for each of its rows."""
        rows = self.columns.encode(table, source)  # [n, d]
        codes = self.model.encode(rows)  # [n, hidden_dim]
        names = [f"code{number}" for number in range(codes.shape[1])]
        return {
            "codes": pd.DataFrame(codes, columns=names),
            "reconstructions": self.columns.decode(self.model.reconstruct(rows)),
            "outliers": self._outliers(self.errors(rows)),
        }

    def _outliers(self, errors: np.ndarray) -> pd.DataFrame:
        """Score of each row, whether it is an outlier, and the columns with most of the score."""
        scores = errors.sum(axis=1)  # [n]
        order = np.argsort(-errors, axis=1)[:, :CAUSES]  # [n, causes]
        shares = np.take_along_axis(errors, order, axis=1) / np.maximum(scores, 1e-30)[:, None]
        causes = np.array(self.columns.names, object)[order]  # [n, causes]
        found = {"row": np.arange(len(scores)), "score": scores, "outlier": scores > self.threshold}
        for number in range(order.shape[1]):
            found[f"cause{number + 1}"] = causes[:, number]
            found[f"share{number + 1}"] = shares[:, number].round(4)
        return pd.DataFrame(found)


def train(table: pd.DataFrame, args: Namespace) -> tuple[TableModel, list[Panel]]:
    """Train a model as the arguments tell, print how well it does, and draw that."""
    columns = Columns.of(table, args.data)
    rows = columns.encode(table, args.data)  # [n, d]
    options = {**arguments.of_model(args), **AutoencoderOutlierDetector.options_of(args.model)}
    if args.layers:
        options["layers"] = args.layers
    model = create(args.model, rows.shape[1], options.pop("hidden_dim"), **options)
    history = arguments.train(model, rows, args)
    with warnings.catch_warnings():  # robust losses are after something else than PCA's squares
        warnings.simplefilter("ignore", UserWarning)
        found = evaluate(model, rows)  # the table shows PCA's all the same
    print(f"\n{len(rows)} rows, {rows.shape[1]} numbers each\n{found}")
    threshold = float(np.quantile(mean_errors(model, rows), 1 - args.contamination))
    made = TableModel(model, columns, threshold)
    made.save(args.checkpoint)
    by_feature = {"this model": found.features["rmse"], "mean row": found.features["mean_rmse"]}
    return made, [
        draw.loss_curve(history, "loss", {}),
        draw.features("errors of columns", by_feature, columns.labels, SHOWN),
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


def panels(made: TableModel, results: Mapping[str, pd.DataFrame]) -> list[Panel]:
    """Draw the scores with their threshold, and the codes."""
    outliers, codes = results["outliers"], results["codes"].to_numpy()  # [n, hidden_dim]
    some = np.linspace(0, len(codes) - 1, min(len(codes), POINTS)).astype(int)
    names = ("first unit", "second unit")
    if codes.shape[1] > 2:
        codes = PCA(2, random_state=0).fit_transform(codes)  # [n, 2]
        names = ("first component of the codes", "second component of the codes")
    labels = np.where(outliers["outlier"], "outlier", "normal")
    found = [draw.histogram("outlier scores", outliers["score"].to_numpy(), made.threshold)]
    if codes.shape[1] == 2:
        found.append(draw.scatter("codes", codes[some], labels[some], names))
    return found


def run(table: pd.DataFrame, args: Namespace) -> None:
    """Train on a table or score it as the arguments say; an error ends the script in one line."""
    source, folder = args.score or args.data, Path(args.output)
    try:
        made, drawn = train(table, args) if args.load is None else (TableModel.load(args.load), [])
        with made.model:
            results = made.results(table, source)
            drawn += panels(made, results)
        paths = [*write(results, folder, source), folder / "report.png"]
        draw.page(*drawn).savefig(paths[-1], dpi=150)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    _print_worst(results["outliers"])
    print(f"\nsaved {', '.join(map(str, paths))}")


def _print_worst(outliers: pd.DataFrame) -> None:
    worst = outliers.sort_values("score", ascending=False).head(10)
    print(f"\n{outliers['outlier'].sum()} of {len(outliers)} rows are outliers; the worst are")
    print(worst.to_string(index=False, float_format="{:.4g}".format))
