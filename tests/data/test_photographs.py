import numpy as np
import pytest
from PIL import Image
from processes import run_python

from autoencoding.data.photographs import load_images, sample_crops

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)  # [height, width, 3]
GRAY = COLOUR @ [0.299, 0.587, 0.114]  # [height, width]


def save(path, array=COLOUR, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_a_photograph_is_one_row_gray_or_in_colour(tmp_path):
    gray, *shape = load_images(save(tmp_path / "a.png"))
    colour, *same_shape = load_images(str(tmp_path / "a.png"), channels=3)
    assert shape == same_shape == [6, 9]
    assert gray.dtype == colour.dtype == np.float32
    assert gray == pytest.approx(GRAY.reshape(1, 54), abs=1e-3)
    assert np.array_equal(colour, COLOUR.reshape(1, 162))


def test_a_folder_is_read_in_order_and_only_its_images(tmp_path):
    for i, name in enumerate(["b.PNG", "a.bmp", "c.tiff", "d.webp", "e.ppm", "f.gif"]):
        options = {"lossless": True} if name == "d.webp" else {}
        save(tmp_path / name, np.full((2, 3), 40 * i, np.uint8), **options)
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "readme.txt").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    rows, *size = load_images(tmp_path)
    assert rows.tolist() == [[i] * 6 for i in (40, 0, 80, 120, 160, 200)]
    assert size == [2, 3]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "I;16"])
def test_black_and_white_are_0_and_255_in_every_mode(tmp_path, mode):
    black_white, path = np.array([[0, 255], [255, 0]], np.uint8), tmp_path / "a.tif"
    if mode in ("I", "I;16"):
        save(path, black_white * np.array(257, {"I": np.int32, "I;16": np.uint16}[mode]))
    else:
        save(path, black_white, mode)
    with Image.open(path) as image:
        assert image.mode == mode
    for channels in (1, 3):
        rows, *_ = load_images(path, channels=channels)
        assert rows.tolist() == [np.repeat(black_white, channels).tolist()]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits_are_scaled_not_clipped(tmp_path, name):
    deep = np.array([[0, 257, 1000, 32896, 65535]], np.uint16)
    rows, _, _ = load_images(save(tmp_path / name, deep))
    assert rows[0] == pytest.approx([0, 1, 1000 / 257, 128, 255])


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putpalette([255, 255, 255, 100, 100, 100, 0, 0, 0])
    image.save(tmp_path / "a.png", transparency=b"\xff\x80\xff")
    half = 255 - (255 - 100) * 128 / 255  # 128 of 255 of the gray, over white
    assert load_images(tmp_path / "a.png")[0].tolist() == [[255, round(half), 0]]


