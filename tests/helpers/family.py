"""The family, small: a preset of each kind of model, to be trained on digits in a second."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits

from autoencoder import Autoencoder
from autoencoding.models.convolutional import ColorizingAutoencoder, ConvolutionalAutoencoder
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.models.stacked import StackedAutoencoder
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.parts import variables
from autoencoding.parts.corruptions import Masking
from autoencoding.parts.networks import Convolutional
from autoencoding.parts.scaling import Range

DIGITS, LABELS = load_digits(return_X_y=True)  # [1797, 64], 0 to 16
SOME, SOME_LABELS = DIGITS[:200], LABELS[:200]
SIXTEEN = Range(0, 16)
ADAM = {"optimizer": "adam", "seed": 0, "checkpoint": None}
COLOUR = np.stack([SOME, 16 - SOME, SOME / 2], axis=2).reshape(-1, 8, 8, 3)


class Preset(NamedTuple):
    """A model of the family, small, and the columns it is trained with beside the rows."""

    kind: type[Autoencoder]
    arguments: tuple
    options: dict[str, Any]
    columns: dict[str, Any] = {}  # noqa: RUF012

    @property
    def condition(self):
        return {name: labels for name, labels in self.columns.items() if name == "condition"}

    def model(self, epoch=6, **options):
        merged = {"checkpoint": None, "seed": 0, "optimizer": "adam", **self.options, **options}
        return self.kind(*self.arguments, epoch, 0.003, **merged)


FAMILY = {
    "plain": Preset(Autoencoder, (64, 6), {}),
    "stacked": Preset(StackedAutoencoder, (64, 6), {"layers": [16, 12]}),
    "tied": Preset(
        StackedAutoencoder, (64, 6), {"layers": [16], "tied": True, "scaling": "feature"}
    ),
    "denoising": Preset(DenoisingAutoencoder, (64, 12), {"corruption": Masking(0.3)}),
    "variational": Preset(VariationalAutoencoder, (64, 3), {"layers": [16]}),
    "bernoulli": Preset(
        VariationalAutoencoder, (64, 3), {"layers": [16], "loss": "bce", "scaling": SIXTEEN}
    ),
    "conditional": Preset(
        VariationalAutoencoder,
        (64, 3),
        {"layers": [16], "condition_dim": 10, "kl_warm_up": 0.5, "free_bits": 0.1},
        {"condition": SOME_LABELS},
    ),
    "convolutional": Preset(ConvolutionalAutoencoder, ((8, 8, 1), 6), {"filters": [4, 8]}),
    "colorizing": Preset(ColorizingAutoencoder, ((8, 8), 6), {"filters": [4]}, {"target": COLOUR}),
    "denoising convolutional variational": Preset(
        VariationalAutoencoder,
        (64, 3),
        {
            "network": Convolutional((8, 8, 1), filters=(4,)),
            "corruption": {"name": "salt-and-pepper", "fraction": 0.1},
            "loss": "bce",
            "scaling": SIXTEEN,
        },
    ),
}


class Member(NamedTuple):
    """A preset that has been trained, and what it began with."""

    preset: Preset
    model: Autoencoder
    losses: list[float]
    initial: dict[str, np.ndarray]


def trained(preset, batch_size=40, **options):
    """A model that was trained, and its losses; so few steps an epoch are not worth compiling."""
    ae = preset.model(**options)
    history = ae.train(SOME, batch_size, verbose=False, **preset.columns)
    return ae, history["loss"]


def assert_same(one, other):
    np.testing.assert_equal(variables.read(one.session), variables.read(other.session))


@cache
def trained_member(name):
    """A member of the family that no test may change: it is trained once."""
    preset = FAMILY[name]
    ae = preset.model()
    initial = ae.weights
    losses = ae.train(SOME, 40, verbose=False, **preset.columns)["loss"]
    return Member(preset, ae, losses, initial)
