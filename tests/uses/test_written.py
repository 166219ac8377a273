"""Each mistake of `written.py` gives an error or a warning, or has a documented meaning."""

import zlib

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers, losses, metrics, optimizers
from netlayers.errors import BusyError, ConfigurationError, ShapeError
from tests.uses import written
from tests.uses.mistakes import CLASSES, ONE_HOT, X, Y, callback, dense, fit, in_epoch, layer
from tests.uses.outcomes import BAD, outcome

Fills = nl.initializers.Initializer


@pytest.mark.parametrize("part", range(4))
def test_mistakes(part):
    found = []
    for use in written.uses():
        if zlib.crc32(use.name.encode()) % 4 == part:
            result, text = outcome(use)
            if result in BAD:
                found.append(f"{result}: {use.name}: {text}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("units", "loss", "y"),
    [
        (3, "dice", ONE_HOT),
        (3, "tversky", ONE_HOT),
        (3, "kl_divergence", ONE_HOT),
        (3, "categorical_generalized_cross_entropy", CLASSES),
    ],
)
def test_losses_of_probabilities(units, loss, y, recwarn):
    with pytest.warns(UserWarning, match=r"takes probabilities, but the last activation is linear"):
        fit(dense(units), loss=loss, y=y)
    recwarn.clear()
    fit(dense(units, "softmax"), loss=loss, y=y)
    assert not recwarn


@pytest.mark.parametrize("last", [layers.Activation("softmax"), layers.Softmax()])
def test_a_softmax_of_probabilities(last, recwarn):
    fit(dense(3, "sigmoid"), dense(3, "softmax"), loss="categorical_crossentropy", y=ONE_HOT)
    assert not recwarn
    with pytest.warns(UserWarning, match="the last two activations are softmax and softmax"):
        fit(dense(3, "softmax"), last, loss="categorical_crossentropy", y=ONE_HOT)


def test_class_weights_of_zero():
    with pytest.warns(UserWarning, match="class_weight is 0 for all rows"):
        fit(
            dense(3, "softmax"),
            loss="sparse_categorical_crossentropy",
            y=CLASSES,
            class_weight={0: 0, 1: 0, 2: 0},
        )


def test_an_exclusion_without_decay():
    optimizer = optimizers.Adam()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    with pytest.warns(UserWarning, match="Adam: exclude_from_weight_decay needs a weight_decay"):
        fit(optimizer=optimizer)


@pytest.mark.parametrize("method", ["add", "pop"])
def test_layers_within_a_run(method):
    arguments = [dense(2)] if method == "add" else []
    with pytest.raises(BusyError, match=rf"{method}\(\) was called within fit\(\)"):
        in_epoch(lambda model: getattr(model, method)(*arguments))


def test_metrics_of_logits(recwarn):
    loss = losses.BinaryCrossentropy(from_logits=True)
    for chosen in (metrics.Precision(from_logits=True), "precision", "accuracy"):
        fit(loss=loss, metrics=[chosen])
    assert not recwarn
    with pytest.warns(UserWarning, match="Precision takes probabilities; pass Precision"):
        fit(loss=loss, metrics=[metrics.Precision()])


def test_a_backward_that_returns_nothing():
    with pytest.raises(ShapeError, match=r"'mine' .*backward\(\) must return dL/dx, got None"):
        fit(dense(), layer(backward=lambda self, dy: None))
    # The first layer of a model may, as nothing needs the gradient.
    fit(layer(backward=lambda self, dy: None), dense())


def _class(base, **methods):
    return type("Mine", (base,), methods)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: fit(optimizer=_class(optimizers.Optimizer, update=lambda self, w: None)(0.1)),
            r"Mine.update must take \(self, w, g, lr, state, scratch\)",
        ),
        (
            lambda: fit(layers.Dense(1, kernel_initializer=_class(Fills, fill=lambda self: 0)())),
            r"Mine.fill must take \(self, out",
        ),
    ],
)
def test_methods_of_other_arguments(make, match):
    with pytest.raises(ConfigurationError, match=match):
        make()


def test_a_loss_that_is_not_finite_at_the_end():
    hook = callback(on_epoch_end=lambda self, epoch, logs=None: logs.update(loss=np.inf))
    model = nl.Sequential([dense()], seed=0)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="the loss of the last epoch is not finite, though"):
        model.fit(X, Y, verbose=0, callbacks=[hook])


@pytest.mark.parametrize("offset", [2**40, 2**60])
def test_large_integers_that_floats_do_not_tell_apart(offset):
    x = offset + np.arange(128).reshape(32, 4)
    with pytest.warns(UserWarning, match="that float32 does not tell apart"):
        fit(x=x)
