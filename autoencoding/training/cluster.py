"""A cluster as the environment variable TF_CONFIG describes it, in TensorFlow's convention."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from autoencoding import checks
from autoencoding.team import Team

VARIABLE = "TF_CONFIG"
EXAMPLE = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """Describe the processes that train one model together, and how they do it.

    Each takes steps on rows of its own, and after some steps all weights, and all that the
    optimizer keeps of each, become their averages over the workers (local SGD: McDonald et al.
    2010, Distributed training strategies for the structured perceptron; Stich 2019, Local SGD
    converges fast and communicates little). After each step, this is synchronous SGD.

    Parameters
    ----------
    workers : sequence of str
        ``host:port`` of every process, the first task first.
    index : int
        Which of them this process is.
    average_every : int, optional
        Steps between averages; by default so many that averaging takes little of the time.
    timeout : float
        Seconds to wait for another worker, at the beginning and at each average.
    own_rows : bool
        Whether the rows that each worker is given are its own. By default all are given the same
        ones, and each takes every n-th of them.
    """

    workers: tuple[str, ...]
    index: int
    average_every: int | None = None
    timeout: float = 300.0
    own_rows: bool = False

    def __post_init__(self) -> None:
        if self.average_every is not None:
            checks.integer("average_every", self.average_every)
        checks.number("timeout", self.timeout, above=0)

    @classmethod
    def from_environment(cls, variable: str = VARIABLE, **options: Any) -> Self:
        """Read the cluster from an environment variable; options are those of the class.

        Raises
        ------
        ValueError
            It is not set, or describes no cluster of workers of which this process is one.
        """
        text = os.environ.get(variable)
        if text is None:
            raise ValueError(f"{variable} must be set, such as {EXAMPLE}")
        try:
            return cls(*_read(json.loads(text)), **options)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{variable} must be like {EXAMPLE}, got {text:.500} ({error})"
            ) from None


def _read(config: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """Return all workers, a chief first, and the number of this one."""
    jobs, task = config["cluster"], config["task"]
    unknown = [*({*jobs, task["type"]} - {"chief", "worker"})]
    if unknown:
        raise ValueError(f"a cluster of workers, perhaps with a chief, has no {unknown[0]!r}")
    chiefs, others = list(jobs.get("chief", [])), list(jobs.get("worker", []))
    workers = tuple(map(_address, [*chiefs, *others]))
    index = checks.integer("index", task["index"], minimum=0)
    own = chiefs if task["type"] == "chief" else others
    if len(chiefs) > 1 or index >= len(own):
        raise ValueError(
            f"there is no {task['type']} {index}" if index >= len(own) else "one chief"
        )
    if len({*workers}) < len(workers):
        raise ValueError("two workers have the same address")
    return workers, index + (len(chiefs) if task["type"] == "worker" else 0)


def _address(value: Any) -> str:
    host, colon, port = str(value).rpartition(":")
    if not (host and colon and port.isdigit() and 0 < int(port) < 2**16):
        raise ValueError(f"{value!r} is no host:port")
    return str(value)


def described(cluster: str | Cluster) -> Cluster:
    """Return a cluster, which may be described by the environment variable of this name."""
    if isinstance(cluster, Cluster):
        return cluster
    if not isinstance(cluster, str):
        raise TypeError(f"cluster must be a Cluster or {VARIABLE!r}, got {cluster!r}")
    return Cluster.from_environment(cluster)


def joined(cluster: Cluster) -> Team:
    """Join a cluster, which imports what a single process does without."""
    from autoencoding.training.exchange import join

    return join(cluster)
