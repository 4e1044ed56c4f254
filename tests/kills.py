"""Kill a training run again and again; report as JSON whether what it left behind loads.

TensorFlow is imported once: each run is a fork, which first loads what the killed one left.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np

from autoencoder import Autoencoder

FOLDER = Path("killed.ckpt")


def has_complete_save():
    return any(FOLDER.glob("model-*.json"))


def train_until_killed():
    """Load the newest save, if there is one, then resume, saving after every epoch."""
    data = np.load("iris.npy")
    resume = has_complete_save()
    if resume:
        with Autoencoder.load(FOLDER) as kept:
            assert np.isfinite(kept.reconstruct(data)).all()
        print("loaded", flush=True)
    ae = Autoencoder(4, 2, epoch=100_000, seed=0, checkpoint=FOLDER)
    ae.train(data, 50, every=1, verbose=False, resume=resume)


def in_a_fork(run, output):
    """Start a run whose output goes to a file; return its process."""
    child = os.fork()
    if child:
        return child
    os.dup2(output, 1)
    try:
        run()
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
    os._exit(1)


def wait_for(condition, seconds=120):
    """Poll until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def main(kills, seed):
    """Kill so many runs; the last line printed is the report."""
    moments = random.Random(seed)
    report = {"killed": 0, "loaded": 0, "failed": []}
    written = Path("output.txt")
    for number in range(kills):
        with written.open("w+") as output:
            child = in_a_fork(train_until_killed, output.fileno())
            wait_for(written.read_text if number else has_complete_save)
            time.sleep(moments.uniform(0, 2))  # building, compiling, training or saving
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        text = written.read_text()
        report["killed"] += os.WIFSIGNALED(status)
        report["loaded"] += text.startswith("loaded")
        if not os.WIFSIGNALED(status):
            report["failed"].append(text)
    print(json.dumps(report))
