"""Old code gives the messages of `docs/migrating.md`, and the plain listing runs."""

import re
import runpy
from pathlib import Path

import pytest
import tensorflow.compat.v1 as tf1
from pages import examples_of
from processes import ROOT, run_script

PAGE = ROOT / "docs" / "migrating.md"
LISTING = "examples/listing_today.py"
HEADING = re.compile(r"^## `([^\n]+)`\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
SECTIONS = dict(HEADING.findall(PAGE.read_text()))  # by the messages above them


@pytest.fixture
def first_image():
    """The first bytes of CIFAR-10's first image, in a dict, as Python 2 pickled them."""
    Path("cifar-10-batches-py").mkdir()
    pixels = bytes([59, 43, 50, 68, 98, 119, 139])
    pickled = b"\x80\x02}U\x04dataU\x07" + pixels + b"s."
    Path("cifar-10-batches-py/data_batch_1").write_bytes(pickled)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("message", SECTIONS)
def test_old_code_gives_the_message_above_it(message, first_image):
    (code,) = re.findall(r"```py\n(.*?)```", SECTIONS[message], re.DOTALL)
    with pytest.raises(Exception) as error:
        exec(compile(code, "old", "exec"), {})
    assert message in str(error.value)


def test_each_message_has_what_to_write_today():
    assert len(SECTIONS) >= 15
    for message, section in SECTIONS.items():
        assert len(re.findall(r"^```python$", section, re.MULTILINE)) == 1, message
    assert len(examples_of(PAGE, "py")) == len(SECTIONS)


def test_the_listing_runs_as_it_is(tmp_path, capsys):
    ran = run_script(LISTING, "--epochs", 11, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    losses = [float(loss) for loss in re.findall(r"loss = (\S+)", ran.stdout)]
    assert len(losses) == 2
    assert losses[-1] < losses[0]
    names = {name for name, _ in tf1.train.list_variables("listing.ckpt")}
    assert {f"{way}/{of}" for way in ("encode", "decode") for of in ("weights", "biases")} < names
    listing = runpy.run_path(str(ROOT / LISTING))["Autoencoder"](4, 1)
    listing.test([[8, 4, 6, 2]])
    restored = capsys.readouterr().out
    assert restored.startswith("input [[8, 4, 6, 2]]\ncompressed [[")
    assert ran.stdout.endswith(restored)


def test_the_listing_needs_nothing_of_this_project():
    source = (ROOT / LISTING).read_text()
    assert len(source.splitlines()) <= 60
    imported = set(re.findall(r"^(?:from|import) ([\w.]+)", source, re.MULTILINE))
    assert imported == {"argparse", "tensorflow.compat.v1", "sklearn.datasets"}
