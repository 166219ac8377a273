"""Optimizers and schedules of learning rates."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np

from netlayers.errors import NonFiniteError
from netlayers.layers import Dense
from netlayers.models import Sequential
from netlayers.optimizers import Optimizer
from netlayers.optimizers.rules import WEIGHTS
from netlayers.optimizers.schedules import (
    CosineDecay,
    ExponentialDecay,
    LearningRateSchedule,
    LinearWarmup,
    OneCycle,
)
from netlayers.testing.arguments import BASES, OBSERVE, importable
from netlayers.testing.contract import Example, check
from netlayers.testing.values import require, same

BASES[Optimizer] = "optimizer"
BASES[LearningRateSchedule] = "schedule"
_STATE = "keep everything that lasts from update to update in the vectors of state_names"


def _frozen_in_the_middle(dtype: str = "float32") -> Any:
    layers = [Dense(3) for _ in range(3)]
    layers[1].trainable = False
    model = Sequential(layers, seed=0, dtype=dtype)
    model.build((None, 3))
    return model


def _update(optimizer: Optimizer, parameters: Any, times: int = 1, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for i in range(times):
        parameters.gradients[...] = rng.normal(size=parameters.gradients.size) / (1 + i)
        optimizer.step(parameters)


def observe_optimizer(example: Example, optimizer: Optimizer) -> list[Any]:
    """Return weights after updates, and after one with a gradient that is not finite."""
    parameters = _frozen_in_the_middle().parameters
    seen = []
    for seed in range(2):
        _update(optimizer, parameters, 4, seed)
        seen.append(parameters.values.copy())
    optimizer.finalize_variable_values(parameters)
    seen.append(parameters.values.copy())
    parameters.gradients[...] = np.inf
    try:
        with np.errstate(all="ignore"):
            updated = optimizer.step(parameters)
    except NonFiniteError:
        updated = None
    return [*seen, np.array([str(updated), optimizer.skipped])]


def observe_schedule(example: Example, schedule: Any) -> list[Any]:
    """Return the rates of the first updates."""
    return [np.array([schedule(step) for step in range(12)])]


OBSERVE["optimizer"] = observe_optimizer
OBSERVE["schedule"] = observe_schedule


@check("optimizer")
def follows_schedules(example: Example) -> None:
    """Check that a schedule as learning rate is kept in the configuration, and followed."""
    if "learning_rate" in example.arguments:
        return
    for rate in (
        0.05,
        ExponentialDecay(0.05, 2, 0.5),
        CosineDecay(0.0, 5, 0.1, warmup_target=0.1, warmup_steps=2),
        LinearWarmup(OneCycle(0.1, 5), 2, 0.01),
    ):
        optimizer = example.make(learning_rate=rate)
        again = example.cls.from_config(optimizer.get_config())
        vectors = []
        for one in (optimizer, again):
            parameters = _frozen_in_the_middle().parameters
            _update(one, parameters, 4)
            vectors.append(parameters.values)
        same(
            vectors[1:],
            vectors[:1],
            f"an optimizer from the configuration with the rate {rate!r} to do the same updates",
            "hand learning_rate on to super().__init__() and use the lr that update() is given",
        )


@check("optimizer")
def copies_keep_the_state(example: Example) -> None:
    """Check that a copy or pickle of an optimizer with its model goes on to the same bits."""
    optimizer, model = example.make(), _frozen_in_the_middle()
    _update(optimizer, model.parameters, 3)
    twins = [copy.deepcopy((optimizer, model))]
    if importable(example.cls):
        twins.append(pickle.loads(pickle.dumps((optimizer, model))))
    kept = {name: vector.copy() for name, vector in optimizer.state.items()}
    _update(optimizer, model.parameters, 2, seed=9)
    for again, other in twins:
        require(
            again.iterations + again.accumulated == 3 or again.iterations == 3,
            "the copy to have done 3 updates",
            str(again.iterations),
            _STATE,
        )
        same(again.state.values(), kept.values(), "the state of the original", _STATE)
        require(
            not any(np.shares_memory(v, optimizer.state[n]) for n, v in again.state.items()),
            "the copy to have a state of its own",
            "an array that both share",
            _STATE,
        )
        _update(again, other.parameters, 2, seed=9)
        same(
            [other.parameters.values],
            [model.parameters.values],
            "the copy to do the same updates as the original",
            _STATE,
        )


@check("optimizer")
def two_optimizers_keep_apart(example: Example) -> None:
    """Check that two optimizers of the class share no state."""
    optimizers = [example.make(), example.make()]
    models = [_frozen_in_the_middle(), _frozen_in_the_middle()]
    for _ in range(3):
        for i, (optimizer, model) in enumerate(zip(optimizers, models, strict=True)):
            _update(optimizer, model.parameters, 1, seed=i)
    alone, model = example.make(), _frozen_in_the_middle()
    for _ in range(3):
        _update(alone, model.parameters, 1, seed=0)
    same(
        [models[0].parameters.values],
        [model.parameters.values],
        "the updates of an optimizer not to depend on those of another",
        _STATE,
    )


@check("optimizer")
def only_trainable_weights_change(example: Example) -> None:
    """Check that frozen weights, their gradients and their state stay as they are."""
    model = _frozen_in_the_middle()
    before, average = model.get_weights(), model.parameters.values.copy()
    gradients = model.parameters.gradients
    optimizer = example.make(learning_rate=0.05)
    _update(optimizer, model.parameters, 3)
    gradients[...] = np.random.default_rng(3).normal(size=gradients.size)
    kept = gradients.copy()
    optimizer.step(model.parameters)
    changed = [bool((a != b).any()) for a, b in zip(before, model.weights, strict=True)]
    hint = "write to w, state and scratch alone, which hold what is trained"
    require(
        changed == [True, True, False, False, True, True],
        "the weights of the first and the last layer to change, not those of the frozen one",
        f"changes in {changed}",
        hint,
    )
    frozen = slice(12, 24)
    for name, vector in optimizer.state.items():
        start: Any = optimizer.state_start.get(name, 0)
        if start == WEIGHTS or name == "average":
            start = average[frozen]
        require(
            bool((vector[frozen] == np.float32(start)).all()),
            f"the state {name!r} of frozen weights to keep what it started from",
            "other numbers",
            hint,
        )
    same([gradients[frozen]], [kept[frozen]], "the gradients of frozen weights to stay", hint)


@check("optimizer")
def goes_downhill(example: Example) -> None:
    """Check that updates along the gradient of a bowl make its value smaller, in both dtypes."""
    for dtype in ("float32", "float64"):
        model = _frozen_in_the_middle(dtype)
        model.layers[1].trainable = True
        model.build((None, 3))
        vector = model.parameters
        vector.values[...] = np.random.default_rng(0).normal(size=vector.values.size)
        optimizer = example.make(learning_rate=0.01)
        start = float(np.vdot(vector.values, vector.values))
        for _ in range(20):
            vector.gradients[...] = vector.values
            optimizer.step(vector)
        end = float(np.vdot(vector.values, vector.values))
        require(
            math.isfinite(end) and end < start and vector.values.dtype == dtype,
            f"20 updates along the gradient of Σ w²/2 to make it smaller than {start / 2:.6g}",
            f"{end / 2:.6g}",
            "check the sign of the update: w -= lr * direction, in place",
        )


@check("schedule")
def rates_follow_from_the_step_alone(example: Example) -> None:
    """Check that a rate is a finite float >= 0 that depends on the step alone."""
    schedule, other = example.make(), example.make()
    rates = [schedule(step) for step in range(12)]
    require(
        all(isinstance(r, float) and 0 <= r < math.inf for r in rates),
        "finite floats >= 0",
        repr(rates),
        "return float(...) from __call__(step)",
    )
    backward = [other(np.int64(step)) for step in range(11, -1, -1)][::-1]
    same(
        [np.array(backward)],
        [np.array(rates)],
        "the same rates in whatever order they are asked for, also for NumPy's integers",
        "compute the rate from step; keep nothing from call to call",
    )
