"""Photographs: image files in, rows out, gray or in colour.

`scipy.misc.imread` and `imresize`, which the chapter used, are gone; Pillow does their work.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from autoencoding.data import memory
from cifar import LUMA  # Pillow's, too

# Pillow knows more formats, but some of them start other programs (EPS) or need them.
FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (
    *(".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm"),
    *(".ppm", ".tif", ".tiff", ".webp"),
)
NAMED = 20  # files in a message
# Of modes whose range is wider than what files use of it: the most, and what is said of it
RANGES = {"F": (1.0, "from 0 to 1"), "I": (4095 / 257, "of 12 bits, from 0 to 4095")}


def load_images(
    path: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    channels: int = 1,
    background: str = "white",
    max_pixels: int | None = None,
) -> tuple[NDArray[np.float32], int, int]:
    """Load photographs as rows.

    Parameters
    ----------
    path : path
        An image, or a folder that `find` takes; its images must be of one size.
    size : (int, int), optional
        Height and width, in pixels, to resize every image to.
    channels : {1, 3}
        Gray (ITU-R BT.601 luma), or red, green and blue.
    background : str
        Colour behind what is transparent, as Pillow names it.
    max_pixels : int, optional
        The most that an image may have: Pillow's own limit of 89 million by default, which keeps
        small files from filling the memory.

    Returns
    -------
    rows : ndarray of float32, [n, height * width * channels]
        0 (black) to 255 (white), row by row, the channels of a pixel side by side.
    height, width : int
        In pixels.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If files are no sound images, or too large, all of which are named; if a folder has no
        image, images of more than one size, or more than the memory holds; if `size` is not
        positive; or `channels` is neither 1 nor 3.

    Warns
    -----
    UserWarning
        Numbers with a point are from 0 to 1, or whole ones of 16 bits from 0 to 4095, and are
        taken for the whole range from black to white.
    """
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(f"size must be (height, width) in whole pixels, got {size}")
    _require_channels(channels)
    files = find(Path(path)).files
    rows, first, problems, modes = np.empty((0, 0), np.float32), files[0], [], []
    shape: tuple[int, ...] = ()
    for number, file in enumerate(files):
        try:
            pixels, mode = _read(file, channels, background, max_pixels)
            image = _resize(pixels, size)
        except ValueError as error:
            problems.append(str(error))
            continue
        if not shape:
            shape, first = image.shape, file
            # for the rows, those to train and to test on, and the network's
            many = f"{len(files)} images of {_pixels(shape)}"
            memory.require(3 * 4 * image.size * len(files), many, "give a smaller size")
            rows = np.empty((len(files), image.size), np.float32)  # [n, height * width * channels]
        if image.shape != shape:
            raise ValueError(
                f"{file}: expected {_pixels(shape)} as in {first.name}, got "
                f"{_pixels(image.shape)}; give a size, height and width, for all images"
            )
        rows[number] = image.ravel()
        modes.append(mode)
    if len(problems) > 1:
        more = [f"and {len(problems) - NAMED} more"] * (len(problems) > NAMED)
        lines = [f"{len(problems)} of {len(files)} files:", *problems[:NAMED], *more]
        raise ValueError("\n  ".join(lines))
    if problems:
        raise ValueError(problems[0])
    _stretch(rows, np.array(modes), files)
    return rows, shape[0], shape[1]


@dataclass(frozen=True)
class Found:
    """Image files in sorted order, and what else was found beside them."""

    files: list[Path]
    classes: list[str]  # names of the sub-folders that they are in; none in the folder itself
    passed_over: int  # other files and folders


def find(path: Path) -> Found:
    """Find the images of a folder, or where it has none those of its sub-folders, by class.

    Hidden files and folders are left out, and not counted.

    Raises
    ------
    ValueError
        There is no image.
    """
    if not path.is_dir():
        return Found([path], [], 0)
    entries = _entries(path)
    files = [entry for entry in entries if _is_image(entry)]
    if files:
        return Found(files, [], len(entries) - len(files))
    folders = {entry.name: _entries(entry) for entry in entries if entry.is_dir()}
    images = {name: list(filter(_is_image, inside)) for name, inside in folders.items()}
    classes = [name for name, some in images.items() if some]
    files = [file for name in classes for file in images[name]]
    if not files:
        raise ValueError(f"{path} has no image: put some there ({' '.join(SUFFIXES)})")
    others = len(entries) - len(classes) + sum(len(folders[name]) for name in classes)
    return Found(files, classes, others - len(files))


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def sample_crops(
    side: int = 32, channels: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut scikit-learn's two sample photographs, of 427 x 640 pixels each, into square crops.

    Parameters
    ----------
    side : int
        Of a crop, in pixels.
    channels : {1, 3}
        Gray (ITU-R BT.601 luma), or red, green and blue.

    Returns
    -------
    train, test : ndarray of float32, [n, side * side * channels], [m, side * side * channels]
        0 to 255. Training crops come from the left four fifths of the photographs, and half
        of each overlaps the next; test crops come from the rest. 1550 and 104 by default.
    """
    from sklearn.datasets import load_sample_images  # slow to import

    _require_channels(channels)
    photos = load_sample_images().images  # 2 of [427, 640, 3]
    split = photos[0].shape[1] * 4 // 5
    train = [_crops(photo[:, :split], side, max(1, side // 2), channels) for photo in photos]
    test = [_crops(photo[:, split:], side, side, channels) for photo in photos]
    return np.concatenate(train), np.concatenate(test)  # [n, d], [m, d]


def _crops(photo: NDArray[Any], side: int, stride: int, channels: int) -> NDArray[np.float32]:
    """Cut a photograph [height, width, 3] into crops [n, d], left to right and top to bottom."""
    pixels = photo  # [height, width, channels]
    if channels == 1:
        pixels = (photo @ np.array(LUMA, np.float32))[..., None]  # [height, width, 1]
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (side, side), (0, 1))
    windows = np.moveaxis(windows[::stride, ::stride], 2, -1)  # [down, across, side, side, c]
    return windows.astype(np.float32, order="C").reshape(-1, side * side * channels)  # [n, d]


def _require_channels(channels: int) -> None:
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (gray) or 3 (RGB), got {channels!r}")


def _read(
    file: Path, channels: int, background: str, max_pixels: int | None
) -> tuple[NDArray[np.float32], str]:
    """Read one image [height, width, channels], upright, 0 to 255, and its mode."""
    with open(file, "rb") as opened, _limit(max_pixels):
        try:
            with Image.open(opened, formats=FORMATS) as image:
                mode = image.mode[0]  # of 16 bits there are "I", "I;16" and "I;16B"
                pixels = _decoded(ImageOps.exif_transpose(image), channels, background)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise ValueError(
                f"{file}: too large, {error}; if it is to be trusted, give max_pixels"
            ) from error
        except Exception as error:  # on damaged files Pillow's decoders raise nearly anything
            raise ValueError(
                f"{file}: not a sound image, replace or remove it ({error})"
            ) from error
    if not (pixels.min() >= 0 and pixels.max() <= 255):
        raise ValueError(f"{file}: pixels must be from 0 to 255 (or 65535), save it with 8 bits")
    return pixels, mode  # [height, width, channels]


@contextlib.contextmanager
def _limit(max_pixels: int | None) -> Iterator[None]:
    """Make Pillow refuse more pixels than these, or by default than its own limit."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels or before
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _stretch(rows: NDArray[np.float32], modes: NDArray[Any], files: list[Path]) -> None:
    """Bring rows [n, d] of modes [n] whose range is smaller than their type's to 0 to 255."""
    for mode, (top, known) in RANGES.items():
        some = np.flatnonzero(modes == mode)
        if len(some) and 0 < rows[some].max() <= top * 1.0001:  # but for rounding
            warnings.warn(
                f"{files[some[0]]}: pixels are taken to be {known}, here and in "
                f"{len(some) - 1} other files",
                stacklevel=3,
            )
            rows[some] = np.minimum(rows[some] * np.float32(255 / top), 255)


def _decoded(image: Image.Image, channels: int, background: str) -> NDArray[np.float32]:
    if image.mode[0] in RANGES:
        pixels = np.asarray(image, np.float32)[..., None]  # [height, width, 1]
        clear = pixels == image.info.get("transparency")  # [height, width, 1]
        if image.mode != "F":  # 16 bits, which Pillow's own conversion would clip to white
            pixels = pixels / np.float32(257)
        ground = Image.new("L" if channels == 1 else "RGB", (1, 1), background)
        behind = np.asarray(ground, np.float32).reshape(channels)
        return np.where(clear, behind, pixels)  # [height, width, channels]
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image)
    image = image.convert("RGB")
    pixels = np.asarray(image.convert("F") if channels == 1 else image, np.float32)
    return pixels.reshape(*pixels.shape[:2], channels)  # [height, width, channels]


def _resize(pixels: NDArray[np.float32], size: tuple[int, int] | None) -> NDArray[np.float32]:
    if size is None:
        return pixels
    height, width = size
    # Bilinear, as `imresize` was by default: it never leaves 0 to 255, sharper filters do.
    planes = [
        Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)
        for plane in np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    ]
    return np.stack([np.asarray(plane, np.float32) for plane in planes], axis=2)


def _pixels(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]} pixels"
