"""What is exported as ONNX gives, in another runtime, what the model gives."""

import sys

import numpy as np
import pytest
from family import FAMILY, SOME, trained_member
from processes import run_python

from autoencoder import Autoencoder
from autoencoding.saving import export

ROWS = SOME[:7]
onnxruntime = pytest.importorskip("onnxruntime")


def answers(folder, name, inputs):
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx")
    (output,) = session.run(None, inputs)
    return output


@pytest.mark.parametrize("name", FAMILY)
def test_another_runtime_answers_as_the_model_does(name, tmp_path):
    member = trained_member(name)
    ae = member.model
    ae.export(tmp_path / "exported", format="onnx")
    labels = {name: column[: len(ROWS)] for name, column in member.preset.condition.items()}
    condition = {k: np.eye(ae.condition_dim, dtype=np.float32)[v] for k, v in labels.items()}
    codes, rebuilt = ae.encode(ROWS, **labels), ae.reconstruct(ROWS, **labels)
    rows = {"x": ROWS.astype(np.float32), **condition}
    for signature, inputs, expected in (
        ("encode", rows, codes),
        ("decode", {"codes": codes, **condition}, rebuilt),
        ("reconstruct", rows, rebuilt),
    ):
        for n in (len(ROWS), 1):
            output = answers(
                tmp_path / "exported", signature, {k: v[:n] for k, v in inputs.items()}
            )
            assert output.shape == expected[:n].shape
            assert output.dtype == expected.dtype
            assert np.abs(output - expected[:n]).max() <= 2e-6 * np.abs(expected).max()


def test_inputs_and_outputs_have_names_and_any_number_of_rows(iris, tmp_path):
    with Autoencoder(4, 2, 1, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        ae.export(tmp_path / "exported", format="onnx")
    found = {}
    for path in (tmp_path / "exported").iterdir():
        session = onnxruntime.InferenceSession(path)
        ends = session.get_inputs() + session.get_outputs()
        found[path.name] = [(end.name, end.shape) for end in ends]
    assert found == {
        "encode.onnx": [("x", ["n", 4]), ("codes", ["n", 2])],
        "decode.onnx": [("codes", ["n", 2]), ("reconstructions", ["n", 4])],
        "reconstruct.onnx": [("x", ["n", 4]), ("reconstructions", ["n", 4])],
    }


def test_rows_far_from_0_keep_their_digits(iris, tmp_path):
    rows = iris + 1e8
    with Autoencoder(4, 2, 20, seed=0, checkpoint=None) as ae:
        ae.train(rows, 10, verbose=False)
        ae.export(tmp_path / "exported", format="onnx")
        expected, codes = ae.reconstruct(rows), ae.encode(rows)
    output = answers(tmp_path / "exported", "reconstruct", {"x": rows})
    assert output.dtype == np.float64
    assert output == pytest.approx(expected, rel=1e-7)
    assert answers(tmp_path / "exported", "encode", {"x": rows}) == pytest.approx(codes, abs=1e-5)


def test_it_runs_where_tensorflow_is_not(iris, tmp_path):
    with Autoencoder(4, 2, 1, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        ae.export(tmp_path / "exported", format="onnx")
        expected = ae.encode(iris[:3])
    np.save(tmp_path / "rows.npy", iris[:3].astype(np.float32))
    code = """
        import sys
        import numpy as np, onnxruntime
        session = onnxruntime.InferenceSession("exported/encode.onnx")
        print(session.run(["codes"], {"x": np.load("rows.npy")})[0].tolist())
        assert not {"tensorflow", "autoencoder"} & {*sys.modules}
    """
    assert np.array(eval(run_python(code, tmp_path))) == pytest.approx(expected, rel=1e-5)


def test_what_cannot_be_exported_leaves_nothing(iris, tmp_path, monkeypatch):
    with Autoencoder(4, 2, 1, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        with pytest.raises(ValueError, match="format must be one of 'savedmodel', 'onnx'"):
            ae.export(tmp_path / "exported", format="h5")
        monkeypatch.setitem(sys.modules, "tf2onnx", None)
        monkeypatch.delitem(sys.modules, "autoencoding.saving.onnx", raising=False)
        with pytest.raises(ImportError, match=r"format='onnx' needs tf2onnx.*extra \[onnx\]"):
            ae.export(tmp_path / "exported", format="onnx")
    assert not [*tmp_path.iterdir()]
    assert set(export.FORMATS) == {"savedmodel", "onnx"}
