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
from autoencoding.parts import variables

FOLDER = Path("killed.ckpt")
DONE = Path("done.npz")


def saves(folder):
    """Numbers of the complete saves; older ones go when newer ones come."""
    return {path.name for path in folder.glob("model-*.json")}


def train(folder, data):
    """Train up to 20 epochs, or less by patience, saving after each; resume what there is."""
    resume = bool(saves(folder))
    if resume:
        ae = Autoencoder.load(folder, checkpoint=folder)
        assert np.isfinite(ae.reconstruct(data)).all()
        print("loaded", flush=True)
    else:
        options = {"optimizer": "adam", "schedule": "plateau", "seed": 0}
        ae = Autoencoder(4, 2, epoch=20, learning_rate=0.03, checkpoint=folder, **options)
    history = ae.train(data, 4, validation=0.2, patience=30, every=1, verbose=False, resume=resume)
    values = variables.read(ae.session) | {f"history of {k}": v for k, v in history.items()}
    return values | {f"last {k}": v for k, v in (ae._state.last or {}).items()}


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


def ended(child, seconds, until=lambda: False):
    """Wait so long for a process, or until something holds; its status, or None while it runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        if (status := os.waitpid(child, os.WNOHANG))[0]:
            return status[1]
        time.sleep(0.002)
    return None


def killed_at_random(child, moments, start, training):
    """Wait for a run to end, or kill it; its status.

    Of four, one is killed at any moment, and three soon after they have saved: loading, building
    and compiling take most of the time, and a killed run does its share of the whole.
    """
    before, status = saves(FOLDER), None
    patience = moments.uniform(0, start)
    if moments.random() < 0.75:
        status = ended(child, 600, until=lambda: saves(FOLDER) - before)
        patience = moments.uniform(0, training / 4)
    if status is None and (status := ended(child, patience)) is None:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    return status


def same(one, other):
    with np.load(one) as a, np.load(other) as b:
        return sorted(a) == sorted(b) and all(np.array_equal(a[name], b[name]) for name in a)


def main(kills, seed):
    """Kill so many runs; the last line printed is the report."""
    data, moments = np.load("iris.npy"), random.Random(seed)
    report = {"killed": 0, "loaded": 0, "finished": 0, "different": 0, "failed": []}
    reference, written = Path("reference.npz"), Path("output.txt")
    whole = Path("whole.ckpt")
    with written.open("w+") as output:
        begin = time.monotonic()
        child = in_a_fork(lambda: train_to_the_end(whole, data, reference), output.fileno())
        assert ended(child, 600, until=lambda: saves(whole)) is None, written.read_text()
        saved = time.monotonic()
        assert ended(child, 600) == 0, written.read_text()
    start, training = saved - begin, time.monotonic() - saved
    while True:
        with written.open("w+") as output:
            child = in_a_fork(lambda: train_to_the_end(FOLDER, data, DONE), output.fileno())
            if report["killed"] < kills:
                status = killed_at_random(child, moments, start, training)
            else:
                status = ended(child, 600)
        text = written.read_text()
        report["killed"] += os.WIFSIGNALED(status)
        report["loaded"] += text.startswith("loaded")
        if not os.WIFSIGNALED(status) and status:
            report["failed"].append(text)
            break
        if DONE.exists():
            report["finished"] += 1
            report["different"] += not same(DONE, reference)
            DONE.unlink()
            shutil.rmtree(FOLDER)
            if report["killed"] == kills:
                break
    print(json.dumps(report))
