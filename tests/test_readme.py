import re

import numpy as np
import pytest
from processes import ROOT

from autoencoding.engine.model import Model


@pytest.fixture(scope="module")
def examples():
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def run(example, **names):
    exec(compile(example, "README.md", "exec"), names)
    return names


def test_the_first_example_of_the_readme_runs(examples, iris, capsys):
    run(examples[0], data=iris)
    printed = capsys.readouterr().out
    assert "PCA, 1 component " in printed
    assert printed.count("reconstructed") == 1


def test_the_family_of_the_readme_runs(examples, monkeypatch):
    planned = Model._planned

    def one_epoch(*args):
        progress = planned(*args)
        progress.epochs = 1
        return progress

    monkeypatch.setattr(Model, "_planned", one_epoch)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (6, 784))
    gray, colour = generator.uniform(size=(4, 32, 32, 1)), generator.uniform(size=(4, 32, 32, 3))
    names = run(examples[1], images=images, noisy=images, gray=gray, colour=colour)
    assert names["clean"].shape == (6, 784)
    assert names["new"].shape == (16, 784)
    assert names["all_at_once"].code.drawn
