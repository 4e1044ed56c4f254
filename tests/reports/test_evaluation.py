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


@pytest.mark.parametrize("rows", [slice(None, 100), slice(100, None)], ids=["train", "held out"])
def test_evaluation_is_that_of_scikit_learn(model, iris, rows):
    pca, data = PCA(2).fit(iris[:100]), iris[rows]
    found = evaluate(model, data)
    assert found.rmse == pytest.approx(rmse(data - model.reconstruct(data)), rel=1e-5)
    assert found.pca_rmse == pytest.approx(rmse(data - pca.inverse_transform(pca.transform(data))))
    assert found.mean_rmse == pytest.approx(rmse(data - iris[:100].mean(axis=0)), rel=1e-5)
    assert found.ratio == found.rmse / found.pca_rmse
    spread = np.mean((data - iris[:100].mean(axis=0)) ** 2)
    assert found.variance_share == pytest.approx(1 - found.rmse**2 / spread, rel=1e-5)


@pytest.mark.parametrize("scaling", ["global", "feature"])
def test_each_feature_is_measured_in_the_units_of_the_loss(iris, scaling):
    units = iris[:100].std(axis=0) if scaling == "feature" else np.ones(4)
    pca = PCA(2).fit(iris[:100] / units)
    with Autoencoder(4, 2, 100, 0.01, scaling=scaling, seed=0, checkpoint=None) as ae:
        ae.train(iris[:100], verbose=False)
        found = evaluate(ae, iris[:100], validation=iris[100:])
        left = (iris[100:] - ae.reconstruct(iris[100:])) / units
    of_pca = iris[100:] / units - pca.inverse_transform(pca.transform(iris[100:] / units))
    of_mean = (iris[100:] - iris[:100].mean(axis=0)) / units
    others = found.validation
    for name, error in {"rmse": left, "pca_rmse": of_pca, "mean_rmse": of_mean}.items():
        expected = np.sqrt(np.mean(error**2, axis=0))
        assert others.features[name] == pytest.approx(expected, rel=1e-4), name
        assert getattr(others, name) == pytest.approx(rmse(error), rel=1e-4), name


def test_on_training_data_no_affine_decoder_beats_pca(model, iris):
    assert 1 <= evaluate(model, iris[:100]).ratio <= 1.05


def test_feature_scaling_is_measured_in_standard_deviations(iris):
    with Autoencoder(4, 2, 5, scaling="feature", seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        standard, mean = iris.std(axis=0), iris.mean(axis=0)
        with pytest.warns(UserWarning, match="PCA of the same width is better"):
            found = evaluate(ae, iris)
        assert found.mean_rmse == pytest.approx(1, rel=1e-5)
        assert found.rmse == pytest.approx(rmse((iris - ae.reconstruct(iris)) / standard), rel=1e-4)
        pca = PCA(2).fit((iris - mean) / standard)
        left = np.sqrt(1 - pca.explained_variance_ratio_.sum())
        assert found.pca_rmse == pytest.approx(left, rel=1e-5)


def test_without_scaling_the_ruler_is_the_same(iris):
    with Autoencoder(4, 2, 0, scaling=None, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        pca = PCA(2).fit(iris)
        with pytest.warns(UserWarning, match="above 1.10"):
            found = evaluate(ae, iris)
        left = rmse(iris - pca.inverse_transform(pca.transform(iris)))
        assert found.pca_rmse == pytest.approx(left, rel=1e-4)


def test_a_loaded_model_carries_its_ruler(model, iris):
    model.save("saved")
    with Autoencoder.load("saved") as loaded:
        assert evaluate(loaded, iris) == evaluate(model, iris)


def test_a_code_as_wide_as_the_rows_has_no_measure_in_pca(iris):
    with Autoencoder(4, 4, 2, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        found = evaluate(ae, iris)
    assert (found.pca_rmse, found.ratio) == (0, np.inf)
    assert str(found).splitlines()[1].split()[2] == "-"


def test_a_good_model_draws_no_warning_and_a_deeper_one_is_held_to_more(model, iris, monkeypatch):
    evaluate(model, iris[:100])
    monkeypatch.setattr(Autoencoder, "affine_decoder", False)
    with pytest.warns(UserWarning, match="above 1.00"):
        evaluate(model, iris[:100])


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
    held = Evaluation(rmse=3.0, mean_rmse=6.0, pca_rmse=2.0, components=1)
    lines = str(Evaluation(2.0, 4.0, 1.0, 1, validation=held)).splitlines()
    assert lines[0].split("  validation: ")[1].split() == ["RMSE", "of", "PCA", "variance", "kept"]
    assert lines[1].split() == ["Autoencoder", "2", "2.000", "75.00%", "3", "1.500", "75.00%"]
    assert lines[2].split()[3:] == ["1", "1.000", "93.75%", "2", "1.000", "88.89%"]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.filterwarnings("ignore:PCA of the same width is better")
def test_validation_of_pairs_is_a_tuple(iris):
    with Autoencoder(4, 2, 5, target_dim=1, seed=0, checkpoint=None) as ae:
        ae.train(iris[:100], target=iris[:100, :1], verbose=False)
        pairs = iris[100:], iris[100:, :1]
        found = evaluate(ae, iris[:100], iris[:100, :1], validation=pairs).validation
        assert found == evaluate(ae, *pairs)


@pytest.mark.parametrize(("rmse", "ratio"), [(0.0, np.nan), (1.0, np.inf)])
def test_a_perfect_pca_divides_nothing_by_zero(rmse, ratio):
    found = Evaluation(rmse=rmse, mean_rmse=0.0, pca_rmse=0.0, components=1)
    assert found.ratio == pytest.approx(ratio, nan_ok=True)
    assert np.isnan(found.variance_share)
    assert "nan%" in str(found)
