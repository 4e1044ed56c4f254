"""Two processes of this machine that train one model."""

import json
import random
import re
import socket
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
from people import people
from processes import run_python
from workers import ended, free_ports, run_workers, start_workers

from autoencoding import evaluate, load

COMMON = textwrap.dedent("""
    import hashlib, json, os, signal, sys
    import numpy as np
    from sklearn.datasets import load_iris
    from autoencoder import Autoencoder
    from autoencoding import DenoisingAutoencoder, VariationalAutoencoder, evaluate
    from autoencoding.parts import variables
    from autoencoding.training import reporting
    from autoencoding.training.cluster import Cluster

    iris = load_iris().data
    cluster = Cluster.from_environment(timeout=60)
    first = cluster.index == 0
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(301, 4)) @ generator.normal(size=(4, 8))
    quiet = {"verbose": False, "progress_bar": False, "cluster": cluster}

    def digest(ae):
        values = variables.read(ae.session)
        return hashlib.sha256(b"".join(values[k].tobytes() for k in sorted(values))).hexdigest()
""")


def script(code):
    """Code after what all of these tests begin with."""
    return COMMON + textwrap.dedent(code)


def told(outputs):
    """What workers have printed as JSON in their last lines."""
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def test_two_workers_end_with_the_same_weights_again_and_again(tmp_path):
    code = """
        found = {}
        kinds = {"plain": Autoencoder, "denoising": DenoisingAutoencoder}
        for name, kind in {**kinds, "variational": VariationalAutoencoder}.items():
            for data in (rows, [rows[:100], rows[100:]]):
                with kind(8, 2, 12, 0.01, seed=0 if first else 5, checkpoint=None) as ae:
                    history = ae.train(data, 10, validation=rows[:50], **quiet)
                    found.setdefault(name, []).append([digest(ae), history])
        class Again:
            def __iter__(self):
                yield from (rows[:7], rows[7:8], rows[8:])
        with Autoencoder(8, 2, 3, seed=0, checkpoint=None) as ae:
            ae.train(Again(), target=Again(), **quiet)
            found["iterated"] = [[digest(ae), {}]] * 2
        with Autoencoder(8, 2, 3, seed=0, checkpoint=None) as ae:
            ae.train(rows[:1] if first else rows, cluster=Cluster(cluster.workers, cluster.index,
                average_every=1, timeout=50, own_rows=True), verbose=False)
            found["own"] = [[digest(ae), {}]] * 2
        checkpoint = "iris.ckpt" if first else "never.ckpt"
        with Autoencoder(4, 1, 250, seed=0, checkpoint=checkpoint) as ae:
            ae.train(iris, 1, every=50, log="log" if first else "nolog", cluster=cluster)
            found["iris"] = [[digest(ae), evaluate(ae, iris).ratio]] * 2
        print(json.dumps(found))
    """
    outputs = run_workers(script(code), tmp_path)
    assert [output.count("epoch 200: loss = ") for output in outputs] == [1, 0]
    assert len(outputs[1].splitlines()) == 1
    one, other = told(outputs)
    for name, found in one.items():
        assert found[0] == found[1], name  # the same rows in another form are the same run
        assert found == other[name]
    assert len(one["plain"][0][1]["validation_loss"]) == 12
    assert one["iris"][0][1] < 1.02
    with load(tmp_path / "iris.ckpt") as ae:
        assert evaluate(ae, np.array(iris_rows())).ratio == pytest.approx(one["iris"][0][1])
    assert {path.name for path in tmp_path.iterdir()} == {"iris.ckpt", "log"}


def iris_rows():
    from sklearn.datasets import load_iris

    return load_iris().data


