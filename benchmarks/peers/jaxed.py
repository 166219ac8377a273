"""JAX: the whole step in one jitted function with donated buffers and data on the device.

Dropout uses the generator ``rbg``, which is faster than JAX's default. The loop dispatches steps
without waiting for the previous one; the variant ``read`` waits, because it reads each loss.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.cases import (
    BETA_1,
    BETA_2,
    BN_EPSILON,
    BN_MOMENTUM,
    CLIP,
    EPSILON,
    MOMENTUM,
    RATE,
    SGD_RATE,
    Case,
    apply,
    data,
    weights,
)
from benchmarks.images import ImageCase, image_data
from benchmarks.peers import READY
from benchmarks.peers.images_jax import image_network, start_image
from benchmarks.peers.sequences_jax import make_stream, sequence_network, start_sequence
from benchmarks.sequences import SequenceCase, sequence_data

KINDS = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu, "tanh": jnp.tanh}
tree = jax.tree_util.tree_map


def start(case: Case | ImageCase | SequenceCase, seed: int = 0) -> tuple[Any, Any, Any]:
    """Return parameters, moving averages, and the state of the optimizer."""
    if isinstance(case, ImageCase):
        params, moving = start_image(case, seed)
        return params, moving, _state(case, params)
    if isinstance(case, SequenceCase):
        params, moving = start_sequence(case, seed)
        return params, moving, _state(case, params)
    params, moving = [], []
    for i, (w, b) in enumerate(weights(case, seed)):
        layer = {"w": jnp.asarray(w), "b": jnp.asarray(b)}
        if case.normalized and i < len(case.sizes) - 2:  # beta is the bias
            layer["gamma"] = jnp.ones(len(b))
            moving.append((jnp.zeros(len(b)), jnp.ones(len(b))))
        params.append(layer)
    return params, moving, _state(case, params)


def _state(case: Case | ImageCase | SequenceCase, params: Any) -> Any:
    """Return the state of the optimizer."""
    zeros = partial(tree, jnp.zeros_like, params)
    state = {"sgd": tuple, "momentum": zeros, "adam": lambda: (zeros(), zeros(), 0.0)}
    return state[case.optimizer]()


def network(
    case: Case | ImageCase | SequenceCase, params: Any, moving: Any, x: Any, key: Any = None
) -> Any:
    """Return the output (logits) and the moving averages; a ``key`` means training."""
    if isinstance(case, ImageCase):
        return image_network(case, params, moving, x, key)
    if isinstance(case, SequenceCase):
        return sequence_network(case, params, x), moving
    if case.form != "chain":

        def dense(i: int, h: Any) -> Any:
            h = h @ params[i]["w"] + params[i]["b"]
            return KINDS[case.activation](h) if case.activated(i) else h

        xs = jnp.split(x, 2, axis=1) if case.form == "towers" else [x]
        return apply(case, dense, xs, partial(jnp.concatenate, axis=-1)), moving
    h, after = x, []
    for i, layer in enumerate(params):
        h = h @ layer["w"]
        if "gamma" in layer:
            mean, variance = moving[i]
            if key is not None:
                m, v = h.mean(axis=0), h.var(axis=0)
                keep = BN_MOMENTUM
                after.append((keep * mean + (1 - keep) * m, keep * variance + (1 - keep) * v))
                mean, variance = m, v
            h = (h - mean) * (layer["gamma"] * jax.lax.rsqrt(variance + BN_EPSILON))
        h = h + layer["b"]
        if case.activated(i):
            h = KINDS[case.activation](h)
        if case.dropout and key is not None and i < len(params) - 1:
            key, mine = jax.random.split(key)
            kept = jax.random.bernoulli(mine, 1 - case.dropout, h.shape)
            h = jnp.where(kept, h / (1 - case.dropout), 0)
    return h, jax.lax.stop_gradient(after)


def loss(
    case: Case | ImageCase | SequenceCase, params: Any, moving: Any, x: Any, y: Any, key: Any
) -> Any:
    """Return the loss, and the moving averages."""
    h, moving = network(case, params, moving, x, key)
    if case.loss == "crossentropy":
        rows = jnp.take_along_axis(jax.nn.log_softmax(h), y[:, None], axis=1)
        return -jnp.mean(rows), moving
    return jnp.mean((h - y) ** 2), moving


def update(
    case: Case | ImageCase | SequenceCase,
    params: Any,
    moving: Any,
    state: Any,
    key: Any,
    x: Any,
    y: Any,
    rate: Any = None,
) -> Any:
    """Return the state after one step, and the loss; ``rate`` of Adam, by default the case's."""
    rate = getattr(case, "rate", RATE) if rate is None else rate
    key, mine = jax.random.split(key) if case.dropout else (key, key)
    compute = partial(loss, case)
    (value, moving), g = jax.value_and_grad(compute, has_aux=True)(params, moving, x, y, mine)
    if case.optimizer == "sgd":
        return tree(lambda w, d: w - SGD_RATE * d, params, g), moving, state, key, value
    if case.optimizer == "momentum":
        norm = jnp.sqrt(sum(jnp.sum(d * d) for d in jax.tree_util.tree_leaves(g)))
        clipped = SGD_RATE * jnp.minimum(1.0, CLIP / norm)
        state = tree(lambda m, d: MOMENTUM * m - clipped * d, state, g)
        return tree(jnp.add, params, state), moving, state, key, value
    m, v, t = state
    t = t + 1
    m = tree(lambda m, d: m + (1 - BETA_1) * (d - m), m, g)
    v = tree(lambda v, d: v + (1 - BETA_2) * (d * d - v), v, g)
    alpha = rate * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
    params = tree(lambda w, m, v: w - alpha * m / (jnp.sqrt(v) + EPSILON), params, m, v)
    return params, moving, (m, v, t), key, value


