"""pyarrow's data sets, wherever rows or frames are taken."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from processes import run_python
from pyarrow import dataset

from autoencoding import (
    Autoencoder,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    TableEncoder,
    evaluate,
)
from autoencoding.reports.evaluation import row_errors

N, PARTS = 400, 3


def frame():
    generator = np.random.default_rng(0)
    numbers = generator.normal(size=(N, 3)) @ generator.normal(size=(3, 6))
    return pd.DataFrame(numbers, columns=[*"abcdef"])


def mixed():
    return (
        frame()
        .assign(w=np.array([*"xyz"])[np.arange(N) % 3], i=np.arange(N))
        .mask(lambda table: table == table.loc[5, "a"])
    )


def written(table, name="parts", **options):
    """A data set of several files with the rows of a table."""
    for number, some in enumerate(np.array_split(np.arange(N), PARTS)):
        dataset.write_dataset(
            pa.Table.from_pandas(table.iloc[some]),
            name,
            format="parquet",
            basename_template=f"{number}-{{i}}.parquet",
            existing_data_behavior="overwrite_or_ignore",
            **options,
        )
    return dataset.dataset(name)


def test_a_data_set_of_numbers_trains_to_the_weights_of_its_rows():
    table = frame()
    data = written(table.astype({"a": np.float32}).round(3))
    rows = data.to_table().to_pandas().to_numpy()
    weights = []
    for given in (rows, data):
        with Autoencoder(6, 2, 5, seed=0, checkpoint=None) as ae:
            ae.train(
                given, target=given, validation=0.2, sample_weight=np.arange(N) + 1, verbose=False
            )
            weights.append(ae.weights)
            assert np.array_equal(ae.encode(given), ae.encode(rows))
            assert np.array_equal(ae.reconstruct(given), ae.reconstruct(rows))
            assert np.array_equal(row_errors(ae, given)["pca"], row_errors(ae, rows)["pca"])
            assert evaluate(ae, given) == evaluate(ae, rows)
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_numbers_of_any_type_keep_their_precision():
    table = pd.DataFrame({"a": 1e8 + np.random.default_rng(0).normal(size=N), "b": np.arange(N)})
    table["c"] = table["b"] % 2 == 0
    with Autoencoder(3, 3, 1, seed=0, checkpoint=None) as ae:
        ae.train(written(table), verbose=False)
        assert ae.reconstruct(written(table)).dtype == np.float64


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (mixed, "data must have 6 columns, got 8"),
        (lambda: mixed()[[*"abcde", "w"]], "data must be columns of numbers, got 'w' of"),
        (lambda: frame().mask(frame() > 2), "data must be finite as float32, got nan in row"),
        (lambda: frame().iloc[:0], "data must have at least one row, got none"),
    ],
)
def test_data_sets_that_are_no_rows_are_refused(table, message):
    table().to_parquet("x.parquet", index=False)
    with Autoencoder(6, 2, checkpoint=None) as ae, pytest.raises(ValueError, match=message):
        ae.train(dataset.dataset("x.parquet"))


@pytest.mark.parametrize("table", [frame, mixed])
def test_estimators_make_of_a_data_set_what_they_make_of_its_frame(table):
    whole, parts = table(), written(table())
    for kind in (AutoencoderOutlierDetector, AutoencoderTransformer):
        own, other = (kind(3, max_iter=2, random_state=0).fit(data) for data in (parts, whole))
        assert np.array_equal(own.score_samples(parts), other.score_samples(whole))
        assert np.array_equal(own.score_samples(whole), other.score_samples(parts))
        assert list(own.feature_names_in_) == list(other.feature_names_in_)
    detector = AutoencoderOutlierDetector(3, max_iter=2, random_state=0).fit(parts)
    assert detector.attributions(parts).shape == (N, whole.shape[1])
    assert np.array_equal(detector.predict(parts), detector.predict(whole))
    mirrored = written(whole[whole.columns[::-1]], "mirrored")
    assert np.array_equal(detector.score_samples(mirrored), detector.score_samples(whole))
    with pytest.raises(ValueError, match="has no column 'a'"):
        detector.score_samples(written(whole.drop(columns="a"), "less"))


def test_an_encoder_gives_a_memory_map_of_a_data_set():
    parts = written(mixed())
    encoder = TableEncoder(types={"i": "number"}).fit(parts)
    rows = encoder.transform(parts)
    assert isinstance(rows, np.memmap)
    assert np.array_equal(rows, TableEncoder({"i": "number"}).fit_transform(mixed()))
    assert encoder.summary(parts) == TableEncoder({"i": "number"}).fit(mixed()).summary(mixed())
    assert AutoencoderOutlierDetector(2, max_iter=1).fit(rows).score_samples(rows).shape == (N,)


def test_partitions_are_columns():
    parts = written(mixed(), partitioning=["w"], partitioning_flavor="hive")
    parts = dataset.dataset("parts", partitioning="hive")
    encoder = TableEncoder().fit(parts)
    assert "w = x" in encoder.get_feature_names_out()
    assert encoder.transform(parts).shape[0] == N


def test_csv_is_read_as_the_data_set_says():
    mixed().to_csv("x.csv", index=False)
    detector = AutoencoderOutlierDetector(3, max_iter=2, random_state=0).fit(mixed())
    scores = detector.score_samples(dataset.dataset("x.csv", format="csv"))
    assert scores == pytest.approx(detector.score_samples(mixed()), abs=1e-4)


def test_plain_training_imports_nothing_of_it(tmp_path):
    code = """
        import sys
        import numpy as np
        from autoencoder import Autoencoder
        with Autoencoder(4, 2, 1, checkpoint=None) as ae:
            ae.train(np.random.default_rng(0).normal(size=(20, 4)), verbose=False)
        extra = ("pyarrow.dataset", "dask", "ray", "pyspark", "autoencoding.data.datasets")
        print([name for name in sys.modules if name.startswith(extra)])
    """
    assert run_python(code, tmp_path).strip() == "[]"
