"""The start of a run: its rows, what is fitted on them, and its state, agreed on by all workers."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autoencoding.data import statistics
from autoencoding.data.rows import Rows, Table, check, split
from autoencoding.parts import variables
from autoencoding.saving import checkpoints
from autoencoding.team import ALONE, Team
from autoencoding.training import loop, steps
from autoencoding.training.state import TrainingState

if TYPE_CHECKING:
    from autoencoder import Autoencoder


COMPARED = 64  # rows, to find out whether workers were given the same


class Start(NamedTuple):
    """Hold what a run begins with; nothing of the model is changed yet."""

    rows: Rows  # of this worker
    validation: Rows | None
    state: TrainingState
    values: dict[str, np.ndarray]  # of variables, by name
    fresh: bool  # whether all other variables have their initial values
    remarks: list[str]


class Former(NamedTuple):
    """Hold what a run goes on from: worker 0 has it, and tells the others."""

    state: TrainingState
    values: dict[str, np.ndarray]  # of all variables, by name; none where they are the model's own


def prepare(
    model: Autoencoder,
    given: Rows,
    batch_size: int,
    *,
    validation: Any,
    resume: bool,
    warm_start: bool,
    team: Team,
    own_rows: bool,
) -> Start:
    """Check the rows and the options of a run, and plan it.

    Options are those of `Autoencoder.train`, and `own_rows` is that of `Cluster`.

    Raises
    ------
    ValueError
        Rows or options are wrong, or differ among workers.
    FileNotFoundError, RuntimeError
        There is nothing to resume.
    """
    former = _former(model, resume, warm_start, team)
    seed = former.state.seed if former and resume else team.gather_json(model.seed)[0]
    rows, others, found, error = given, None, None, None
    try:
        rows, others = _divided(given, validation, seed, ALONE if own_rows else team)
        if former is None:
            found = statistics.gather(rows, model._input_scaler, model._target_scaler)
        else:
            check(rows)
    except Exception as raised:
        error = raised
    team.agree(error, **_alike(model, batch_size, others is not None, resume, warm_start))
    same = _digest(given) if team.size > 1 and not own_rows else ""
    own = [rows.n_rows, others.n_rows if others else 0, same]
    counts, validated, digests = zip(*team.gather_json(own), strict=True)
    n_rows, remarks = min(counts), _remarks_on(counts, digests, own_rows)
    sizes = sum(counts), sum(validated), min(batch_size, n_rows)
    if former and resume:
        state = _resumed(former.state, sizes, model.epoch)
        if (state.workers, state.n_rows) != (team.size, n_rows):
            remarks.append(
                f"resumed with workers: {team.size}, before {state.workers}; weights will not be "
                "those of an undisturbed run"
            )
            state.divide(n_rows, team.size)
            _decide_how(state, model)
        return Start(rows, others, state, former.values, False, remarks)
    state = TrainingState(n_rows, *sizes[1:], model.epoch, seed, compiled=False)
    state.workers, state.total_rows = team.size, sizes[0]
    _decide_how(state, model)
    if former:
        state.float64, state.warm_starts = former.state.float64, former.state.warm_starts + 1
        return Start(rows, others, state, former.values, False, remarks)
    with warnings.catch_warnings():
        if not team.is_first:
            warnings.simplefilter("ignore")
        assert found is not None
        scalers = model._input_scaler, model._target_scaler
        fitted = statistics.fit(found.of_all(team), *scalers, model._baselines)
    state.float64 = fitted.float64
    return Start(rows, others, state, fitted.variables | model._start, True, remarks)


def _divided(given: Rows, validation: Any, seed: int, team: Team) -> tuple[Rows, Rows | None]:
    """Return the rows that are this worker's of a team, to train and to validate on."""
    rows, others = split(given, validation, seed)
    if team.size == 1:
        return rows, others
    if 0 < rows.n_rows < team.size:
        name = rows.names["x"]
        raise ValueError(f"{name} must have a row for each of {team.size} workers")
    own = rows.share(team.index, team.size)
    if others is None:
        return own, None
    others = others.share(team.index, team.size)
    check(others)  # which counts its rows
    return own, others


