"""Measure how well reconstruction errors tell horses from the other classes of CIFAR-10.

    python -m benchmarks.classes --data ./cifar-10-batches-py

The chapter's autoencoder is trained on the gray horses; then each test image gets a score, large
where it should be no horse: the distance to the reconstruction of image 0, as chapter 12's
`classify` has it; to its own reconstruction, by the model or by PCA; what takes no model; and the
model's error beside that of the same model trained on the other classes. About four minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

import cifar
from autoencoder import Autoencoder
from autoencoding.reports.evaluation import evaluate, row_errors
from benchmarks.machine import print_machine

SEED = 0
HIDDEN = 100
MOST = 5000  # images of the other classes to train on


def trained(rows: np.ndarray, name: str) -> Autoencoder:
    """Train the chapter's autoencoder on gray rows [n, 1024], and print how well it learnt."""
    ae = Autoencoder(rows.shape[1], HIDDEN, seed=SEED, checkpoint=None)
    ae.train(rows, verbose=False)
    print(f"\n1024 -> {HIDDEN}, {ae.epoch} epochs on {len(rows)} {name}, seed {SEED}")
    print(evaluate(ae, rows), flush=True)
    return ae


def roughness(rows: np.ndarray) -> np.ndarray:
    """Return how much neighbouring pixels of gray rows [n, 1024] differ, mean squares [n]."""
    images = rows.reshape(-1, 32, 32)  # [n, 32, 32]
    across, down = np.diff(images, axis=2), np.diff(images, axis=1)  # [n, 32, 31], [n, 31, 32]
    squares = np.square(across).mean((1, 2)) + np.square(down).mean((1, 2))  # [n]
    return squares / 2  # [n]


def scores_of(horses: Autoencoder, others: Autoencoder, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return root mean squares [n] of gray rows [n, 1024], or their ratios, by name."""
    of_image_0 = np.mean(np.square(rows - horses.reconstruct(rows[:1])), axis=1)  # [n]
    errors, of_others = row_errors(horses, rows), row_errors(others, rows)["model"]  # [n] each
    rough = roughness(rows)  # [n]
    squares = {
        "classify: to image 0 rebuilt": of_image_0,
        "the model's own error": errors["model"],
        f"PCA's, {HIDDEN} components": errors["pca"],
        "to the mean horse": errors["mean"],
        "contrast: to its own mean gray": np.var(rows, axis=1),
        "pixels to their neighbours": rough,
        "own error / neighbours": errors["model"] / rough,
        "error of others / neighbours": of_others / rough,
        "own error / error of others": errors["model"] / of_others,
    }
    return {name: np.sqrt(square) for name, square in squares.items()}  # [n] each


def print_table(data: cifar.Cifar, scores: dict[str, np.ndarray]) -> None:
    """Print means and ROC AUC of scores [n] of the test images, over all classes and of each.

    The last column is the rank correlation with the model's own error.
    """
    horse = data.label_names.index("horse")
    horses = data.test_labels == horse  # [n]
    others = [label for label in range(len(data.label_names)) if label != horse]
    names = "".join(f"{data.label_names[label]:>11}" for label in others)
    print(f"\n{np.sum(horses)} test horses, {np.sum(~horses)} others")
    print(f"{'':32}{'horses':>8}{'others':>8}{'AUC':>8}{names}{'ranks':>8}")
    for name, score in scores.items():
        line = f"{name:32}{score[horses].mean():8.3f}{score[~horses].mean():8.3f}"
        line += f"{roc_auc_score(~horses, score):8.3f}"
        for label in others:
            either = horses | (data.test_labels == label)  # [n]
            line += f"{roc_auc_score(~horses[either], score[either]):11.3f}"
        ranks = spearmanr(score, scores["the model's own error"]).statistic
        print(f"{line}{ranks:8.3f}")


def main() -> None:
    """Train on horses and on the others, score the test images, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder or archive of CIFAR-10")
    args = parser.parse_args()
    print_machine()
    data = cifar.load(args.data)
    horse = data.label_names.index("horse")
    others = np.flatnonzero(data.train_labels != horse)  # [n]
    drawn = np.random.default_rng(SEED).permutation(others)[:MOST]  # [m]
    with (
        trained(cifar.grayscale(data.of("horse")[0]), "horses") as of_horses,
        trained(cifar.grayscale(data.train[drawn]), "others") as of_others,
    ):
        scores = scores_of(of_horses, of_others, cifar.grayscale(data.test))
    print_table(data, scores)


if __name__ == "__main__":
    main()
