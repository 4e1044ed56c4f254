"""Time codes, reconstructions and scores: of one row, from eight threads, of 400,000 at once.

    python -m benchmarks.inference
    python -m benchmarks.inference --python torch=torch/bin/python

PyTorch does the same: a module of the same layers between scaling and unscaling, without gradients,
from a NumPy array and to one. Of many rows it gets all at once, or 4,096 at a time. A score of one
row, of a detector fitted on 1,000 of them, is beside scikit-learn's `PCA.transform`.
"""

from __future__ import annotations

import numpy as np

from benchmarks.peers.case import Case, Question
from benchmarks.peers.processes import Times, add_times, arguments, ratio, running

PEERS = ("project", "torch", "torch-chunks", "pca")
SMALL, WIDE = Case(30, 5, 100, 1000), Case(1024, 100, 100, 1000)
STACK = Case(784, 30, 100, 1000, (1000, 500, 250))
MODELS = {"small": SMALL, "stack": STACK, "wide": WIDE}
METHODS = ("encode", "decode", "reconstruct")
MANY = 400_000
CASES = {
    "one": [Question(case, method) for case in MODELS.values() for method in METHODS],
    "threads": [
        Question(case, method, threads=8) for case in MODELS.values() for method in METHODS
    ],
    "score": [Question(SMALL, "score"), Question(WIDE, "score")],
    "many": [
        Question(case, method, MANY)
        for case in MODELS.values()
        for method in ("encode", "reconstruct")
    ],
}
PEERS_OF = {
    "one": ("project", "torch"),
    "threads": ("project", "torch"),
    "score": ("project", "pca"),
    "many": ("project", "torch", "torch-chunks"),
}


def print_times(question: Question, times: Times) -> None:
    """Print microseconds a row of each peer, medians, and the project's ratio to it."""
    print(f"{question!s:52}", end="")
    for name, own in times.items():
        microseconds = np.median(own) / question.rows
        beside = "" if name == "project" else f" ({ratio(times, own):.2f})"
        print(f"{name + beside:>22} {microseconds:8.3g}", end="")
    print(flush=True)


def main() -> None:
    """Print the tables."""
    options = arguments(__doc__, PEERS, [*CASES], passes=7)
    with running(options.pythons) as children:
        print(
            f"\nmicroseconds a row, medians of {options.passes} passes; in brackets the project's "
            "times over those, median of the passes' ratios"
        )
        for case in options.cases:
            for question in CASES[case]:
                asked = {name: children[name] for name in PEERS_OF[case] if name in children}
                times: Times = {}
                for _ in range(options.passes):
                    add_times(times, asked, question)
                print_times(question, times)


if __name__ == "__main__":
    main()
