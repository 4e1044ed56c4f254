"""A journal of what a long job has finished, so that it goes on after a stop."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any


class Journal:
    """Note in a file which parts of a job are finished, a line of JSON for each.

    Parameters
    ----------
    path : Path
    job : dict
        What the results of all parts depend on; JSON holds it.

    Attributes
    ----------
    parts : dict of dicts
        What has been noted of each finished part of this job, by name.
    """

    def __init__(self, path: Path, job: dict[str, Any]) -> None:
        self.path, self.job = path, job
        self.parts: dict[str, dict[str, Any]] = {}
        lines = _lines(path)
        self.other_parts = [line["part"] for line in lines[1:]]  # of another job
        if lines and lines[0] == {"job": job}:
            self.other_parts = []
            self.parts = {line.pop("part"): line for line in lines[1:]}

    def begin(self) -> None:
        """Begin the file, if it is not of this job."""
        if not self.path.exists() or self.other_parts or not self.parts:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps({"job": self.job}) + "\n", encoding="utf-8")

    def add(self, part: str, **noted: Any) -> None:
        """Note that a part is finished."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps({"part": part, **noted}))  # after a line cut short, too
        self.parts[part] = noted


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal; the last may have been cut short."""
    lines = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
    return lines
