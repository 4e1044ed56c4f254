"""Diagnosis of a trained model: what is wrong, as far as it can be measured, and what to change.

Limits are such that none of the good runs in `benchmarks/` reaches them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoencoder import Autoencoder
from autoencoding.data.rows import Chunk, Rows, Table
from autoencoding.parts.losses import MSE, RMSE
from autoencoding.parts.scaling import Global, Range, Unscaled

if TYPE_CHECKING:
    from autoencoding.reports.evaluation import Evaluation

SAMPLE = 1000  # rows by which units are judged
FEWEST_ROWS = 10  # of these
DEAD = 1e-3  # of the deviation of the liveliest unit
MOSTLY_DEAD = 0.75  # share of a hidden layer
NATS = 0.1  # of KL divergence a row, below which a code tells nothing
NOTHING = 0.01  # share of the variance
SOMETHING = 0.05
EXACT = 1e-3  # of the error of the mean row, below which no error matters
LIMITS = {True: 1.10, False: 1.02}  # of PCA's error, by whether the decoder is affine
DOMINANT = 0.9  # share of the variance that one column has
FEWEST_EPOCHS = 5
ANNEALED = 0.5  # of the highest rate, below which the last one had fallen
FALLING = 0.02  # fall of the loss in the last fifth of the epochs
RISING = 0.03  # rise of the validation loss, of all by which it fell
CLEAR_RISE = 0.01  # of its least value


@dataclass(frozen=True)
class Facts:
    """Hold what is measured of a model.

    Parameters
    ----------
    model : Autoencoder
    evaluation : Evaluation
    rows : Table or Stream
        Which it was evaluated on, and which have been passed over once.
    chunk : Chunk
        Up to `SAMPLE` of them.
    """

    model: Autoencoder
    evaluation: Evaluation
    rows: Rows
    chunk: Chunk

    @property
    def squared(self) -> bool:
        """Whether training was after the squares that PCA is the bound of, and nothing else."""
        model, given = self.model, self.rows.inputs
        plain = model.corruption is None and not model.code.stochastic
        rebuilt = "target" not in given and "condition" not in given
        return plain and rebuilt and isinstance(model.loss_function, (MSE, RMSE))

    @property
    def rows_vary(self) -> bool:
        """Whether the rows of the chunk are not all the same."""
        return bool(np.any(self.chunk.x != self.chunk.x[0]))

    @property
    def ended_early(self) -> bool:
        """Whether training ended before its last epoch, as by `patience`."""
        state = self.model._require_trained()
        return state.step < state.planned_steps

    @property
    def pca_share(self) -> float:
        """Share of the variance that PCA of the code's width keeps; 0 where there is none."""
        evaluation = self.evaluation
        if not evaluation.mean_rmse:
            return 0.0
        return 1 - (evaluation.pca_rmse / evaluation.mean_rmse) ** 2


def diagnose(model: Autoencoder, rows: Rows, evaluation: Evaluation) -> str:
    """Return a paragraph that says what is wrong and what to change; '' if all is well."""
    if isinstance(rows, Table):
        some = np.linspace(0, rows.n_rows - 1, min(rows.n_rows, SAMPLE)).astype(int)
        chunk = rows.take(some)
    else:
        chunk = next(iter(rows.chunks())).part(slice(SAMPLE))
    facts = Facts(model, evaluation, rows, chunk)
    units = outside_range(facts)
    return units or " ".join(filter(None, (check(facts) for check in CHECKS)))


def outside_range(facts: Facts) -> str:
    """Tell whether data is beyond the range that it was to be in."""
    scaling = facts.model.scaling
    if not isinstance(scaling, Range):
        return ""
    ends = [(chunk.x.min(), chunk.x.max()) for chunk in facts.rows.chunks()]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if scaling.low <= low and high <= scaling.high:
        return ""
    return (
        f"The data goes from {low:g} to {high:g}, beyond the range {scaling.low:g} to "
        f"{scaling.high:g} that the model was trained for: give it in those units, or train with "
        "another range (scaling=Range(low, high))."
    )


def tells_nothing(facts: Facts) -> str:
    """Tell whether a code that is drawn has become the prior."""
    model = facts.model
    if not model.code.stochastic or facts.pca_share < SOMETHING:
        return ""
    (hidden,) = model._fetch([model._pass.hidden], facts.chunk)  # [m, 2 hidden_dim]
    mean, log_variance = np.split(hidden.astype(np.float64), 2, axis=1)  # [m, hidden_dim] each
    divergence = (np.square(mean) + np.exp(log_variance) - log_variance - 1) / 2
    nats = float(np.mean(np.sum(divergence, axis=1)))
    if nats >= NATS:
        return ""
    return (
        f"The code tells nothing of a row: its KL divergence from the prior is {nats:.2g} nats. "
        "Lower beta, or let it rise (kl_warm_up), or leave some without penalty (free_bits)."
    )


def collapsed(facts: Facts) -> str:
    """Tell whether all rows are rebuilt as one."""
    share = facts.evaluation.variance_share
    if not facts.squared or facts.pca_share < SOMETHING or share >= NOTHING:
        return ""
    model = facts.model
    reconstruction, _ = model._scaled_of[model.decoded.name]
    tensors = [reconstruction, model._scaled["target"]]
    made, rows = (x.var(axis=0).sum() for x in model._fetch(tensors, facts.chunk))
    if len(facts.chunk.x) < FEWEST_ROWS or made > NOTHING * rows:
        return ""
    return (
        f"The codes have collapsed: all rows are rebuilt as nearly the same one, where PCA keeps "
        f"{facts.pca_share:.0%} of the variance. Lower learning_rate, or train longer (epoch)."
    )


