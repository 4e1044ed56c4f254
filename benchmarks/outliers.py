"""Measure how well outliers are found: this project's detector beside others, on the same splits.

    python -m benchmarks.outliers --data FOLDER

The folder holds `.mat` files of ODDS or `.npz` files of ADBench, each with X and y, 1 of an
outlier. Each set is split several times, 60 % to fit on, labels unseen, and standardised by these,
in two settings: outliers among the rows fitted on, and normal rows alone. Every detector has one
configuration for all sets, its default one. PyOD's are there where it is installed (`pip install
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
from scipy.stats import betabinom, rankdata
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from autoencoding.estimators.density import REFERENCES, Density
from autoencoding.estimators.outliers import AutoencoderOutlierDetector
from autoencoding.parts.scaling import Robust, Statistics
from benchmarks.machine import print_machine

SETTINGS = ("outliers among the rows fitted on", "fitted on normal rows alone")
OURS = "this project"


class Figures(NamedTuple):
    """What came of one split."""

    auc: float
    precision: float
    seconds: float


class FifthNeighbour:
    """Rows by their distance to the fifth nearest of those fitted on."""

    def fit(self, X: np.ndarray) -> FifthNeighbour:
        """Keep X [n, d]."""
        self.neighbours = NearestNeighbors(n_neighbors=5).fit(X)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Distances of X [n, d], negative, [n]."""
        return -self.neighbours.kneighbors(X)[0][:, -1]


class Mahalanobis:
    """Rows by their distance from the mean, by a shrunken covariance (Ledoit & Wolf 2004)."""

    def fit(self, X: np.ndarray) -> Mahalanobis:
        """Find the covariance of X [n, d]."""
        self.covariance = LedoitWolf().fit(X)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Squared distances of X [n, d], negative, [n]."""
        return -self.covariance.mahalanobis(X)


class RowsThemselves:
    """The same scaling and density, about rows themselves: no network makes anything of them."""

    def fit(self, X: np.ndarray) -> RowsThemselves:
        """Keep some of X [n, d]."""
        statistics = Statistics(X.mean(axis=0), X.std(axis=0), (X, None))
        self.constants = Robust(deviations=1.0).constants(statistics)
        some = self._scaled(X[np.random.default_rng(0).permutation(len(X))[:REFERENCES]])
        self.density = Density.about(some, some)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Scores of X [n, d], negative, [n]."""
        return -self.density.of_scaled(self._scaled(X))

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return ((X - self.constants.offset) / self.constants.scale).astype(np.float32)  # [n, d]


def detectors() -> dict[str, Callable[[], Any]]:
    """What is compared, by name: each makes a detector."""
    ours = partial(AutoencoderOutlierDetector, random_state=0)
    results: dict[str, Callable[[], Any]] = {
        OURS: ours,
        "- untrained": partial(ours, model_params={"epoch": 0}),
        "- no network": RowsThemselves,
        "fifth neighbour": FifthNeighbour,
        "Mahalanobis": Mahalanobis,
        "IsolationForest": lambda: IsolationForest(random_state=0),
    }
    if importlib.util.find_spec("pyod") and importlib.util.find_spec("torch"):
        from pyod.models import pca
        from pyod.models.auto_encoder import AutoEncoder
        from pyod.models.ecod import ECOD

        results["PyOD PCA"] = lambda: pca.PCA(random_state=0)
        results["PyOD ECOD"] = ECOD
        results["PyOD AutoEncoder"] = lambda: AutoEncoder(random_state=0, verbose=0)
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
    return Figures(*ranking(labels, scores), seconds)