def test_workers_stop_together_and_resume_to_the_bit(tmp_path):
    code = """
        reports = []

        def report(self, epoch, own=reporting.Reports.report):
            own(self, epoch)
            reports.append(epoch)
            if len(reports) == stop_at and cluster.index == stopped:
                os.kill(os.getpid(), signal.SIGINT)

        reporting.Reports.report = report
        options = {"optimizer": "adam", "corruption": "gaussian", "seed": 3}
        found = []
        for stopped, stop_at in ((0, 10**9), (0, 2), (1, 4)):
            reports.clear()
            folder = f"{stopped}-{stop_at}.ckpt" if first else None
            with Autoencoder(8, 2, 20, 0.01, checkpoint=folder, **options) as ae:
                try:
                    ae.train(rows, 10, every=3, validation=0.2, **quiet)
                except KeyboardInterrupt as interrupt:
                    found.append(str(interrupt).partition(" steps")[0])
            with Autoencoder(8, 2, 20, 0.01, checkpoint=folder, **options) as ae:
                history = ae.train(rows, 10, every=3, validation=0.2, resume=True, **quiet)
                found.append([digest(ae), history])
        print(json.dumps(found))
    """
    one, other = told(run_workers(script(code), tmp_path))
    assert one == other
    undisturbed, stopped, resumed, stopped_later, resumed_later = one
    assert stopped.startswith("training stopped after ")
    assert stopped_later.startswith("training stopped after ")
    assert stopped != stopped_later
    assert resumed == resumed_later == undisturbed
    code = """
        for folder in ("0-2.ckpt",):
            ae = Autoencoder(8, 2, 20, 0.01, checkpoint=folder, optimizer="adam",
                corruption="gaussian", seed=3)
            print(ae.train(rows, 10, every=3, validation=0.2, resume=True, verbose=False))
    """
    alone = script(code).replace("cluster = ", "cluster = Cluster(('a:1',), 0) #", 1)
    printed = run_python(alone, tmp_path)  # as scripts with a progress bar do
    assert "resumed with workers: 1, before 2; weights will not be those" in printed


def test_what_differs_among_workers_or_is_wrong_on_one_is_told_by_all(tmp_path):
    code = """
        from autoencoding.data.rows import Rows
        errors = []

        def attempt(kind=Autoencoder, data=rows, batch_size=10, options=None, **more):
            with kind(8, 2, 1, checkpoint=None, **(options or {})) as ae:
                try:
                    ae.train(data, batch_size, **{**quiet, **more})
                    errors.append("none")
                except Exception as error:
                    errors.append(f"{type(error).__name__}: {error}")

        attempt(options={"learning_rate": 0.1 if first else 0.2})
        attempt(Autoencoder if first else DenoisingAutoencoder)
        attempt(batch_size=10 if first else 20)
        attempt(data=rows if first else rows[:200])
        attempt(data=rows if first else np.where(rows > 2, np.nan, rows))
        attempt(resume=True)
        attempt(data=rows[:1])
        attempt(options={"scaling": {"name": "range", "low": -99, "high": 99}},
            data=rows if first else rows * 1000)
        attempt(data=rows if first else rows[::-1])
        attempt()
        print(json.dumps(errors))
    """
    one, other = told(run_workers(script(code), tmp_path))
    expected = [
        ("learning_rate, got 0.1 on worker 0 and 0.2 on worker 1",) * 2,
        ("class, got 'Autoencoder' on worker 0 and 'DenoisingAutoencoder' on worker 1",) * 2,
        ("batch_size, got 10 on worker 0 and 20 on worker 1",) * 2,
        ("must be given the same rows, got shares of 151 rows, 100 rows",) * 2,
        ("worker 1 has stopped with ValueError: data must be finite", "data must be finite"),
        ("this model is not trained", "worker 0 has stopped with RuntimeError: this model is not"),
        ("data must have a row for each of 2 workers",) * 2,
        ("worker 1 has stopped with ValueError: data must be from", "data must be from -99 to 99"),
        ("those of worker 1 are not those of worker 0; where each has",) * 2,
        ("none", "none"),
    ]
    for messages, own, others in zip(expected, one, other, strict=True):
        assert messages[0] in own
        assert messages[1] in others


