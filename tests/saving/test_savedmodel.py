"""What is exported runs in TensorFlow alone, and as TFLite, and gives what the model gives."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from family import FAMILY, SOME, members
from processes import run_python

from autoencoder import Autoencoder
from autoencoding.parts.losses import Normal
from autoencoding.saving import savedmodel as exporting

ROWS = SOME[:7]


@pytest.fixture(scope="module", params=FAMILY)
def member(request):
    yield from members(request.param)


def asked(member):
    """What each signature is asked, and what the model answers."""
    ae = member.model
    told = {name: np.asarray(value)[: len(ROWS)] for name, value in member.told.items()}
    codes = ae.encode(ROWS, **told)
    rebuilt = ae.reconstruct(ROWS, **told)
    fed = {k: np.eye(ae.condition_dim, dtype=np.float32)[v] for k, v in told.items()}
    rows = {"x": ROWS.astype(np.float32), **fed}
    return {
        "encode": (rows, codes),
        "decode": ({"codes": codes, **fed}, rebuilt),
        "reconstruct": (rows, rebuilt),
    }


def assert_near(found, expected):
    (found,) = found.values()
    assert np.shape(found) == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_saved_model_answers_as_the_model_does(member, tmp_path):
    member.model.export(tmp_path / "out" / "exported")
    loaded = tf.saved_model.load(str(tmp_path / "out" / "exported"))
    assert set(loaded.signatures) == {"encode", "decode", "reconstruct"}
    for name, (given, expected) in asked(member).items():
        signature = loaded.signatures[name]
        assert_near({k: v.numpy() for k, v in signature(**as_tensors(given)).items()}, expected)
        one = {key: value[:1] for key, value in given.items()}
        assert_near({k: v.numpy() for k, v in signature(**as_tensors(one)).items()}, expected[:1])


def as_tensors(given):
    return {name: tf.constant(value, tf.float32) for name, value in given.items()}


def test_tflite_answers_as_the_model_does(member, tmp_path):
    member.model.export(tmp_path / "exported")
    questions = asked(member)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(tmp_path / "exported"), signature_keys=list(questions)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what comes after the interpreter
        interpreter = tf.lite.Interpreter(model_content=converter.convert())
    for name, (given, expected) in questions.items():
        runner = interpreter.get_signature_runner(name)
        assert_near(runner(**{k: np.asarray(v, np.float32) for k, v in given.items()}), expected)


def test_nothing_but_inference_is_exported(member, tmp_path):
    member.model.export(tmp_path / "exported")
    names = [
        name
        for name, _ in tf.train.list_variables(
            str(tmp_path / "exported" / "variables" / "variables")
        )
    ]
    trained = set(member.model.weights)
    if isinstance(member.model.objective, Normal):
        trained.remove("loss/fifth_of_log_variance")
    scalings = {n for n in names if n.startswith(("scaling/", "target_scaling/"))}
    assert set(names) == trained | scalings
    assert len(scalings) == 4


def test_a_model_goes_on_as_before(iris, tmp_path):
    with Autoencoder(4, 2, 10, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        codes, graph = ae.encode(iris), ae.graph
        ae.export(tmp_path / "exported")
        assert ae.graph is graph
        assert np.array_equal(ae.encode(iris), codes)
        assert len(ae.train(iris, verbose=False)["loss"]) == 10


def test_it_runs_where_this_project_is_not(iris, tmp_path):
    with Autoencoder(4, 2, 10, seed=0, checkpoint=None) as ae:
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

        monkeypatch.setattr(exporting.tf1.saved_model.Builder, "save", full)
        with pytest.raises(OSError, match="exported can't be written: no space left"):
            ae.export(tmp_path / "exported")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