def _digest(given: Rows) -> str:
    """Return the SHA-256 of some rows; none of rows without numbers."""
    digest = hashlib.sha256()
    if isinstance(given, Table):
        numbers = np.linspace(0, given.n_rows - 1, COMPARED).astype(int)
        for values in given.take(numbers).inputs.values():  # [COMPARED, d] each
            digest.update(values.astype(np.float32).tobytes())
    return digest.hexdigest()


def _remarks_on(counts: Sequence[int], digests: Sequence[str], own_rows: bool) -> list[str]:
    """Check that workers have been given the same rows; tell how many of them are left out."""
    differing = next((i for i, digest in enumerate(digests) if digest != digests[0]), None)
    if not own_rows and max(counts) > min(counts) + 1:
        shares = ", ".join(f"{count} rows" for count in counts)
        raise ValueError(
            f"all workers must be given the same rows, got shares of {shares}; where each has "
            "its own, use Cluster(..., own_rows=True)"
        )
    if differing is not None:
        raise ValueError(
            f"all workers must be given the same rows, but those of worker {differing} are not "
            "those of worker 0; where each has its own, use Cluster(..., own_rows=True)"
        )
    left_out = sum(counts) - len(counts) * min(counts)
    if not left_out:
        return []
    return [f"{left_out} of {sum(counts)} rows are left out of each epoch, {min(counts)} a worker"]


def _former(model: Autoencoder, resume: bool, warm_start: bool, team: Team) -> Former | None:
    """Return what a run goes on from, as worker 0 has it; None where it begins anew."""
    asked = (resume, warm_start) if team.is_first else (False, False)
    state = team.tell(_own_state, model, *asked)
    if team.size == 1:
        return None if state is None else Former(state, {})
    told = team.gather_json(state and state.to_json())[0]
    if told is None:
        return None
    values = team.of_first(variables.read(model.session))
    last = team.of_first((state and state.last) or {})
    return Former(TrainingState.from_json(told, last or None), values)


def _own_state(model: Autoencoder, resume: bool, warm_start: bool) -> TrainingState | None:
    """Return the state that this process goes on from, restored where it is to be resumed."""
    if resume and model._state is None and model.checkpoint is not None:
        model._restore(*checkpoints.newest(model.checkpoint))
    if resume:
        return model._require_trained()
    return model._state if warm_start else None


def _alike(model: Autoencoder, *options: Any) -> dict[str, Any]:
    """Return what must be the same on all workers, by what it is called in messages."""
    parameters = {"class": type(model).__name__, **model.parameters}
    del parameters["seed"]  # that of worker 0 counts
    names = "batch_size", "validation", "resume", "warm_start"
    return {**parameters, **dict(zip(names, options, strict=True))}


def _resumed(state: TrainingState, sizes: tuple[int, int, int], epochs: int) -> TrainingState:
    """Return the state to resume, which must be of these sizes."""
    expected = state.total_rows, state.n_validation, state.batch_size
    if sizes != expected:
        raise ValueError(
            "data, validation and batch_size must be those of the run to resume, which had "
            "{} rows, {} for validation, {} a step; got {}, {} and {}".format(*expected, *sizes)
        )
    state.epochs = epochs
    return state


def _decide_how(state: TrainingState, model: Autoencoder) -> None:
    """Decide whether a run is compiled, and whether its steps are taken in a loop in the graph."""
    flops = 6.0 * model._multiplications * state.n_rows
    pays = loop.worth_compiling(state.steps_per_epoch, flops)
    state.compiled = pays and model._compiles
    few = state.steps_per_epoch <= steps.FEW and model._compiles
    state.looped = state.compiled or not few
