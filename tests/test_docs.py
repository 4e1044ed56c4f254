"""Every example of the README and of `docs/` runs, but those of `pages.NOT_RUN`."""

import contextlib
import io
import itertools
import re
from pathlib import Path

import nbformat
import numpy as np
import old_graphs
import pytest
import tensorflow as tf
from cifar_files import write_folder
from nbclient import NotebookClient
from pages import NOT_RUN, commands, examples_of, pages
from people import people
from PIL import Image
from processes import ROOT, run_script

import main
import main_imgs
from autoencoder import PARTS
from autoencoding.cli import command, tables
from autoencoding.models import MODELS
from autoencoding.parts.corruptions import CORRUPTIONS
from autoencoding.parts.optimizers import OPTIMIZERS
from autoencoding.training import run as run_module

pytestmark = pytest.mark.pages
TUTORIAL = ROOT / "docs" / "outliers.md"
ENGINES = ROOT / "docs" / "engines.md"  # `test_engines.py` runs its examples
NOTEBOOK = ROOT / "docs" / "chapter.ipynb"
PAGES = sorted((ROOT / "docs").glob("*.md"))
SCRIPTS = {
    "autoencoding": command.main,
    "main.py": main.main,
    "main_imgs.py": main_imgs.main,
    "main_table.py": tables.main,
}


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


def test_what_the_chapter_printed_runs_where_graphs_are_built():
    names = {}
    with tf.Graph().as_default(), contextlib.redirect_stdout(io.StringIO()) as printed:
        for example in examples_of(ROOT / "docs" / "chapter.md", "py"):
            exec(compile(example, "example", "exec"), names)
    losses = re.findall(r"^\d+ (\S+)$", printed.getvalue(), re.MULTILINE)
    assert len(losses) == 10
    assert float(losses[-1]) < float(losses[0])
    assert "compressed" in printed.getvalue()
    assert names["batch"].shape == (10, 4)
    assert names["grayscale"](np.ones((2, 3072))).shape == (2, 1024)


@pytest.fixture
def files(tmp_path):
    """What commands of the pages are given."""
    write_folder(tmp_path, 100)
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28), np.uint8)
    parts = {"x_train": images[:50], "x_test": images[50:]}
    labels = {"y_train": np.arange(50) % 10, "y_test": np.arange(10)}
    np.savez("mnist.npz", **parts, **labels)
    Image.fromarray(images[0]).save("cat.jpg")
    Path("FOLDER").mkdir()
    for number, pixels in enumerate(images):
        Image.fromarray(np.stack([pixels] * 3, axis=-1)).save(f"FOLDER/{number}.png")
    table = people().assign(zip="89073", started=range(200), notes="")
    table.insert(0, "name", [f"p{i:03}" for i in range(200)])
    Path("days").mkdir()
    for name in ("table.csv", "people.csv", "tomorrow.csv", "new.csv"):
        table.to_csv(name, index=False)
    for day in range(1, 4):
        table.drop(columns="started").to_csv(f"days/2024-11-{day:02}.csv", index=False)


def run_command(words, folder):
    """Run a command of a page in this process; what it loads is trained before."""
    program, *arguments = words
    script = "autoencoding"
    if program == "python":
        script, *arguments = arguments
    options = dict(itertools.pairwise(arguments))
    if "inspect" in arguments:
        old_graphs.save(arguments[1])
    for name in ("--load", "--start-from"):
        if name in options and not Path(options[name]).exists():
            of_days = "days" in f"{options.get('--data')} {options.get('--score')}"
            trained_on = "days" if of_days else "people.csv"
            tables.main(["--data", trained_on, "--checkpoint", options[name], "--output", "first"])
    SCRIPTS[script](arguments)


OF_TUTORIAL = [c for c in commands() if c.page == "outliers"]  # it runs from top to bottom, below


@pytest.mark.parametrize(
    "words",
    [c.words for c in commands() if c not in OF_TUTORIAL],
    ids=lambda words: "-".join(words)[:60],
)
def test_the_commands_of_the_pages_run(words, files, one_epoch, tmp_path, capsys):
    run_command(words, tmp_path)
    assert capsys.readouterr().out


def test_what_is_not_run_is_on_some_page():
    text = "\n".join(block for page in pages() for block in examples_of(page, "sh"))
    for start in NOT_RUN:
        assert re.search(rf"^{re.escape(start)}", text, re.MULTILINE), start


@pytest.mark.filterwarnings("default")
def test_the_notebook_runs_and_what_it_printed_is_in_it(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count == number for number, cell in enumerate(cells, start=1))
    kinds = [{output.output_type for output in cell.outputs} for cell in cells]
    assert NOTEBOOK.stat().st_size < 100_000
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        client.execute()
    again = [cell for cell in client.nb.cells if cell.cell_type == "code"]
    assert [{output.output_type for output in cell.outputs} for cell in again] == kinds


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


OTHERS = [ROOT / name for name in ("SECURITY.md", "CHANGELOG.md", "benchmarks/README.md")]


@pytest.mark.parametrize("page", [*pages(), *OTHERS], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    text = page.read_text()
    headings = {
        heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)", text, re.M)
    }
    for link in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = link.partition("#")
        assert link.startswith("http") or (page.parent / path).exists(), link
        assert path or anchor in headings, link
