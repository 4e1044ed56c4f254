import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from autoencoding.reports import figures as panels

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 1))
HISTORY = {"epoch": [0, 1], "loss": [3.0, 2.0], "validation_loss": [3.5, 2.5]}


def drawn(*parts):
    """The page's figure, and its pixels."""
    figure, file = panels.page(*parts), io.BytesIO()
    figure.savefig(file)
    return figure, np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_mosaic_has_its_images_row_after_row_in_the_gray_of_the_page(channels):
    images = np.repeat(IMAGES, channels, axis=3)
    field = panels.mosaic(images, 3)
    assert field.shape == (3 * 5 + 1, 3 * 6 + 1, channels)
    for number, image in enumerate(images):
        down, across = 5 * (number // 3) + 1, 6 * (number % 3) + 1
        assert np.array_equal(field[down : down + 4, across : across + 5], image)
    assert (field[::5] == panels.CARD).all()
    assert (field[:, ::6] == panels.CARD).all()
    assert (field[10:, 7:] == panels.CARD).all()  # where images are missing


def test_a_mosaic_keeps_to_0_and_255():
    field = panels.mosaic(np.array([-9.0, 300.0]).reshape(2, 1, 1, 1), 2)
    assert field[1, [1, 3], 0].tolist() == [0, 255]


def test_strips_name_their_rows():
    figure, _ = drawn(panels.strips({"clean": IMAGES, "noisy": IMAGES}))
    assert [axis.get_ylabel() for axis in figure.axes] == ["clean", "noisy"]
    for axis in figure.axes:
        (shown,) = axis.get_images()
        assert np.asarray(shown.get_array()) * 255 == pytest.approx(
            panels.mosaic(IMAGES, 7)[..., 0]
        )


def test_colours_stay_colours():
    red = np.zeros((3, 8, 8, 3))
    red[..., 0] = 255
    _, pixels = drawn(panels.tiles("red", red, 3))
    assert (pixels == [255, 0, 0]).all(axis=2).mean() > 0.2


def test_a_scatter_has_a_colour_and_a_mark_a_class_and_its_name_amid_its_points():
    codes, labels = np.random.default_rng(0).normal(size=(9, 2)), np.arange(9) % 3
    (axis,) = drawn(panels.scatter("codes", codes, labels, ("a", "b")))[0].axes
    for label, points, text in zip(range(3), axis.collections, axis.texts, strict=True):
        assert np.array_equal(points.get_offsets(), codes[labels == label])
        assert text.get_text() == str(label)
        assert text.xy == pytest.approx(np.median(codes[labels == label], axis=0))
    marks = {points.get_paths()[0].vertices.tobytes() for points in axis.collections}
    assert len(marks) == 3  # so that they are told apart without colour
    assert len({tuple(points.get_facecolor()[0]) for points in axis.collections}) == 3
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("a", "b")


def test_a_scatter_without_classes_has_no_names():
    codes = np.random.default_rng(0).normal(size=(9, 2))
    (axis,) = drawn(panels.scatter("codes", codes))[0].axes
    assert not axis.texts
    assert np.array_equal(axis.collections[0].get_offsets(), codes)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("loss_curve", (HISTORY, "RMSE", {"PCA": 1.5})),
        ("strips", ({"original": IMAGES, "reconstructed": IMAGES},)),
        ("scatter", ("codes", np.eye(2), np.array([0, 1]))),
        ("tiles", ("plane", IMAGES, 4)),
    ],
)
def test_each_plot_is_a_figure_of_its_own(name, arguments, tmp_path):
    figure = panels.page(getattr(panels, name)(*arguments))
    assert isinstance(figure, Figure)
    assert all(axis.get_xlabel() or not axis.get_xticks().size for axis in figure.axes)
    figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("level", [1.5, 9.0])
def test_a_loss_curve_shows_its_baseline_and_tells_where_both_are(level):
    (axis,) = drawn(panels.loss_curve(HISTORY, "RMSE", {"PCA": level}))[0].axes
    told = ["training, at last 2", "validation, at last 2.5", f"PCA, {level:g}"]
    assert [line.get_label() for line in axis.lines] == told
    assert [text.get_text() for text in axis.get_legend().get_texts()] == told
    assert len({line.get_linestyle() for line in axis.lines}) == 3
    assert set(axis.lines[2].get_ydata()) == {level}
    low, high = axis.get_ylim()
    assert low < min(level, 2) < max(level, 3.5) < high
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("epoch", "RMSE")


def test_errors_of_pixels_are_shown_in_decibels_too():
    history = {"epoch": [0, 1], "loss": [25.5, 12.75]}
    figure, _ = drawn(panels.loss_curve(history, "RMSE", {}, 255.0))
    (axis,) = figure.axes
    (other,) = axis.child_axes
    assert other.get_ylabel() == "PSNR, dB"
    ends = sorted(20 * np.log10(255 / error) for error in axis.get_ylim())
    assert sorted(other.get_ylim()) == pytest.approx(ends)
    assert panels.decibels(25.5) == pytest.approx(20)
    assert panels.decibels(0) == np.inf


def test_a_page_is_a_light_card_that_dark_text_is_read_on():
    _, pixels = drawn(panels.loss_curve(HISTORY, "RMSE", {}))
    assert (pixels[0, 0] == panels.CARD).all()
    assert (pixels == panels.CARD).all(axis=2).mean() > 0.8


def test_panels_stand_below_and_beside_each_other():
    tiles, curve = panels.tiles("one", IMAGES, 4), panels.loss_curve(HISTORY, "RMSE", {})
    figure, _ = drawn(panels.beside(tiles, panels.tiles("two", IMAGES, 4)), curve)
    one, two, below = (axis.get_window_extent() for axis in figure.axes)
    assert one.x1 < two.x0
    assert below.y1 < one.y0
    assert figure.get_figheight() == pytest.approx(tiles.height + curve.height)
    assert min(one.height, two.height, below.height) > 0
