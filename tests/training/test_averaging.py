import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from workers import in_threads

from autoencoding.parts import variables
from autoencoding.training.averaging import Averages


def session_with(values):
    """A session with variables of these values, and the variables."""
    graph = tf.Graph()
    with graph.as_default():
        made = [
            tf1.get_variable(name, initializer=tf.constant(value), use_resource=True)
            for name, value in values.items()
        ]
        init = tf1.global_variables_initializer()
    session = tf1.Session(graph=graph)
    session.run(init)
    return session, made


def test_variables_and_errors_become_means_and_a_stop_is_heard():
    generator = np.random.default_rng(0)
    values = [
        {"a": generator.normal(size=(3, 2)).astype(np.float32), "b": np.float32(index)}
        for index in range(3)
    ]

    def work(team):
        session, made = session_with(values[team.index])
        averages = Averages(team, session, made)
        found = [averages(np.float32([team.index, 2]), stop) for stop in (False, team.index == 2)]
        return found, variables.read(session)

    for found, own in in_threads(work, 3):
        assert [reached.stop for reached in found] == [False, True]
        assert all(reached.errors.tolist() == [1, 2] for reached in found)
        assert own["a"] == pytest.approx(np.mean([v["a"] for v in values], axis=0), rel=1e-6)
        assert own["b"] == 1


def test_averages_are_rarer_the_more_they_cost_and_the_less_a_step_does():
    team, many = None, {"a": np.zeros((1000, 1000), np.float32)}
    few = {"a": np.zeros(10, np.float32)}
    large, small = (Averages(team, *session_with(values)) for values in (many, few))
    assert large.steps_between(1e8) > small.steps_between(1e8) > small.steps_between(1e10) >= 1
