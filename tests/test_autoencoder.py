import gc
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from processes import run_python

from autoencoder import Autoencoder
from autoencoding import checks
from autoencoding.models.stacked import StackedAutoencoder
from autoencoding.parts import variables
from autoencoding.parts.networks import Convolutional, Dense
from autoencoding.parts.scaling import DEVIATIONS
from autoencoding.reports.evaluation import row_errors


def weights_of(model):
    values = variables.read(model.session)
    return [
        values[f"{side}/{kind}"] for side in ("encode", "decode") for kind in ("weights", "biases")
    ]


def trained(data, *args, **options):
    train = {k: options.pop(k) for k in ("batch_size", "target", "sample_weight") if k in options}
    model = Autoencoder(*args, **{"seed": 0, "checkpoint": None, **options})
    model.train(data, verbose=False, **train)
    return model


def assert_same_weights(one, other):
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        assert np.array_equal(a, b)


# The graph


def test_nothing_is_added_to_the_default_graph():
    with tf.Graph().as_default() as graph:
        Autoencoder(4, 2).close()
        assert graph.get_operations() == []


def test_gpu_memory_grows_unless_a_config_is_given(monkeypatch):
    session = Mock(wraps=tf1.Session)
    monkeypatch.setattr(tf1, "Session", session)
    config = tf1.ConfigProto(intra_op_parallelism_threads=1)
    Autoencoder(4, 2).close()
    Autoencoder(4, 2, config=config).close()
    default, own = (call.kwargs["config"] for call in session.call_args_list)
    assert default.gpu_options.allow_growth
    assert own is config


@pytest.mark.parametrize("scaling", ["global", "feature", None])
@pytest.mark.parametrize(("activation", "function"), [("tanh", np.tanh), ("linear", np.asarray)])
def test_the_forward_pass_is_that_of_numpy(iris, scaling, activation, function):
    ae = trained(iris, 4, 2, epoch=2, scaling=scaling, network=Dense(code=activation))
    w1, b1, w2, b2 = weights_of(ae)
    mean = iris.mean(axis=0) if scaling else 0
    deviation = {
        "global": iris.var(axis=0).mean() ** 0.5,
        "feature": iris.std(axis=0),
        None: 1 / DEVIATIONS,
    }
    scale = DEVIATIONS * deviation[scaling]
    code = function((iris - mean) / scale @ w1 + b1)  # [150, 2]
    rebuilt = (code @ w2 + b2) * scale + mean  # [150, 4]
    assert ae.encode(iris) == pytest.approx(code, abs=1e-5)
    assert ae.decode(code) == pytest.approx(rebuilt, abs=1e-4)
    assert ae.reconstruct(iris) == pytest.approx(rebuilt, abs=1e-4)
    unit = DEVIATIONS if scaling == "feature" else scale
    loss = unit * np.sqrt(np.mean(np.square((iris - rebuilt) / scale)))
    assert ae.session.run(ae.loss, {ae.x: iris}) == pytest.approx(loss, rel=1e-4)
    if scaling != "feature":
        assert loss == pytest.approx(np.sqrt(np.mean(np.square(iris - rebuilt))))


def test_a_step_by_hand_is_rmsprops_of_numpy():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    with Autoencoder(3, 2, scaling=None, seed=1, checkpoint=None) as ae:
        w1, b1, w2, b2 = (w.astype(np.float64) for w in weights_of(ae))
        code = np.tanh(x @ w1 + b1)  # [5, 2]
        error = code @ w2 + b2 - x  # [5, 3]
        d_out = error / (np.sqrt(np.mean(error**2)) * error.size)  # [5, 3]
        d_code = d_out @ w2.T * (1 - code**2)  # [5, 2]
        gradients = x.T @ d_code, d_code.sum(0), code.T @ d_out, d_out.sum(0)
        ae.session.run(ae.train_op, {ae.x: x})
        steps = zip((w1, b1, w2, b2), gradients, weights_of(ae), strict=True)
        for before, gradient, after in steps:
            rms = 0.9 + 0.1 * gradient**2
            expected = before - 0.001 * gradient / np.sqrt(rms + 1e-10)
            assert after == pytest.approx(expected, abs=1e-7)