def ranking(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """ROC AUC and average precision of scores [n], high of outliers."""
    return float(roc_auc_score(labels, scores)), float(average_precision_score(labels, scores))


def settings(X: np.ndarray, y: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Rows to fit on and to test on, standardised, and the labels of these, in each setting."""
    train, test, known, labels = train_test_split(X, y, test_size=0.4, random_state=seed)
    for rows in (train, train[known == 0]):
        scaler = StandardScaler().fit(rows)
        yield scaler.transform(rows), scaler.transform(test), labels


Results = dict[tuple[str, str], list[Figures]]  # by setting and detector, one of each split


def repeated(X: np.ndarray, y: np.ndarray, splits: int) -> tuple[Results, list[float]]:
    """Figures of each split; each detector is made once a set, and fitted to every split.

    The second is how likely each count of small p-values of normal rows is, or a rarer one.
    """
    models = {name: make() for name, make in detectors().items()}
    results: Results = {(setting, name): [] for setting in SETTINGS for name in models}
    tails = []
    for seed in range(splits):
        both = zip(SETTINGS, settings(X, y, seed), strict=True)
        for setting, (fitted, tested, labels) in both:
            for name, detector in models.items():
                results[setting, name].append(measure(detector, fitted, tested, labels))
        tails += tails_of(models[OURS], tested[labels == 0])
    return results, tails


def tails_of(detector: AutoencoderOutlierDetector, normal: np.ndarray) -> list[float]:
    """How likely as few p-values below 0.05 and 0.01 are, or as many, if the rows are normal.

    The number of them is beta-binomial (Bates et al. 2023, prop. 1).
    """
    values, h = detector.p_values(normal), len(detector.held_out_scores_)
    tails = []
    for level in (0.05, 0.01):
        rank = int(level * (h + 1))
        if rank:
            count = int((values <= level).sum())
            law = betabinom(len(normal), rank, h + 1 - rank)
            tails.append(2 * min(law.cdf(count), law.sf(count - 1)))
    return tails


def print_set(title: str, results: Mapping[tuple[str, str], list[Figures]]) -> None:
    """Print means of each detector on a set."""
    print(f"\n{title}")
    for name in detectors():
        line = f"  {name:17}"
        for setting in SETTINGS:
            auc, precision, seconds = np.array(results[setting, name]).T  # [splits] each
            line += f"  AUC {auc.mean():.3f} +- {auc.std():.3f}  AP {precision.mean():.3f}"
            line += f"  {np.mean(seconds):6.3f} s |"
        print(line, flush=True)


def print_means(every: Mapping[str, Results], sizes: Mapping[str, int]) -> None:
    """Print means over all sets and splits, wins, ranks, and where this project loses most."""
    names = list(detectors())
    for setting in SETTINGS:
        table = np.array(
            [[np.mean(r[setting, name], axis=0) for name in names] for r in every.values()]
        )  # [sets, detectors, 3]
        auc, precision = table[..., 0], table[..., 1]  # [sets, detectors]
        ranks = [rankdata(-figures, axis=1).mean(axis=0) for figures in (auc, precision)]
        wins = [(f >= f.max(axis=1, keepdims=True)).sum(axis=0) for f in (auc, precision)]
        print(f"\n{setting}: mean of {len(every)} sets")
        print(f"  {'':17}     AUC  rank  wins      AP  rank  wins   s a fit")
        for i, name in enumerate(names):
            print(
                f"  {name:17}  {auc[:, i].mean():.4f}  {ranks[0][i]:4.1f}  {wins[0][i]:4}  "
                f"{precision[:, i].mean():.4f}  {ranks[1][i]:4.1f}  {wins[1][i]:4}  "
                f"{table[:, i, 2].mean():8.3f}"
            )
        lost = auc.max(axis=1) - auc[:, 0]  # [sets]
        for i in np.argsort(-lost)[:6]:
            best = names[int(auc[i].argmax())]
            print(f"  loses {lost[i]:.3f} of AUC on {[*every][i]} to {best}")
    small = [name for name, size in sizes.items() if size < 1000]
    if small:
        first = [every[name][SETTINGS[0], OURS][0].seconds for name in small]
        print(f"\nfits of a new detector to fewer than 1,000 rows: {np.round(first, 3)} s")


def print_rate() -> None:
    """Print how many rows of 30 columns are scored in a second."""
    generator = np.random.default_rng(0)
    detector = AutoencoderOutlierDetector(random_state=0).fit(generator.normal(size=(5000, 30)))
    rows = generator.normal(size=(200_000, 30))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        detector.score_samples(rows)
        seconds.append(time.perf_counter() - start)
    print(f"\nscored: {len(rows) / np.median(seconds):,.0f} rows of 30 columns a second")


def begin(description: str | None, splits: int) -> argparse.Namespace:
    """Read the arguments, and print the machine; so many splits are the default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder of .mat or .npz files")
    parser.add_argument("--splits", type=int, default=splits)
    args = parser.parse_args()
    print_machine()
    warnings.simplefilter("ignore")
    return args


def main() -> None:
    """Print a table a set, and one of means."""
    args = begin(__doc__, splits=10)
    AutoencoderOutlierDetector(max_iter=1).fit(np.eye(9))  # what is done once a process
    every: dict[str, Results] = {}
    sizes, tails = {}, []
    for name, X, y in sets(args.data):
        every[name], some = repeated(X, y, args.splits)
        tails += some
        sizes[name] = round(0.6 * len(X))
        print_set(f"{name}, {len(X)} x {X.shape[1]}, {y.mean():.1%} outliers", every[name])
    print_means(every, sizes)
    print(
        f"\np-values of normal rows: {len(tails)} counts below 0.05 or 0.01, the least likely with "
        f"p = {min(tails):.2g}, of all together {min(1, len(tails) * min(tails)):.2g}"
    )
    print_rate()


if __name__ == "__main__":
    main()
