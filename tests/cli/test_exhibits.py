"""`main_imgs.py` with each model of the family, in this process."""

import re

import numpy as np
import pytest
from cifar_files import write_folder
from PIL import Image

import main_imgs
from autoencoder import Autoencoder
from autoencoding.data import images
from autoencoding.models.convolutional import ColorizingAutoencoder, ConvolutionalAutoencoder
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.models.stacked import StackedAutoencoder
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.parts.losses import BinaryCrossEntropy
from autoencoding.parts.scaling import Range

MODELS = {
    "plain": (Autoencoder, ""),
    "stacked": (StackedAutoencoder, "--layers 9 5 --pretrain 1"),
    "denoising": (DenoisingAutoencoder, "--corruption masking"),
    "variational": (VariationalAutoencoder, "--layers 9 --hidden 2"),
    "convolutional": (ConvolutionalAutoencoder, "--filters 4"),
    "colorizing": (ColorizingAutoencoder, "--filters 4 3"),
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


@pytest.mark.filterwarnings("ignore:PCA of the same width is better")
@pytest.mark.parametrize("model", MODELS)
def test_every_model_of_the_family_is_trained_saved_and_drawn(model, tmp_path, photos, capsys):
    kind, own = MODELS[model]
    run(f"--model {model} --data {photos}", COMMON, own)
    printed = capsys.readouterr().out
    assert len(re.findall("^Autoencoder +[0-9.]+", printed, re.MULTILINE)) == 2
    with Image.open("images.png") as picture:
        assert picture.size[0] == 1350
    with kind.load("images.ckpt") as ae:
        assert type(ae) is kind
        if model == "variational":
            assert type(ae.objective) is BinaryCrossEntropy
            assert ae.scaling == Range(0, 255)
        assert ae.hidden_dim == (2 if model == "variational" else 3)
    run(f"--model {model} --data {photos} --resume", COMMON.replace("epochs 1", "epochs 2"), own)


def test_what_a_model_learns_is_what_is_drawn(monkeypatch, photos):
    drawn = {}
    monkeypatch.setattr("autoencoding.reports.figures.strips", drawn.update)
    monkeypatch.setattr("autoencoding.reports.figures.page", lambda *panels: Image.new("L", (1, 1)))
    monkeypatch.setattr(Image.Image, "savefig", lambda *args, **options: None, raising=False)
    found = images.load(photos, 3)
    shown = found.test[np.linspace(0, len(found.test) - 1, 10).astype(int)]
    run(f"--model colorizing --filters 4 --data {photos}", COMMON)
    assert np.array_equal(drawn["truth"], shown)
    gray = shown.mean(axis=3, keepdims=True, dtype=np.float32)
    assert np.array_equal(drawn["gray"], np.repeat(gray, 3, axis=3))
    with ColorizingAutoencoder.load("images.ckpt") as ae:
        assert np.array_equal(drawn["colorized"], ae.colorize(gray))


@pytest.mark.filterwarnings("ignore:PCA of the same width is better")
def test_two_units_are_a_plane_of_images_and_of_codes(monkeypatch, tmp_path):
    write_folder(tmp_path, 200)
    titles = []
    from autoencoding.reports import figures as panels

    tiles, scatter = panels.tiles, panels.scatter
    monkeypatch.setattr(panels, "tiles", lambda *a: titles.append((a[0], a[1].shape)) or tiles(*a))
    monkeypatch.setattr(
        panels, "scatter", lambda *a: titles.append((a[0], set(a[2]))) or scatter(*a)
    )
    run("--model variational --layers 9 --label all --colour", COMMON, "--hidden 2")
    assert dict(titles) == {
        "samples": (50, 32, 32, 3),
        "from one image to another": (50, 32, 32, 3),
        "what codes stand for": (225, 32, 32, 3),
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