def test_steps_by_hand_lower_the_loss_before_and_after_training(iris):
    with Autoencoder(4, 1, epoch=1, learning_rate=0.01, seed=0, checkpoint=None) as ae:
        for _ in range(2):
            losses = [ae.session.run([ae.loss, ae.train_op], {ae.x: iris})[0] for _ in range(100)]
            assert losses[-1] < losses[0]
            ae.train(iris, verbose=False)


# Training


def test_training_lowers_the_loss_and_returns_equally_long_lists(iris):
    with Autoencoder(4, 1, epoch=30, seed=0, checkpoint=None) as ae:
        history = ae.train(iris, verbose=False)
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(
        ("epoch", "loss", "learning_rate"), 30
    )
    assert history["epoch"] == list(range(30))
    assert history["loss"][-1] < 0.8 * history["loss"][0]


@pytest.mark.parametrize("batch_size", [1, 10, 64, 150, 1000])
def test_the_loss_of_an_epoch_is_over_all_its_entries(iris, batch_size):
    # A rate too small to move the weights: each epoch sees the model as it is at the end.
    with Autoencoder(4, 2, 2, 1e-12, seed=0, checkpoint=None) as ae:
        history = ae.train(iris, batch_size, verbose=False)
        rmse = np.sqrt(np.mean((iris - ae.reconstruct(iris)) ** 2))
    assert history["loss"] == pytest.approx([rmse, rmse], rel=1e-5)


def test_the_compiled_loop_takes_the_steps_that_train_op_takes(iris, monkeypatch):
    with Autoencoder(4, 2, 3, schedule="constant", seed=0, checkpoint=None) as ae:
        ae.train(iris, 40, verbose=False)
        compiled = weights_of(ae)
        ae.session.run([v.initializer for v in ae.graph.get_collection("trainable_variables")])
        slots = [v for v in ae.graph.get_collection("variables") if "RMSProp" in v.op.name]
        ae.session.run([slot.initializer for slot in slots])
        for epoch in range(3):
            rows = np.random.default_rng([0, epoch]).permutation(150)
            for start in range(0, 150, 40):
                ae.session.run(ae.train_op, {ae.x: iris[rows[start : start + 40]]})
        for one, other in zip(compiled, weights_of(ae), strict=True):
            assert one == pytest.approx(other, abs=1e-5)


def test_epochs_are_printed_as_in_the_chapter(iris, capsys):
    with Autoencoder(4, 1, epoch=25, seed=0, checkpoint=None) as ae:
        losses = ae.train(iris)["loss"]
        expected = "".join(f"epoch {i}: loss = {losses[i]}\n" for i in (0, 10, 20))
        assert capsys.readouterr().out == expected
        ae.train(iris, every=12)
        expected = "".join(f"epoch {i}: loss = {losses[i]}\n" for i in (0, 12, 24))
        assert capsys.readouterr().out == expected
        ae.train(iris, verbose=False)
        shown = capsys.readouterr()
        assert shown.out == shown.err == ""


def test_how_often_is_reported_does_not_change_the_weights(iris):
    with Autoencoder(4, 1, epoch=7, seed=0, checkpoint=None) as ae:
        ae.train(iris, every=1, verbose=False)
        every_epoch = weights_of(ae)
        ae.train(iris, every=100, verbose=False)
        assert all(map(np.array_equal, every_epoch, weights_of(ae)))


def test_the_listings_behaviour_is_reachable(iris):
    network = {"name": "dense", "initial": "normal"}
    options = {"scaling": None, "schedule": "constant", "seed": 0, "checkpoint": None}
    with Autoencoder(100, 50, 3, network=network, **options) as ae:
        w1, b1, w2, b2 = weights_of(ae)
        assert np.std(w1) == pytest.approx(1, abs=0.05)
        assert np.std(w2) == pytest.approx(1, abs=0.05)
        assert not b1.any()
        assert not b2.any()
        history = ae.train(np.random.default_rng(0).normal(size=(20, 100)), verbose=False)
        assert history["learning_rate"] == [0.001] * 3