def test_orientation_is_respected(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    rows, height, width = load_images(save(tmp_path / "a.png", exif=exif))
    assert (height, width) == (9, 6)
    assert rows.reshape(9, 6) == pytest.approx(np.rot90(GRAY, -1), abs=1e-3)


def test_a_size_resizes(tmp_path):
    photo = np.kron(np.array([[10, 250], [90, 170]], np.uint8), np.ones((8, 16), np.uint8))
    path = save(tmp_path / "a.png", photo)  # [16, 32], four flat quarters
    rows, *shape = load_images(path, size=(4, 8))
    small = rows.reshape(4, 8)
    assert (shape, rows.dtype) == ([4, 8], np.float32)
    assert small[[0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [10, 250, 90, 170]
    assert small.mean() == pytest.approx(130, abs=0.5)
    assert load_images(path, size=(5, 3))[1:] == (5, 3)


def test_resizing_stays_between_black_and_white(tmp_path):
    checks = 255 * (np.indices((16, 16)).sum(0) // 4 % 2).astype(np.uint8)
    rows, _, _ = load_images(save(tmp_path / "a.png", checks), size=(37, 37))
    assert rows.min() >= 0
    assert rows.max() <= 255


def test_mixed_sizes_need_a_size(tmp_path):
    for i, (height, width) in enumerate([(4, 6), (4, 6), (6, 4)]):
        save(tmp_path / f"{i}.png", np.zeros((height, width), np.uint8))
    with pytest.raises(ValueError, match="2.png: expected . x . pixels as in 0.png.*give a size"):
        load_images(tmp_path)
    assert load_images(tmp_path, size=(3, 3))[0].shape == (3, 9)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"size": (4, 0)}, "size must be .height, width."),
        ({"size": (4,)}, "size must be .height, width."),
        ({"channels": 2}, r"channels must be 1 \(gray\) or 3 \(RGB\), got 2"),
    ],
)
def test_bad_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        load_images(save(tmp_path / "a.png"), **options)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.tif", "a.webp"])
def test_a_truncated_image_is_named(tmp_path, name):
    path = save(tmp_path / name, RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    whole = path.read_bytes()
    for percent in range(0, 90, 5):
        path.write_bytes(whole[: len(whole) * percent // 100])
        with pytest.raises(ValueError, match=f"{name}: not a sound image"):
            load_images(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text", "not a sound image, replace or remove it"),
        (b"P5 3000 2000 255\n" + bytes(5000), "not a sound image.*truncated"),
    ],
)
def test_a_corrupt_image_is_named(tmp_path, content, message):
    (tmp_path / "b.png").write_bytes(content)
    with pytest.raises(ValueError, match=f"b.png: {message}"):
        load_images(tmp_path)


def test_a_format_that_starts_programs_is_refused(tmp_path):
    save(tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(ValueError, match="a.png: .*cannot identify"):
        load_images(tmp_path / "a.png")


@pytest.mark.parametrize("limit", [40, 20])  # 54 pixels: Pillow would only warn, or raise
@pytest.mark.filterwarnings("default")
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match="a.png: too large.*decompression bomb.*max_pixels"):
        load_images(save(tmp_path / "a.png"))
    assert load_images(tmp_path / "a.png", max_pixels=54)[0].shape == (1, 54)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_large_photograph_of_one_colour_is_read(tmp_path):
    save(tmp_path / "a.png", np.full((1900, 2200), 7, np.uint8))
    assert load_images(tmp_path)[0].mean() == 7


@pytest.mark.parametrize("value", [-1.0, 256.0, np.nan])
def test_pixels_of_unknown_range_are_refused(tmp_path, value):
    save(tmp_path / "a.tif", np.array([[0, value]], np.float32))
    with pytest.raises(ValueError, match="a.tif: pixels must be from 0 to 255"):
        load_images(tmp_path)


def test_a_folder_without_images_and_a_missing_path_are_refused(tmp_path):
    (tmp_path / "readme.txt").write_bytes(b"")
    with pytest.raises(ValueError, match="has no image: put some there.*.png"):
        load_images(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere.png"):
        load_images(tmp_path / "nowhere.png")


def test_sample_crops_are_of_both_photographs_and_do_not_mix():
    from sklearn.datasets import load_sample_images

    train, test = sample_crops()
    assert (train.shape, test.shape) == ((1550, 1024), (104, 1024))
    assert train.dtype == test.dtype == np.float32
    china, flower = (photo @ [0.299, 0.587, 0.114] for photo in load_sample_images().images)
    assert train[32].reshape(32, 32) == pytest.approx(china[16:48, 16:48], abs=1e-3)
    assert train[775].reshape(32, 32) == pytest.approx(flower[:32, :32], abs=1e-3)
    assert test[5].reshape(32, 32) == pytest.approx(china[32:64, 544:576], abs=1e-3)
    assert sample_crops(64)[1].shape == (2 * 6 * 2, 4096)
    colour, _ = sample_crops(32, 3)
    assert np.array_equal(
        colour[32].reshape(32, 32, 3), load_sample_images().images[0][16:48, 16:48]
    )
    with pytest.raises(ValueError, match="channels must be 1 .* got 2"):
        sample_crops(32, 2)


def test_importing_is_light(tmp_path):
    code = """
        import sys, autoencoding.data.photographs
        print({'sklearn', 'tensorflow', 'scipy'} & set(sys.modules))
    """
    assert run_python(code, tmp_path) == "set()\n"


def test_each_colour_is_resized_alone(tmp_path):
    rows, *_ = load_images(save(tmp_path / "a.png"), (3, 4), channels=3)
    for channel in range(3):
        save(tmp_path / "one.png", np.ascontiguousarray(COLOUR[..., channel]))
        alone, *_ = load_images(tmp_path / "one.png", (3, 4))
        assert rows.reshape(1, 12, 3)[..., channel] == pytest.approx(alone, abs=1e-3)
