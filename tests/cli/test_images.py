"""`main_imgs.py` with each model, in this process."""

import pickle
import re

import numpy as np
import pytest
from cifar_files import write_folder
from PIL import Image

import main_imgs
from autoencoding import ColorizingAutoencoder
from autoencoding.data import images
from autoencoding.models import MODELS
from autoencoding.parts.losses import BinaryCrossEntropy
from autoencoding.parts.scaling import Range
from autoencoding.reports import figures

OWN = {
    "stacked": "--layers 9 5 --pretrain 1",
    "denoising": "--corruption masking",
    "variational": "--layers 9 --hidden 2",
    "convolutional": "--filters 4",
    "colorizing": "--filters 4 3",
}
COMMON = "--epochs 1 --batch-size 50 --hidden 3 --seed 0"


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(images.sample(channels=3, side=16).train[:60]):
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


def run(*options):
    main_imgs.main([str(word) for option in options for word in str(option).split()])


@pytest.mark.parametrize("model", MODELS)
def test_every_model_of_the_family_is_trained_saved_and_drawn(model, tmp_path, photos, capsys):
    kind, own = MODELS[model].load_class(), OWN.get(model, "")
    run(f"--model {model} --data {photos}", COMMON, own)
    printed = capsys.readouterr().out
    assert len(re.findall("^Autoencoder +[0-9.]+", printed, re.MULTILINE)) == 2
    assert printed.count(" nats an image") == 2 * (model == "variational")
    with Image.open("images.png") as picture:
        assert picture.size[0] == 1350
    with kind.load("images.ckpt") as ae:
        assert type(ae) is kind
        if model == "variational":
            assert type(ae.loss_function) is BinaryCrossEntropy
            assert ae.scaling == Range(0, 255)
        assert ae.hidden_dim == (2 if model == "variational" else 3)
    run(f"--model {model} --data {photos} --resume", COMMON.replace("epochs 1", "epochs 2"), own)


def test_what_a_model_learns_is_what_is_drawn(monkeypatch, photos):
    drawn = {}
    strips = figures.strips
    monkeypatch.setattr(figures, "strips", lambda rows, *a: drawn.update(rows) or strips(rows, *a))
    loaded = images.load(photos, 3)
    shown = loaded.test[np.linspace(0, len(loaded.test) - 1, 8).astype(int)]
    with Image.open(photos / "7.png") as own:
        shown[0] = np.asarray(own)
    photograph = f"--photograph {photos / '7.png'}"
    run(f"--model colorizing --filters 4 --data {photos} {photograph}", COMMON)
    given, made, true = drawn.values()
    assert [name.split("\n")[0] for name in drawn] == ["given", "this model", "true colours"]
    assert np.array_equal(true, shown)
    gray = shown.mean(axis=3, keepdims=True, dtype=np.float32)
    assert np.array_equal(given, np.repeat(gray, 3, axis=3))
    with ColorizingAutoencoder.load("images.ckpt") as ae:
        assert made == pytest.approx(ae.colorize(gray), abs=1e-3)


def test_the_chapters_horses_are_those_that_the_loader_finds(tmp_path, monkeypatch):
    write_folder(tmp_path, 200)
    listing = main_imgs.load(main_imgs.images.parse([], None))
    loaded = images.load(tmp_path / "cifar-10-batches-py")
    assert np.array_equal(listing.train, loaded.train)
    assert np.array_equal(listing.test, loaded.test)


@pytest.mark.parametrize("name", ["data_batch_3", "batches.meta"])
@pytest.mark.parametrize("content", [{}, {"data": np.zeros((3, 3072), np.uint8), "labels": [7]}])
def test_a_batch_that_lacks_something_ends_in_a_line(tmp_path, name, content):
    folder, _ = write_folder(tmp_path, 20)
    (folder / name).write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(SystemExit, match=rf"{name}: '(data|labels|label_names)' must be "):
        run()


def test_two_units_are_a_plane_of_images_and_of_codes(monkeypatch, tmp_path):
    write_folder(tmp_path, 200)
    titles = []
    tiles, scatter = figures.tiles, figures.scatter
    monkeypatch.setattr(figures, "tiles", lambda *a: titles.append((a[0], a[1].shape)) or tiles(*a))
    monkeypatch.setattr(
        figures, "scatter", lambda *a: titles.append((a[0], set(a[2]))) or scatter(*a)
    )
    run("--model variational --layers 9 --label all --colour", COMMON, "--hidden 2")
    assert dict(titles) == {
        "samples": (50, 32, 32, 3),
        "from one test image to another": (50, 32, 32, 3),
        "decoded codes of the plane": (225, 32, 32, 3),
        "codes of test images": set(range(10)),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--model plain --layers 3", "unrecognized arguments: --layers 3"),
        ("--model stacked --filters 3", "unrecognized arguments: --filters 3"),
        ("--model deep", "argument --model: invalid choice: 'deep'"),
        ("--sample --download", "not allowed with argument"),
        ("--sample --label horse", "leave --label and --size out"),
        ("--sample --size 8 8", "leave --label and --size out"),
    ],
)
def test_options_of_another_model_are_refused(options, message, capsys):
    with pytest.raises(SystemExit):
        run(options)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", ["--model stacked --layers 0", "--model convolutional --filters 0", "--hidden 0"]
)
def test_widths_of_0_are_told_in_a_line(options, capsys):
    with pytest.raises(SystemExit) as stop:
        run("--sample", options)
    told = capsys.readouterr().err + str(stop.value)
    assert "must be" in told
    assert "Traceback" not in told
