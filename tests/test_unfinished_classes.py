"""A class of one's own that lacks a method says so, and calls of functions and objects agree."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.optimizers.schedules import LearningRateSchedule

X = np.ones((4, 2), np.float32)


def trained(layer=None, optimizer="sgd", loss="mse"):
    layers = [nl.layers.Dense(2), layer] if layer else []
    model = nl.Sequential([*layers, nl.layers.Dense(1)], seed=0)
    model.compile(optimizer, loss)
    model.fit(X, X[:, :1], verbose=0)


class Layer(nl.layers.Layer):
    pass


class OnlyForward(nl.layers.Layer):
    def forward(self, x, training=False):
        return x


class Loss(nl.losses.Loss):
    pass


class HalfLoss(nl.losses.Loss):
    def forward_samples(self, y_true, y_pred):
        return y_pred[..., 0]


class Metric(nl.metrics.Metric):
    pass


class MeanMetric(nl.metrics.MeanMetric):
    pass


class Optimizer(nl.optimizers.Optimizer):
    pass


class Schedule(LearningRateSchedule):
    pass


class Constraint(nl.constraints.Constraint):
    pass


class Regularizer(nl.regularizers.Regularizer):
    pass


class Initializer(nl.initializers.Initializer):
    pass


class Random(nl.initializers.RandomInitializer):
    pass


UNFINISHED = [
    (lambda: trained(Layer()), "Layer", "forward"),
    (lambda: trained(OnlyForward()), "OnlyForward", "backward"),
    (lambda: trained(loss=Loss()), "Loss", "forward_samples"),
    (lambda: trained(loss=HalfLoss()), "HalfLoss", "backward_samples"),
    (lambda: Metric("m").update_state(X, X), "Metric", "update_state"),
    (lambda: Metric("m").result(), "Metric", "result"),
    (lambda: Metric("m").reset_state(), "Metric", "reset_state"),
    (lambda: MeanMetric().update_state(X, X), "MeanMetric", "values"),
    (lambda: trained(optimizer=Optimizer(0.1)), "Optimizer", "update"),
    (lambda: Schedule()(0), "Schedule", "__call__"),
    (lambda: Regularizer()(X), "Regularizer", "__call__"),
    (lambda: Regularizer().add_gradient(X, X.copy(), X.copy()), "Regularizer", "add_gradient"),
    (lambda: Initializer().fill(X.copy()), "Initializer", "fill"),
    (lambda: Random().fill(X.copy()), "Random", "draw"),
]


@pytest.mark.parametrize(("use", "name", "method"), UNFINISHED, ids=lambda v: str(v)[:20])
def test_a_method_that_is_missing_is_named(use, name, method):
    with pytest.raises(NotImplementedError, match=rf"^{name} must define .*{method}"):
        use()


@pytest.mark.parametrize("name", nl.losses.__all__)
def test_a_loss_may_be_called_as_a_function(name):
    thing = getattr(nl.losses, name)
    if isinstance(thing, nl.losses.LossFunction):
        assert repr(thing) == f"<loss function {name}>"
        assert nl.losses.get(thing) is not nl.losses.get(thing)
        assert type(nl.losses.get(thing)) is thing.loss
        with pytest.raises(TypeError, match=f"{name} .*takes y_true, y_pred"):
            thing([[0.0]])


@pytest.mark.parametrize("name", ["mse", "huber", "binary_crossentropy"])
def test_an_object_of_a_loss_may_be_called(name):
    y, p, w = np.array([[0.0], [1.0]]), np.array([[0.25], [0.5]]), np.array([1.0, 3.0])
    one, other = nl.losses.get(name), nl.losses.get(name)
    assert one(y, p) == other.forward(y, p)
    assert one(y, p, w) == other.forward(y, p, w) != one(y, p)
    assert one(y, p, sample_weight=w) == other.forward(y, p, w)


@pytest.mark.parametrize("name", nl.activations.__all__)
def test_an_activation_says_its_name(name):
    thing = getattr(nl.activations, name)
    if isinstance(thing, nl.activations.ActivationFunction):
        assert repr(thing) == f"<activation {thing.__name__}>"
        assert thing.__name__ in (name, "silu", "hard_silu")
        assert thing.__doc__
