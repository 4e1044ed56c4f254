import io
import math
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from PIL import Image
from processes import run_python

from autoencoding.training.tensorboard import Board

FOLDER = Path("board")


@pytest.fixture(scope="module")
def graph():
    """A model's: with a variable, a loop in a function, and finalised."""
    with tf.Graph().as_default() as graph:
        weights = tf1.get_variable("encode/weights", [2, 3], use_resource=True)
        x = tf1.placeholder(tf.float32, [None, 2], name="x")
        loop = tf.function(lambda x: tf.while_loop(lambda x: x[0, 0] < 9, lambda x: [x + 1], [x]))
        tf.matmul(loop(x)[0], weights, name="code")
    graph.finalize()
    return graph


def events(folder=FOLDER):
    """All events in the order TensorBoard reads them."""
    return [e for path in sorted(folder.iterdir()) for e in tf1.train.summary_iterator(str(path))]


def summaries(folder=FOLDER):
    return [(e.step, list(e.summary.value)) for e in events(folder) if e.HasField("summary")]


def starts():
    return [e.step for e in events() if e.session_log.status == tf1.SessionLog.START]


def decoded(value):
    pixels = np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))
    assert pixels.shape[:2] == (value.image.height, value.image.width)
    return pixels


def test_scalars_are_one_event_a_step_finite_or_not(graph):
    with Board(FOLDER, graph) as board:
        board.scalars(0, {"loss": 0.5, "learning_rate": np.float32(0.25)})
        board.scalars(10, {"a": math.inf, "b": -math.inf, "c": math.nan})
    read = {step: {v.tag: v.simple_value for v in values} for step, values in summaries()}
    assert read.pop(0) == {"loss": 0.5, "learning_rate": 0.25}
    np.testing.assert_equal(read, {10: {"a": math.inf, "b": -math.inf, "c": math.nan}})


def test_histograms_count_what_numpy_counts(graph):
    generator = np.random.default_rng(0)
    arrays = {
        "encode/weights": generator.normal(size=(20, 30)).astype(np.float32),
        "encode/biases": np.zeros(30, np.float32),
        "decode/weights": generator.integers(-1000, 1000, (5, 4, 3)),
        "größe": np.array(1e-20),
    }
    with Board(FOLDER, graph) as board:
        board.histograms(3, arrays)
    [(step, values)] = summaries()
    assert step == 3
    assert [value.tag for value in values] == list(arrays)
    for value, array in zip(values, arrays.values(), strict=True):
        histogram, entries = value.histo, array.astype(np.float64)
        assert (histogram.min, histogram.max) == (entries.min(), entries.max())
        assert histogram.num == sum(histogram.bucket) == entries.size
        assert histogram.sum == pytest.approx(entries.sum())
        assert histogram.sum_squares == pytest.approx(np.square(entries).sum())
        edges = [-np.finfo(np.float64).max, *histogram.bucket_limit]
        assert np.array_equal(histogram.bucket, np.histogram(entries, edges)[0])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_histograms_name_the_array_that_is_not_finite(graph, bad):
    with Board(FOLDER, graph) as board:
        with pytest.raises(ValueError, match=rf"arrays\['decode/w'\] must be finite, got {bad}"):
            board.histograms(0, {"encode/w": np.ones(2), "decode/w": np.array([[1, bad]])})
        board.scalars(1, {"loss": 1})
    assert [step for step, _ in summaries()] == [1]


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_images_keep_their_pixels(graph, channels):
    images = np.random.default_rng(0).integers(0, 256, (5, 7, 6, *channels), np.uint8)
    with Board(FOLDER, graph) as board:
        board.images(2, "reconstructions", images)
    [(step, values)] = summaries()
    assert step == 2
    assert [value.tag for value in values] == [f"reconstructions/image/{i}" for i in range(5)]
    for value, image in zip(values, images, strict=True):
        assert np.array_equal(decoded(value), image[..., 0] if channels == (1,) else image)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (np.array([-3.0, 1.4, 1.6, 254.7, 300.0]), [0, 1, 2, 255, 255]),
        (np.array([-np.inf, np.nan, np.inf, 1e30], np.float32), [0, 0, 255, 255]),
        (np.array([0.4, 300], np.float16), [0, 255]),
        (np.array([-128, -1, 5, 127], np.int8), [0, 0, 5, 127]),
        (np.array([2**63, 7], np.uint64), [255, 7]),
        (np.array([False, True]), [0, 1]),
    ],
)
def test_images_of_any_real_dtype_are_clipped_and_rounded(graph, row, expected):
    row.setflags(write=False)
    with Board(FOLDER, graph) as board:
        board.images(0, "images", row.reshape(1, 1, -1))
    [(_, [value])] = summaries()
    assert decoded(value).tolist() == [expected]


