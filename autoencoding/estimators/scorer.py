"""Scores of data frames anywhere: a function that Dask, Spark or Ray hand out to their workers."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from autoencoding.data.datasets import PIECE_ROWS
from autoencoding.data.tables import Table, of_frame
from autoencoding.estimators.tables import OWN, TableModel, dtypes_of
from autoencoding.saving import checkpoints, manifests

MODELS = 8  # that a process keeps loaded
SPARK = {"float64": "double", "float32": "float", "bool": "boolean", "str": "string"}


@dataclass(frozen=True)
class Scorer:
    """Score the rows of data frames by a saved model of a table, in any process.

    It is small, can be pickled, and loads its model at the first frame, once in each process;
    threads share it. A row has the same scores, to the bit, whatever rows come with it. `scorer`
    makes one.

    Parameters
    ----------
    save : str
        Path of the save, without suffix; each process reads it there.
    sha256 : str
        Of the save's manifest, so that no other is taken for it.
    results : {'outliers', 'codes'}
    keep : tuple of str
        Columns of a frame that come along.
    dtypes : dict of str
        The columns of results after those, and their dtypes.
    """

    save: str
    sha256: str
    results: str
    keep: tuple[str, ...]
    dtypes: dict[str, str]

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the results for a data frame, with its index and the columns to keep.

        Parameters
        ----------
        frame : DataFrame
            With all columns that the model knows, in any order, and maybe others. It may be empty.

        Returns
        -------
        DataFrame
            A row for each row, in the same order.

        Raises
        ------
        TypeError, ValueError
            It is no data frame, a column is missing, or a cell is not what it must be.
        OSError, ValueError
            The save is gone, or is another one by now.
        """
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(
                f"frame must be a pandas DataFrame, got {type(frame).__name__}; with Ray, give "
                "map_batches batch_format='pandas'"
            )
        table = _table(frame)
        table.require(self.keep)
        own = self._found(table) if len(frame) else self._empty()
        own.index = frame.index
        kept = frame[[name for name in self.keep if name in frame]]  # others are in the index
        return pd.concat([kept, own], axis=1)

    def _found(self, table: Table) -> pd.DataFrame:
        with _one_at_a_time:
            model = _load(self.save, self.sha256)
        rows = model.columns.encode(table)  # [n, d]
        find = {"outliers": model.outliers, "codes": model.codes}[self.results]
        starts = range(0, len(rows), PIECE_ROWS)
        pieces = [find(rows[start : start + PIECE_ROWS]) for start in starts]
        return pd.concat(pieces, ignore_index=True).astype(self.dtypes)

    def _empty(self) -> pd.DataFrame:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in self.dtypes.items()})

    @property
    def ddl(self) -> str:
        """The columns of `dtypes` as Spark's schemas are written, such as 'score double, ...'."""
        return ", ".join(f"{name} {SPARK[kind]}" for name, kind in self.dtypes.items())


def scorer(
    path: str | os.PathLike[str], results: str = "outliers", keep: Sequence[str] = ()
) -> Scorer:
    """Make a function that scores data frames, to be handed to an engine's workers.

    Parameters
    ----------
    path : path
        Folder that `main_table.py` has saved a model to. Workers read it by the same absolute path.
        The newest save is taken, now and for good: it must stay there, and nothing be trained into
        the folder meanwhile.
    results : {'outliers', 'codes'}
        What is returned for a row: 'score', 'outlier', 'p_value' and its causes, as
        `main_table.py` writes them; or 'code0', 'code1', ...
    keep : sequence of str, optional
        Columns of a frame that come along, before the others. Its index does anyway.

    Returns
    -------
    Scorer

    Raises
    ------
    FileNotFoundError, ValueError
        There is no save, or none of a table; or an argument is wrong.

    Examples
    --------
    >>> score = scorer("table.ckpt", keep=["id"])                            # doctest: +SKIP
    >>> frame.map_partitions(score, meta={"id": "int64", **score.dtypes})    # doctest: +SKIP
    """
    if isinstance(keep, str):
        raise TypeError(f"keep must be a list of names, got {keep!r}")
    prefix, manifest = checkpoints.newest(path)
    dtypes = dtypes_of(prefix, manifest)
    if results not in dtypes:
        raise ValueError(f"results must be one of {', '.join(dtypes)}, got {results!r}")
    own = [name for name in keep if OWN.fullmatch(name)]
    if own:
        raise ValueError(f"keep must not have names of results, got {', '.join(own)}")
    place = str(prefix.absolute())
    return Scorer(place, manifests.digest_of(manifest), results, tuple(keep), dtypes[results])


_one_at_a_time = threading.Lock()  # or each of a process's threads would load the model


@functools.lru_cache(maxsize=MODELS)
def _load(save: str, sha256: str) -> TableModel:
    """Load the save that a scorer was made with."""
    try:
        manifest = manifests.verified(Path(save))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            error.errno,
            "the save of this scorer is not here: each worker must find it, and a training into "
            "its folder removes older saves",
            save,
        ) from None
    if manifests.digest_of(manifest) != sha256:
        raise ValueError(f"{save} is not the save that this scorer was made with: make it anew")
    return TableModel.from_save(Path(save), manifest)


def _table(frame: pd.DataFrame) -> Table:
    """Return a frame as a table; levels of its index are columns where they have names."""
    named = [name for name in frame.index.names if name is not None and name not in frame]
    frame = frame.reset_index(named) if named else frame
    return of_frame(frame.reset_index(drop=True), "frame")
