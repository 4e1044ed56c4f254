"""For each kind of trouble a model that has it; and good models, of which nothing is said."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_wine

from autoencoder import Autoencoder
from autoencoding import StackedAutoencoder, VariationalAutoencoder, evaluate
from autoencoding.data.encoding import Columns
from autoencoding.data.tables import of_frame
from autoencoding.estimators.outliers import AutoencoderOutlierDetector
from autoencoding.models import create
from autoencoding.parts.scaling import Range

DIGITS = load_digits().data  # [1797, 64], 0 to 16
QUIET = {"verbose": False, "progress_bar": False}


def diagnosis(model, data, batch_size=10, evaluated=None, **options):
    with model as ae:
        ae.train(data, batch_size, **QUIET, **options)
        return evaluate(ae, data if evaluated is None else evaluated).diagnosis


def stacked(epochs, rate=0.001, layers=(32,), **options):
    return StackedAutoencoder(
        64, 8, epochs, rate, layers=layers, seed=0, checkpoint=None, **options
    )


def variational(epochs, **options):
    return VariationalAutoencoder(64, 4, epochs, layers=[64], seed=0, checkpoint=None, **options)


def plain(width, hidden, epochs, rate=0.01, **options):
    return Autoencoder(width, hidden, epochs, rate, seed=0, checkpoint=None, **options)


def test_data_in_other_units_than_the_range():
    model = stacked(20, loss={"name": "mse", "output": "sigmoid"}, scaling=Range(0, 16))
    found = diagnosis(model, DIGITS, 32, evaluated=DIGITS * 255 / 16)
    assert found.startswith("The data goes from 0 to 255, beyond the range 0 to 16")
    assert found.endswith("with another range (scaling=Range(low, high)).")


def test_a_divergence_near_0():
    found = diagnosis(variational(10, beta=1000), DIGITS, 32)
    assert "its KL divergence from the prior is" in found
    assert "Lower beta" in found
    assert "kl_warm_up" in found


def test_codes_that_collapsed_and_layers_that_died():
    found = diagnosis(stacked(10, 0.3, (64,), activation="relu"), DIGITS, 32)
    assert "The codes have collapsed" in found
    assert "100% of the units of a hidden layer (decode/Relu) are dead" in found
    assert "activation, such as 'elu'" in found


def test_dead_units_of_the_code():
    model = plain(64, 8, 30, 0.03, network={"name": "dense", "code": "relu"})
    with model as ae:
        ae.train(DIGITS, **QUIET)
        dead = int((ae.encode(DIGITS).std(axis=0) == 0).sum())
        found = evaluate(ae, DIGITS).diagnosis
    assert 0 < dead < 8
    assert f"{dead} of 8 units of the code are dead" in found


def test_a_column_that_dominates():
    wine = load_wine().data  # whose last column is proline, in hundreds
    found = diagnosis(plain(13, 3, 100), wine)
    assert "Column 12 has 99.8% of the variance" in found
    assert "scaling='feature'" in found
    assert diagnosis(plain(13, 3, 100, scaling="feature"), wine) == ""


def test_a_loss_that_is_still_falling():
    found = diagnosis(plain(64, 8, 10, 0.0002, schedule="constant"), DIGITS)
    assert "The loss was still falling at the end, by " in found
    assert "train longer (epoch)" in found


def test_a_validation_loss_that_rises():
    model = StackedAutoencoder(64, 16, 150, layers=[256, 128], seed=0, checkpoint=None)
    found = diagnosis(model, DIGITS[:60], validation=DIGITS[200:400])
    assert "The validation loss rose after epoch " in found
    assert "patience" in found


def test_worse_than_pca(iris):
    found = diagnosis(plain(4, 1, 5, 0.001), iris)
    assert "PCA of the same width is better: the RMSE is 2." in found
    assert "above 1.10; train longer (epoch)" in found
    assert "above 1.02" in diagnosis(stacked(10), DIGITS, 32)


@pytest.mark.parametrize(
    ("model", "batch_size"),
    [
        (lambda: plain(64, 8, 30, 0.003), 10),
        (lambda: stacked(60), 32),
        (lambda: variational(60), 32),
        (lambda: variational(60, loss="bce", scaling=Range(0, 16)), 32),
        (lambda: plain(64, 64, 20), 10),
        (lambda: plain(64, 8, 30, 0.001, schedule="constant"), 10),
    ],
)
def test_nothing_is_said_of_good_models(model, batch_size):
    assert diagnosis(model(), DIGITS, batch_size, validation=0.1) == ""


def test_nothing_is_said_of_the_chapters_model(iris):
    assert diagnosis(plain(4, 1, 250, 0.001), iris, 1) == ""


def test_nothing_is_said_of_a_table_with_a_wild_column():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(400, 5)), columns=list("abcde"))
    frame["wild"] = generator.lognormal(0, 4, 400)
    columns = Columns.of(of_frame(frame))
    options = {**AutoencoderOutlierDetector.options_of("denoising"), "scaling": None}
    model = create(
        "denoising", (len(columns.labels),), 64, epoch=20, learning_rate=0.01, seed=0,
        checkpoint=None, **options,
    )  # fmt: skip
    assert diagnosis(model, columns.encode(of_frame(frame)), 128) == ""


def test_what_is_to_be_made_of_rows_is_not_held_to_their_pca():
    noisy = DIGITS + np.random.default_rng(0).normal(0, 4, DIGITS.shape)
    with stacked(10) as ae:
        ae.train(noisy, 32, target=DIGITS, **QUIET)
        assert evaluate(ae, noisy, DIGITS).ratio > 1.02
        assert evaluate(ae, noisy, DIGITS).diagnosis == ""


def test_nothing_is_said_of_a_training_that_patience_has_ended():
    model = StackedAutoencoder(64, 16, 150, layers=[256, 128], seed=0, checkpoint=None)
    options = {"validation": DIGITS[200:400], "patience": 20}
    with model as ae:
        history = ae.train(DIGITS[:60], 10, **QUIET, **options)
        assert len(history["loss"]) < 150
        assert "validation" not in evaluate(ae, DIGITS[:60]).diagnosis
        assert "falling" not in evaluate(ae, DIGITS[:60]).diagnosis


def test_nothing_is_said_of_an_error_that_does_not_matter():
    generator = np.random.default_rng(0)
    flat = generator.normal(size=(300, 2)) @ generator.normal(size=(2, 6))  # of rank 2
    with plain(6, 2, 300) as ae:
        ae.train(flat, **QUIET)
        found = evaluate(ae, flat)
    assert found.ratio > 1.1 or found.rmse < 1e-4
    assert found.rmse > 1e-3 * found.mean_rmse or found.diagnosis == ""


def test_a_model_with_a_condition_is_evaluated_with_it():
    labels = load_digits().target
    with plain(64, 4, 10, condition_dim=10) as ae:
        ae.train(DIGITS[:1500], condition=labels[:1500], **QUIET)
        others = DIGITS[1500:], labels[1500:]
        found = evaluate(ae, DIGITS[:1500], condition=labels[:1500], validation=others)
        rebuilt = ae.reconstruct(DIGITS[1500:], labels[1500:])
    error = np.sqrt(np.mean(np.square(rebuilt - DIGITS[1500:])))
    assert found.validation.rmse == pytest.approx(error, rel=1e-4)
    assert "PCA of the same width" not in found.diagnosis


def test_a_model_that_was_trained_by_hand_knows_no_pca_to_flatter_it(iris):
    with plain(4, 1, 1) as ae:
        for _ in range(20):
            ae.session.run(ae.train_op, {ae.x: iris})
        with pytest.raises(RuntimeError, match="trained by train_op alone, and knows neither"):
            evaluate(ae, iris)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_nothing_is_said_of_few_or_equal_rows(rows):
    assert diagnosis(plain(3, 1, 3), np.ones((rows, 3))) == ""
    assert "dead" not in diagnosis(plain(3, 1, 3), np.ones((50, 3)))


def test_rows_that_are_iterated_are_diagnosed_as_arrays_are(iris):
    class Parts:
        def __iter__(self):
            yield iris[:70]
            yield iris[70:]

    with plain(4, 1, 5, 0.001) as ae:
        ae.train(iris, **QUIET)
        whole, parts = evaluate(ae, iris).diagnosis, evaluate(ae, Parts()).diagnosis
    assert whole == parts != ""


def test_the_text_of_an_evaluation_ends_with_the_diagnosis(iris):
    with plain(4, 1, 5, 0.001) as ae:
        ae.train(iris, **QUIET)
        bad = evaluate(ae, iris)
    assert str(bad).startswith(bad.table + "\n\n")
    assert str(bad).removeprefix(bad.table).split() == bad.diagnosis.split()
    assert max(map(len, str(bad).splitlines())) <= 88
    with plain(4, 1, 100, 0.01) as ae:
        ae.train(iris, **QUIET)
        good = evaluate(ae, iris)
    assert str(good) == good.table