def test_other_orders_of_arguments_are_told_where_they_belong():
    with pytest.warns(UserWarning, match=r"learning_rate of 10 .* train\(data, batch_size=10\)"):
        Autoencoder(4, 1, 500, 10).close()
    with pytest.raises(TypeError, match=r"in this order.* got \(0.001,\).*batch_size=10"):
        Autoencoder(4, 1, 500, 10, 0.001)
    for kind in (Autoencoder, StackedAutoencoder):
        with pytest.raises(
            TypeError, match=r"'batch_size': it is train's: train\(data, batch_size=7"
        ):
            kind(4, 1, batch_size=7)
    with pytest.raises(TypeError, match="no argument 'hiden_dim': did you mean hidden_dim"):
        Autoencoder(4, 1, hiden_dim=2)
    with pytest.raises(TypeError, match="no argument 'cats': its arguments are input_dim, hidden"):
        Autoencoder(4, 1, cats=2)


ELU = lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))  # noqa: E731
RAW = {
    "global": {},
    "feature": {"scaling": "feature"},
    "robust": {"scaling": "robust"},
    "unscaled": {"scaling": None},
    "range": {"scaling": {"name": "range", "low": -1e3, "high": 1e3}},
    "far": {},
    "stack": {"network": Dense((8, 6), code="linear")},
    "tied": {"network": Dense((8,), code="linear", tied=True)},
    "condition": {"condition_dim": 3},
    "another target": {"target_dim": 2, "scaling": "feature"},
}


@pytest.mark.parametrize("kind", RAW)
def test_raw_weights_are_the_listings_formula_on_raw_rows(kind):
    generator = np.random.default_rng(0)
    data = generator.normal(size=(60, 10)) @ generator.normal(size=(10, 10)) + 50
    data += 1e8 * (kind == "far")
    condition = np.arange(60) % 3 if kind == "condition" else None
    with Autoencoder(10, 3, epoch=20, seed=0, checkpoint=None, **RAW[kind]) as ae:
        target = data[:, :2] * 1e3 if kind == "another target" else None
        ae.train(data, target=target, condition=condition, verbose=False)
        raw, layers = ae.raw_weights, ae.network.layers
        hidden, made = data, []
        if condition is not None:
            hidden = np.concatenate([data, np.eye(3)[condition]], axis=1)
        bends = [*[ELU] * len(layers), np.asarray if layers else np.tanh, *[ELU] * len(layers)]
        for scope, bend in zip(ae.network.scopes, [*bends, np.asarray], strict=True):
            if scope == "decode" and condition is not None:
                hidden = np.concatenate([hidden, np.eye(3)[condition]], axis=1)
            hidden = bend(hidden @ raw[f"{scope}/weights"] + raw[f"{scope}/biases"])
            made.append(hidden)
        for ours, theirs in (
            (ae.encode(data, condition), made[len(layers)]),
            (ae.reconstruct(data, condition), made[-1]),
        ):
            assert theirs.dtype == np.float64
            assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": Convolutional((2, 5, 1), filters=(2,))}, "dense network, got Convolutional"),
        ({"network": Dense(output="sigmoid")}, "need a linear output"),
        ({"loss": "bce", "scaling": {"name": "range"}}, "need a linear output"),
    ],
)
def test_raw_weights_that_there_are_not_are_refused(options, message):
    data = np.random.default_rng(0).random((20, 10))
    with Autoencoder(10, 3, epoch=1, seed=0, checkpoint=None, **options) as ae:
        with pytest.raises(RuntimeError, match="not trained"):
            _ = ae.raw_weights
        ae.train(data, verbose=False)
        with pytest.raises(ValueError, match=message):
            _ = ae.raw_weights


def test_a_target_of_another_width_is_learned():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6))
    target = 50 + 9 * x[:, :2] @ rng.normal(size=(2, 3))  # [200, 3], of rank 2
    ae = trained(x, 6, 2, epoch=200, learning_rate=0.01, target_dim=3, target=target)
    left = np.mean((ae.reconstruct(x) - target) ** 2)
    assert left < 0.01 * target.var(axis=0).mean()
    errors = row_errors(ae, x, target)
    assert errors["model"].mean() == pytest.approx(left, rel=1e-3)
    assert errors["pca"].mean() == pytest.approx(0, abs=1e-6)


