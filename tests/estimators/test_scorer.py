import contextlib
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from people import people

from autoencoding import Autoencoder, scorer
from autoencoding.cli import tables
from autoencoding.estimators import scorer as module
from autoencoding.estimators.tables import TableModel

OUTLIERS = [
    "score",
    "outlier",
    "p_value",
    "cause1",
    "share1",
    "cause2",
    "share2",
    "cause3",
    "share3",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a saved model of a table."""
    folder = tmp_path_factory.mktemp("trained")
    people().to_parquet(folder / "people.parquet", index=False)
    with contextlib.chdir(folder), contextlib.redirect_stdout(None):
        options = "--drop label --seed 0 --epochs 5"
        tables.main(["--data", "people.parquet", *options.split()])
    return folder


@pytest.fixture
def kept(trained, tmp_path):
    """A copy of the save, in a folder of its own."""
    return shutil.copytree(trained / "table.ckpt", tmp_path / "kept")


@pytest.fixture
def loads(monkeypatch):
    """Which saves have been loaded, where none is in memory before."""
    found, load = [], TableModel.from_save

    def counted(prefix, manifest):
        found.append(prefix.name)
        return load(prefix, manifest)

    monkeypatch.setattr(TableModel, "from_save", counted)
    module._load.cache_clear()
    return found


def test_a_frame_has_the_scores_that_main_has_written(trained):
    found = scorer(trained / "table.ckpt")(people())
    written = pd.read_parquet(trained / "table" / "outliers.parquet")
    assert list(found) == OUTLIERS
    for name in OUTLIERS:
        assert found[name].tolist() == written[name].tolist()
    codes = scorer(trained / "table.ckpt", results="codes")(people())
    pd.testing.assert_frame_equal(codes, pd.read_parquet(trained / "table" / "codes.parquet"))


@pytest.mark.parametrize("results", ["outliers", "codes"])
def test_rows_have_the_same_results_alone_and_in_any_company(kept, results):
    score, table = scorer(kept, results), people(seed=1)
    together = score(table)
    order = np.random.default_rng(0).permutation(len(table))
    shuffled = score(table.iloc[order, ::-1]).loc[table.index]
    alone = pd.concat([score(table.iloc[[row]]) for row in range(30)])
    assert alone.dtypes.tolist() == together.dtypes.tolist()
    for name in together:
        tolerance = 1.01e-4 if name.startswith("share") else 0
        for others in (shuffled, alone):
            expected = together[name][: len(others)]
            if tolerance:
                assert others[name].tolist() == pytest.approx(expected.tolist(), abs=tolerance)
            else:
                assert others[name].tolist() == expected.tolist()


def test_many_rows_are_scored_in_pieces(kept, monkeypatch):
    score, table = scorer(kept), people()
    whole = score(table)
    monkeypatch.setattr(module, "PIECE_ROWS", 32)
    assert score(table)["score"].tolist() == whole["score"].tolist()


def test_the_index_stays_and_columns_come_along(kept):
    table = people()
    score = scorer(kept, keep=["label", "job"])
    table.index = pd.Index(np.arange(len(table))[::-1] * 7, name="number")
    found = score(table)
    assert found.index.equals(table.index)
    assert list(found) == ["label", "job", *OUTLIERS]
    pd.testing.assert_frame_equal(found[["label", "job"]], table[["label", "job"]])
    table.index = pd.Index(np.arange(len(table)) // 2, name="number")  # as of parts put together
    assert score(table)[list(found)].reset_index(drop=True).equals(found.reset_index(drop=True))
    by_age = score(table.set_index("age", append=True))  # a level of the index is a column, too
    assert by_age["score"].tolist() == found["score"].tolist()
    assert by_age.index.names == ["number", "age"]


@pytest.mark.parametrize("results", ["outliers", "codes"])
def test_an_empty_frame_gives_the_same_columns_without_loading(kept, results, loads):
    score = scorer(kept, results, keep=["job"])
    empty = score(people()[:0])
    assert not loads
    full = score(people())
    assert empty.dtypes.equals(full.dtypes)
    assert len(empty) == 0
    assert {name: str(kind) for name, kind in full.dtypes[1:].items()} == score.dtypes


def test_the_types_are_written_as_spark_reads_them(kept):
    outliers, codes = scorer(kept), scorer(kept, results="codes")
    causes = ", ".join(f"cause{i} string, share{i} double" for i in (1, 2, 3))
    assert outliers.ddl == f"score double, outlier boolean, p_value double, {causes}"
    assert codes.ddl == ", ".join(f"code{i} float" for i in range(64))


def test_a_scorer_is_small_and_threads_load_its_model_once(kept, loads):
    score = scorer(kept)
    data = pickle.dumps(score)
    assert len(data) < 1000
    copies = [pickle.loads(data) for _ in range(8)]
    assert not loads
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda copy: copy(people())["score"].tolist(), copies))
    assert loads == ["model-3"]
    assert found == [score(people())["score"].tolist()] * 8


def test_a_scorer_stays_with_its_save(kept, loads):
    score = scorer(kept)
    model = TableModel.load(kept)
    loads.clear()
    with model.model:
        for _ in range(2):
            model.save(kept)
    score(people())
    assert loads == ["model-3"]


def test_a_save_that_is_gone_is_named(kept, loads):
    score = scorer(kept)
    for path in kept.glob("model-3.*"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"save of this scorer is not here.*model-3"):
        score(people())
    assert not loads


def test_another_save_of_the_same_number_is_refused(kept, tmp_path, loads):
    score, table = scorer(kept), TableModel.load(kept)
    loads.clear()
    with table.model:
        for _ in range(3):
            replace(table, threshold=1.0).save(tmp_path / "other")
    for path in (tmp_path / "other").glob("model-3.*"):
        shutil.copy(path, kept)
    with pytest.raises(ValueError, match="model-3 is not the save that this scorer was made with"):
        score(people())
    assert not loads
    assert scorer(kept)(people())["outlier"].mean() > 0.1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"results": "scores"}, ValueError, "results must be one of outliers, codes, got 'scores'"),
        ({"keep": "job"}, TypeError, "keep must be a list of names, got 'job'"),
        ({"keep": ["job", "score"]}, ValueError, "names of results, got score"),
        ({"path": "nowhere"}, FileNotFoundError, "no checkpoint in nowhere"),
    ],
)
def test_a_scorer_that_can_not_be_is_refused_at_once(kept, arguments, error, message):
    with pytest.raises(error, match=message):
        scorer(**{"path": kept, **arguments})


def test_a_model_of_no_table_is_refused_at_once(tmp_path, iris):
    with Autoencoder(4, 2, epoch=1, checkpoint=tmp_path / "iris") as ae:
        ae.train(iris, verbose=False)
    with pytest.raises(ValueError, match="has no table whose training has ended"):
        scorer(tmp_path / "iris")


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        ({"age": [1.0]}, TypeError, "must be a pandas DataFrame, got dict; with Ray, give"),
        (people().drop(columns="age"), ValueError, "frame has no column 'age', it has job"),
        (people().drop(columns="label"), ValueError, "frame has no column 'label'"),
        (people().assign(debt="much"), ValueError, "frame: column 'debt', row 0: must be a number"),
    ],
)
def test_a_frame_that_is_not_like_the_table_is_refused(kept, frame, error, message):
    with pytest.raises(error, match=message):
        scorer(kept, keep=["label"])(frame)
