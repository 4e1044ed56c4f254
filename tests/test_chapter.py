"""The chapter's listings, as a reader would type them today."""

import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf1
from cifar_files import write_folder
from processes import ROOT

import cifar
from autoencoder import Autoencoder
from batching import get_batch


@pytest.fixture
def flowers(iris):
    with Autoencoder(4, 1, epoch=30, learning_rate=0.01, seed=0) as ae:
        yield ae, iris


def test_the_class_shows_each_listing_in_its_order():
    """Listings 11.1 to 11.5: scopes, loss, optimizer, saver, train and test, top to bottom."""
    source = (ROOT / "autoencoder.py").read_text()
    shown = ['"encode"', '"decode"', "RMSE", "RMSProp", "Saver(", "def train", "def test"]
    body = source[source.index("class Autoencoder") :]
    places = [body.index(text) for text in shown]
    assert places == sorted(places)


def test_the_graph_has_the_chapters_names(flowers):
    """Listings 11.2 and 11.3."""
    ae, _ = flowers
    assert ae.encoded.op.name.startswith("encode/")
    assert ae.decoded.op.name.startswith("decode/")
    names = {"encode/weights", "encode/biases", "decode/weights", "decode/biases"}
    assert ae.weights.keys() == names
    shapes = [tensor.shape.as_list() for tensor in (ae.x, ae.encoded, ae.decoded, ae.loss)]
    assert shapes == [[None, 4], [None, 1], [None, 4], []]
    assert isinstance(ae.saver, tf1.train.Saver)
    assert ae.graph.finalized


def test_a_loop_by_hand_learns(flowers):
    """Listings 11.4, 11.7 and 11.8: `session.run` on batches from `get_batch`."""
    ae, data = flowers
    centred = data - data.mean(axis=0)
    generator = np.random.default_rng(0)
    before = ae.session.run(ae.loss, {ae.x: centred})
    for _ in range(300):
        batch = get_batch(centred, 10, generator)
        ae.session.run([ae.loss, ae.train_op], {ae.x: batch})
    assert ae.session.run(ae.loss, {ae.x: centred}) < 0.8 * before


def test_train_reports_and_saves_and_another_process_could_test(flowers, capsys):
    """Listings 11.4 to 11.6."""
    ae, data = flowers
    history = ae.train(data, batch_size=1)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    printed = re.findall(r"^epoch (\d+): loss = ", capsys.readouterr().out, re.MULTILINE)
    assert printed == ["0", "10", "20"]
    with Autoencoder(4, 1) as other:  # restores ./model.ckpt
        reconstructed = other.test([[8, 4, 6, 2]])
        hidden = other.encode([[8, 4, 6, 2]])
    assert reconstructed == pytest.approx(ae.reconstruct([[8, 4, 6, 2]]))
    assert capsys.readouterr().out == (
        f"input [[8, 4, 6, 2]]\ncompressed {hidden}\nreconstructed {reconstructed}\n"
    )


def test_horses_are_read_made_gray_and_learnt(tmp_path):
    """Listings 11.10 to 11.13, on made images."""
    folder, _ = write_folder(tmp_path, 40)
    names = cifar.unpickle(folder / "batches.meta")["label_names"]
    batches = [cifar.unpickle(folder / f"data_batch_{i}") for i in range(1, 6)]
    data = np.concatenate([batch["data"] for batch in batches])  # [200, 3072]
    labels = np.concatenate([batch["labels"] for batch in batches])  # [200]
    horses = cifar.grayscale(data[labels == names.index("horse")])  # [20, 1024]
    assert np.array_equal(horses, cifar.grayscale(cifar.load(folder).of("horse")[0]))
    with Autoencoder(horses.shape[1], 5, epoch=40, seed=0) as ae:
        history = ae.train(horses, verbose=False)
    assert history["loss"][-1] < history["loss"][0]
