"""netlayers: an explicit training loop, and ``train_on_batch``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import netlayers as nl
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
from netlayers.arrays.convert import one
from netlayers.kernels.select import kernels


def make_graph(case: Case, seed: int) -> tuple[Any, list[Any]]:
    """Return a functional model, and its Dense layers in the order of the case."""
    layers = [
        nl.layers.Dense(m, case.activation if case.activated(i) else None)
        for i, (_, m) in enumerate(case.pairs)
    ]
    count = 2 if case.form == "towers" else 1
    xs = [nl.Input((case.sizes[0] // count,)) for _ in range(count)]
    y = apply(case, lambda i, h: layers[i](h), xs, nl.layers.concatenate)
    return nl.Model(xs, y, seed=seed), layers


def make_model(case: Case, seed: int = 0) -> Any:
    """Return the compiled model with the weights of the case."""
    layers: list[Any] = []
    for i, m in enumerate(case.sizes[1:] if case.form == "chain" else ()):
        last = i == len(case.sizes) - 2
        norm = case.normalized and not last
        activation = case.activation if case.activated(i) else None
        layers.append(nl.layers.Dense(m, None if norm else activation, use_bias=not norm))
        if norm:
            layers.append(nl.layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON))
            layers.append(nl.layers.Activation(case.activation))
        if case.dropout and not last:
            layers.append(nl.layers.Dropout(case.dropout))
    if case.form == "chain":
        model: Any = nl.Sequential(layers, seed=seed)
        model.build((None, case.sizes[0]))
    else:
        model, layers = make_graph(case, seed)
    optimizer = {
        "sgd": lambda: nl.optimizers.SGD(SGD_RATE),
        "adam": lambda: nl.optimizers.Adam(RATE, BETA_1, BETA_2, EPSILON),
        "momentum": lambda: nl.optimizers.SGD(SGD_RATE, MOMENTUM, global_clipnorm=CLIP),
    }[case.optimizer]()
    if case.loss == "crossentropy":
        loss: Any = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    else:
        loss = nl.losses.MeanSquaredError()
    model.compile(optimizer, loss)
    dense = [layer for layer in layers if isinstance(layer, nl.layers.Dense)]
    for layer, (w, b) in zip(dense, weights(case, seed), strict=True):
        layer.kernel[...] = w
        if layer.use_bias:
            layer.bias[...] = b
    return model


class Trainer:
    """Runs training steps."""

    def __init__(self, case: Case | ImageCase | SequenceCase, way: str = "") -> None:
        if isinstance(case, ImageCase):
            x, y = image_data(case)
            self.model = model = make_image_model(case, nl)
        elif isinstance(case, SequenceCase):
            x, y = sequence_data(case)
            self.model = model = make_sequence_model(case, nl)
        else:
            x, y = data(case)
            x = one(inputs(case, x))
            self.model = model = make_model(case)
        loss, optimizer, parameters = model.loss, model.optimizer, model.parameters

        def by_hand() -> float:
            value = loss.forward(y, model.forward(x, training=True))
            model.backward(loss.backward(), input_gradient=False)
            optimizer.step(parameters)
            return value

        def by_model() -> float:
            return model.train_on_batch(x, y)

        def forward() -> float:
            return loss.forward(y, model.forward(x, training=True))

        self.step = by_model if way else by_hand
        self.forward = forward

    def value(self, result: Any) -> float:
        """Return the loss of a step."""
        return float(result)

    def wait(self) -> None:
        """Return at once: steps are synchronous."""


def predictor(case: Case, way: str = "") -> Callable[[np.ndarray], np.ndarray]:
    """Return ``predict_on_batch``."""
    return make_model(case).predict_on_batch


def stream(kind: str, inputs: int, units: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return ``predict_on_batch`` of a stateful layer."""
    return make_stream(nl, kind, inputs, units)


def without_each(step: Callable[[], Any]) -> dict[str, Callable[[], Any]]:
    """Return a step with ``all`` compiled kernels, and without each of those that it calls.

    Compiled kernels are attributes of the instance ``kernels``. Without one, the attribute of the
    class applies, which is NumPy's.
    """
    compiled = {name: k for name, k in vars(kernels).items() if callable(k)}
    called: list[str] = []

    def watched(name: str, kernel: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            called.append(name)
            return kernel(*args, **options)

        return call

    vars(kernels).update({name: watched(name, k) for name, k in compiled.items()})
    try:
        step()
    finally:
        vars(kernels).update(compiled)

    now = "all"

    def without(name: str) -> Callable[[], Any]:
        def one() -> Any:
            nonlocal now
            if now != name:
                now = name
                vars(kernels).update(compiled)
                vars(kernels).pop(name, None)
            return step()

        return one

    return {name: without(name) for name in ["all", *dict.fromkeys(called)]}


def job(recipe: Any, tell: Callable[[float], None]) -> None:
    """Train with ``fit`` and two callbacks: the learning rate, and the test after each epoch."""
    model = make_model(recipe.case, recipe.seed)
    x, y, x_test, y_test = recipe.arrays()

    def test(epoch: int, logs: Any) -> None:
        tell((model.predict(x_test, verbose=0).argmax(axis=1) == y_test).mean())

    callbacks = [
        nl.callbacks.LearningRateScheduler(recipe.rate),
        nl.callbacks.LambdaCallback(on_epoch_end=test),
    ]
    tell(READY)
    model.fit(x, y, recipe.case.batch, recipe.epochs, callbacks=callbacks, verbose=0)


trainer = Trainer
