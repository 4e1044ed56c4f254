"""A table with gaps, categories, and a column that follows from another; the label is last."""

import numpy as np
import pandas as pd

ROWS = 200


def people(seed=0):
    generator = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": generator.integers(18, 80, ROWS).astype(float),
            "job": generator.choice(["baker", "judge", "smith"], ROWS).astype(object),
            "height": generator.normal(170, 10, ROWS),
        }
    )
    table["debt"] = 100 * table["age"] + generator.normal(0, 50, ROWS)
    table["member"] = generator.random(ROWS) < 0.5
    table["label"] = np.arange(ROWS) % 2
    table.loc[::10, "age"] = np.nan
    table.loc[5::10, "job"] = None
    return table