def killed(tmp_path, victim, seconds=None):
    """What the other worker printed, its status, and how long it took, after one was killed.

    It is killed after so long, or when something is saved.
    """
    code = """
        checkpoint = "k.ckpt" if first else None
        quiet["cluster"] = Cluster.from_environment(timeout=15)
        print("ready", flush=True)
        with DenoisingAutoencoder(8, 2, 10**6, seed=0, checkpoint=checkpoint) as ae:
            ae.train(rows, 10, every=5, **quiet)
    """
    workers = start_workers(script(code), tmp_path)
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    end = time.monotonic() + (60 if seconds is None else seconds)
    while time.monotonic() < end and not (seconds is None and any(tmp_path.glob("k.ckpt/*.json"))):
        time.sleep(0.05)
    workers[victim].kill()
    start = time.monotonic()
    _, error, status = ended([workers[1 - victim]], 60)[0]
    workers[victim].communicate()
    return error, status, time.monotonic() - start


@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_that_is_killed_ends_the_other(victim, tmp_path):
    error, status, seconds = killed(tmp_path, victim)
    assert status == 1
    assert f"ConnectionError: worker {victim} at 127.0.0.1:" in error.splitlines()[-1]
    assert error.rstrip().endswith("has ended; start all workers again, with resume to go on")
    assert seconds < 20
    with load(tmp_path / "k.ckpt") as ae:
        assert np.isfinite(ae.encode(np.zeros((2, 8)))).all()


@pytest.mark.slow
def test_twenty_kills_at_any_moment(tmp_path):
    moments = random.Random(11)
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        error, status, seconds = killed(folder, number % 2, moments.uniform(0, 6))
        assert status == 1, error
        assert "Error: worker" in error.splitlines()[-1]
        assert seconds < 30
        if list(folder.glob("k.ckpt/*.json")):
            load(folder / "k.ckpt").close()


def test_a_worker_that_never_comes_and_a_port_in_use_are_told_in_time(tmp_path):
    code = """
        import sys
        for index, ports in json.loads(sys.argv[1]):
            workers = tuple(f"127.0.0.1:{port}" for port in ports)
            try:
                with Autoencoder(4, 1, 1, checkpoint=None) as ae:
                    ae.train(iris, cluster=Cluster(workers, index, timeout=1.5))
            except OSError as error:
                print(type(error).__name__, error)
    """
    first, second, third = (free_ports(2) for _ in range(3))
    alone = script(code).replace("cluster = ", "cluster = Cluster(('a:1',), 0) #", 1)
    with socket.create_server(("127.0.0.1", third[1])):
        asked = json.dumps([[0, first], [1, second], [1, third]])
        printed = run_python(alone, tmp_path, asked).splitlines()
    assert printed[0].startswith(f"TimeoutError worker 1 at 127.0.0.1:{first[1]} has not come with")
    assert printed[1].startswith(
        f"TimeoutError worker 0 at 127.0.0.1:{second[0]} has not come with"
    )
    assert printed[2].startswith(f"OSError worker 1 can't listen at 127.0.0.1:{third[1]}, as its")


def test_scripts_train_together_and_the_first_alone_writes(tmp_path):
    table = pd.concat([people()] * 2, ignore_index=True)
    (tmp_path / "parts").mkdir()
    for i, rows in enumerate((50, 150, 100, 100)):
        table[:rows].to_csv(tmp_path / f"parts/{i}.csv", index=False)
    options = ["--epochs", "3", "--cluster", "--cluster-timeout", "60", "--checkpoint", "own.ckpt"]
    first, second = run_workers(["main_table.py", "--data", "parts", *options], tmp_path)
    assert "400 rows; what columns are:" in first
    assert "of 400 rows are outliers" in first
    assert re.search(r"400 rows, \d+ numbers each; 13[2-4] not trained on, for p-values", first)
    assert second == ""
    assert len(list((tmp_path / "table/outliers").iterdir())) == 4
    images = ["main_imgs.py", "--sample", "--epochs", "1", "--cluster", "--average-every", "3"]
    first, second = run_workers(images, tmp_path)
    assert ("saved ./images.png" in first, second) == (True, "")
