"""The processes that train one model together; all they do is to add up arrays."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Total = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Team:
    """Exchange arrays among the workers of a run, who all call the same methods in the same order.

    Parameters
    ----------
    index, size : int
        This worker's number, from 0, and how many there are.
    total : callable
        Adds up an array [n] of float32, float64, int32 or int64 over all workers, who get the same
        bits. One worker alone has its own array.
    """

    index: int = 0
    size: int = 1
    total: Total = lambda array: array

    @property
    def is_first(self) -> bool:
        """Whether this is worker 0, which alone prints and writes."""
        return self.index == 0

    def gather_arrays(self, arrays: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Return the named arrays of all workers; names, shapes and dtypes may differ."""
        own = _packed(arrays)
        lengths = np.zeros(self.size, np.int64)  # [size]
        lengths[self.index] = len(own)
        ends = np.cumsum(self.total(lengths))  # [size]
        whole = np.zeros(ends[-1], np.int32)  # [all]
        whole[ends[self.index] - len(own) : ends[self.index]] = own  # 0 of all others is added
        return [_unpacked(packed) for packed in np.split(self.total(whole), ends[:-1])]

    def gather_json(self, value: Any) -> list[Any]:
        """Return what all workers have given, of what JSON holds."""
        if self.size == 1:
            return [value]
        texts = self.gather_arrays({"text": np.frombuffer(json.dumps(value).encode(), np.uint8)})
        return [json.loads(text["text"].tobytes()) for text in texts]

    def agree(self, error: Exception | None, **own: Any) -> None:
        """Raise on all workers if one has an error, or has other values than worker 0.

        Raises
        ------
        Exception
            The error of this worker.
        ValueError
            Another has one, or values differ; the message names the worker.
        """
        if self.size == 1:
            if error is not None:
                raise error
            return
        told = None if error is None else f"{type(error).__name__}: {error}"
        everyone = self.gather_json({"error": told, **own})
        if error is not None:
            raise error
        for index, other in enumerate(everyone):
            if other["error"] is not None:
                raise ValueError(f"worker {index} has stopped with {other['error']}")
            for name, value in other.items():
                if value != everyone[0][name]:
                    raise ValueError(
                        f"all workers must have the same {name}, got {everyone[0][name]!r} on "
                        f"worker 0 and {value!r} on worker {index}"
                    )

    def tell(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """Do what may raise an error on one worker, and have it raised on all."""
        result = error = None
        try:
            result = act(*arguments)
        except Exception as raised:
            error = raised
        self.agree(error)
        return result

    def of_first(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the named arrays of worker 0; the others' are not looked at."""
        return self.gather_arrays(arrays if self.is_first else {})[0]


ALONE = Team()


def _packed(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return named arrays as int32 [n]."""
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    data = file.getvalue()
    return np.frombuffer(data + bytes(-len(data) % 4), np.int32)


def _unpacked(packed: np.ndarray) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(packed.tobytes()), allow_pickle=False) as arrays:
        return dict(arrays)
