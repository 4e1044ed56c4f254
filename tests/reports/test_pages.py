"""What pages of images show, beside an independent truth."""

import io

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from autoencoding import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
from autoencoding.parts.scaling import Range
from autoencoding.reports import figures, pages

IMAGES = (load_digits().images * (255 / 16))[..., None].astype(np.float32)  # [n, 8, 8, 1], 0 to 255
TRAIN, TEST = IMAGES[:1500], IMAGES[1500:]
LABELS = load_digits().target[1500:]


def flat(images):
    return images.reshape(len(images), -1)


def trained(kind, hidden, epochs=5, **options):
    model = kind(64, hidden, epochs, 0.01, seed=0, checkpoint=None, **options)
    history = model.train(flat(TRAIN), 50, verbose=False)
    return model, history


def strips_of(model, monkeypatch, **options):
    drawn = {}
    strips = figures.strips
    monkeypatch.setattr(figures, "strips", lambda rows, *a: drawn.update(rows) or strips(rows, *a))
    loss = figures.loss_curve({"epoch": [0], "loss": [1.0]}, "loss", {})
    panels = pages.panels_of_images(model, TEST, TEST, loss, LABELS, **options)
    figures.page(*panels).savefig(io.BytesIO())
    return drawn, panels


def psnr(images, targets):
    return 10 * np.log10(255**2 / np.mean(np.square(images - targets)))


def test_images_stand_beside_what_pca_makes_of_them(monkeypatch):
    model, _ = trained(Autoencoder, 6)
    drawn, panels = strips_of(model, monkeypatch)
    some = np.linspace(0, len(TEST) - 1, 8).astype(int)
    pca = PCA(6).fit(flat(TRAIN).astype(np.float64))
    rebuilt = pca.inverse_transform(pca.transform(flat(TEST)))
    made = model.reconstruct(flat(TEST))
    assert list(drawn) == [
        "given",
        f"PCA\n{psnr(rebuilt, flat(TEST)):.1f} dB",
        f"this model\n{psnr(made, flat(TEST)):.1f} dB",
    ]
    given, by_pca, this = map(flat, drawn.values())
    assert np.array_equal(given, flat(TEST)[some])
    assert by_pca == pytest.approx(rebuilt[some], abs=0.05)
    assert this == pytest.approx(made[some], abs=1e-3)
    assert len(panels) == 2  # codes stand beside the loss
    model.close()


def test_a_code_as_wide_as_the_images_leaves_pca_no_error(monkeypatch):
    model, _ = trained(Autoencoder, 64, 1)
    drawn, _ = strips_of(model, monkeypatch)
    assert "PCA\ninf dB" in drawn
    model.close()


def test_an_image_of_ones_own_is_drawn_first(monkeypatch):
    model, _ = trained(Autoencoder, 3, 1)
    own = TRAIN[:1]
    drawn, _ = strips_of(model, monkeypatch, own=(own, own))
    given, _, this = drawn.values()
    assert np.array_equal(given[0], own[0])
    assert this[0].ravel() == pytest.approx(model.reconstruct(flat(own))[0], abs=1e-3)
    model.close()


def test_denoised_images_stand_between_noisy_and_clean_ones(monkeypatch):
    model, history = trained(DenoisingAutoencoder, 30, 40)
    drawn, _ = strips_of(model, monkeypatch)
    noisy, cleaned, clean = drawn.values()
    some = np.linspace(0, len(TEST) - 1, 8).astype(int)
    assert np.array_equal(clean, TEST[some])
    seen = model.corrupt(flat(TEST))
    names = [f"noisy\n{psnr(seen, flat(TEST)):.1f} dB", "clean"]
    assert [*drawn][::2] == names
    assert psnr(cleaned, clean) > psnr(noisy, clean) + 1
    errors = pages.errors_of_images(model, TRAIN, TRAIN)
    (axis,) = figures.page(pages.loss_of_images(model, history, errors, TRAIN)).axes
    assert len(axis.lines) == 1
    model.close()


def test_a_loss_in_nats_stands_beside_that_of_the_mean_image():
    options = {"loss": "bce", "scaling": Range(0, 255), "layers": [16]}
    model, history = trained(VariationalAutoencoder, 2, 3, **options)
    errors = pages.errors_of_images(model, TRAIN, TRAIN)
    assert "nats an image" in errors.table
    (axis,) = figures.page(pages.loss_of_images(model, history, errors, TRAIN)).axes
    x, mean = flat(TRAIN) / 255, flat(TRAIN).mean(axis=0) / 255
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(x > 0, x * np.log(mean), 0) + np.where(x < 1, (1 - x) * np.log1p(-mean), 0)
    assert axis.lines[1].get_ydata()[0] == pytest.approx(-logs.sum(axis=1).mean(), rel=1e-4)
    assert axis.get_ylabel() == "nats an image"
    model.close()


def test_a_plane_shows_decoded_codes_where_codes_are(monkeypatch):
    options = {"loss": "bce", "scaling": Range(0, 255), "layers": [16]}
    model, _ = trained(VariationalAutoencoder, 2, 3, **options)
    shown = {}
    tiles = figures.tiles
    monkeypatch.setattr(
        figures, "tiles", lambda title, *rest: shown.update({title: rest[0]}) or tiles(title, *rest)
    )
    _, panels = strips_of(model, monkeypatch)
    assert len(panels) == 4
    codes = model.encode(flat(TEST))
    corner = np.quantile(codes[:, 0], 0.05), np.quantile(codes[:, 1], 0.95)
    first = shown["decoded codes of the plane"][0].ravel()
    assert first == pytest.approx(model.decode([corner])[0], abs=0.1)
    walk = shown["from one test image to another"][:10].reshape(10, -1)
    ends = flat(TEST[np.linspace(0, len(TEST) - 1, 10).astype(int)])[:2]
    assert walk == pytest.approx(model.interpolate(*ends, 10), abs=1e-3)
    model.close()