@pytest.mark.parametrize("shape", [(8,), (8, 8), (2, 8, 8, 2), (1, 2, 8, 8, 3)])
def test_images_of_another_shape_are_refused(graph, shape):
    with Board(FOLDER, graph) as board, pytest.raises(ValueError, match="images must have shape"):
        board.images(0, "images", np.zeros(shape))


def test_the_graph_is_written(graph):
    Board(FOLDER, graph).close()
    [written] = [e.graph_def for e in events() if e.HasField("graph_def")]
    definition = tf1.GraphDef.FromString(written)
    assert [node.name for node in definition.node] == [op.name for op in graph.get_operations()]
    assert definition == graph.as_graph_def(add_shapes=True)


def test_boards_of_the_same_second_keep_their_own_files(graph):
    for step in range(4):
        with Board(FOLDER, graph, step) as board:
            board.scalars(step, {"loss": step})
    assert [step for step, _ in summaries()] == [0, 1, 2, 3]
    assert starts() == [1, 2, 3]  # only a resumed run discards later steps


def test_flush_puts_events_on_disk_and_missing_parents_are_made(graph, tmp_path):
    for folder in (str(tmp_path / "of" / "a"), tmp_path / "of" / "another"):
        with Board(folder, graph) as board:
            for step in range(3):
                board.scalars(step, {"loss": step})
            board.flush()
            assert len(summaries(Path(folder))) == 3


def test_close_ends_threads_and_may_be_called_twice(graph):
    before = set(threading.enumerate())
    with pytest.raises(KeyError), Board(FOLDER, graph) as board:
        board.images(0, "images", np.zeros((1, 2, 2)))
        raise KeyError
    assert set(threading.enumerate()) == before
    board.close()
    assert len(summaries()) == 1


def test_the_callers_graph_and_eager_mode_stay_as_they_are(graph):
    def use():
        with Board(FOLDER, graph) as board:
            board.scalars(0, {"loss": 1})
            board.histograms(0, {"weights": np.ones(3)})
            board.images(0, "images", np.zeros((1, 2, 2)))

    size = len(graph.get_operations())
    with tf.Graph().as_default() as callers:
        use()
        assert tf1.get_default_graph() is callers
    use()
    assert tf.executing_eagerly()
    assert len(callers.get_operations()) == 0
    assert len(graph.get_operations()) == size


def test_it_works_without_v2_behaviour(tmp_path):
    code = """
        import numpy as np
        import tensorflow.compat.v1 as tf1
        tf1.disable_v2_behavior()
        from autoencoding.training.tensorboard import Board
        x = tf1.placeholder(tf1.float32, [], name="x")
        with Board("board", tf1.get_default_graph(), step=1) as board:
            board.scalars(1, {"loss": 0.5})
            board.histograms(1, {"weights": np.ones(3)})
            board.images(1, "images", np.zeros((1, 2, 2)))
        assert [op.name for op in tf1.get_default_graph().get_operations()] == ["x"]
    """
    run_python(code, tmp_path)
    assert starts() == [1]
    tags = [value.tag for _, values in summaries() for value in values]
    assert tags == ["loss", "weights", "images/image/0"]
