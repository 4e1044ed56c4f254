"""A page to explore the outliers of a table: one HTML file that needs nothing else.

The page is made of `web/report.html`, `.css` and `.js`; what it shows is in it, compressed.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from autoencoding.data.writing import UNFINISHED

if TYPE_CHECKING:
    from autoencoding.estimators.explanations import Explanations

WEB = Path(__file__).parent / "web"
MOST_ROWS = 2000  # that are held of the worst, and of those taken evenly
FEWEST_ROWS = 20
CELLS = 120_000  # of all rows held, about
MOST_SCORES = 100_000  # of which each is stored; of more, the highest half as many, and some others
MOST_BYTES = 2_000_000  # of a page, unless it must be larger


class Choice(NamedTuple):
    """Numbers of the rows that a page holds."""

    worst: np.ndarray  # [k], those with the highest scores, in this order
    others: np.ndarray  # [m], taken evenly from all that are not among the worst

    @property
    def numbers(self) -> np.ndarray:
        """The worst and then the others, [k + m]."""
        return np.concatenate([self.worst, self.others])


def choose(scores: np.ndarray, columns: int) -> Choice:
    """Choose the rows that a page holds, of all with these scores [n], in a table so wide."""
    most = int(np.clip(CELLS // (2 * columns), FEWEST_ROWS, MOST_ROWS))
    worst = np.argsort(-scores, kind="stable")[:most]  # [k]
    even = np.linspace(0, len(scores) - 1, min(most, len(scores))).round().astype(int)
    return Choice(worst, np.setdiff1d(even, worst))


@dataclass(frozen=True)
class TableReport:
    """Show the outliers of a table on a page.

    Parameters
    ----------
    title : str
    about : sequence of str
        Lines below it.
    scores : array, shape [n]
        Of all rows.
    threshold : float
        Above which a row is flagged; on the page it can be moved.
    held_out : array, shape [h]
        Scores of rows that were not trained on.
    found : DataFrame, shape [m, any]
        'row', 'score', 'p_value' and perhaps 'part' of the rows of `choice`, in its order.
    choice : Choice
    explanations : Explanations
        Of the same rows.
    columns : DataFrame
        What else is told of each column: their 'name', those learnt from first, and more.
    history : dict of lists
        As `Autoencoder.train` returns it; empty for none.
    errors : str
        Text that tells how well rows are rebuilt.
    """

    title: str
    about: Sequence[str]
    scores: np.ndarray
    threshold: float
    held_out: np.ndarray
    found: pd.DataFrame
    choice: Choice
    explanations: Explanations
    columns: pd.DataFrame
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    errors: str = ""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page; where it would be larger than 2 MB, with fewer rows.

        Raises
        ------
        OSError
            It can't be written.
        """
        share = 1.0
        page = self._page(share)
        while len(page) > MOST_BYTES and share * len(self.choice.worst) > FEWEST_ROWS:
            share *= 0.9 * MOST_BYTES / len(page)
            page = self._page(share)
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}{UNFINISHED}")
        try:
            unfinished.write_bytes(page)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _page(self, share: float) -> bytes:
        """Return the page, with a share of the rows."""
        stored, ranks = _stored(self.scores, [self.threshold, *self._highest])
        style, script = ((WEB / f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
        data = json.dumps({**self._data(share), "ranks": ranks}, ensure_ascii=False)
        page = Template((WEB / "report.html").read_text("utf-8")).substitute(
            title=html.escape(self.title),
            style=style,
            style_hash=_digest(style),
            script=script,
            script_hash=_digest(script),
            data=_packed(data.encode()),
            scores=_packed(stored.astype("<f8").view(np.uint8).reshape(-1, 8).T.tobytes()),
        )
        return page.encode()

    @property
    def _highest(self) -> list[float]:
        """The highest score of a row that was not trained on, if there is any."""
        return [float(self.held_out.max())] if len(self.held_out) else []

    def _data(self, share: float) -> dict[str, Any]:
        """Return what the page is told, but for scores, with a share of the rows."""
        worst, others = (int(np.ceil(share * len(numbers))) for numbers in self.choice)
        n_worst = len(self.choice.worst)
        held = np.r_[:worst, n_worst : n_worst + others]  # [m]
        shown = self.explanations
        places, names = _plane(shown.codes, self.found["score"].to_numpy(), n_worst)
        parts = [name for name in ("part", "row", "score", "p_value") if name in self.found]
        n_held, n_rows, sampled = len(held), len(self.scores), ""
        if n_held < n_rows:
            taken = f"the worst {worst:,}, and others taken evenly"
            sampled = f"{n_held:,} of {n_rows:,} rows: {taken}."
        return {
            "about": list(self.about),
            "rows": n_rows,
            "threshold": self.threshold,
            "held_out": {"count": len(self.held_out), "highest": next(iter(self._highest), None)},
            "worst": worst,
            "sampled": sampled,
            "columns": {name: column.tolist() for name, column in self.columns.items()},
            "training": dict(self.history) or None,
            "errors": self.errors,
            "found": {name: self.found[name].iloc[held].tolist() for name in parts},
            "along": [[name, own.iloc[held].tolist()] for name, own in shown.along.items()],
            "values": _by_column(shown.values, held),
            "expected": _by_column(shown.expected, held),
            "shares": (1000 * shown.shares[held]).round().astype(int).tolist(),
            "plane": {"places": places[:, held].tolist(), "names": names},
        }


def _by_column(frame: pd.DataFrame, rows: np.ndarray) -> list[list[str]]:
    return [column.iloc[rows].tolist() for _, column in frame.items()]


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def _digest(text: str) -> str:
    """Return what a browser compares with text that it is to trust."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _stored(scores: np.ndarray, thresholds: Sequence[float]) -> tuple[np.ndarray, list[int] | None]:
    """Return scores to be stored, thresholds among them, and how many of all are above each.

    They fall. The latter is None where all are stored; else it ends with the number of all.
    """
    falling = -np.sort(-scores)  # [n]
    if len(scores) <= MOST_SCORES:
        return falling, None
    half = MOST_SCORES // 2
    rest = np.linspace(half, len(scores) - 1, MOST_SCORES // 5).astype(int)
    kept = np.unique([*falling[:half], *falling[rest], *thresholds])[::-1]
    ranks = np.searchsorted(-falling, -kept)  # [stored]: so many are above
    return kept, [*ranks.tolist(), len(scores)]


def _plane(codes: np.ndarray, scores: np.ndarray, worst: int) -> tuple[np.ndarray, list[str]]:
    """Return places [2, m] of codes [m, hidden_dim] in a plane, and the names of its axes.

    Of more than two units, these are the principal axes of the rows that are not the worst, unless
    these are too few. One unit is drawn beside the scores [m].
    """
    names = ["first unit", "second unit"]
    if codes.shape[1] == 1:
        codes, names = np.column_stack([codes, scores]), ["code", "score"]
    elif codes.shape[1] > 2:
        usual = codes[worst:] if len(codes) - worst > 2 else codes
        if len(usual) > 2:
            codes = PCA(2, random_state=0).fit(usual).transform(codes)
            names = ["first principal axis of the codes", "second principal axis"]
    # digits enough for a screen
    places = codes[:, :2].T  # [2, m]
    return np.array([[float(f"{x:.5g}") for x in axis] for axis in places]), names
