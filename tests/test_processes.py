"""Rows alone and among others, and models in forks of their process."""

import multiprocessing
import pickle

import numpy as np
import pytest

from autoencoder import Autoencoder
from autoencoding import AutoencoderOutlierDetector, evaluate
from autoencoding.reports.evaluation import row_errors


@pytest.mark.parametrize("width", [30, 784, 1024])
@pytest.mark.parametrize("network", ["dense", {"name": "dense", "layers": (64,)}])
def test_a_row_alone_has_the_bits_that_it_has_among_others(width, network):
    data = np.random.default_rng(0).normal(size=(20, width))
    with Autoencoder(width, 16, epoch=1, network=network, seed=0, checkpoint=None) as ae:
        ae.train(data, verbose=False)
        codes, errors = ae.encode(data), row_errors(ae, data)["model"]
        for row in (0, 7, 19):
            alone = data[row : row + 1]
            assert np.array_equal(ae.encode(alone), codes[row : row + 1])
            assert np.array_equal(ae.reconstruct(alone), ae.reconstruct(data)[row : row + 1])
            assert np.array_equal(ae.decode(codes[row : row + 1]), ae.reconstruct(alone))
            assert row_errors(ae, alone)["model"] == errors[row]


def answer(queue, task):
    try:
        task()
        queue.put("done")
    except RuntimeError as error:
        queue.put(str(error))


@pytest.fixture
def asked():
    """A function that runs a task in a fork, and returns what it raised, within a second."""

    def ask(task):
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        child = context.Process(target=answer, args=(queue, task))
        child.start()
        try:
            return queue.get(timeout=1)
        finally:
            child.kill()

    return ask


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_tells_that_it_has_no_model_instead_of_hanging(iris, asked):
    detector = AutoencoderOutlierDetector(4, max_iter=1).fit(iris)
    with Autoencoder(4, 2, epoch=1, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        pickled = pickle.dumps(ae)
        tasks = [
            lambda: ae.encode(iris),
            lambda: ae.reconstruct(iris),
            lambda: ae.train(iris),
            lambda: ae.weights,
            lambda: evaluate(ae, iris),
            lambda: pickle.loads(pickled),
            lambda: Autoencoder(4, 2),
            lambda: detector.predict(iris),
            lambda: detector.fit(iris),
        ]
        for task in tasks:
            assert asked(task).startswith("this process is a fork of one with a model")
        assert ae.encode(iris).shape == (150, 2)
