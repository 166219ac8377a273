"""scikit-learn's MLP: its own backpropagation and optimizer on a batch, without its checks.

This is faster than ``partial_fit``, which checks its input at each call. Features that it lacks are
left out, in its favour: clipping (deep), a sigmoid on the output of the quadratic loss (tiny). Its
squared loss is half of ours; epsilon is halved too, so that the steps of Adam are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from benchmarks.cases import BETA_1, BETA_2, EPSILON, MOMENTUM, RATE, SGD_RATE, Case, data, weights
from benchmarks.peers import READY


def make_model(case: Case, seed: int = 0) -> Any:
    """Return the estimator with the weights of the case."""
    if case.form != "chain":
        raise NotImplementedError("scikit-learn has chains of layers only")
    if case.dropout or case.normalized:
        raise NotImplementedError("scikit-learn has neither dropout nor batch normalization")
    kind = MLPClassifier if case.loss == "crossentropy" else MLPRegressor
    activation = {"sigmoid": "logistic"}.get(case.activation, case.activation)
    adam = case.optimizer == "adam"
    model = kind(
        hidden_layer_sizes=case.sizes[1:-1],
        activation=activation,
        solver="adam" if adam else "sgd",
        alpha=0,
        batch_size=case.batch,
        learning_rate_init=RATE if adam else SGD_RATE,
        momentum=MOMENTUM if case.optimizer == "momentum" else 0,
        nesterovs_momentum=False,
        beta_1=BETA_1,
        beta_2=BETA_2,
        epsilon=epsilon(case),
        random_state=seed,
    )
    x, y = data(case)
    if case.loss == "crossentropy":
        model.partial_fit(x, y, classes=np.arange(case.sizes[-1]))
    else:
        model.partial_fit(x, y[:, 0] if case.sizes[-1] == 1 else y)
    for i, (w, b) in enumerate(weights(case, seed)):
        if w.shape == model.coefs_[i].shape:
            model.coefs_[i][...], model.intercepts_[i][...] = w, b
        else:  # two classes have one output, the difference of their logits
            model.coefs_[i][...] = w[:, 1:] - w[:, :1]
            model.intercepts_[i][...] = b[1:] - b[:1]
    params = model.coefs_ + model.intercepts_
    if adam:
        model._optimizer = AdamOptimizer(params, RATE, BETA_1, BETA_2, epsilon(case))
    else:
        momentum = MOMENTUM if case.optimizer == "momentum" else 0
        model._optimizer = SGDOptimizer(params, SGD_RATE, "constant", momentum, False)
    return model


def epsilon(case: Case) -> float:
    """Return Adam's epsilon for half of the loss."""
    return EPSILON / 2 if case.loss == "regression" else EPSILON


class Trainer:
    """Runs training steps."""

    def __init__(self, case: Case, way: str = "") -> None:
        model = make_model(case)
        x, y = data(case)
        target = model._label_binarizer.transform(y) if case.loss == "crossentropy" else y
        if case.loss == "crossentropy":
            target = target.astype(bool)
        count = len(model.coefs_)
        activations = [x, *[None] * count]
        deltas, grads, bias_grads = [None] * count, [None] * count, [None] * count
        params = model.coefs_ + model.intercepts_
        self.factor = 2.0 if case.loss != "crossentropy" else 1.0

        def step() -> Any:
            value, *_ = model._backprop(x, target, None, activations, deltas, grads, bias_grads)
            model._optimizer.update_params(params, grads + bias_grads)
            return value

        self.step = step

    def value(self, result: Any) -> float:
        """Return the loss of a step; scikit-learn halves the squared loss."""
        return float(result) * self.factor

    def wait(self) -> None:
        """Return at once: steps are synchronous."""


def predictor(case: Case, way: str = "") -> Callable[[np.ndarray], np.ndarray]:
    """Return ``predict_proba``, or ``predict``."""
    model = make_model(case)
    return model.predict_proba if case.loss == "crossentropy" else model.predict


def job(recipe: Any, tell: Callable[[float], None]) -> None:
    """Train with ``partial_fit`` on all samples, which runs one shuffled epoch in batches.

    The optimizer reads ``learning_rate_init`` only when it is created, so its own rate is set.
    """
    model = make_model(recipe.case, recipe.seed)
    x, y, x_test, y_test = recipe.arrays()
    tell(READY)
    for epoch in range(recipe.epochs):
        model._optimizer.learning_rate_init = recipe.rate(epoch)
        model.partial_fit(x, y)
        tell(model.score(x_test, y_test))


trainer = Trainer
