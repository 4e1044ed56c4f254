import json

import numpy as np
import pytest

from autoencoder import Autoencoder
from autoencoding.training.cluster import Cluster, described


def read(monkeypatch, jobs, kind="worker", index=0, **options):
    config = {"cluster": jobs, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    return Cluster.from_environment(**options)


def test_a_cluster_is_read_as_tensorflow_does(monkeypatch):
    two = read(monkeypatch, {"worker": ["a:1", "b.c:65535"]}, index=1, timeout=3)
    assert (two.workers, two.index, two.timeout) == (("a:1", "b.c:65535"), 1, 3)
    with_chief = {"chief": ["a:1"], "worker": ["[::1]:2"]}
    assert read(monkeypatch, with_chief, "chief").index == 0
    assert read(monkeypatch, with_chief).index == 1
    assert read(monkeypatch, with_chief).workers == ("a:1", "[::1]:2")
    monkeypatch.setenv("OTHER", json.dumps({"cluster": {"worker": ["a:1"]}, "task": {}}))
    with pytest.raises(ValueError, match="OTHER must be like"):
        described("OTHER")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[]", "must be like"),
        ('{"cluster": {"worker": ["a:1"]}}', "'task'"),
        ('{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "has no 'ps'"),
        ('{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}', "no host:port"),
        ('{"cluster": {"worker": ["a:0"]}, "task": {"type": "worker", "index": 0}}', "no host:po"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "no worker 1"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}', "no chief 0"),
        ('{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}', "one ch"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}', "same"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "0"}}', "whole num"),
    ],
)
def test_what_is_no_cluster_of_workers_is_refused(text, message, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=message):
        Cluster.from_environment()


def test_a_cluster_that_is_asked_for_must_be_there(monkeypatch, iris):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with Autoencoder(4, 1, checkpoint=None) as ae:
        with pytest.raises(ValueError, match="TF_CONFIG must be set, such as"):
            ae.train(iris, cluster="TF_CONFIG")
        with pytest.raises(TypeError, match="cluster must be a Cluster or 'TF_CONFIG', got 2"):
            ae.train(iris, cluster=2)
    with pytest.raises(ValueError, match="average_every must be at least 1"):
        Cluster(("a:1",), 0, average_every=0)
    with pytest.raises(ValueError, match="timeout must be"):
        Cluster(("a:1",), 0, timeout=0)


def test_a_cluster_in_the_environment_changes_nothing_unless_asked_for(monkeypatch, iris):
    weights = []
    for text in (None, "no cluster at all"):
        if text:
            monkeypatch.setenv("TF_CONFIG", text)
        with Autoencoder(4, 1, 3, seed=0, checkpoint=None) as ae:
            ae.train(iris, verbose=False)
            weights.append(ae.weights)
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_cluster_of_one_is_this_process_alone(monkeypatch, iris):
    weights = []
    for cluster in (None, read(monkeypatch, {"worker": ["127.0.0.1:1"]})):
        with Autoencoder(4, 1, 3, seed=0, checkpoint=None) as ae:
            ae.train(iris, verbose=False, cluster=cluster)
            weights.append(ae.weights)
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
