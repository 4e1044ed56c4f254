"""The examples of pages of documentation."""

import re
import shlex
from typing import NamedTuple

from processes import ROOT

# Commands of the pages that no test runs as they stand there, and why
NOT_RUN = {
    "pip install .": "it would change the environment; `.ci/run` installs the requirements",
    "git clone": "the repository is there",
    "make": "the tests themselves, or what takes as long",
    ".venv/bin/pre-commit install": "it would change the checkout",
    "python main_imgs.py --download": "it needs the network",
    "python main_imgs.py --cluster": "it takes two shells, as in `tests/training/test_workers.py`",
    "export TF_CONFIG": "it is of the command before",
}


class Command(NamedTuple):
    page: str
    words: list[str]


def examples_of(page, language="python"):
    """The fenced blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def pages():
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands():
    """All commands of the pages but those of `NOT_RUN`, each once."""
    found = {}
    for page in pages():
        for line in "\n".join(examples_of(page, "sh")).splitlines():
            words = shlex.split(line, comments=True)
            text = " ".join(words)
            if words and not any(text.startswith(start) for start in NOT_RUN):
                found.setdefault(text, Command(page.stem, words))
    return list(found.values())
