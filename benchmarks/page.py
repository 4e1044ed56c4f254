"""Measure the page of a table's outliers: its size, and the seconds to write, draw and drag it.

    python -m benchmarks.page                          # 100,000 rows of 30 columns

Processes that score a table with and without `--report` take turns. The page is opened in a
headless Chromium (`make browser`, and `pip install selenium`), where the threshold is dragged.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import print_machine
from benchmarks.table import SCRIPT, frame, timed

sys.path.insert(0, str(SCRIPT.parent / "tests" / "helpers"))
import browser

DRAG = """
const [done, steps, times] = [arguments[0], 60, []];
const canvas = find("histogram"), box = canvas.getBoundingClientRect();
function move(step) {
  if (step === steps) return done(times);
  const [clientX, clientY] = [box.left + 60 + ((step * 37) % (box.width - 80)), box.top + 50];
  requestAnimationFrame(() => {
    const start = performance.now();
    canvas.dispatchEvent(new PointerEvent("pointermove", { buttons: 1, clientX, clientY }));
    requestAnimationFrame(() => setTimeout(() => {
      times.push(performance.now() - start);
      move(step + 1);
    }));
  });
}
move(0);
"""


def main() -> None:
    """Print the figures, beside their bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--passes", type=int, default=5)
    args = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        frame(args.rows).to_csv(folder / "table.csv", index=False)
        timed(folder, SCRIPT, "--data", "table.csv", "--seed", "0", "--epochs", "5")
        score = (SCRIPT, "--load", "table.ckpt", "--score", "table.csv")
        pairs = [
            (timed(folder, *score), timed(folder, *score, "--report")) for _ in range(args.passes)
        ]
        without, beyond = np.median(pairs, axis=0)[0], np.median(np.diff(pairs))
        page = folder / "scores" / "report.html"
        print(f"{args.rows} rows of 30 columns, {args.passes} passes")
        print(f"size                       {page.stat().st_size / 1e6:7.2f} MB  (bar 2)")
        print(f"scoring without a page     {without:7.2f} s")
        print(f"beyond that, with a page   {beyond:7.2f} s   (bar 3)")
        driver = browser.start(folder)
        drawn = [browser.opened(driver, page) for _ in range(args.passes)]
        print(f"opened and drawn           {np.median(drawn):7.2f} s   (bar 1)")
        times = driver.execute_async_script(DRAG)
        print(f"a drag, to the next frame  {np.median(times):7.0f} ms  (bar 50)")
        print(f"  the slowest of {len(times)}        {max(times):7.0f} ms")
        driver.quit()


if __name__ == "__main__":
    main()
