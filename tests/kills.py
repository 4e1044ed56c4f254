"""Kill training runs again and again; report as JSON whether they end as if never killed.

TensorFlow is imported once: each run is a fork, which first loads what the killed one left, then
resumes it. A run that gets to its end is compared to one that was never killed, and the next
begins anew.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np

from autoencoder import Autoencoder
from autoencoding.graph import variables

FOLDER = Path("killed.ckpt")
DONE = Path("done.npz")


def train(folder, data):
    """Train up to 20 epochs, or less by patience, saving after each; resume what there is."""
    resume = any(folder.glob("model-*.json"))
    if resume:
        with Autoencoder.load(folder) as kept:
            assert np.isfinite(kept.reconstruct(data)).all()
        print("loaded", flush=True)
    options = {"optimizer": "adam", "schedule": "plateau", "seed": 0}
    with Autoencoder(4, 2, epoch=20, learning_rate=0.03, checkpoint=folder, **options) as ae:
        history = ae.train(
            data, 4, validation=0.2, patience=30, every=1, verbose=False, resume=resume
        )
        values = variables.read(ae.session) | {f"history of {k}": v for k, v in history.items()}
        return values | {f"last {k}": v for k, v in (ae._progress.last or {}).items()}


def train_to_the_end(folder, data, result):
    values = train(folder, data)
    np.savez(result.with_suffix(".unfinished.npz"), **values)
    result.with_suffix(".unfinished.npz").replace(result)


def in_a_fork(run, output):
    """Start a run whose output goes to a file; return its process."""
    child = os.fork()
    if child:
        return child
    os.dup2(output, 1)
    status = 1
    try:
        run()
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.stdout)
    sys.stdout.flush()
    os._exit(status)


def ended(child, seconds):
    """Wait so long for a process; its status, or None where it is still running."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (status := os.waitpid(child, os.WNOHANG))[0]:
            return status[1]
        time.sleep(0.005)
    return None


def same(one, other):
    with np.load(one) as a, np.load(other) as b:
        return sorted(a) == sorted(b) and all(np.array_equal(a[name], b[name]) for name in a)


def main(kills, seed):
    """Kill so many runs; the last line printed is the report."""
    data, moments = np.load("iris.npy"), random.Random(seed)
    report = {"killed": 0, "loaded": 0, "finished": 0, "different": 0, "failed": []}
    reference, written = Path("reference.npz"), Path("output.txt")
    with written.open("w+") as output:
        start = time.monotonic()
        child = in_a_fork(
            lambda: train_to_the_end(Path("whole.ckpt"), data, reference), output.fileno()
        )
        assert os.waitpid(child, 0)[1] == 0, written.read_text()
        length = time.monotonic() - start
    while report["killed"] < kills or not DONE.exists():
        with written.open("w+") as output:
            child = in_a_fork(lambda: train_to_the_end(FOLDER, data, DONE), output.fileno())
            patience = moments.uniform(0, length) if report["killed"] < kills else 600
            status = ended(child, patience)
            if status is None:
                os.kill(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
        text = written.read_text()
        report["killed"] += os.WIFSIGNALED(status)
        report["loaded"] += text.startswith("loaded")
        if not os.WIFSIGNALED(status) and status:
            report["failed"].append(text)
            break
        if DONE.exists() and report["killed"] < kills:
            report["finished"] += 1
            report["different"] += not same(DONE, reference)
            DONE.unlink()
            shutil.rmtree(FOLDER)
    report["finished"] += 1
    report["different"] += not same(DONE, reference)
    print(json.dumps(report))
