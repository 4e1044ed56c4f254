import numpy as np
import pytest
from sklearn.decomposition import PCA

from autoencoder import Autoencoder
from autoencoding.reports.evaluation import Evaluation, evaluate


def rmse(error):
    return np.sqrt(np.mean(np.square(error)))


@pytest.fixture(scope="module")
def model(iris):
    with Autoencoder(4, 2, 100, 0.01, seed=0, checkpoint=None) as ae:
        ae.train(iris[:100], verbose=False)
        yield ae


@pytest.mark.parametrize("scaling", ["global", "feature", None])
def test_evaluation_is_that_of_scikit_learn_in_the_units_of_the_loss(iris, scaling):
    train, validation = iris[:100], iris[100:]
    units = train.std(axis=0) if scaling == "feature" else np.ones(4)
    pca = PCA(2).fit(train / units)
    with Autoencoder(4, 2, 100, 0.01, scaling=scaling, seed=0, checkpoint=None) as ae:
        ae.train(train, verbose=False)
        result = evaluate(ae, train, validation=validation)
        rebuilt = {id(rows): ae.reconstruct(rows) for rows in (train, validation)}
    for evaluation, rows in ((result, train), (result.validation, validation)):
        scaled = rows / units
        errors = {
            "rmse": (rows - rebuilt[id(rows)]) / units,
            "pca_rmse": scaled - pca.inverse_transform(pca.transform(scaled)),
            "mean_rmse": (rows - train.mean(axis=0)) / units,
        }
        for name, error in errors.items():
            expected = np.sqrt(np.mean(error**2, axis=0))
            assert evaluation.features[name] == pytest.approx(expected, rel=1e-4), name
            assert getattr(evaluation, name) == pytest.approx(rmse(error), rel=1e-4), name
        assert evaluation.ratio == evaluation.rmse / evaluation.pca_rmse
        lost = (rmse(errors["rmse"]) / rmse(errors["mean_rmse"])) ** 2
        assert evaluation.variance_share == pytest.approx(1 - lost, rel=1e-4)


def test_on_training_data_no_affine_decoder_beats_pca(model, iris):
    assert 1 <= evaluate(model, iris[:100]).ratio <= 1.05


def test_a_loaded_model_carries_its_ruler(model, iris):
    model.save("saved")
    with Autoencoder.load("saved") as loaded:
        assert evaluate(loaded, iris) == evaluate(model, iris)


def test_a_code_as_wide_as_the_rows_has_no_measure_in_pca(iris):
    with Autoencoder(4, 4, 2, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        evaluation = evaluate(ae, iris)
    assert (evaluation.pca_rmse, evaluation.ratio) == (0, np.inf)
    heading, model, mean = evaluation.table.splitlines()
    assert heading.split() == ["RMSE", "variance", "kept"]
    assert (model.split()[0], mean.split()[:2]) == ("Autoencoder", ["mean", "row"])


def test_a_bad_model_is_diagnosed_and_a_deeper_one_is_held_to_more(model, iris, monkeypatch):
    with Autoencoder(4, 2, 0, seed=0, checkpoint=None) as untrained:
        untrained.train(iris[:100])
        found = evaluate(untrained, iris[:100]).diagnosis
    assert "PCA of the same width is better" in found
    assert "above 1.10" in found
    assert evaluate(model, iris[:100]).diagnosis == ""
    monkeypatch.setattr(Autoencoder, "affine_decoder", False)
    monkeypatch.setattr(Evaluation, "ratio", 1.03)
    assert "above 1.02" in evaluate(model, iris[:100]).diagnosis


def test_the_table():
    lines = str(Evaluation(rmse=2.0, mean_rmse=4.0, pca_rmse=1.0, components=3)).splitlines()
    assert [line.split() for line in lines] == [
        ["RMSE", "of", "PCA", "variance", "kept"],
        ["Autoencoder", "2", "2.000", "75.00%"],
        ["PCA,", "3", "components", "1", "1.000", "93.75%"],
        ["mean", "row", "4", "4.000", "0.00%"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_the_table_has_a_column_for_validation_rows():
    validation = Evaluation(rmse=3.0, mean_rmse=6.0, pca_rmse=2.0, components=1)
    lines = str(Evaluation(2.0, 4.0, 1.0, 1, validation=validation)).splitlines()
    assert lines[0].split("  validation: ")[1].split() == ["RMSE", "of", "PCA", "variance", "kept"]
    assert lines[1].split() == ["Autoencoder", "2", "2.000", "75.00%", "3", "1.500", "75.00%"]
    assert lines[2].split()[3:] == ["1", "1.000", "93.75%", "2", "1.000", "88.89%"]
    assert len({len(line) for line in lines}) == 1


def test_validation_of_pairs_is_a_tuple(iris):
    with Autoencoder(4, 2, 5, target_dim=1, seed=0, checkpoint=None) as ae:
        ae.train(iris[:100], target=iris[:100, :1], verbose=False)
        pairs = iris[100:], iris[100:, :1]
        evaluation = evaluate(ae, iris[:100], iris[:100, :1], validation=pairs)
        assert evaluation.validation == evaluate(ae, *pairs)


@pytest.mark.parametrize(("rmse", "ratio"), [(0.0, np.nan), (1.0, np.inf)])
def test_a_perfect_pca_divides_nothing_by_zero(rmse, ratio):
    evaluation = Evaluation(rmse=rmse, mean_rmse=0.0, pca_rmse=0.0, components=1)
    assert evaluation.ratio == pytest.approx(ratio, nan_ok=True)
    assert np.isnan(evaluation.variance_share)
    assert "nan" not in str(evaluation)
