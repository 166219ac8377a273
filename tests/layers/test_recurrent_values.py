"""Outputs, states and gradients of recurrent layers, equal to those of Keras and PyTorch."""

import numpy as np
import pytest

import netlayers as nl
from tests.layers.values.recurrent import (
    BOTH,
    CASES,
    FILE,
    MASK,
    SHAPE,
    UNITS,
    draw,
    inputs_of,
    made,
    name_of,
)

VALUES = np.load(FILE)
ANSWERS = [
    pytest.param(source, case, id=f"{source}-{name_of(case)}")
    for source in ("keras", "torch")
    for case in CASES
    if f"{source}/{name_of(case)}/0" in VALUES.files
]


def ours(case, layer):
    """Return outputs and states, and the gradients of series, initial states and weights."""
    layer.build(SHAPE)
    x, states, weights = inputs_of(case, [p.shape for p in layer.declared_parameters])
    layer.set_weights(weights)
    mask = MASK if "mask" in case[2] else None
    outputs = layer.forward((x, *states) if states else x, training=True, mask=mask)
    several = isinstance(outputs, tuple)
    outputs = [y.copy() for y in (outputs if several else (outputs,))]
    dy = draw([y.shape for y in outputs], 2)
    d = layer.backward(tuple(dy) if several else dy[0])
    return [*outputs, *(d if states else (d,)), *layer.gradients]


def check(found, source, case):
    name = f"{source}/{name_of(case)}"
    answers = [VALUES[key] for key in VALUES.files if key.rpartition("/")[0] == name]
    for mine, answer in zip(found, answers, strict=True):
        np.testing.assert_allclose(mine, answer, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("source", "case"), ANSWERS)
def test_values_and_gradients(source, case):
    name, arguments, _ = case
    layer = getattr(nl.layers, name)(UNITS, **arguments, return_state=True, dtype="float64")
    check(ours(case, layer), source, case)


@pytest.mark.parametrize("case", BOTH, ids=name_of)
def test_both_directions_and_stacked_cells(case):
    check(ours(case, made(nl.layers, case, dtype="float64")), "keras", case)


@pytest.mark.parametrize("case", [c for c in CASES if c[0] != "GRU" or len(c[1]) < 3], ids=name_of)
def test_a_cell_that_is_called_for_each_step(case):
    name, arguments, _ = case
    time = ("return_sequences", "go_backwards", "zero_output_for_mask")
    cell_arguments = {k: v for k, v in arguments.items() if k not in time}
    cell = getattr(nl.layers, f"{name}Cell")
    by_step = type(cell.__name__, (cell,), {"_runs_all_steps": False})
    layer = nl.layers.RNN(
        by_step(UNITS, **cell_arguments),
        **{k: v for k, v in arguments.items() if k in time},
        return_state=True,
        dtype="float64",
    )
    check(ours(case, layer), "keras", case)
