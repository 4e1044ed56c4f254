import errno
import gc
import os

import numpy as np
import pytest
from processes import run_python

from autoencoding.data import scratch
from autoencoding.data.scratch import on_disk


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder of scratch files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_rows_are_those_written_and_nobody_sees_their_file(place):
    parts = [np.random.default_rng(i).normal(size=(i, 3)).astype(np.float32) for i in (5, 0, 7)]
    rows = on_disk(parts)
    assert np.array_equal(rows, np.concatenate(parts))
    assert isinstance(rows, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 0
    assert not [*place.iterdir()]
    before = len(os.listdir("/proc/self/fd"))
    many = [on_disk(parts) for _ in range(5)]
    del many
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "data must have at least one row, got none"),
        ([np.zeros((0, 2))], "data must have at least one row, got none"),
        ([np.zeros((1, 2)), np.zeros((1, 3))], "rows must stay"),
        ([np.zeros((1, 2)), np.zeros((1, 2), np.float32)], "rows must stay"),
    ],
)
def test_rows_must_be_alike(parts, message):
    with pytest.raises(ValueError, match=message):
        on_disk(parts)


def test_a_full_disk_is_told_with_what_to_do(place):
    code = """
        import resource, signal, sys, errno
        import numpy as np
        from autoencoding.data import scratch
        class Full:
            def write(self, data):
                raise OSError(errno.ENOSPC, "No space left on device")
        try:
            scratch._write(Full(), np.zeros((2, 2)))
        except OSError as error:
            print(error.errno == errno.ENOSPC, "TMPDIR" in str(error), error.filename)
    """
    assert run_python(code, place).split()[:2] == ["True", "True"]


def test_a_disk_that_is_nearly_full_takes_the_rest_later():
    class Slow(list):
        def write(self, data):
            self.append(bytes(data[:5]))
            return len(self[-1])

    file = Slow()
    rows = np.arange(6.0).reshape(2, 3)
    scratch._write(file, rows)
    assert b"".join(file) == rows.tobytes()


def test_the_folder_is_that_of_large_files_unless_the_environment_says_another(monkeypatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    assert scratch._folder() == str(scratch.LARGE)
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert scratch._folder() is None
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(scratch, "LARGE", scratch.LARGE / "none")
    assert scratch._folder() is None
    assert errno.ENOSPC
