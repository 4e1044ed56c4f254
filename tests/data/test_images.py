import numpy as np
import pytest
from cifar_files import NAMES, write_folder
from PIL import Image

import cifar
from autoencoding.data import images, photographs

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (7, 4, 5, 3), dtype=np.uint8)  # [n, height, width, 3]
DIGITS = RNG.integers(0, 256, (30, 4, 5), dtype=np.uint8)
LABELS = np.arange(30, dtype=np.uint8) % 3
PARTS = (DIGITS[:20], LABELS[:20], DIGITS[20:], LABELS[20:])


@pytest.fixture
def photos(tmp_path):
    for number, photo in enumerate(COLOUR):
        Image.fromarray(photo).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture
def digits(tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez(path, **dict(zip(("x_train", "y_train", "x_test", "y_test"), PARTS, strict=True)))
    return path


def test_every_fifth_photograph_is_for_tests(photos):
    colour = images.load(photos, channels=3)
    assert np.array_equal(colour.test, COLOUR[[0, 5]])
    assert np.array_equal(colour.train, COLOUR[[1, 2, 3, 4, 6]])
    assert colour.shape == (4, 5, 3)
    assert colour.test_labels is None
    gray = COLOUR[[0, 5]] @ [0.299, 0.587, 0.114]
    assert images.load(photos).test[..., 0] == pytest.approx(gray, abs=1e-3)
    resized = images.load(photos, 3, size=(2, 3))
    rows, *_ = photographs.load_images(photos, (2, 3), channels=3)
    assert resized.shape == (2, 3, 3)
    assert np.array_equal(images.rows(resized.test), rows[[0, 5]])


def test_one_photograph_is_too_few(tmp_path):
    Image.fromarray(COLOUR[0]).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="must have two images or more"):
        images.load(tmp_path)


def test_mnist_comes_with_all_its_classes_or_with_one(digits):
    everything, ones = images.load(digits), images.load(digits, label="1")
    assert np.array_equal(everything.train[..., 0], DIGITS[:20])
    assert np.array_equal(everything.test_labels, LABELS[20:])
    assert np.array_equal(ones.train[..., 0], DIGITS[:20][LABELS[:20] == 1])
    assert np.array_equal(ones.test[..., 0], DIGITS[20:][LABELS[20:] == 1])
    assert set(ones.test_labels) == {1}
    assert np.array_equal(images.load(digits, label="all").train, everything.train)


def test_idx_files_are_found_in_their_folder(tmp_path):
    names = ("train-images", "train-labels", "t10k-images", "t10k-labels")
    for name, array in zip(names, PARTS, strict=True):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (tmp_path / f"{name}-idx{array.ndim}-ubyte").write_bytes(head + array.tobytes())
    assert np.array_equal(images.load(tmp_path).test[..., 0], DIGITS[20:])


def test_cifar_is_the_horses_unless_told_otherwise(tmp_path):
    folder, _ = write_folder(tmp_path, 40)
    whole = cifar.load(folder)
    train, test = whole.of("horse")
    assert np.array_equal(images.rows(images.load(folder).train), cifar.grayscale(train))
    assert np.array_equal(images.load(folder, 3).test, cifar.images(test))
    assert np.array_equal(images.load(folder, 3, "horse").test, cifar.images(test))
    everything = images.load(folder, label="all")
    assert np.array_equal(everything.test_labels, whole.test_labels)
    assert len(everything.train) == len(whole.train)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("digits", {"channels": 3}, "neither colour nor size"),
        ("digits", {"size": (2, 2)}, "neither colour nor size"),
        ("digits", {"label": "7"}, "label must be one of 0, 1, 2, or all; got '7'"),
        ("photos", {"label": "horse"}, "no class 'horse', it has none"),
        ("photos", {"channels": 2}, r"channels must be 1 \(gray\) or 3 \(RGB\), got 2"),
        ("cifar", {"label": "unicorn"}, f"label must be one of {NAMES[0]}"),
        ("cifar", {"size": (2, 2)}, "leave size out"),
    ],
)
def test_what_a_data_set_has_not_is_refused(request, tmp_path, source, options, message):
    path = write_folder(tmp_path)[0] if source == "cifar" else request.getfixturevalue(source)
    with pytest.raises(ValueError, match=message):
        images.load(path, **options)


def test_nothing_at_a_path_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is nothing at .*nowhere: .*CIFAR-10"):
        images.load(tmp_path / "nowhere")


@pytest.mark.parametrize("channels", [1, 3])
def test_the_sample_is_crops_as_images(channels):
    sample = images.sample(channels)
    assert sample.shape == (32, 32, channels)
    train, test = photographs.sample_crops(32, channels)
    assert np.array_equal(images.rows(sample.train), train)
    assert np.array_equal(images.rows(sample.test), test)
