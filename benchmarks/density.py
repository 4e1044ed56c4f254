"""Show how the constants of the outlier density were chosen, on splits of their own.

    python -m benchmarks.density --data FOLDER

Kernels stand between rows (0) and their reconstructions (1), and a second, broad density has a
weight: both set a point between two settings, outliers among the rows fitted on, and normal rows
alone. The bars are those that the detector was built to: AUC 0.005 above an isolation forest's and
AP at most 0.01 below it in the first setting, AUC at most 0.005 and AP at most 0.02 below those of
the distance to the fifth neighbour in the second. The pair whose least margin is largest is taken;
to see what choosing costs, it is chosen without each set in turn, and measured on that set.
"""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
from sklearn.ensemble import IsolationForest

from autoencoding.estimators.density import REFERENCES, Density
from autoencoding.estimators.outliers import AutoencoderOutlierDetector
from autoencoding.estimators.scaled import scaled_and_made
from benchmarks.outliers import FifthNeighbour, begin, measure, ranking, sets, settings

PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4)
PAIRS = list(itertools.product(PLACES, WEIGHTS))
BARS = np.array([0.005, -0.01, -0.005, -0.02])  # above a peer's AUC and AP in both settings
FIRST_SEED = 100  # of the splits


def densities(detector: AutoencoderOutlierDetector, rows: np.ndarray) -> np.ndarray:
    """Both terms of the score of rows [n, d] for each place of the kernels, [places, 2, n]."""
    model, kept = detector.model_, detector._kept
    known = np.concatenate([kept.references, kept.held_out])[:REFERENCES]  # [m, d]
    (x, made), (scaled, _) = (scaled_and_made(model, some) for some in (known, rows))
    # `about` puts kernels halfway to what it is given
    found = [Density.about(x, x + np.float32(2 * place) * (made - x)) for place in PLACES]
    return np.array([density.terms(scaled) for density in found])


def measured(X: np.ndarray, y: np.ndarray, splits: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean figures of a set: of each pair [pairs, 4], and of the peers that set the bars [4]."""
    of_pairs = np.zeros((splits, 2, len(PAIRS), 2))
    of_peers = np.zeros((splits, 2, 2))
    detector = AutoencoderOutlierDetector(random_state=0)
    for split in range(splits):
        peers = IsolationForest(random_state=0), FifthNeighbour()
        both = settings(X, y, FIRST_SEED + split)
        for setting, (fitted, tested, labels) in enumerate(both):
            of_peers[split, setting] = measure(peers[setting], fitted, tested, labels)[:2]
            terms = densities(detector.fit(fitted), tested)  # [places, 2, n]
            for number, (place, weight) in enumerate(PAIRS):
                narrow, broad = terms[PLACES.index(place)]
                of_pairs[split, setting, number] = ranking(labels, narrow + weight * broad)
    pairs = of_pairs.mean(axis=0).transpose(1, 0, 2).reshape(len(PAIRS), 4)
    return pairs, of_peers.mean(axis=0).ravel()


def best(margins: np.ndarray) -> int:
    """The pair with the largest least margin over the bars, of means of [pairs, sets, 4]."""
    return int(margins.mean(axis=1).min(axis=1).argmax())


def main() -> None:
    """Print the figures of each pair, the best, and what choosing costs."""
    args = begin(__doc__, splits=4)
    both = [measured(X, y, args.splits) for _, X, y in sets(args.data)]
    table = np.stack([pairs for pairs, _ in both], axis=1)  # [pairs, sets, 4]
    peers = np.stack([figure for _, figure in both])  # [sets, 4]
    print("\nplace weight   outliers among the rows   normal rows alone: AUC, AP each")
    print("the peers     ", np.round(peers.mean(axis=0), 4))
    for (place, weight), row in zip(PAIRS, table.mean(axis=1), strict=True):
        print(f"{place:5} {weight:6}  ", np.round(row, 4))
    margins = table - peers - BARS  # [pairs, sets, 4]
    print("the pair with the largest least margin:", PAIRS[best(margins)])
    chosen = [best(np.delete(margins, left_out, axis=1)) for left_out in range(len(peers))]
    left_out = np.mean([table[pair, i] for i, pair in enumerate(chosen)], axis=0)
    print("chosen without each set, and measured on it:", np.round(left_out, 4))
    print(Counter(PAIRS[pair] for pair in chosen).most_common())


if __name__ == "__main__":
    main()