def dead_units(facts: Facts) -> str:
    """Tell whether units of the code do not vary."""
    model = facts.model
    if model.code.stochastic or len(facts.chunk.x) < FEWEST_ROWS or not facts.rows_vary:
        return ""
    (codes,) = model._fetch([model.encoded], facts.chunk)  # [m, hidden_dim]
    deviations = codes.std(axis=0, dtype=np.float64)  # [hidden_dim]
    dead = int(np.sum(deviations <= DEAD * deviations.max()))
    if not dead:
        return ""
    return (
        f"{dead} of {len(deviations)} units of the code are dead, the same for all rows: lower "
        "learning_rate, or make the code smaller (hidden_dim), or give it another activation."
    )


def dead_layers(facts: Facts) -> str:
    """Tell whether most rectified units of a hidden layer are 0."""
    model = facts.model
    layers = [
        operation.outputs[0]
        for operation in model.graph.get_operations()
        if operation.type == "Relu" and operation.name.startswith(("encode/", "decode/"))
    ]
    if not layers or len(facts.chunk.x) < FEWEST_ROWS:
        return ""
    outputs = model._fetch(layers, facts.chunk)  # [m, units] or [m, height, width, channels] each
    shares = [np.mean(o.reshape(-1, o.shape[-1]).max(axis=0) <= 0) for o in outputs]
    if max(shares) < MOSTLY_DEAD:
        return ""
    name = layers[int(np.argmax(shares))].op.name
    return (
        f"{max(shares):.0%} of the units of a hidden layer ({name}) are dead, 0 for all rows: "
        "lower learning_rate, or choose another activation, such as 'elu'."
    )


def dominated(facts: Facts) -> str:
    """Tell whether one column has nearly all of the variance."""
    variances = np.square(facts.evaluation.features["mean_rmse"])  # [target_dim]
    total, is_image = variances.sum(), len(facts.model._shapes["target"]) > 1
    by_column = type(facts.model.scaling) not in (Global, Unscaled)
    if by_column or not facts.squared or is_image or len(variances) < 3:
        return ""
    if not total or variances.max() < DOMINANT * total:
        return ""
    return (
        f"Column {variances.argmax()} has {variances.max() / total:.1%} of the variance, so that "
        "the loss hardly sees the others: scale each by itself (scaling='feature')."
    )


def still_falling(facts: Facts) -> str:
    """Tell whether the loss was falling when training ended, at a rate that had not fallen.

    Where the rate falls to 0, as by default, the loss falls with it, and then is flat, however long
    training was.
    """
    state = facts.model._require_trained()
    losses, rates = (np.array(state.history[name]) for name in ("loss", "learning_rate"))
    fifth = len(losses) // 5
    if len(losses) < FEWEST_EPOCHS or facts.ended_early:
        return ""
    before, last = losses[-2 * fifth : -fifth], losses[-fifth:]  # [fifth] each
    unit = max(abs(last.mean()), losses[0] - losses[-1]) if losses.min() < 0 else last.mean()
    fall = (before.mean() - last.mean()) / unit if unit > 0 else 0.0
    annealed = rates[-1] < ANNEALED * rates.max()
    if annealed or fall < FALLING or last[-1] >= before.min():
        return ""
    return (
        f"The loss was still falling at the end, by {fall:.0%} in the last fifth of the epochs: "
        "train longer (epoch)."
    )


def rising(facts: Facts) -> str:
    """Tell whether the loss on validation rows rose while that in training fell."""
    history = facts.model._require_trained().history
    losses, others = (np.array(history.get(name, [])) for name in ("validation_loss", "loss"))
    if len(losses) < FEWEST_EPOCHS or facts.ended_early:
        return ""
    best = int(losses.argmin())
    rise, fall = losses[-3:].min() - losses[best], losses[0] - losses[best]
    if best >= len(losses) - 3 or others[-1] >= others[best]:
        return ""
    if rise <= max(RISING * fall, CLEAR_RISE * abs(losses[best])):
        return ""
    return (
        f"The validation loss rose after epoch {best} of {len(losses)}, whose weights are kept: "
        "stop there (patience), or overfit less, with a smaller code (hidden_dim), a weight_decay, "
        "or a corruption."
    )


def worse_than_pca(facts: Facts) -> str:
    """Tell whether PCA is better than it need be: by 10 %, or by 2 % beside a deeper model."""
    model, evaluation = facts.model, facts.evaluation
    limit, ratio = LIMITS[model.affine_decoder], evaluation.ratio
    if not facts.squared or model.hidden_dim >= model.target_dim or not ratio > limit:
        return ""
    if evaluation.rmse <= EXACT * evaluation.mean_rmse:
        return ""
    return (
        f"PCA of the same width is better: the RMSE is {ratio:.3f} times its, above {limit:.2f}; "
        "train longer (epoch), or try another learning_rate or batch_size."
    )


CHECKS: tuple[Callable[[Facts], str], ...] = (
    tells_nothing,
    collapsed,
    dead_units,
    dead_layers,
    dominated,
    still_falling,
    rising,
    worse_than_pca,
)
