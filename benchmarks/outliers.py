"""Measure how well outliers are found: this project's detector beside others, on the same splits.

    python -m benchmarks.outliers --data FOLDER

The folder holds `.mat` files of ODDS or `.npz` files of ADBench, each with X and y, 1 of an
outlier. Each set is split ten times, 60 % to fit on, outliers among them and labels unseen, and
standardised by these. Every detector has one configuration for all sets, its default one; this
project's also with parts of it taken away. PyOD's are there where it is installed (`pip install
pyod torch`).
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.io import loadmat
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from autoencoding.estimators.outliers import AutoencoderOutlierDetector
from benchmarks.machine import print_machine

REPETITIONS = 10


class Figures(NamedTuple):
    """What came of one split."""

    auc: float
    precision: float
    seconds: float


class Residual:
    """Rows by their distance from the plane of the principal components with 90 % of variance."""

    def fit(self, X: np.ndarray) -> Residual:
        """Find the plane of X [n, d]."""
        self.pca = PCA(0.9, svd_solver="full").fit(X)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Distances of X [n, d], squared and negative, [n]."""
        kept = self.pca.inverse_transform(self.pca.transform(X))  # [n, d]
        return -np.sum((X - kept) ** 2, axis=1)


def detectors() -> dict[str, Callable[[], Any]]:
    """What is compared, by name: each makes a detector."""
    ours = partial(AutoencoderOutlierDetector, random_state=0)
    deviations = {"scaling": {"name": "feature", "deviations": 1.0}}
    results: dict[str, Callable[[], Any]] = {
        "this project": ours,
        "- scale: std": partial(ours, model_params=deviations),
        "- and loss: mse": partial(ours, model_params={**deviations, "loss": "mse"}),
        "- no noise": partial(ours, model="plain"),
        "- code of 8": partial(ours, n_components=8),
        "PCA residual": Residual,
        "IsolationForest": lambda: IsolationForest(random_state=0),
    }
    if importlib.util.find_spec("pyod") and importlib.util.find_spec("torch"):
        from pyod.models import pca
        from pyod.models.auto_encoder import AutoEncoder
        from pyod.models.vae import VAE

        results["PyOD PCA"] = lambda: pca.PCA(random_state=0)
        results["PyOD AutoEncoder"] = lambda: AutoEncoder(random_state=0, verbose=0)
        results["PyOD VAE"] = lambda: VAE(random_state=0, verbose=0)
    return results


def sets(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, rows [n, d] and labels [n] of each set in a folder."""
    for path in sorted([*folder.glob("*.mat"), *folder.glob("*.npz")]):
        content = loadmat(path) if path.suffix == ".mat" else np.load(path, allow_pickle=False)
        yield path.stem, np.asarray(content["X"], float), np.ravel(content["y"]).astype(int)


def measure(detector: Any, train: np.ndarray, test: np.ndarray, labels: np.ndarray) -> Figures:
    """Fit a detector, and see how it ranks the test rows."""
    start = time.perf_counter()
    detector.fit(train)
    seconds = time.perf_counter() - start
    if hasattr(detector, "score_samples"):
        scores = -detector.score_samples(test)  # [n]
    else:
        scores = detector.decision_function(test)  # [n], PyOD's: high of outliers
    scores = np.nan_to_num(scores, nan=np.inf, posinf=np.finfo(float).max)
    return Figures(
        float(roc_auc_score(labels, scores)),
        float(average_precision_score(labels, scores)),
        seconds,
    )


def repeated(X: np.ndarray, y: np.ndarray) -> dict[str, list[Figures]]:
    """Figures of each split, by detector; each detector is made once, and fitted to every split."""
    models = {name: make() for name, make in detectors().items()}
    results: dict[str, list[Figures]] = {name: [] for name in models}
    for seed in range(REPETITIONS):
        train, test, _, labels = train_test_split(X, y, test_size=0.4, random_state=seed)
        scaler = StandardScaler().fit(train)
        for name, detector in models.items():
            results[name].append(
                measure(detector, scaler.transform(train), scaler.transform(test), labels)
            )
    return results


def print_set(title: str, results: Mapping[str, list[Figures]]) -> None:
    """Print mean and deviations of each detector on a set."""
    print(f"\n{title}")
    for name, figures in results.items():
        auc, precision, seconds = np.array(figures).T  # [repetitions] each
        print(
            f"  {name:17} AUC {auc.mean():.3f} +- {auc.std():.3f}"
            f"   AP {precision.mean():.3f} +- {precision.std():.3f}"
            f"   fit {seconds[0]:6.2f} s, again {np.mean(seconds[1:]):6.3f} s"
        )


def print_means(every: list[dict[str, list[Figures]]]) -> None:
    """Print means over all sets and splits."""
    print(f"\nmean of {len(every)} sets, {REPETITIONS} splits each")
    ours = None
    for name in every[0]:
        auc, precision, seconds = np.mean([results[name] for results in every], axis=(0, 1))
        first = np.mean([results[name][0].seconds for results in every])
        ours = ours or (seconds, first)
        print(
            f"  {name:17} AUC {auc:.4f}   AP {precision:.4f}   fit {seconds:6.3f} s, the first "
            f"{first:6.3f} s; this project's are {ours[0] / seconds:.2f} and {ours[1] / first:.2f}"
        )


def main() -> None:
    """Print a table a set, and one of means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of .mat or .npz files")
    args = parser.parse_args()
    print_machine()
    warnings.simplefilter("ignore")
    every = []
    for name, X, y in sets(args.data):
        every.append(repeated(X, y))
        print_set(f"{name}, {len(X)} x {X.shape[1]}, {y.mean():.1%} outliers", every[-1])
    print_means(every)


if __name__ == "__main__":
    main()
