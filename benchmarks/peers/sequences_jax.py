"""JAX: the recurrent networks, by ``lax.scan``, with one product of the input for all steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.sequences import GATES, SequenceCase, sequence_weights


def start_sequence(case: SequenceCase, seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Return the parameters of the layers and directions, and no moving averages."""
    if case.places:
        raise NotImplementedError("convolutions in a recurrent layer")
    *drawn, (last, _) = sequence_weights(case, seed)
    shape = (2, 3 * case.units) if case.kind == "GRU" else (GATES[case.kind] * case.units,)
    params = [{"w": jnp.asarray(w), "u": jnp.asarray(u), "b": jnp.zeros(shape)} for w, u in drawn]
    return [*params, {"w": jnp.asarray(last), "b": jnp.zeros(1)}], []


def step(kind: str, params: Any, states: tuple[Any, ...], z: Any) -> tuple[Any, ...]:
    """Return the states after a step, for its product with the input, with bias."""
    h = states[0]
    if kind == "SimpleRNN":
        return (jnp.tanh(z + h @ params["u"]),)
    if kind == "LSTM":
        i, f, g, o = jnp.split(z + h @ params["u"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * states[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c
    inner = jnp.split(h @ params["u"] + params["b"][1], 3, axis=-1)
    z_gate, r, g = jnp.split(z, 3, axis=-1)
    update = jax.nn.sigmoid(z_gate + inner[0])
    new = jnp.tanh(g + jax.nn.sigmoid(r + inner[1]) * inner[2])
    return (update * h + (1 - update) * new,)


def _product(kind: str, params: Any, x: Any) -> Any:
    return x @ params["w"] + (params["b"][0] if kind == "GRU" else params["b"])


def sequence_network(case: SequenceCase, params: Any, x: Any) -> Any:
    """Return the output for the last states."""
    x = jnp.swapaxes(x, 0, 1)
    there = jnp.arange(case.steps)[:, None] < case.lengths
    *layers, dense = params
    for i in range(case.layers):
        outputs, last = [], []
        for k in range(case.directions):
            its = layers[i * case.directions + k]

            def body(states: Any, given: Any, its: Any = its) -> Any:
                z, present = given
                new = step(case.kind, its, states, z)
                if case.shortest:
                    pairs = zip(new, states, strict=True)
                    new = tuple(jnp.where(present[:, None], a, b) for a, b in pairs)
                return new, new[0]

            zeros = jnp.zeros((case.batch, case.units))
            states = (zeros,) * (2 if case.kind == "LSTM" else 1)
            z = _product(case.kind, its, x)
            states, ys = jax.lax.scan(body, states, (z, there), reverse=bool(k))
            outputs.append(ys)
            last.append(states[0])
        x = jnp.concatenate(outputs, axis=-1)
    return jnp.concatenate(last, axis=-1) @ dense["w"] + dense["b"]


def make_stream(kind: str, inputs: int, units: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from one observation (1, 1, inputs) to the output; the state is kept."""
    case = SequenceCase("", kind, 1, 1, inputs, units)
    its = start_sequence(case)[0][0]
    compiled = jax.jit(lambda states, x: step(kind, its, states, _product(kind, its, x[:, 0])))
    states: Any = (jnp.zeros((1, units)),) * (2 if kind == "LSTM" else 1)

    def observe(x: np.ndarray) -> np.ndarray:
        nonlocal states
        states = compiled(states, x)
        return np.asarray(states[0])

    return observe
