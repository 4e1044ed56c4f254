import io

import numpy as np
import pytest
from PIL import Image

from autoencoding.tools import plots

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 1))
HISTORY = {"epoch": [0, 1], "loss": [3.0, 2.0], "validation_loss": [3.5, 2.5]}


def drawn(*panels):
    """The page's figure, and its pixels."""
    figure, file = plots.page(*panels), io.BytesIO()
    figure.savefig(file)
    return figure, np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_mosaic_has_its_images_row_after_row_in_white(channels):
    images = np.repeat(IMAGES, channels, axis=3)
    field = plots.mosaic(images, 3)
    assert field.shape == (3 * 5 + 1, 3 * 6 + 1, channels)
    for number, image in enumerate(images):
        down, across = 5 * (number // 3) + 1, 6 * (number % 3) + 1
        assert np.array_equal(field[down : down + 4, across : across + 5], image)
    assert (field[::5] == 255).all()
    assert (field[:, ::6] == 255).all()
    assert (field[10:, 7:] == 255).all()  # where images are missing


def test_a_mosaic_keeps_to_0_and_255():
    field = plots.mosaic(np.array([-9.0, 300.0]).reshape(2, 1, 1, 1), 2)
    assert field[1, [1, 3], 0].tolist() == [0, 255]


def test_strips_name_their_rows():
    figure, _ = drawn(plots.strips({"clean": IMAGES, "noisy": IMAGES}))
    assert [axis.get_ylabel() for axis in figure.axes] == ["clean", "noisy"]
    for axis in figure.axes:
        (shown,) = axis.get_images()
        assert np.asarray(shown.get_array()) * 255 == pytest.approx(plots.mosaic(IMAGES, 7)[..., 0])


def test_colours_stay_colours():
    red = np.zeros((3, 8, 8, 3))
    red[..., 0] = 255
    _, pixels = drawn(plots.tiles("red", red, 3))
    assert (pixels == [255, 0, 0]).all(axis=2).mean() > 0.2


def test_a_scatter_has_a_colour_a_class():
    codes, labels = np.random.default_rng(0).normal(size=(9, 2)), np.arange(9) % 3
    figure, _ = drawn(plots.scatter("codes", codes, labels))
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["0", "1", "2"]
    for label, points in enumerate(axis.collections):
        assert np.array_equal(points.get_offsets(), codes[labels == label])
    (axis,) = drawn(plots.scatter("codes", codes))[0].axes
    assert axis.get_legend() is None
    assert np.array_equal(axis.collections[0].get_offsets(), codes)


def test_a_loss_curve_has_its_ruler_and_then_begins_at_0():
    (axis,) = drawn(plots.loss_curve(HISTORY, "RMSE", {"PCA": 1.5}))[0].axes
    assert [line.get_label() for line in axis.lines] == ["training", "validation", "PCA"]
    assert set(axis.lines[2].get_ydata()) == {1.5}
    assert axis.get_ylim()[0] == 0
    assert axis.get_ylabel() == "RMSE"
    (axis,) = drawn(plots.loss_curve(HISTORY, "nats", {}))[0].axes
    assert axis.get_ylim()[0] > 1


def test_a_ruler_above_every_loss_is_seen():
    (axis,) = drawn(plots.loss_curve(HISTORY, "RMSE", {"PCA": 9.0}))[0].axes
    assert axis.get_ylim()[1] > 9


def test_panels_stand_below_and_beside_each_other():
    tiles, curve = plots.tiles("one", IMAGES, 4), plots.loss_curve(HISTORY, "RMSE", {})
    figure, _ = drawn(plots.beside(tiles, plots.tiles("two", IMAGES, 4)), curve)
    one, two, below = (axis.get_position() for axis in figure.axes)
    boxes = [axis.get_window_extent() for axis in figure.axes]
    assert boxes[0].x1 < boxes[1].x0
    assert boxes[2].y1 < boxes[0].y0
    assert figure.get_figheight() == pytest.approx(tiles.height + curve.height)
    assert one.height > 0
    assert two.height > 0
    assert below.height > 0
