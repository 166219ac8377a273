"""Keras on JAX: ``train_on_batch`` and ``fit``, and the jitted loop of its guide (stateless)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
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
    inputs,
    weights,
)
from benchmarks.images import ImageCase, image_data
from benchmarks.peers import READY
from benchmarks.peers.images_keras_api import make_image_model
from benchmarks.peers.sequences_keras_api import make_sequence_model, make_stream
from benchmarks.sequences import SequenceCase, sequence_data


def make_graph(case: Case, seed: int) -> Any:
    """Return a functional model with the weights of the case."""
    count = 2 if case.form == "towers" else 1
    xs = [keras.Input((case.sizes[0] // count,)) for _ in range(count)]
    layers = [
        keras.layers.Dense(m, case.activation if case.activated(i) else None)
        for i, (_, m) in enumerate(case.pairs)
    ]
    y = apply(case, lambda i, h: layers[i](h), xs, keras.layers.Concatenate())
    for layer, values in zip(layers, weights(case, seed), strict=True):
        layer.set_weights(values)
    return keras.Model(xs, y)


def make_model(case: Case, seed: int = 0) -> Any:
    """Return the compiled model with the weights of the case."""
    keras.utils.set_random_seed(seed)
    chain = case.form == "chain"
    model = keras.Sequential([keras.Input((case.sizes[0],))]) if chain else make_graph(case, seed)
    for i, (w, b) in enumerate(weights(case, seed) if chain else ()):
        last = i == len(case.sizes) - 2
        norm = case.normalized and not last
        activation = case.activation if case.activated(i) else None
        dense = keras.layers.Dense(len(b), None if norm else activation, use_bias=not norm)
        model.add(dense)
        dense.set_weights([w] if norm else [w, b])
        if norm:
            model.add(keras.layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON))
            model.add(keras.layers.Activation(case.activation))
        if case.dropout and not last:
            model.add(keras.layers.Dropout(case.dropout))
    optimizer = {
        "sgd": lambda: keras.optimizers.SGD(SGD_RATE),
        "adam": lambda: keras.optimizers.Adam(RATE, BETA_1, BETA_2, EPSILON),
        "momentum": lambda: keras.optimizers.SGD(SGD_RATE, MOMENTUM, global_clipnorm=CLIP),
    }[case.optimizer]()
    loss = (
        keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        if case.loss == "crossentropy"
        else keras.losses.MeanSquaredError()
    )
    model.compile(optimizer, loss)
    return model


class Trainer:
    """Runs training steps."""

    def __init__(self, case: Case | ImageCase | SequenceCase, way: str = "") -> None:
        if isinstance(case, ImageCase):
            x, y = image_data(case)
            model = make_image_model(case, keras)
        elif isinstance(case, SequenceCase):
            x, y = sequence_data(case)
            model = make_sequence_model(case, keras)
        else:
            x, y = data(case)
            parts = inputs(case, x)
            x = parts if len(parts) > 1 else parts[0]
            model = make_model(case)
        self.state: Any = ()
        if way == "stateless":
            self.step = self._stateless(
                model, jax.tree_util.tree_map(jnp.asarray, x), jnp.asarray(y)
            )
        else:
            self.step = lambda: model.train_on_batch(x, y)

    def _stateless(self, model: Any, x: Any, y: Any) -> Callable[[], Any]:
        optimizer = model.optimizer
        optimizer.build(model.trainable_variables)

        def compute(trainable: Any, rest: Any) -> Any:
            output, rest = model.stateless_call(trainable, rest, x, training=True)
            return model.loss(y, output), rest

        @partial(jax.jit, donate_argnums=(0, 1, 2))
        def update(trainable: Any, rest: Any, own: Any) -> Any:
            (value, rest), g = jax.value_and_grad(compute, has_aux=True)(trainable, rest)
            trainable, own = optimizer.stateless_apply(own, g, trainable)
            return trainable, rest, own, value

        variables = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
        self.state = [[jnp.copy(v.value) for v in some] for some in variables]

        def step() -> Any:
            *self.state, value = update(*self.state)
            return value

        return step

    def value(self, result: Any) -> float:
        """Return the loss of a step."""
        return float(result)

    def wait(self) -> None:
        """Wait until all steps are computed."""
        jax.block_until_ready(self.state)


def predictor(case: Case, way: str = "") -> Callable[[np.ndarray], np.ndarray]:
    """Return ``predict_on_batch``."""
    return make_model(case).predict_on_batch


def stream(kind: str, inputs: int, units: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return ``predict_on_batch`` of a stateful layer."""
    return make_stream(keras, kind, inputs, units)


def job(recipe: Any, tell: Callable[[float], None]) -> None:
    """Train with ``fit`` and two callbacks: the learning rate, and the test after each epoch."""
    model = make_model(recipe.case, recipe.seed)
    x, y, x_test, y_test = recipe.arrays()

    def test(epoch: int, logs: Any) -> None:
        output = model.predict(x_test, batch_size=1024, verbose=0)
        tell((output.argmax(axis=1) == y_test).mean())

    callbacks = [
        keras.callbacks.LearningRateScheduler(recipe.rate),
        keras.callbacks.LambdaCallback(on_epoch_end=test),
    ]
    tell(READY)
    model.fit(x, y, recipe.case.batch, recipe.epochs, callbacks=callbacks, verbose=0)


trainer = Trainer
