"""Pages of outliers: of a fitted detector, and of a model of a table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from autoencoding.data.encoding import Columns
from autoencoding.data.kinds import Plain
from autoencoding.data.tables import Table, of_frame
from autoencoding.estimators.encoder import is_frame, pandas_frame
from autoencoding.estimators.explanations import Explanations
from autoencoding.estimators.outliers import AutoencoderOutlierDetector
from autoencoding.estimators.tables import TableModel
from autoencoding.reports import html
from autoencoding.reports.html import TableReport


def report(
    detector: AutoencoderOutlierDetector, X: Any, path: str | os.PathLike[str] = "report.html"
) -> None:
    """Write a page on which to explore the outliers among rows: one HTML file.

    It shows scores with a threshold to drag, codes in a plane, and of up to 4,000 rows, the worst
    and some others, the values, what was to be expected, and the share of each column in the score.
    It asks nothing from any server.

    Parameters
    ----------
    detector : AutoencoderOutlierDetector
        Fitted.
    X : data frame, or array-like, shape [n, n_features_in_]
        Rows, such as those that it was fitted on.
    path : path
        Of the file, by custom with `.html`.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        The detector is not fitted.
    TypeError, ValueError
        X is neither, or not what the detector was fitted on.
    OSError
        It can't be written.

    Notes
    -----
    With ``contamination="auto"`` the threshold is the highest score of a row that `predict` does
    not flag.
    """
    if not isinstance(detector, AutoencoderOutlierDetector):
        raise TypeError(
            f"detector must be an AutoencoderOutlierDetector, got {type(detector).__name__}: "
            "main_table.py writes the page of a table in a file"
        )
    check_is_fitted(detector)
    table = _table(detector, X)
    scores = -detector.score_samples(X)  # [n]
    frame = pd.DataFrame({"row": np.arange(len(scores)), "score": scores})
    frame["p_value"] = detector.p_values(X)
    if detector.encoder_ is not None:
        columns = detector.encoder_.columns_
    else:
        columns = Columns({name: Plain() for name in table.names}, table.n_rows)
    model = TableModel(
        detector.model_,
        columns,
        detector._density,
        detector.held_out_scores_,
        _threshold(detector, X, scores),
    )
    choice = html.choose(scores, len(model.columns.names))
    page = page_of(
        model,
        "Outliers",
        scores,
        choice,
        frame.iloc[choice.numbers],
        model.explanations(table.take(choice.numbers)),
        model.columns.described(table),
        history={"epoch": [*range(detector.n_iter_)], "loss": detector.loss_curve_},
    )
    page.save(path)


def page_of(
    model: TableModel,
    title: str,
    scores: np.ndarray,
    choice: html.Choice,
    found: pd.DataFrame,
    explanations: Explanations,
    described: Mapping[str, str],
    errors: Mapping[str, np.ndarray] | None = None,
    history: Mapping[str, Sequence[float]] | None = None,
    evaluation: str = "",
) -> TableReport:
    """Make the page of a model's scores [n] of a table.

    Parameters
    ----------
    model : TableModel
        Open.
    title : str
    scores, choice, found, explanations, history, evaluation
        See `TableReport`.
    described : dict of str
        What each column is.
    errors : dict of arrays, shape [columns]
        Of the columns that are learnt from, by heading.
    """
    learnt = model.columns.names
    names = [*learnt, *(name for name in described if name not in learnt)]
    columns = pd.DataFrame({"name": names, "Taken for": [described[name] for name in names]})
    for heading, own in (errors or {}).items():
        columns[heading] = [*own.tolist(), *[None] * (len(names) - len(learnt))]
    kind = type(model.model).__name__
    return TableReport(
        title=title,
        about=[
            f"{len(scores):,} row{'s' * (len(scores) != 1)}, {len(learnt)} of {len(names)} columns "
            "learnt from",
            f"{kind} with a code of {model.model.hidden_dim}",
        ],
        scores=scores,
        threshold=model.threshold,
        held_out=model.held_out,
        found=found,
        choice=choice,
        explanations=explanations,
        columns=columns.astype(object).where(columns.notna(), None),
        history=history or {},
        errors=evaluation,
    )


def _table(detector: AutoencoderOutlierDetector, X: Any) -> Table:
    """Return the rows that a detector is asked about as a table."""
    if is_frame(X):
        return of_frame(pandas_frame(X) if not isinstance(X, pd.DataFrame) else X)
    rows = np.asarray(X)
    if rows.ndim != 2 or rows.dtype.kind not in "biuf":
        raise TypeError(f"X must be a data frame or an array [n, d], got {type(X).__name__}")
    names = getattr(detector, "feature_names_in_", range(rows.shape[1]))
    return of_frame(pd.DataFrame(rows, columns=[str(name) for name in names]))


def _threshold(detector: AutoencoderOutlierDetector, X: Any, scores: np.ndarray) -> float:
    """Return the score above which rows are flagged."""
    if detector.offset_ is not None:
        return -detector.offset_
    normal = scores[detector.predict(X) == 1]
    return float(normal.max() if len(normal) else np.nextafter(scores.min(), -np.inf))
