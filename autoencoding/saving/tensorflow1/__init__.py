"""Checkpoints that `tf.train.Saver` wrote: found, checked and read without running any of them."""

from autoencoding.saving.tensorflow1.files import Checkpoint, find
from autoencoding.saving.tensorflow1.recognition import Recognized, listed, recognize

__all__ = ["Checkpoint", "Recognized", "find", "listed", "recognize"]