def test_rows_of_weight_zero_are_as_if_absent_from_what_is_fitted(iris):
    outliers = np.full((50, 4), 1e4)
    data, weight = np.concatenate([iris, outliers]), np.repeat([1.0, 0.0], [150, 50])
    order = np.random.default_rng(0).permutation(200)
    ae = trained(data[order], 4, 1, epoch=100, learning_rate=0.01, sample_weight=weight[order])
    fitted = variables.read(ae.session)
    assert fitted["scaling/mean"] == pytest.approx(iris.mean(axis=0), rel=1e-5)
    rmse = np.sqrt(np.mean((iris - ae.reconstruct(iris)) ** 2))
    assert rmse < 1.05 * 0.29258


def test_weights_in_one_ratio_train_the_same(iris):
    weight = np.random.default_rng(0).uniform(0.5, 2, 150)
    one = trained(iris, 4, 1, epoch=3, sample_weight=weight)
    other = trained(iris, 4, 1, epoch=3, sample_weight=1024 * weight)
    assert_same_weights(one, other)


# Randomness


def test_a_seed_that_was_drawn_repeats_the_run(iris):
    one = trained(iris, 4, 2, epoch=1, seed=None)
    assert_same_weights(one, trained(iris, 4, 2, epoch=1, seed=one.seed))
    one.train(iris, verbose=False)
    assert_same_weights(one, trained(iris, 4, 2, epoch=1, seed=one.seed))


# Inference


def test_inference_in_slices_equals_inference_at_once(iris, monkeypatch):
    ae = trained(iris, 4, 2, epoch=1)
    whole = ae.encode(iris), ae.reconstruct(iris), ae.decode(ae.encode(iris))
    monkeypatch.setattr(checks, "CHUNK_BYTES", 4 * 6 * 7)
    sliced = ae.encode(iris), ae.reconstruct(iris), ae.decode(ae.encode(iris))
    for one, other in zip(whole, sliced, strict=True):
        assert one.dtype == np.float32
        assert one == pytest.approx(other, abs=1e-6)
    assert [a.shape for a in whole] == [(150, 2), (150, 4), (150, 4)]


# Life and checkpoints


def test_a_new_process_reconstructs_the_same_bits(iris, tmp_path):
    with Autoencoder(4, 2, epoch=3, seed=0) as ae:
        ae.train(iris, verbose=False)
        rebuilt = ae.reconstruct(iris)
    np.save("iris.npy", iris)
    run_python(
        """
        import numpy as np
        from autoencoder import Autoencoder
        iris = np.load("iris.npy")
        np.save("tested.npy", Autoencoder(4, 2).test(iris))
        np.save("loaded.npy", Autoencoder.load("model.ckpt").reconstruct(iris))
        """,
        tmp_path,
    )
    assert np.array_equal(np.load("tested.npy"), rebuilt)
    assert np.array_equal(np.load("loaded.npy"), rebuilt)


def test_load_rebuilds_every_parameter_and_leaves_the_folder_alone(iris, tmp_path):
    options = {
        "network": Dense(code="elu"),
        "scaling": "feature",
        "schedule": "constant",
        "seed": 3,
    }
    ae = trained(iris, 4, 2, 5, 0.01, **options, target_dim=2, target=iris[:, :2])
    ae.save("kept")
    before = sorted(path.name for path in (tmp_path / "kept").iterdir())
    with Autoencoder.load("kept") as loaded:
        assert loaded.parameters == ae.parameters
        assert np.array_equal(loaded.reconstruct(iris), ae.reconstruct(iris))
        loaded.train(iris, target=iris[:, :2], verbose=False)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == before


def test_resume_refuses_other_data_and_a_model_that_never_trained(iris):
    ae = trained(iris, 4, 2, epoch=2)
    for data, batch_size in ((iris[:149], 10), (iris, 20)):
        with pytest.raises(ValueError, match="had 150 rows, 0 for validation, 10 a step; got"):
            ae.train(data, batch_size, resume=True)
    with pytest.raises(RuntimeError, match="not trained"):
        Autoencoder(4, 2, checkpoint=None).train(iris, resume=True)
    with pytest.raises(FileNotFoundError, match="no checkpoint in nowhere"):
        Autoencoder(4, 2, checkpoint="nowhere").train(iris, resume=True)


@pytest.mark.parametrize("enabled", [True, False])
def test_building_leaves_the_garbage_collector_as_it_was(enabled):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        Autoencoder(4, 1, checkpoint=None).close()
        with pytest.raises(ValueError, match="tied weights"):  # in the midst of it
            Autoencoder(4, 1, target_dim=2, network=Dense(tied=True))
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
