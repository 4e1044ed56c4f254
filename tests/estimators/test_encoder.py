import numpy as np
import pandas as pd
import polars
import pytest
import scipy.sparse
from people import ROWS, people
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from strangers import planted

from autoencoding import AutoencoderOutlierDetector, AutoencoderTransformer, TableEncoder


@pytest.fixture
def frame():
    table = people().assign(id=[f"p{i}" for i in range(ROWS)])
    return table.assign(since=pd.date_range("2020-01-01", periods=ROWS, freq="D"))


def test_an_encoder_gives_numbers_and_their_columns(frame):
    encoder = TableEncoder().fit(frame)
    rows = encoder.transform(frame)
    names = encoder.get_feature_names_out()
    assert rows.shape == (ROWS, len(names)) == (ROWS, len(encoder.column_of_feature_))
    assert encoder.column_of_feature_[names == "job = judge"] == ["job"]
    assert encoder.feature_names_in_.tolist() == list(frame)
    assert "id      left out: an identifier" in encoder.summary(frame)
    decoded = encoder.inverse_transform(rows)
    known = frame["job"].notna()
    assert decoded.loc[known, "job"].tolist() == frame.loc[known, "job"].tolist()
    assert decoded["height"].to_numpy() == pytest.approx(frame["height"])
    assert decoded["member"].tolist() == frame["member"].astype(str).tolist()
    alone = encoder.transform(frame.iloc[[7]])
    assert np.array_equal(alone, rows[[7]])
    assert np.array_equal(encoder.transform(polars.from_pandas(frame)), rows)
    typed = clone(encoder).set_params(types={"label": "category"}).fit(frame)
    assert {"label = 0", "label = 1"} < set(typed.get_feature_names_out())
    with pytest.raises(TypeError, match="X must be a data frame or data set, got ndarray"):
        encoder.transform(rows)


@pytest.mark.parametrize("name", ["x", "customerid", "day"])
def test_whole_numbers_that_tell_rows_apart_are_not_learnt_from(name):
    frame, odd = planted(1000, 0)
    own = {
        "x": np.arange(1000),
        "customerid": np.random.default_rng(0).permutation(10**6)[:1000],
        "day": pd.date_range("2020-01-01", periods=1000).strftime("%Y%m%d").astype(int),
    }
    frame[name] = own[name]
    detector = AutoencoderOutlierDetector(random_state=0).fit(frame)
    assert len(set(detector.score_samples(frame).argsort()[:20]) & odd) >= 17
    if name != "day":
        moved = frame.assign(**{name: frame[name] + 10**7})
        assert np.array_equal(detector.score_samples(moved), detector.score_samples(frame))


def test_a_detector_takes_a_frame_as_it_is_and_attributes_to_its_columns(frame):
    frame["debt"] = 100 * frame["age"].fillna(50) + np.random.default_rng(0).normal(0, 50, ROWS)
    frame.loc[30, "debt"] *= 5
    detector = AutoencoderOutlierDetector(random_state=0, max_iter=60).fit(frame)
    assert detector.score_samples(frame).argmin() == 30
    parts = detector.attributions(frame)
    assert parts.shape == (ROWS, frame.shape[1])
    assert frame.columns[parts[30].argmax()] == "debt"
    assert parts.sum(axis=1) == pytest.approx(-detector.score_samples(frame))
    assert not parts[:, list(frame).index("id")].any()
    some = frame.iloc[[3, 30]]
    assert np.array_equal(detector.score_samples(some), detector.score_samples(frame)[[3, 30]])
    assert detector.n_features_in_ == frame.shape[1]
    numbers = frame[["height", "debt"]]
    assert detector.fit(numbers).encoder_ is None


def test_a_transformer_takes_and_gives_frames(frame):
    transformer = AutoencoderTransformer(3, random_state=0, max_iter=200)
    codes = transformer.fit_transform(frame)
    assert codes.shape == (ROWS, 3)
    decoded = transformer.inverse_transform(codes)
    assert list(decoded) == [name for name in frame if name != "id"]
    assert np.corrcoef(decoded["debt"], frame["debt"])[0, 1] > 0.9
    pipeline = make_pipeline(TableEncoder(), AutoencoderTransformer(3, max_iter=2)).fit(frame)
    assert pipeline.transform(frame).shape == (ROWS, 3)


@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "coo_array"])
def test_sparse_rows_are_made_dense_a_chunk_at_a_time(form):
    dense = np.random.default_rng(0).normal(size=(60, 9)) * (np.arange(540).reshape(60, 9) % 3 == 0)
    rows = getattr(scipy.sparse, form)(dense)
    for kind in (AutoencoderOutlierDetector, AutoencoderTransformer):
        estimator = kind(4, max_iter=2, random_state=0)
        expected = clone(estimator).fit(dense)
        assert np.array_equal(
            estimator.fit(rows).score_samples(rows), expected.score_samples(dense)
        )
    assert np.array_equal(estimator.transform(rows), expected.transform(dense))
