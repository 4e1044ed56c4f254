"""Strangers' arrays, pictures, paths and habits: kinds of fault L to X, by several instances."""

import contextlib
import logging
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from cifar_files import write_folder
from PIL import Image
from sklearn.decomposition import PCA
from stand_ins import Again, Numbered
from strangers import QUICK, N, mixed, planted, table

from autoencoder import Autoencoder
from autoencoding import AutoencoderOutlierDetector, evaluate, models
from autoencoding.cli import images as cli_images
from autoencoding.data import images, memory
from autoencoding.data.photographs import load_images
from autoencoding.models.convolutional import ConvolutionalAutoencoder
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.reports import figures
from autoencoding.saving import checkpoints
from autoencoding.training.state import TrainingState
from autoencoding.training.tensorboard import Board

# L: paths; S: what is checked last; W: TensorFlow's words; X: trained by hand


@pytest.mark.parametrize(
    "name", ["m[1]", "a*b", "a?b{c}", "ü ö", "~/kept", "deep/er.ckpt", "model-7"]
)
def test_any_path_is_saved_to_and_loaded_from(name, iris, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with Autoencoder(4, 2, epoch=2, seed=0, checkpoint=name) as ae:
        ae.train(iris, verbose=False)
        codes = ae.encode(iris)
    folder = Path(name).expanduser()
    assert folder.is_dir()
    for path in (name, folder / "model-1.index", folder / "model-1"):
        with Autoencoder.load(path) as again:
            assert np.array_equal(again.encode(iris), codes)


def test_a_folder_for_results_is_made_before_the_training(tmp_path):
    mixed().to_csv("b.csv", index=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="file"):
        table("b.csv", QUICK, "--output file/results")
    assert not (tmp_path / "table.ckpt").exists()
    _, outliers = table("b.csv", QUICK, "--output new/results")
    assert len(outliers) == N


@pytest.mark.parametrize("kind", ["plain", "denoising", "variational", "stacked"])
def test_what_was_trained_by_hand_can_be_saved_and_used(kind, iris, tmp_path):
    centred = iris - iris.mean(axis=0)
    with models.create(kind, (4,), 2, seed=0, checkpoint=None) as ae:
        with pytest.raises(RuntimeError, match="not trained"):
            ae.save(tmp_path / "none")
        for _ in range(20):
            ae.session.run([ae.loss, ae.train_op], {ae.x: centred})
        fed = ae.session.run(ae.encoded, {ae.x: centred})
        ae.save(tmp_path / "kept")
        assert np.array_equal(ae.encode(centred), fed)
    with models.load(tmp_path / "kept") as again:
        assert np.array_equal(again.encode(centred), fed)


# M: numbers stay in float64 until they are centred


def far(offset, scale=1.0, n_rows=500):
    """Rows [n, 4] of two factors and some noise, far from 0."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(n_rows, 2)) @ generator.normal(size=(2, 4))
    return offset + scale * (rows + 0.5 * generator.normal(size=(n_rows, 4)))


FAR = [(1e8, 1.0), (1.7e9, 60.0), (-1e12, 3.0), ([0, 1e8, 5, 1e15], [1, 1, 0.1, 1e3])]


@pytest.mark.filterwarnings("ignore:PCA")
@pytest.mark.parametrize("scaling", ["global", "feature", "robust"])
@pytest.mark.parametrize(("offset", "scale"), FAR)
def test_rows_far_from_0_are_learnt_as_those_about_it(offset, scale, scaling, tmp_path):
    near, rows = far(0, scale), far(offset, scale)
    train = {"verbose": False, "progress_bar": False}
    with Autoencoder(4, 2, seed=0, epoch=20, scaling=scaling, checkpoint=None) as ae:
        there = ae.train(near[:400], validation=near[400:], **train)
        codes, known = ae.encode(near), evaluate(ae, near)
        here = ae.train(rows[:400], validation=rows[400:], **train)  # anew
        assert here["loss"] == pytest.approx(there["loss"], rel=1e-2)
        assert here["validation_loss"] == pytest.approx(there["validation_loss"], rel=1e-2)
        assert ae.encode(rows) == pytest.approx(codes, abs=1e-2)
        found = evaluate(ae, rows)
        assert found.rmse == pytest.approx(known.rmse, rel=1e-2)
        assert found.pca_rmse == pytest.approx(known.pca_rmse, rel=1e-2)
        back = ae.reconstruct(rows)
        assert back.dtype == np.float64
        ae.save(tmp_path / "kept")
        ae.export(tmp_path / "exported")
    with Autoencoder.load(tmp_path / "kept") as again:
        assert np.array_equal(again.reconstruct(rows), back)
        assert np.array_equal(again.decode(again.encode(rows)), back)
        if scaling == "global":
            assert found.rmse == pytest.approx(np.sqrt(np.mean((back - rows) ** 2)), rel=1e-2)
    exported = tf.saved_model.load(str(tmp_path / "exported")).signatures["reconstruct"]
    assert exported(x=tf.constant(rows))["reconstructions"].numpy() == pytest.approx(
        back, rel=1e-15, abs=1e-6 * np.max(scale)
    )


@pytest.mark.filterwarnings("ignore:PCA")
def test_pca_beside_rows_far_from_0_is_scikit_learns():
    rows = far(1e8)
    with Autoencoder(4, 2, seed=0, epoch=1, checkpoint=None) as ae:
        ae.train(rows, verbose=False)
        pca = PCA(2, svd_solver="full").fit(rows)
        left = rows - pca.inverse_transform(pca.transform(rows))
        assert evaluate(ae, rows).pca_rmse == pytest.approx(np.sqrt(np.mean(left**2)), rel=1e-4)


@pytest.mark.parametrize("as_type", [np.float64, np.int64])
def test_outliers_far_from_0_are_found(as_type):
    frame, odd = planted(1000, 0)
    rows = (1.7e12 + 1000 * frame.to_numpy()).astype(as_type)
    scores = AutoencoderOutlierDetector(2, random_state=0).fit(rows).score_samples(rows)
    assert len(set(np.argsort(scores)[:20]) & odd) >= 17


def test_a_run_far_from_0_is_resumed_to_the_bit_and_warm_started(tmp_path):
    rows, options = far(1e8), {"seed": 0, "checkpoint": None}
    with Autoencoder(4, 2, epoch=4, **options) as whole:
        whole.train(rows, verbose=False)
        weights = whole.weights["encode/weights"]
        whole.epoch = 1
        whole.train(rows[:300], warm_start=True, verbose=False)
        assert whole.encode(rows).std() > 0.01
    with Autoencoder(4, 2, epoch=2, **options) as part:
        part.train(rows, verbose=False)
        part.save(tmp_path / "part")
    with Autoencoder.load(tmp_path / "part") as rest:
        rest.epoch = 4
        rest.train(rows, resume=True, verbose=False)
        assert rest.weights["encode/weights"].shape == weights.shape


def test_noise_is_shown_on_rows_far_from_0():
    rows = far(1e10)
    with DenoisingAutoencoder(4, 2, seed=0, epoch=1, checkpoint=None) as ae:
        ae.train(rows, verbose=False)
        noise = ae.corrupt(rows) - rows
    assert 0.01 < noise.std() < 10


@pytest.mark.filterwarnings("ignore:PCA")
@pytest.mark.parametrize(
    ("offset", "options", "columns"),
    [
        (1e8, {"scaling": None}, "4 of the 4 columns of data .*0, 1, 2, 3"),
        ([0, 1e8, 0, 0], {"scaling": {"name": "range", "low": -99, "high": 2e8}}, "column 1"),
        ([0, 0, 1e17, 0], {}, "1 of the 4 columns of data .*column 2"),
    ],
)
def test_columns_that_are_lost_all_the_same_are_named_and_not_called_perfect(
    offset, options, columns
):
    rows = far(offset)
    rows[:3, 2] += [32, 64, -32]  # a little of what is left of 1e17
    with Autoencoder(4, 2, seed=0, epoch=1, checkpoint=None, **options) as ae:
        with pytest.warns(UserWarning, match=f"variation of .*{columns}"):
            ae.train(rows, verbose=False)
        lost = rows.std(axis=0) > 0
        assert (evaluate(ae, rows).features["rmse"][lost] > 0.05).all()


def test_a_range_far_wider_than_the_data_is_doubted():
    rows = np.random.default_rng(0).uniform(size=(50, 4))
    scaling = {"name": "range", "low": 0, "high": 255}
    with (
        Autoencoder(4, 2, epoch=1, checkpoint=None, scaling=scaling) as ae,
        pytest.warns(UserWarning, match="within a fiftieth of its range, 0 to 255"),
    ):
        ae.train(rows, verbose=False)


# N to Q: pictures; T: masks, pairs, lists; V: TensorBoard


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "L tRNS", "RGB tRNS", "I;16 tRNS"])
def test_what_is_transparent_is_white(mode, tmp_path):
    image = Image.new("RGBA", (12, 12), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (3, 3, 9, 9))
    path, options = tmp_path / "disc.png", {}
    if mode.endswith("tRNS"):  # the colour that stands for nothing, black on black otherwise
        image = Image.new(mode.split()[0], (12, 12), "gray")
        image.paste(0, (3, 3, 9, 9))
        options = {"transparency": (128, 128, 128) if mode.startswith("RGB") else 128}
    elif mode == "PA":
        image = image.quantize(8)
    else:
        image = image.convert(mode)
    image.save(path, **options)
    pixels = load_images(path)[0].reshape(12, 12)
    assert (pixels[3:9, 3:9] == 0).all()
    assert pixels.sum() == (144 - 36) * 255
    assert load_images(path, background="black")[0].sum() == 0


@pytest.mark.parametrize(
    ("dtype", "top", "known"),
    [(np.float32, 1.0, "from 0 to 1"), (np.uint16, 4095, "of 12 bits"), (np.uint16, 65535, None)],
)
def test_pixels_are_scaled_by_the_type_of_the_file(dtype, top, known, tmp_path):
    gray = np.linspace(0, top, 64).reshape(8, 8).astype(dtype)
    Image.fromarray(gray).save(tmp_path / "gray.tif")
    with pytest.warns(UserWarning, match=known) if known else contextlib.nullcontext():
        pixels = load_images(tmp_path / "gray.tif")[0]
    assert pixels.ravel() == pytest.approx(np.linspace(0, 255, 64), abs=0.07)


def test_a_dark_picture_among_others_of_16_bits_stays_dark(tmp_path):
    for number, top in enumerate((60000, 3000, 50000)):
        Image.fromarray(np.full((4, 6), top, np.uint16)).save(tmp_path / f"{number}.png")
    pixels, _, _ = load_images(tmp_path)
    assert pixels[:, 0] == pytest.approx(np.array([60000, 3000, 50000]) / 257, rel=1e-5)
    (tmp_path / "0.png").unlink()
    (tmp_path / "2.png").unlink()
    with pytest.warns(UserWarning, match="of 12 bits, from 0 to 4095"):
        assert load_images(tmp_path)[0][0, 0] == pytest.approx(255 * 3000 / 4095, rel=1e-5)


@pytest.mark.parametrize("rows", ["array", "rows", "shards", "data set"])
def test_masked_rows_are_refused_by_name(iris, rows):
    masked = np.ma.masked_greater(iris, 7)
    given = {"array": masked, "rows": [*masked], "shards": [iris, masked]}
    masked = given.get(rows, Numbered([*masked]))
    with Autoencoder(4, 2, epoch=1, checkpoint=None) as ae:
        for name, data, options in (("data", masked, {}), ("target", iris, {"target": masked})):
            with pytest.raises(TypeError, match=rf"{name} has a mask, .* filled"):
                ae.train(data, **options)
        ae.train(np.ma.array(iris), verbose=False)
        with pytest.raises(TypeError, match=r"data has a mask, .* filled"):
            ae.encode(masked)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (-1, 1)])
def test_pictures_in_the_log_have_the_range_of_the_data(low, high, monkeypatch):
    drawn = []
    monkeypatch.setattr(Board, "images", lambda self, step, tag, images: drawn.append(images))
    data = np.random.default_rng(0).uniform(low, high, (20, 36))
    data[0, :2] = low, high
    with Autoencoder(36, 2, epoch=1, checkpoint=None) as ae:
        ae.train(data, log="log", image_shape=(6, 6), verbose=False)
    assert drawn[0][:, :, :6].min() == pytest.approx(0)
    assert drawn[0][:, :, :6].max() == pytest.approx(255)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "GIF"])
def test_large_pictures_of_few_bytes_are_read(form, tmp_path):
    Image.new("1", (4000, 3000), 1).save(tmp_path / "mask", form)
    assert load_images(tmp_path / "mask", size=(3, 4))[0].tolist() == [[255.0] * 12]


@pytest.mark.parametrize(
    "name", ["a.jfif", "a.jpe", "a.PNM", "a.pbm", "a.dib", "a.JPG", "a.Tif", "a.webp"]
)
def test_less_usual_endings_are_pictures(name, tmp_path):
    form = Image.registered_extensions()[f".{name.split('.')[1].lower()}"]
    Image.new("1" if "b" in name else "L", (9, 6), "white").save(tmp_path / name, form)
    assert load_images(tmp_path)[0].min() > 250


@pytest.mark.filterwarnings("ignore:PCA")
def test_sub_folders_are_classes_and_other_files_are_counted(tmp_path, capsys):
    shades = {"cat": 0, "dog": 100, "emu": 200}
    for name, shade in shades.items():
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.new("L", (6, 4), shade + number).save(tmp_path / name / f"{number}.png")
        (tmp_path / name / "notes.txt").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / ".hidden").write_text("")
    found = images.load(tmp_path)
    assert found.test_labels.tolist() == ["cat", "dog", "emu"]
    assert found.test[:, 0, 0, 0].tolist() == [0, 100, 200]
    assert found.passed_over == 4
    dogs = images.load(tmp_path, label="dog")
    assert sorted([*dogs.train[:, 0, 0, 0], *dogs.test[:, 0, 0, 0]]) == [100, 101, 102, 103, 104]
    with pytest.raises(ValueError, match="no class 'cow', it has cat, dog, emu"):
        images.load(tmp_path, label="cow")
    cli_images.main(
        f"--data {tmp_path} --epochs 1 --hidden 2 --checkpoint c --figure f.png".split()
    )
    assert "4 other files and folders are passed over" in capsys.readouterr().out


def test_all_bad_pictures_are_named_at_once(tmp_path):
    for number in range(30):
        path = tmp_path / f"{number:02}.png"
        Image.new("L", (6, 4)).save(path)
        if number % 2:
            path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"15 of 30 files:(?s:.*)01.png: not(?s:.*)29.png: not"):
        load_images(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "there is nothing at .*nowhere: give CIFAR-10"),
        ("a.png", "a.png is one file, and no archive: give CIFAR-10"),
        ("a.npy", "a.npy is one file, and no archive: give CIFAR-10"),
        ("texts", r"texts has a.txt, b.csv: give CIFAR-10 .* photographs \(.*\.jfif"),
        ("empty", "empty has nothing: give CIFAR-10"),
        ("cifar-10-batches-py", "no data_batch_2 in .*cifar-10-batches-py"),
    ],
)
def test_what_is_no_data_set_of_images_is_told(name, message, tmp_path):
    Image.new("L", (6, 4)).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", np.zeros((5, 4, 4)))
    for path in ("texts/a.txt", "texts/b.csv", "cifar-10-batches-py/data_batch_1"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        images.load(tmp_path / name)


def test_cifar_is_read_from_a_plain_archive(tmp_path):
    folder, _ = write_folder(tmp_path, 20)
    with tarfile.open(tmp_path / "cifar-10-python.tar", "w") as archive:
        archive.add(folder, folder.name)
    plain, unpacked = images.load(tmp_path / "cifar-10-python.tar"), images.load(folder)
    assert np.array_equal(plain.train, unpacked.train)


# R: too large


@pytest.mark.parametrize("model", [{"input_dim": 12_000_000}, {"hidden_dim": 10**9}])
def test_a_model_that_cannot_fit_is_refused_at_once(model):
    with pytest.raises(MemoryError, match=r"rows of .* would need [\d,.]+ GiB of memory, of"):
        Autoencoder(**{"input_dim": 100, "hidden_dim": 100, **model})


def test_what_fits_but_for_training_is_refused_before_it(monkeypatch, iris):
    with Autoencoder(4, 2, epoch=1, checkpoint=None) as ae:
        monkeypatch.setattr(memory, "available", lambda: 200)
        with pytest.raises(MemoryError, match="rows of 4 and codes of 2"):
            ae.train(iris)


@pytest.mark.parametrize("model", ["plain", "stacked", "convolutional"])
def test_pictures_that_are_too_large_end_in_a_line_on_size(model, tmp_path, monkeypatch):
    for number in range(3):
        Image.new("L", (400, 300)).save(tmp_path / f"{number}.png")
    options = f"--data {tmp_path} --model {model} --checkpoint c --hidden 100".split()
    for available in (10**6, 3 * 4 * 3 * 120_000 + 1):  # too little for the pictures, or the model
        monkeypatch.setattr(memory, "available", lambda most=available: most)
        with pytest.raises(SystemExit, match="of memory.*--size HEIGHT WIDTH"):
            cli_images.main(options)


# S: what is checked last


@pytest.mark.parametrize(
    "option", ["--figure file/a.png", "--figure a.xyz", "--figure .", "--log file"]
)
def test_where_results_go_is_checked_before_the_training(option, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"file|must end with .*\.png"):
        cli_images.main(["--sample", "--epochs", "1", "--checkpoint", "c", *option.split()])
    assert not list(tmp_path.glob("c/*.json"))


# T: pairs and lists


@pytest.mark.parametrize(
    "pairs",
    [
        [(np.zeros(4), 1), (np.ones(4), 0)],
        Numbered([(np.zeros((1, 4), np.float32), 3)] * 5),
        Again([(np.zeros((5, 4)), np.zeros(5)), (np.ones((5, 4)), np.zeros(5))]),
    ],
)
def test_pairs_are_refused_as_such(pairs):
    with (
        Autoencoder(4, 2, epoch=1, checkpoint=None) as ae,
        pytest.raises(ValueError, match="must be rows alone, got pairs"),
    ):
        ae.train(pairs)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", ["list", "tuple", "dataset"])
def test_what_goes_in_as_images_comes_out_as_images(form, channels):
    one = np.random.default_rng(0).uniform(0, 255, (12, 8, 8, channels))
    parts = [image[..., 0] if channels == 1 else image for image in one]
    given = {"list": list, "tuple": tuple, "dataset": Numbered}[form](parts)
    with ConvolutionalAutoencoder((8, 8, channels), 2, epoch=1, checkpoint=None) as ae:
        ae.train(given, verbose=False)
        back = ae.reconstruct(given)
        assert back.shape == (12, 8, 8, channels)
        assert np.array_equal(back, ae.reconstruct(one))
        assert ae.reconstruct(one.reshape(12, -1)).shape == (12, 64 * channels)


def test_images_for_a_model_of_rows_come_with_a_hint():
    with Autoencoder(64, 2, epoch=1, checkpoint=None) as ae:
        with pytest.raises(ValueError, match=r"as rows they are reshape\(5, 64\)"):
            ae.train(np.zeros((5, 8, 8)))
        with pytest.raises(ValueError, match=r"64 columns, got 8; one image is reshape\(1, 64\)"):
            ae.train([np.zeros((8, 8))] * 5)


def test_the_path_of_an_array_is_enough(iris):
    np.save("iris.npy", iris)
    with Autoencoder(4, 2, epoch=1, seed=0, checkpoint=None) as ae:
        ae.train("iris.npy", verbose=False)
        assert np.array_equal(ae.encode(Path("iris.npy")), ae.encode(iris))
        with pytest.raises(ValueError, match="data must hold real numbers"):
            ae.train("iris.csv")


# W and small ones


def test_saving_and_exporting_log_nothing(iris, caplog, tmp_path):
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.INFO)  # as in notebooks
    logger.addHandler(caplog.handler)
    try:
        with Autoencoder(4, 2, epoch=1, checkpoint=tmp_path / "m") as ae:
            ae.train(iris, verbose=False)
            ae.export(tmp_path / "exported")
        Autoencoder.load(tmp_path / "m").close()
        assert not caplog.records
        assert logger.level == logging.INFO
    finally:
        logger.removeHandler(caplog.handler)
        logger.setLevel(level)


def test_messages_show_plain_numbers():
    for rate, shown in ((np.float64("inf"), "inf"), (np.float32(-1), "-1.0")):
        with pytest.raises(ValueError, match=f"got {shown}$"):
            Autoencoder(4, 2, learning_rate=rate)
    with pytest.raises(TypeError, match=r"got 2\.5$"):
        Autoencoder(4, np.float64(2.5))


def test_a_stop_after_the_last_step_is_told_as_such():
    state = TrainingState(10, 0, 5, epochs=2, seed=0, compiled=False, step=4)
    assert state.how_to_resume("m") == "stopped when all 4 steps were taken, saved in m"


@pytest.mark.filterwarnings("error")
def test_names_in_any_script_are_drawn_without_a_word():
    names = ["温度", "влажность", "ความดัน", "ضغط"]
    figures.save("names.png", figures.scatter("codes", np.eye(4)[:, :2], np.array(names)))


def test_runs_that_meet_in_a_folder_are_told_what_to_do(iris):
    advice = r"a folder of its own \(checkpoint=...\), or none"
    with (
        Autoencoder(4, 2, epoch=1) as ae,
        checkpoints.locked(ae.checkpoint),
        pytest.raises(BlockingIOError, match=advice),
    ):
        ae.train(iris)
