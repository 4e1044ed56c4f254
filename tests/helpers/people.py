"""A table with gaps, categories, and a column that follows from another; the label is last."""

import numpy as np
import pandas as pd

ROWS = 200


def people():
    generator = np.random.default_rng(0)
    age = generator.integers(18, 80, ROWS).astype(float)
    job = generator.choice(["baker", "judge", "smith"], ROWS).astype(object)
    table = pd.DataFrame(
        {
            "age": age,
            "job": job,
            "height": generator.normal(170, 10, ROWS),
            "debt": 100 * age + generator.normal(0, 50, ROWS),
            "member": generator.random(ROWS) < 0.5,
            "label": np.arange(ROWS) % 2,
        }
    )
    table.loc[::10, "age"] = np.nan
    table.loc[5::10, "job"] = None
    return table
