"""The start of a run: its rows, what is fitted on them, and its state, agreed on by all workers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autoencoding.data import statistics
from autoencoding.data.rows import Rows, check, split
from autoencoding.parts import variables
from autoencoding.saving import checkpoints
from autoencoding.team import Team
from autoencoding.training import loop, steps
from autoencoding.training.state import TrainingState

if TYPE_CHECKING:
    from autoencoder import Autoencoder


class Start(NamedTuple):
    """What a run begins with; nothing of the model is changed yet."""

    rows: Rows  # of this worker
    validation: Rows | None
    state: TrainingState
    values: dict[str, np.ndarray]  # of variables, by name
    fresh: bool  # whether all other variables have their initial values
    remarks: list[str]


class Former(NamedTuple):
    """What a run goes on from: worker 0 has it, and tells the others."""

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
        rows, others = split(given, validation, seed)
        if team.size > 1 and not own_rows:
            rows = _share(rows, team)
            others = None if others is None else others.share(team.index, team.size)
        if former is None:
            found = statistics.gather(rows, model._input_scaler, model._target_scaler)
        else:
            check(rows)
        if others is not None:
            check(others)
    except Exception as raised:
        error = raised
    team.agree(error, **_alike(model, batch_size, others is not None, resume, warm_start))
    counts = [*zip(*team.gather_json([rows.n_rows, others.n_rows if others else 0]), strict=True)]
    if not own_rows and max(counts[0]) > min(counts[0]) + 1:
        shares = ", ".join(f"{count} rows" for count in counts[0])
        raise ValueError(
            f"all workers must be given the same rows, got shares of {shares}; where each has "
            "its own, use Cluster(..., own_rows=True)"
        )
    sizes = sum(counts[0]), sum(counts[1]), min(batch_size, min(counts[0]))
    n_rows, remarks = min(counts[0]), []
    if sizes[0] > team.size * n_rows:
        left_out = sizes[0] - team.size * n_rows
        remarks.append(
            f"{left_out} of {sizes[0]} rows are left out of each epoch, {n_rows} a worker"
        )
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


def _share(rows: Rows, team: Team) -> Rows:
    """Return the rows that are this worker's."""
    if 0 < rows.n_rows < team.size:
        name = rows.names["x"]
        raise ValueError(f"{name} must have a row for each of {team.size} workers")
    return rows.share(team.index, team.size)


def _former(model: Autoencoder, resume: bool, warm_start: bool, team: Team) -> Former | None:
    """Return what a run goes on from, as worker 0 has it; None where it begins anew."""
    error = state = None
    if team.is_first:
        try:
            if resume and model._state is None and model.checkpoint is not None:
                model._restore(*checkpoints.newest(model.checkpoint))
            if resume:
                state = model._require_trained()
            elif warm_start:
                state = model._state
        except Exception as raised:
            error = raised
    if team.size == 1:
        if error is not None:
            raise error
        return None if state is None else Former(state, {})
    team.agree(error)
    told = team.gather_json(state and state.to_json())[0]
    if told is None:
        return None
    values = team.of_first(variables.read(model.session))
    last = team.of_first((state and state.last) or {})
    return Former(TrainingState.from_json(told, last or None), values)


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
