"""Weights and state of every optimizer after each update, with every option; rates of schedules."""

import numpy as np
import pytest

import netlayers as nl
from tests.classes import concrete
from tests.golden import check_text
from tests.snapshots import (
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
    shown,
)

L = nl.layers
OPTIONS = [
    {},
    {"weight_decay": 0.1},
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 0.5},
    {"use_ema": True, "ema_momentum": 0.5},
    {"use_ema": True, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2},
    {"gradient_accumulation_steps": 2, "clipnorm": 0.5, "weight_decay": 0.1},
    {"on_nonfinite": "skip"},
    {"on_nonfinite": "ignore", "clipnorm": 0.5},
]


def network(dtype="float64"):
    layers = [
        L.Dense(3, "tanh", name="a", kernel_regularizer=nl.regularizers.L1L2(0.1, 0.2)),
        L.Dense(3, name="b", trainable=False),
        L.Dense(2, name="c", kernel_constraint="maxnorm", learning_rate_multiplier=0.5),
    ]
    model = nl.Sequential(layers, dtype=dtype, seed=0)
    model.build((None, 3))
    model.parameters.values[...] = numbers(model.parameters.size)
    return model


def updates(optimizer, dtype="float64"):
    """Return what each of five updates leaves; the fourth gradient is not finite."""
    vector, lines = network(dtype).parameters, []
    start = vector.values.copy()
    for i in range(5):
        vector.gradients[...] = numbers(vector.gradients.size, first=i) / (1 + i)
        if i == 3:
            vector.gradients[[1, 30]] = np.nan, np.inf
        done = outcome(lambda i=i: optimizer.step(vector, *([4.0 + i] if i % 2 else [])))
        norm = None if optimizer.grad_norm is None else f"{optimizer.grad_norm:.6g}"
        lines.append(
            f"    {done} {optimizer.iterations} {optimizer.skipped} {optimizer.accumulated} "
            f"{optimizer.denominators} {norm} {shown(vector.values - start)}"
        )
    lines += [f"    {name}: {shown(v)}" for name, v in optimizer.state.items()]
    optimizer.finalize_variable_values(vector)
    return [*lines, f"    in the end: {shown(vector.values)}"]


CLASSES = [c for c in concrete("optimizer") if c is not nl.optimizers.MultiOptimizer]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_updates(cls):
    lines = []
    for arguments in cls.examples():
        lines += [f"{arguments}", *updates(cls(**arguments)), *updates(cls(**arguments), "float32")]
    for options in OPTIONS:
        lines += [f"{options}", *updates(cls(learning_rate=0.1, **options))]
    schedule = nl.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    optimizer = cls(learning_rate=schedule, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias", "^c/"])
    optimizer.learning_rate_factor = 0.5
    lines += ["a schedule", *updates(optimizer), f"    {optimizer.learning_rate:.6g}"]
    check_text(__file__, f"{cls.__name__}.txt", "\n".join(lines))


@pytest.mark.parametrize("cls", concrete("schedule"), ids=lambda cls: cls.__name__)
def test_rates(cls):
    lines = []
    for arguments in cls.examples():
        schedule = cls(**arguments)
        lines.append(f"{arguments} {schedule.name}")
        rates = [schedule(step) for step in (*range(14), 50, 1000, 10**7)]
        lines.append("  " + " ".join(f"{rate:.7g}" for rate in rates))
        others = (1.5, np.int64(3), np.float32(2.5), True)
        lines += [f"  {s}: {outcome(lambda s=s, it=schedule: it(s))}" for s in others]
    check_text(__file__, f"rates-{cls.__name__}.txt", "\n".join(lines))
