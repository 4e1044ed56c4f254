"""Tables as strangers have them, and the command that learns from them, in this process."""

import io
import re
from contextlib import redirect_stdout

import numpy as np
import pandas as pd

from autoencoding.cli import tables

PLANTED = 20
QUICK = "--seed 0 --epochs 1 --hidden 2"
N = 60  # rows of `mixed`


def mixed(n_rows=N, seed=0):
    """A table of all kinds of columns, with gaps."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "amount": generator.lognormal(5, 2, n_rows),
            "count": generator.integers(0, 9, n_rows),
            "on": generator.choice([True, False], n_rows),
            "town": generator.choice(["Ulm", "Bonn, West", 'the "Hof"'], n_rows).astype(object),
            "when": pd.date_range("2024-01-01", periods=n_rows, freq="7h"),
        }
    )
    frame.loc[::7, "amount"] = np.nan
    frame.loc[3::9, "town"] = None
    return frame


def planted(n_rows, seed):
    """Four columns of two factors, of which 20 rows are off by 5 deviations; and these rows."""
    generator = np.random.default_rng(seed)
    columns = generator.normal(size=(n_rows, 2)) @ generator.normal(size=(2, 4))
    columns += 0.3 * generator.normal(size=(n_rows, 4))
    rows = generator.choice(n_rows, PLANTED, replace=False)
    signs = generator.choice([-1, 1], (PLANTED, 4))
    columns[rows] += 5 * columns.std(axis=0) * signs
    return pd.DataFrame(columns, columns=list("abcd")), set(rows.tolist())


def table(*options):
    """Run the command; return what it printed, and its outliers."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        tables.main([str(word) for option in options for word in str(option).split()])
    (path,) = re.findall(r"(\S*outliers\.\w+)", printed.getvalue())
    read = pd.read_csv if path.endswith(".csv") else pd.read_parquet
    return printed.getvalue(), read(path)


def worst(outliers, count=PLANTED):
    """The rows with the highest scores."""
    return set(outliers.sort_values("score", ascending=False)["row"].head(count))
