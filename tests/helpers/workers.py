"""Workers of a cluster: processes of this machine, or threads that stand for them."""

import json
import socket
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

from processes import ENVIRONMENT, ROOT

from autoencoding.team import Team


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [own.getsockname()[1] for own in sockets]
    for own in sockets:
        own.close()
    return ports


def config(ports, index):
    """The TF_CONFIG of a worker."""
    workers = [f"127.0.0.1:{port}" for port in ports]
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": workers}, "task": task})


def start_workers(command, folder, count=2, ports=None):
    """Start a command, or code, as all workers of a cluster; the last is started first."""
    ports = ports or free_ports(count)
    if isinstance(command, str):
        command = ["-c", textwrap.dedent(command)]
    else:
        command = [ROOT / command[0], *command[1:]]
    workers = []
    for index in reversed(range(count)):
        environment = {**ENVIRONMENT, "TF_CONFIG": config(ports, index)}
        workers.append(
            subprocess.Popen(
                [sys.executable, "-u", *map(str, command)],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return workers[::-1]


def ended(workers, seconds=120):
    """What workers have printed, their errors and their statuses, when they have ended."""
    with ThreadPoolExecutor(len(workers)) as pool:
        results = list(pool.map(lambda worker: worker.communicate(timeout=seconds), workers))
    return [(*texts, worker.returncode) for texts, worker in zip(results, workers, strict=True)]


def run_workers(command, folder, count=2):
    """What workers have printed, who must all end well."""
    results = ended(start_workers(command, folder, count))
    for _, error, status in results:
        assert status == 0, error
    return [output for output, _, _ in results]


def in_threads(work, size):
    """What a function returns for each team of so many, or raises; threads stand for workers."""
    barrier, arrays = threading.Barrier(size), [None] * size

    def exchange(index):
        def total(array):
            arrays[index] = array
            barrier.wait(60)
            lengths = {(len(own), own.dtype) for own in arrays}
            assert len(lengths) == 1, lengths
            summed = sum(arrays[1:], arrays[0].copy())
            barrier.wait(60)
            return summed

        return total

    def run(index):
        try:
            return work(Team(index, size, exchange(index)))
        except Exception as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))
