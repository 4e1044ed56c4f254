"""What stands for other libraries' containers of rows, and rows of data and target."""

import numpy as np

from autoencoding.data import rows


class Frame:
    """As a DataFrame: it becomes an array, and its items are columns."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, column):
        raise KeyError(column)


class Numbered:
    """A data set as PyTorch's are: a length, and one row an int."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        assert type(number) is int
        assert 0 <= number < len(self.rows)
        return self.rows[number]


class Again:
    """Gives pieces whenever it is iterated: each time the same, or those of the next pass."""

    def __init__(self, pieces, *later):
        self.passes = [*later[::-1], pieces]

    def __iter__(self):
        return iter(self.passes.pop() if len(self.passes) > 1 else self.passes[0])


def kinds_of_rows(cut):
    """Ways to give rows, by name; cut makes pieces of them."""
    return {
        "array": lambda rows: rows,
        "shards": cut,
        "data set": Numbered,
        "stream": lambda rows: Again(cut(rows)),
    }


def open_rows(data, target, weight, input_dim, target_dim, name="data"):
    shapes = {"x": (input_dim,), "target": (target_dim,)}
    return rows.open_rows({"x": data, "target": target}, shapes, weight, name)
