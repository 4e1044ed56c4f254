"""How much memory Python takes on the way."""

import contextlib
import tracemalloc


@contextlib.contextmanager
def memory_below(limit):
    """Fail where more bytes are in use at once than this."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()
