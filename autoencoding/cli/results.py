"""Results of the command `table`, as it prints them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from autoencoding.data.tables import Table

if TYPE_CHECKING:
    from autoencoding.estimators.tables import TableModel

WORST = 10  # rows that are printed
IDENTIFIERS = 3  # columns that they are known by
CONTAMINATION = 0.1  # in training
PAGE = "report.html"


def is_reported(args: Namespace) -> bool:
    """Tell whether a page is to be written."""
    return args.report or not args.load


def worst_rows(model: TableModel, table: Table, outliers: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the highest scores, with what is odd and what was to be expected."""
    worst = outliers.nlargest(WORST, "score")
    shown = model.explanations(table.take(worst.index.to_numpy()))
    causes, places = shown.shares.argmax(axis=1), range(len(worst))  # [m] each
    odd = pd.DataFrame(
        {
            "cause": shown.values.columns[causes],
            "value": shown.values.to_numpy()[places, causes],
            "expected": shown.expected.to_numpy()[places, causes],
            "share": shown.shares[places, causes],
        }
    )
    found = worst[["row", "score", "p_value"]].reset_index(drop=True)
    known = shown.along.iloc[:, :IDENTIFIERS]
    return pd.concat([found[["row"]], known, found[["score", "p_value"]], odd], axis=1)


def show_results(
    model: TableModel,
    scores: np.ndarray,
    worst: pd.DataFrame,
    saved: Sequence[Path],
    args: Namespace,
) -> None:
    """Print how many of these scores [n] are outliers', the worst rows, and where all are."""
    why = "by the threshold of training"
    if args.contamination or not args.load:
        why = f"as many as --contamination {args.contamination or CONTAMINATION:g} asks for"
    n_rows, held_out = len(scores), model.held_out
    print(f"\n{np.sum(scores > model.threshold)} of {n_rows} rows are outliers, {why}")
    if len(held_out):
        above = np.sum(scores > held_out.max())
        print(f"{above} of {n_rows} are above all {len(held_out)} rows held out of training")
    print("the worst, numbered from 0, are")
    print(worst.to_string(index=False, float_format="{:.4g}".format))
    print(f"\nsaved {', '.join(map(str, saved))}")
    if not args.load:
        again = f"{args.command} --load {args.checkpoint} --score FILE --report"
        print(f"the model is in {args.checkpoint}; for new rows: {again}")
