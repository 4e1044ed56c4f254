"""The scikit-learn estimators: its conventions, its tools, and what they are for."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from processes import run_python
from scipy.stats import betabinom
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from stand_ins import Again, kinds_of_rows

from autoencoding.estimators.outliers import AutoencoderOutlierDetector
from autoencoding.estimators.transformer import AutoencoderTransformer
from autoencoding.models.stacked import StackedAutoencoder
from autoencoding.parts import variables

BOTH = [AutoencoderTransformer, AutoencoderOutlierDetector]


@pytest.fixture
def detector(iris):
    return AutoencoderOutlierDetector(random_state=0).fit(iris)


def tumours():
    """Benign rows, and malignant ones, which are the outliers."""
    data, benign = load_breast_cancer(return_X_y=True)
    return data[benign == 1], data[benign == 0]


# scikit-learn's conventions


@pytest.mark.parametrize("kind", BOTH)
def test_scikit_learn_finds_nothing_to_complain_of(kind, tmp_path):
    code = f"""
        import os
        os.environ.update(SCIPY_ARRAY_API="1", TF_CPP_MIN_LOG_LEVEL="3")
        import pandas, polars
        from sklearn.utils.estimator_checks import check_estimator
        from {kind.__module__} import {kind.__name__} as Estimator
        results = check_estimator(Estimator(), on_fail=None, on_skip=None)
        for result in results:
            if result["status"] != "passed":
                print(result["check_name"], result["status"], result["exception"])
        print(len(results), "checks")
    """
    lines = run_python(code, tmp_path).splitlines()
    assert lines[-1].endswith(" checks"), lines
    assert int(lines[-1].split()[0]) > 40
    assert len(lines) == 1, lines


@pytest.mark.parametrize("kind", BOTH)
def test_a_clone_is_unfitted_and_learns_the_same_and_nothing_is_written(kind, iris, tmp_path):
    fitted = kind(random_state=3).fit(iris)
    other = clone(fitted)
    assert not hasattr(other, "model_")
    assert other.get_params() == fitted.get_params()
    assert np.array_equal(other.fit(iris).score_samples(iris), fitted.score_samples(iris))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("copied", ["pickle", "joblib", "deepcopy"])
def test_a_copy_scores_the_same_to_the_bit(kind, copied, iris, tmp_path):
    fitted = kind(random_state=0, max_iter=5).fit(iris)
    if copied == "joblib":
        joblib.dump(fitted, tmp_path / "fitted.joblib")
        result = joblib.load(tmp_path / "fitted.joblib")
    else:
        result = pickle.loads(pickle.dumps(fitted)) if copied == "pickle" else copy.deepcopy(fitted)
    assert np.array_equal(result.score_samples(iris), fitted.score_samples(iris))
    before = fitted.score_samples(iris)
    result.fit(iris[::-1])
    assert np.array_equal(fitted.score_samples(iris), before)


@pytest.mark.parametrize("kind", BOTH)
def test_fitting_again_is_fitting_anew(kind, iris):
    again = kind(random_state=0, max_iter=5).fit(iris[:50]).fit(iris)
    assert np.array_equal(
        again.score_samples(iris), kind(random_state=0, max_iter=5).fit(iris).score_samples(iris)
    )
    again.set_params(n_components=3).fit(iris)
    assert again.model_.hidden_dim == 3
    again.fit(iris[:, :2])
    assert again.model_.input_dim == 2


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"model": "colorizing"}, "The 'model' parameter"),
        ({"n_components": 0}, "The 'n_components' parameter"),
        ({"max_iter": 1.5}, "The 'max_iter' parameter"),
        ({"learning_rate": 0}, "The 'learning_rate' parameter"),
        ({"model_params": [1]}, "The 'model_params' parameter"),
        ({"model_params": {"scaling": "furlongs"}}, "scaling must be one of"),
    ],
)
def test_a_wrong_parameter_is_named(kind, params, message, iris):
    with pytest.raises(ValueError, match=message):
        kind(**params).fit(iris)


@pytest.mark.parametrize("kind", BOTH)
def test_what_cannot_be_float32_is_refused_and_the_model_stays(kind, iris):
    fitted = kind(random_state=0, max_iter=3).fit(iris)
    before = fitted.score_samples(iris)
    with pytest.raises(ValueError, match="finite as float32"):
        fitted.fit(1e300 * iris)
    assert np.array_equal(fitted.score_samples(iris), before)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("stacked", {"layers": [8]}),
        ("stacked", {}),
        ("denoising", {"corruption": "masking"}),
        ("variational", {"layers": [8]}),
        ("convolutional", {"input_shape": (8, 8, 1), "filters": [4]}),
        ("plain", {"network": {"name": "dense", "code": "sigmoid"}}),
    ],
)
def test_any_model_of_the_family_that_rebuilds_its_rows(kind, model, params):
    digits = load_digits().data[:100]
    fitted = kind(3, model=model, model_params=params, max_iter=2, random_state=0).fit(digits)
    assert np.isfinite(fitted.score_samples(digits)).all()
    assert fitted.model_.hidden_dim == 3
    assert isinstance(fitted.model_, StackedAutoencoder) == (model == "stacked")


# The transformer


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_codes_are_nearly_as_good_as_pca_of_standardised_columns(load):
    data = load().data
    fitted = AutoencoderTransformer(random_state=0).fit(data)
    scaler, pca = StandardScaler().fit(data), PCA(2).fit(StandardScaler().fit_transform(data))
    left = scaler.transform(data) - pca.inverse_transform(pca.transform(scaler.transform(data)))
    best = np.sqrt(np.mean(left**2))
    assert best <= -fitted.score(data) <= 1.01 * best
    rebuilt = fitted.inverse_transform(fitted.transform(data))
    errors = np.mean(((data - rebuilt) / scaler.scale_) ** 2, axis=1)
    assert -fitted.score(data) == pytest.approx(np.sqrt(np.mean(errors)), rel=1e-4)
    assert fitted.score_samples(data) == pytest.approx(-np.sqrt(errors), rel=1e-3)


def test_names_and_pandas_come_out(iris):
    frame = pd.DataFrame(iris, columns=list("abcd"))
    fitted = AutoencoderTransformer(3, max_iter=2).set_output(transform="pandas").fit(frame)
    names = [f"autoencodertransformer{i}" for i in range(3)]
    assert list(fitted.get_feature_names_out()) == names
    codes = fitted.transform(frame)
    assert list(codes.columns) == names
    assert codes.index.equals(frame.index)
    with pytest.raises(ValueError, match="feature names"):
        fitted.transform(frame.rename(columns={"a": "z"}))


def test_it_stands_in_pipelines_and_searches(iris):
    labels = np.repeat([0, 1, 2], 50)
    columns = ColumnTransformer(
        [("codes", AutoencoderTransformer(1, max_iter=20, random_state=0), [0, 1, 2])],
        remainder="passthrough",
    )
    assert cross_val_score(make_pipeline(columns, SVC()), iris, labels, cv=3).mean() > 0.9
    search = GridSearchCV(
        AutoencoderTransformer(max_iter=20, random_state=0),
        {"n_components": [1, 3], "model_params": [None, {"optimizer": "adam"}]},
        cv=2,
    ).fit(iris)
    assert search.best_params_["n_components"] == 3
    assert search.best_score_ < 0


def test_passes_keep_the_scaling_of_the_first_rows(iris):
    fitted = AutoencoderTransformer(random_state=0).partial_fit(iris[::2])
    assert (fitted.n_iter_, len(fitted.loss_curve_)) == (1, 1)
    first = fitted.score(iris)
    for _ in range(30):
        fitted.partial_fit(iris[::2]).partial_fit(iris[1::2])
    assert fitted.n_iter_ == 61
    assert fitted.score(iris) > 0.7 * first
    mean = variables.read(fitted.model_.session)["scaling/mean"]
    assert mean == pytest.approx(iris[::2].mean(axis=0), rel=1e-6)


# The detector


@pytest.mark.parametrize("size", [10, 1e6])
def test_malignant_tumours_are_outliers_and_wild_rows_in_training_do_no_harm(size):
    benign, malignant = tumours()
    wild = benign[:12] * size  # 5 %
    rows = np.vstack([benign[250:], malignant])
    labels = np.repeat([0, 1], [len(benign) - 250, len(malignant)])
    clean = AutoencoderOutlierDetector(random_state=0).fit(benign[:250])
    spoilt = AutoencoderOutlierDetector(random_state=0).fit(np.vstack([benign[:250], wild]))
    aucs = [roc_auc_score(labels, -fitted.score_samples(rows)) for fitted in (clean, spoilt)]
    assert aucs[0] > 0.9
    assert aucs[1] > aucs[0] - 0.03
    assert (spoilt.predict(wild) == -1).all()
    assert np.mean(clean.predict(malignant) == -1) > 0.6
    assert np.mean(clean.predict(benign[250:]) == -1) < 0.25


def test_what_was_changed_in_a_row_is_what_it_is_an_outlier_by(iris):
    fitted = AutoencoderOutlierDetector(random_state=0).fit(iris)
    rows = iris[::15].copy()
    for number, row in enumerate(rows):
        row[number % 4] += 8 * iris[:, number % 4].std()
    assert (fitted.predict(rows) == -1).all()
    result = fitted.attributions(rows)
    assert result.shape == rows.shape
    assert np.array_equal(result.argmax(axis=1), np.arange(len(rows)) % 4)
    assert result.sum(axis=1) == pytest.approx(-fitted.score_samples(rows))
    assert result.min() >= 0


@pytest.mark.parametrize("contamination", [0.02, 0.2, 0.5])
def test_contamination_is_the_share_of_the_training_rows_below_the_threshold(contamination, iris):
    fitted = AutoencoderOutlierDetector(contamination=contamination, random_state=0).fit(iris)
    assert np.mean(fitted.predict(iris) == -1) == pytest.approx(contamination, abs=0.01)
    assert np.array_equal(
        fitted.decision_function(iris), fitted.score_samples(iris) - fitted.offset_
    )


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_normal_rows_set_the_threshold_by_the_rate_of_false_alarms(detector, rate):
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(4000, 4))
    rates = []
    for start in range(0, 2000, 100):
        detector.calibrate(rows[start : start + 100], rate)
        rates.append(np.mean(detector.predict(rows[2000:]) == -1))
    assert np.mean(rates) <= rate + 0.02
    assert np.mean(rates) >= rate - 0.03
    ranked = np.sort(-detector.score_samples(rows[:19]))
    assert -detector.calibrate(rows[:19], 0.05).offset_ == ranked[-1]
    with pytest.raises(ValueError, match="X must have at least 19 rows for a .* of 0.05, got 18"):
        detector.calibrate(rows[:18], 0.05)
    with pytest.raises(ValueError, match="false_alarm_rate must be .*below 1, got 1"):
        detector.calibrate(rows, 1)


def test_labels_set_the_threshold_where_the_balanced_accuracy_is_best(detector, iris):
    generator = np.random.default_rng(0)
    rows = np.vstack([iris, iris + generator.normal(size=iris.shape)])
    labels = np.repeat([1, -1], 150)
    detector.calibrate_on_labels(rows, labels)
    result = balanced_accuracy_score(labels, detector.predict(rows))
    scores = detector.score_samples(rows)
    best = max(balanced_accuracy_score(labels, np.where(scores < level, -1, 1)) for level in scores)
    assert result == pytest.approx(best)
    with pytest.raises(ValueError, match="y must hold 1 and -1, both, got"):
        detector.calibrate_on_labels(rows, np.ones(300))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        detector.calibrate_on_labels(rows, labels[:-1])


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("form", ["memory map", "paths", *kinds_of_rows(None)])
def test_rows_of_any_kind_that_train_takes(kind, form, iris, tmp_path):
    for number, part in enumerate(np.split(iris, 3)):
        np.save(tmp_path / f"{number}.npy", part)
    np.save(tmp_path / "all.npy", iris)
    if form == "memory map":
        rows = np.load(tmp_path / "all.npy", mmap_mode="r")
    elif form == "paths":
        rows = [str(tmp_path / f"{number}.npy") for number in range(3)]
    else:
        rows = kinds_of_rows(lambda rows: np.split(rows, 3))[form](iris)
    fitted = kind(random_state=0, max_iter=5).fit(rows)
    assert fitted.n_features_in_ == 4
    scores = fitted.score_samples(iris)
    assert np.array_equal(fitted.score_samples(rows), scores)
    expected = kind(random_state=0, max_iter=5).fit(iris).score_samples(iris)
    assert scores == pytest.approx(expected, rel=1e-3, abs=1e-3) or form == "stream"
    assert np.array_equal(fitted.partial_fit(rows).model_.encode(rows), fitted.model_.encode(iris))


@pytest.mark.parametrize("kind", BOTH)
def test_what_is_wrong_with_rows_of_other_kinds_is_told(kind, iris):
    with pytest.raises(TypeError, match="X must be iterable again and again, got generator"):
        kind().fit(row for row in iris)
    with pytest.raises(ValueError, match="X must have at least one row, got none"):
        kind().fit(Again([]))
    fitted = kind(random_state=0, max_iter=1).fit(iris)
    with pytest.raises(ValueError, match="must have 4 columns, got 3"):
        fitted.score_samples(Again([iris[:, :3]]))
    with pytest.raises(ValueError, match="finite as float32, got nan in row 5, column 0"):
        kind().fit(Again([iris[:5], np.full((1, 4), np.nan)]))


# p-values


def test_p_values_of_normal_rows_are_as_small_as_chance_has_it():
    """The count below a level is beta-binomial (Bates et al. 2023), summed over several fits."""
    generator = np.random.default_rng(0)
    tails = []
    for seed in range(8):
        rows = generator.normal(size=(900, 5)) ** 3
        fitted = AutoencoderOutlierDetector(random_state=seed, max_iter=3).fit(rows[:400])
        h = len(fitted.held_out_scores_)
        assert h == 133
        values = fitted.p_values(rows[400:])
        for level in (0.05, 0.25, 0.5):
            law = betabinom(500, int(level * (h + 1)), h + 1 - int(level * (h + 1)))
            tails.append(law.cdf((values <= level).sum()))
    assert min(tails) > 0.0005
    assert max(tails) < 0.9995
    assert 0.2 < np.mean(tails) < 0.8


def test_a_p_value_is_the_share_of_held_out_rows_as_odd_and_the_row_itself(detector, iris):
    scores = detector._trained_density.scores(detector.model_, iris)
    held = detector.held_out_scores_
    assert len(held) == 50
    expected = [(1 + (held >= score).sum()) / 51 for score in scores]
    assert detector.p_values(iris) == pytest.approx(expected)
    assert detector.p_values(1e6 + iris) == pytest.approx(1 / 51)
    few = AutoencoderOutlierDetector(random_state=0, max_iter=1).fit(iris[:2])
    assert few.p_values(iris).tolist() == [1] * 150


def test_auto_keeps_the_rate_of_false_discoveries():
    generator = np.random.default_rng(0)
    rates, hits = [], []
    for seed in range(6):
        rows = generator.normal(size=(1500, 4))
        fitted = AutoencoderOutlierDetector(contamination="auto", random_state=seed, max_iter=5)
        assert fitted.fit(rows[:1000]).offset_ is None
        odd = generator.normal(size=(50, 4)) + 8
        found = fitted.predict(np.vstack([odd, rows[1000:]])) == -1
        rates.append(found[50:].sum() / max(found.sum(), 1))
        hits.append(found[:50].mean())
        assert np.array_equal(fitted.decision_function(odd) < 0, fitted.predict(odd) == -1)
    assert np.mean(rates) < 0.15
    assert np.mean(hits) > 0.9
    assert np.mean(fitted.predict(rows[1000:]) == -1) < 0.01
    fitted.calibrate(rows[1000:], 0.05)
    assert np.mean(fitted.predict(rows[1000:]) == -1) == pytest.approx(0.05, abs=0.01)


# Rows that come in parts, and far away


def test_a_detector_learns_from_parts_and_keeps_a_sample_of_them_all():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(4000, 3)) @ generator.normal(size=(3, 6))
    fitted = AutoencoderOutlierDetector(random_state=0)
    for part in np.array_split(rows, 20):
        fitted.partial_fit(part)
    assert (fitted.n_iter_, len(fitted.loss_curve_)) == (20, 20)
    assert len(fitted.held_out_scores_) == pytest.approx(800, rel=0.05)
    whole = AutoencoderOutlierDetector(random_state=0).fit(rows)
    new = generator.normal(size=(500, 3)) @ generator.normal(size=(3, 6))
    labels = np.repeat([0, 1], 500)
    aucs = [
        roc_auc_score(labels, -found.score_samples(np.vstack([rows[:500], new])))
        for found in (fitted, whole)
    ]
    assert aucs[0] > aucs[1] - 0.02
    assert np.mean(fitted.predict(rows) == -1) == pytest.approx(0.1, abs=0.03)
    again = AutoencoderOutlierDetector(random_state=0)
    for part in np.array_split(rows, 20):
        again.partial_fit(part)
    assert np.array_equal(again.score_samples(new), fitted.score_samples(new))


@pytest.mark.parametrize("model", ["denoising", "plain", "stacked", "variational"])
@pytest.mark.parametrize("seed", range(2))
def test_scores_rise_with_the_distance_and_soon_exceed_every_training_rows(model, seed):
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(1000, 10))
    fitted = AutoencoderOutlierDetector(model=model, max_iter=5, random_state=seed).fit(rows)
    axes = np.linalg.svd(rows, full_matrices=False)[2]  # principal
    ways = generator.normal(size=(40, 10))
    ways = np.vstack([ways / np.linalg.norm(ways, axis=1, keepdims=True), np.eye(10), axes, -axes])
    start = rows[generator.integers(1000, size=len(ways))]
    scores = np.array([-fitted.score_samples(start + 10.0**k * ways) for k in range(1, 7)])
    assert (np.diff(scores, axis=0) > 0).all()
    assert scores.min() > -fitted.score_samples(rows).min()
    assert np.isfinite(scores).all()
