"""What is exported runs in TensorFlow alone, and as TFLite, and gives what the model gives."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from family import FAMILY, SOME, trained_member
from processes import run_python

from autoencoder import Autoencoder
from autoencoding.saving import savedmodel

ROWS = SOME[:7]


@pytest.fixture(scope="module", params=FAMILY)
def exported(request, tmp_path_factory):
    """A model, the folder of its export, and inputs and output of each signature."""
    member = trained_member(request.param)
    ae = member.model
    folder = tmp_path_factory.mktemp("out") / "new" / "exported"
    ae.export(folder)
    labels = {name: column[: len(ROWS)] for name, column in member.preset.condition.items()}
    codes, rebuilt = ae.encode(ROWS, **labels), ae.reconstruct(ROWS, **labels)
    condition = {k: np.eye(ae.condition_dim, dtype=np.float32)[v] for k, v in labels.items()}
    rows = {"x": ROWS.astype(np.float32), **condition}
    signatures = {
        "encode": (rows, codes),
        "decode": ({"codes": codes, **condition}, rebuilt),
        "reconstruct": (rows, rebuilt),
    }
    return ae, str(folder), signatures


def assert_near(outputs, expected):
    (output,) = outputs.values()
    assert np.shape(output) == expected.shape
    assert np.abs(output - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_saved_model_answers_as_the_model_does(exported):
    _, folder, signatures = exported
    loaded = tf.saved_model.load(folder)
    assert set(loaded.signatures) == signatures.keys()
    for name, (inputs, expected) in signatures.items():
        for n in (len(ROWS), 1):
            feed = {key: tf.constant(value[:n]) for key, value in inputs.items()}
            assert_near(loaded.signatures[name](**feed), expected[:n])


def test_tflite_answers_as_the_model_does(exported):
    _, folder, signatures = exported
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what comes after the interpreter
        interpreter = tf.lite.Interpreter(model_content=converter.convert())
    for name, (inputs, expected) in signatures.items():
        assert_near(interpreter.get_signature_runner(name)(**inputs), expected)


def test_nothing_but_inference_is_exported(exported):
    ae, folder, _ = exported
    names = {name for name, _ in tf.train.list_variables(f"{folder}/variables/variables")}
    scalings = {
        f"{scope}/{name}" for scope in ("scaling", "target_scaling") for name in ("mean", "scale")
    }
    assert names == (set(ae.weights) - {"loss/fifth_of_log_variance"}) | scalings


def test_a_model_goes_on_as_before(iris, tmp_path):
    with Autoencoder(4, 2, 10, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        codes, graph = ae.encode(iris), ae.graph
        ae.export(tmp_path / "exported")
        assert ae.graph is graph
        assert np.array_equal(ae.encode(iris), codes)
        assert len(ae.train(iris, verbose=False)["loss"]) == 10


def test_it_runs_where_this_project_is_not(iris, tmp_path):
    with Autoencoder(4, 2, 1, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        ae.export(tmp_path / "exported")
        expected = ae.encode(iris[:3])
    code = """
        import os, sys
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        sys.path = [place for place in sys.path if "lib/python" in place]
        import numpy as np, tensorflow as tf
        encode = tf.saved_model.load("exported").signatures["encode"]
        print(encode(x=tf.constant(np.load("rows.npy")))["codes"].numpy().tolist())
        assert "autoencoder" not in sys.modules
    """
    np.save(tmp_path / "rows.npy", iris[:3].astype(np.float32))
    assert np.array(eval(run_python(code, tmp_path))) == pytest.approx(expected, rel=1e-5)


def test_what_cannot_be_exported_leaves_nothing(iris, tmp_path, monkeypatch):
    with Autoencoder(4, 2, 2, seed=0, checkpoint=None) as ae:
        with pytest.raises(RuntimeError, match="not trained"):
            ae.export(tmp_path / "exported")
        ae.train(iris, verbose=False)
        (tmp_path / "there").mkdir()
        with pytest.raises(FileExistsError, match="there is there already: give a new folder"):
            ae.export(tmp_path / "there")

        def full(*args, **options):
            raise tf.errors.ResourceExhaustedError(None, None, "no space left")

        monkeypatch.setattr(savedmodel.tf1.saved_model.Builder, "save", full)
        with pytest.raises(OSError, match="exported can't be written: no space left"):
            ae.export(tmp_path / "exported")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
