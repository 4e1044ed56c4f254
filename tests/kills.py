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


def main(kills, seed):
    """Kill so many runs; the last line printed is the report."""
    moments = random.Random(seed)
    report = {"killed": 0, "loaded": 0, "failed": []}
    for _ in range(kills):
        with open("output.txt", "w+") as output:
            child = in_a_fork(train_until_killed, output.fileno())
            time.sleep(moments.uniform(0.8, 2.5))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            output.seek(0)
            text = output.read()
        report["killed"] += os.WIFSIGNALED(status)
        report["loaded"] += text.startswith("loaded")
        if not os.WIFSIGNALED(status):
            report["failed"].append(text)
    print(json.dumps(report))
