import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoder import Autoencoder
from autoencoding.parts.layers import add_biases, dense


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("inputs", [5, 1024, 2048])
def test_the_gradient_of_a_layer_is_that_of_numpy_however_long_its_rows_are(inputs, compiled):
    generator = np.random.default_rng(0)
    x, upstream = generator.normal(size=(7, inputs)), generator.normal(size=(7, 3))

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = dense(x, 3, "glorot", seed=1)
            loss = tf.reduce_sum(output * tf.constant(upstream, tf.float32))
        return output, tape.gradient(loss, [x, *tf1.trainable_variables()])

    with tf.Graph().as_default() as graph:
        with tf1.variable_scope("layer", reuse=tf1.AUTO_REUSE):
            dense(tf.zeros([1, inputs]), 3, "glorot", seed=1)  # makes the variables
            weights = tf1.trainable_variables()[0]
            function = tf.function(gradients, jit_compile=compiled, autograph=False)
            fetches = [weights.value(), *function(tf.constant(x, tf.float32))]
        init = tf1.global_variables_initializer()
    with tf1.Session(graph=graph) as session:
        session.run(init)
        matrix, output, (of_x, of_weights, of_biases) = session.run(fetches)
    assert output == pytest.approx(x @ matrix, abs=1e-4)
    assert of_x == pytest.approx(upstream @ matrix.T, abs=1e-4)
    assert of_weights == pytest.approx(x.T @ upstream, abs=1e-4)
    assert of_biases == pytest.approx(upstream.sum(axis=0), abs=1e-4)


def test_the_gradient_of_biases_is_the_sum_over_pixels():
    generator = np.random.default_rng(0)
    upstream = generator.normal(size=(3, 5, 4, 2))

    def gradients(maps, biases):
        with tf.GradientTape() as tape:
            tape.watch([maps, biases])
            output = add_biases(maps, biases)
            loss = tf.reduce_sum(output * tf.constant(upstream, tf.float32))
        return output, tape.gradient(loss, [maps, biases])

    maps, biases = tf.zeros([3, 5, 4, 2]), tf.constant([1.0, 2.0])
    output, (of_maps, of_biases) = tf.function(gradients, autograph=False)(maps, biases)
    assert (output.numpy() == [1, 2]).all()
    assert of_maps.numpy() == pytest.approx(upstream)
    assert of_biases.numpy() == pytest.approx(upstream.sum(axis=(0, 1, 2)), abs=1e-4)


def test_inference_has_no_gradients_of_its_own():
    with Autoencoder(1024, 2, checkpoint=None) as ae:
        assert not any(operation.type == "IdentityN" for operation in ae.graph.get_operations())
