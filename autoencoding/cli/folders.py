"""The command `table` on a folder of parts: each is read by itself, and has files of results."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from autoencoding.cli.results import PAGE, WORST, is_reported, show_results
from autoencoding.cli.training import Data, decided, train
from autoencoding.data import scratch
from autoencoding.data.datasets import sample
from autoencoding.data.encoding import Columns
from autoencoding.data.folders import Folder, Part
from autoencoding.data.sampling import within
from autoencoding.data.tables import Table
from autoencoding.estimators.explanations import Explanations
from autoencoding.estimators.folders import FolderResults
from autoencoding.estimators.reporting import page_of
from autoencoding.estimators.tables import RESULTS, TableModel
from autoencoding.reports import html
from autoencoding.saving import checkpoints
from autoencoding.team import Team


def run_folder(folder: Folder, args: Namespace) -> None:
    """Train on a folder of parts or score them, as the options say; write the results."""
    others = f"; {folder.passed_over} other files are passed over" if folder.passed_over else ""
    print(f"{folder.source}: {len(folder.parts)} parts{others}")
    trained: dict[str, Any] = {}
    if args.load:
        model = TableModel.load(args.load)
        if args.contamination is not None:
            model = model.calibrated(encoded(folder, model.columns), args.contamination)
    else:
        returned = train(
            Data(
                lambda: decided_by_sample(folder, args),
                lambda columns: encoded(folder, columns),
                lambda columns, team: encoded(share(folder, team), columns),
            ),
            args,
        )
        if returned is None:
            return
        model, trained = returned
    with model.model, checkpoints.locked(args.output):
        results = FolderResults(model, folder, Path(args.output))
        if results.journal.other_parts:
            print(f"{args.output}: results of another model are removed")
        with tqdm(total=folder.n_rows, unit=" rows", disable=None) as bar:
            errors = results.of_all(bar.update)
        for remark, source in results.remarks.items():
            print(f"  {source}: {remark}")
        finished = [part for part in folder.parts if results.is_finished(part)]
        show(results, finished, trained, args)
    if errors:
        lines = "\n".join(f"  {error}" for error in errors)
        sys.exit(f"{len(errors)} of {len(folder.parts)} parts have no results:\n{lines}")


def decided_by_sample(folder: Folder, args: Namespace) -> tuple[Columns, dict[str, Any]]:
    """Decide what columns are by some rows of all parts; return what tells these from others."""
    some, n_rows = sample(folder.tables(), folder.source)
    by = f", by {some.n_rows} of them" if some.n_rows < n_rows else ""
    print(f"{n_rows} rows; what columns are{by}:")
    return decided(some, args), {"bytes": folder.size, "parts": folder.digest}


def share(folder: Folder, team: Team) -> Folder:
    """Return parts of a folder that are this worker's own; all workers have about as many bytes."""
    if len(folder.parts) < team.size:
        raise ValueError(f"{folder.source} has {len(folder.parts)} parts, for {team.size} workers")
    sizes = [0] * team.size
    own = set()
    for part in sorted(folder.parts, key=lambda part: (-part.version[0], part.name)):
        lightest = sizes.index(min(sizes))
        sizes[lightest] += part.version[0]
        own |= {part.name} if lightest == team.index else set()
    return replace(folder, parts=[part for part in folder.parts if part.name in own])


def encoded(folder: Folder, columns: Columns) -> np.ndarray:
    """Return all rows of a folder as numbers, a memory map [n, d] of a scratch file."""
    with tqdm(total=folder.n_rows, unit=" rows", desc="encoding", disable=None) as bar:

        def parts() -> Iterator[np.ndarray]:
            for table in folder.tables():
                yield columns.encode(table)  # [m, d]
                bar.update(table.n_rows)

        return scratch.on_disk(parts())


def show(
    results: FolderResults, parts: list[Part], trained: dict[str, Any], args: Namespace
) -> None:
    """Print the worst rows of the parts that have results, and write their page if asked to."""
    if not any(results.journal.parts[part.name]["rows"] for part in parts):
        return
    scores, worst = scores_and_worst(results.batches(parts, "outliers"))
    saved = [results.output / result for result in RESULTS]
    if is_reported(args):
        saved.append(results.output / PAGE)
        save_page(saved[-1], results, parts, scores, trained)
    show_results(results.model, scores, worst, saved, args)


def save_page(
    path: Path,
    results: FolderResults,
    parts: list[Part],
    scores: np.ndarray,
    trained: dict[str, Any],
) -> None:
    """Write the page of all parts' outliers, of scores [n], with what is to be told of training."""
    model, folder = results.model, results.folder
    choice = html.choose(scores, len(model.columns.names))
    rising = np.sort(choice.numbers)  # [m]
    order = np.searchsorted(rising, choice.numbers)  # [m]
    found = taken(results.batches(parts, "outliers"), rising).iloc[order]
    tables = (table for part in parts for table in folder.tables(part))
    shown = Explanations.joined(map(model.explanations, rows_of(tables, rising))).take(order)
    described = {name: str(kind) for name, kind in model.columns.kinds.items()}
    title = Path(folder.source).name
    page_of(model, title, scores, choice, found, shown, described, **trained).save(path)


def rows_of(tables: Iterable[Table], numbers: np.ndarray) -> Iterator[Table]:
    """Yield the rows of these numbers, which rise, among those of all tables."""
    for table, own in within(tables, lambda table: table.n_rows, numbers):
        if len(own):
            yield table.take(own)


def scores_and_worst(batches: Iterable[pa.RecordBatch]) -> tuple[np.ndarray, pd.DataFrame]:
    """Return all scores [n], and the rows that have the highest."""
    scores, worst = [], []
    for batch in batches:
        scores.append(batch["score"].to_numpy())
        worst.append(batch.take(np.argsort(-scores[-1], kind="stable")[:WORST]).to_pandas())
    return np.concatenate(scores), pd.concat(worst).nlargest(WORST, "score")


def taken(batches: Iterable[pa.RecordBatch], numbers: np.ndarray) -> pd.DataFrame:
    """Return the rows of these numbers, which rise."""
    return pd.concat([batch.take(own).to_pandas() for batch, own in within(batches, len, numbers)])