class Trainer:
    """Runs training steps."""

    def __init__(self, case: Case | ImageCase | SequenceCase, way: str = "") -> None:
        given = {ImageCase: image_data, SequenceCase: sequence_data}.get(type(case), data)(case)
        x, y = (jnp.asarray(v) for v in given)
        compiled = jax.jit(partial(update, case), donate_argnums=(0, 1, 2, 3))
        compute = jax.jit(partial(loss, case))
        self.state = (*start(case), jax.random.key(0, impl="rbg"))

        def step() -> Any:
            *self.state, value = compiled(*self.state, x, y)
            return value

        def forward() -> Any:
            return compute(self.state[0], self.state[1], x, y, self.state[3])[0]

        self.step = (lambda: float(step())) if way == "read" else step
        self.forward = forward

    def value(self, result: Any) -> float:
        """Return the loss of a step."""
        return float(result)

    def wait(self) -> None:
        """Wait until all steps are computed."""
        jax.block_until_ready(self.state[:3])


def predictor(case: Case, way: str = "") -> Callable[[np.ndarray], np.ndarray]:
    """Return the jitted network with NumPy input and output."""
    params, moving, _ = start(case)
    compiled = jax.jit(lambda x: network(case, params, moving, x)[0])
    return lambda x: np.asarray(compiled(x))


def stream(kind: str, inputs: int, units: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a jitted step that keeps its state."""
    return make_stream(kind, inputs, units)


def job(recipe: Any, tell: Callable[[float], None]) -> None:
    """Train in a loop; the jitted step gathers the rows of a batch."""
    case = recipe.case
    x, y, x_test, y_test = (jnp.asarray(v) for v in recipe.arrays())
    state = (*start(case, recipe.seed), jax.random.key(recipe.seed, impl="rbg"))

    @partial(jax.jit, donate_argnums=(0, 1, 2, 3))
    def step(
        params: Any, moving: Any, state: Any, key: Any, x: Any, y: Any, rows: Any, rate: Any
    ) -> Any:
        return update(case, params, moving, state, key, x[rows], y[rows], rate)

    @jax.jit
    def share(params: Any, moving: Any, x_test: Any, y_test: Any) -> Any:
        return (network(case, params, moving, x_test)[0].argmax(axis=1) == y_test).mean()

    tell(READY)
    for epoch in range(recipe.epochs):
        order = recipe.order(epoch, len(x)).astype(np.int32)
        rate = jnp.float32(recipe.rate(epoch))
        for begin in range(0, len(order), case.batch):
            *state, _ = step(*state, x, y, order[begin : begin + case.batch], rate)
        tell(share(state[0], state[1], x_test, y_test))


trainer = Trainer
