"""Autoencoders on `tf.compat.v1`; the public names are imported when they are first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from autoencoding.models import MODELS

if TYPE_CHECKING:
    from autoencoder import Autoencoder
    from autoencoding.estimators.encoder import TableEncoder
    from autoencoding.estimators.outliers import AutoencoderOutlierDetector
    from autoencoding.estimators.reporting import report
    from autoencoding.estimators.scorer import scorer
    from autoencoding.estimators.transformer import AutoencoderTransformer
    from autoencoding.models import load
    from autoencoding.models.convolutional import ColorizingAutoencoder, ConvolutionalAutoencoder
    from autoencoding.models.denoising import DenoisingAutoencoder
    from autoencoding.models.stacked import StackedAutoencoder
    from autoencoding.models.variational import VariationalAutoencoder
    from autoencoding.reports.evaluation import evaluate, row_errors

__all__ = [
    "Autoencoder",
    "AutoencoderOutlierDetector",
    "AutoencoderTransformer",
    "ColorizingAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "StackedAutoencoder",
    "TableEncoder",
    "VariationalAutoencoder",
    "evaluate",
    "load",
    "report",
    "row_errors",
    "scorer",
]

_MODULES = {
    **{entry.name: entry.module for entry in MODELS.values()},
    "AutoencoderOutlierDetector": "autoencoding.estimators.outliers",
    "AutoencoderTransformer": "autoencoding.estimators.transformer",
    "TableEncoder": "autoencoding.estimators.encoder",
    "evaluate": "autoencoding.reports.evaluation",
    "load": "autoencoding.models",
    "report": "autoencoding.estimators.reporting",
    "row_errors": "autoencoding.reports.evaluation",
    "scorer": "autoencoding.estimators.scorer",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
