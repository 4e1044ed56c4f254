"""Every example of the README and of `docs/` runs."""

import re

import pytest
from pages import examples_of
from processes import ROOT, run_script

from autoencoder import PARTS
from autoencoding.models import MODELS
from autoencoding.parts.corruptions import CORRUPTIONS
from autoencoding.parts.optimizers import OPTIMIZERS
from autoencoding.training import run as run_module

TUTORIAL = ROOT / "docs" / "outliers.md"
ENGINES = ROOT / "docs" / "engines.md"  # `test_engines.py` runs its examples
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture
def one_epoch(monkeypatch):
    """However many are asked for: what the examples show is how, not how well."""
    planned = run_module.prepare

    def shortened(*args, **options):
        start = planned(*args, **options)
        start.state.epochs = 1
        return start

    monkeypatch.setattr(run_module, "prepare", shortened)


def run(example, **names):
    exec(compile(example, "example", "exec"), names)
    return names


def test_the_first_example_of_the_readme_runs(iris, capsys):
    run(examples_of(ROOT / "README.md")[0], data=iris)
    printed = capsys.readouterr().out
    assert "PCA, 1 component " in printed
    assert printed.count("reconstructed") == 1


def test_the_page_of_models_names_them_all():
    page = (ROOT / "docs" / "models.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| .*`(\w+)`", page, re.MULTILINE)
    assert rows == [(model, entry.name) for model, entry in MODELS.items()]
    parts = {**PARTS, "corruption": CORRUPTIONS, "optimizer": OPTIMIZERS}
    for argument, names in parts.items():
        (row,) = re.findall(rf"^\| `{argument}=` \|(.*)", page, re.MULTILINE)
        choices = re.findall(r'`"?([\w-]+)"?`', row)
        assert {str(name) for name in names} <= set(choices), argument


@pytest.mark.parametrize("page", sorted({*PAGES} - {TUTORIAL, ENGINES}), ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(page, one_epoch):
    for example in examples_of(page):
        run(example)


def test_the_tutorial_runs_from_top_to_bottom(tmp_path, capsys):
    names = {}
    blocks = re.findall(r"```(sh|python)\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    for kind, block in blocks:
        if kind == "python":
            exec(compile(block, "example", "exec"), names)
        elif "git clone" not in block:
            ran = run_script(*block.split()[1:], folder=tmp_path)
            assert ran.returncode == 0, ran.stderr
    written = {path.name for path in (tmp_path / "scored").iterdir()}
    assert written == {"outliers.csv", "codes.csv", "reconstructions.csv", "report.html"}
    assert names["odd"][-20:].mean() > 0.6  # the malignant ones
    assert names["odd"][:-20].mean() < 0.3
    assert names["scores"].shape == (len(names["new"]),)
    assert "malignant" in capsys.readouterr().out


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        assert link.startswith("http") or (page.parent / link).exists(), link
