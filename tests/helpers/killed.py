"""A scorer whose process is killed once, and which notes how often processes load their model."""

import os
import signal

import autoencoding
from autoencoding.estimators import scorer as module

FATAL = "p100"  # the row at which


class Killed:
    def __init__(self, score, folder):
        self.score, self.folder = score, folder
        self.dtypes, self.ddl = score.dtypes, score.ddl

    def __call__(self, frame):
        if FATAL in {*frame["id"]}:
            try:
                open(f"{self.folder}/killed", "x").close()
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        result = self.score(frame)
        with open(f"{self.folder}/loads", "a") as file:
            file.write(f"{os.getpid()} {module._load.cache_info().misses}\n")
        return result


def scorer(path, **options):
    return Killed(autoencoding.scorer(path, **options), os.getcwd())
