"""What classes of the user get wrong, and what would change nothing, is found before it is lost."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers, losses, metrics, optimizers
from netlayers.callbacks import Callback
from netlayers.errors import ConfigurationError, ShapeError

X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("float32")
CLASSES = np.arange(32) % 3


def fit(*chosen, y=Y, loss="mse", optimizer="sgd", metrics=None, **arguments):
    model = nl.Sequential(list(chosen) or [layers.Dense(1)], seed=0)
    model.compile(optimizer, loss, metrics=metrics)
    return model, model.fit(X, y, verbose=0, **arguments)


class Scale(layers.Layer):
    way = "write"

    def build(self, input_shape):
        self.add_weight("w", input_shape[1:], "ones")

    def forward(self, x, training=False):
        self.cache.x = x
        return x * self.w

    def backward(self, dy):
        if self.way == "write":
            self.d_w[...] = np.sum(dy * self.cache.x, axis=0)
        elif self.way == "add":
            self.d_w += np.sum(dy * self.cache.x, axis=0)
        return dy * self.w


@pytest.mark.parametrize("way", ["add", "forget"])
def test_a_gradient_that_is_not_written(way):
    layer = Scale()
    layer.way = way
    with pytest.raises(ConfigurationError, match=r"'scale' \(Scale\): backward\(\) must write d_w"):
        fit(layer, layers.Dense(1))
    layer.way = "write"
    model, _ = fit(layer, layers.Dense(1), epochs=2)
    assert not np.array_equal(model.get_weights()[0], np.ones(4))
    layer.way, layer.trainable = "forget", False
    model.fit(X, Y, verbose=0)


class Rule(optimizers.Optimizer):
    in_place = True

    def update(self, w, g, lr, state, scratch):
        if self.in_place:
            w -= lr * g
        else:
            w = w - lr * g


def test_an_update_that_makes_another_array(recwarn):
    fit(optimizer=Rule(0.1))
    fit(optimizer=Rule(0.0))
    assert not recwarn
    rule = Rule(0.1)
    rule.in_place = False
    with pytest.warns(UserWarning, match="Rule: the first update changed no weight") as warned:
        fit(optimizer=rule, epochs=3)
    assert len(warned) == 1


def test_an_initializer_that_makes_another_array():
    class Fill(nl.initializers.Initializer):
        def fill(self, out, rng=None):
            out = np.ones_like(out)

    with pytest.raises(ConfigurationError, match=r"'dense/kernel': Fill.fill\(\) must write into"):
        fit(layers.Dense(1, kernel_initializer=Fill()))


def test_a_constraint_that_returns_an_array():
    class Box(nl.constraints.Constraint):
        def apply(self, w):
            return np.clip(w, 0, 1)

    with pytest.raises(ConfigurationError, match=r"Box.apply\(\) must change w in place"):
        fit(layers.Dense(1, kernel_constraint=Box()))


def test_a_regularizer_without_a_number():
    class Nothing(nl.regularizers.Regularizer):
        def __call__(self, w):
            pass

        def add_gradient(self, w, dw, scratch):
            pass

    with pytest.raises(ConfigurationError, match=r"'dense/kernel': .*must return a number, got N"):
        fit(layers.Dense(1, kernel_regularizer=Nothing()))


@pytest.mark.parametrize("value", [None, "high"])
def test_a_metric_without_a_number(value):
    class Odd(metrics.Metric):
        def update_state(self, y_true, y_pred, sample_weight=None):
            pass

        def result(self):
            return value

        def reset_state(self):
            pass

    with pytest.raises(ConfigurationError, match=r"metric 'odd': result\(\) must return a number"):
        fit(metrics=[Odd()])


def test_a_loss_without_a_gradient():
    class Lost(losses.Loss):
        def forward_samples(self, y_true, y_pred):
            return y_pred[:, 0]

        def backward_samples(self, dl):
            pass

    with pytest.raises(ShapeError, match=r"loss 'lost': backward_samples must return dL/dy_pred"):
        fit(loss=Lost())


@pytest.mark.parametrize("base", [losses.MeanSquaredError, metrics.Mean, optimizers.SGD])
def test_a_class_that_does_not_call_its_base(base):
    class Forgets(base):
        def __init__(self):
            self.a = 1

    kind = {losses.MeanSquaredError: losses, metrics.Mean: metrics, optimizers.SGD: optimizers}
    with pytest.raises(ConfigurationError, match=r"Forgets.__init__\(\) must call super\(\)"):
        kind[base].get(Forgets())


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_batch_begin", "on_train_begin"])
def test_a_hook_with_other_arguments(hook):
    kind = type("Short", (Callback,), {hook: lambda self: None})
    first = {"on_epoch_end": "epoch, ", "on_train_batch_begin": "batch, "}.get(hook, "")
    message = rf"Short.{hook} must take the arguments \({first}logs\)"
    with pytest.raises(ConfigurationError, match=message):
        fit(callbacks=[kind()])


def test_moments_that_are_missing(recwarn):
    with pytest.warns(UserWarning, match="'normalization' .* has no mean and variance yet"):
        fit(layers.Normalization(), layers.Dense(1))
    adapted = layers.Normalization()
    adapted.adapt(X)
    loaded = layers.Normalization()
    loaded.build((None, 4))
    loaded.set_weights([np.ones(4), np.ones(4), 0])
    recwarn.clear()
    for layer in (adapted, loaded, layers.Normalization(mean=[1] * 4, variance=[1] * 4)):
        fit(layer, layers.Dense(1))
    assert not recwarn


def test_updates_beyond_a_cycle(recwarn):
    def run(total, **arguments):
        schedule = optimizers.schedules.OneCycle(0.1, total)
        fit(optimizer=optimizers.SGD(schedule), batch_size=8, epochs=5, **arguments)

    run(20)
    run(12, initial_epoch=2)
    assert not recwarn
    with pytest.warns(UserWarning, match="total_steps=19, but the run ends with update 20"):
        run(19)


@pytest.mark.parametrize(("k", "warned"), [(2, False), (3, True), (5, True)])
def test_a_top_k_of_too_few_classes(k, warned, recwarn):
    metric = metrics.SparseTopKCategoricalAccuracy(k=k)
    loss = "sparse_categorical_crossentropy"
    fit(layers.Dense(3, "softmax"), y=CLASSES, loss=loss, metrics=[metric])
    assert [f"k={k} is not below" in str(w.message) for w in recwarn] == [True] * warned


def test_targets_that_are_all_left_out(recwarn):
    layer, loss = layers.Dense(3, "softmax"), losses.SparseCategoricalCrossentropy
    fit(layer, y=CLASSES, loss=loss(ignore_class=0))
    assert not recwarn
    with pytest.warns(UserWarning, match="all y are -1, the ignore_class of the loss"):
        fit(layer, y=np.full(32, -1), loss=loss(ignore_class=-1))
    with pytest.warns(UserWarning, match="all y are NaN, which mask_nan=True leaves out"):
        fit(y=np.full(32, np.nan), loss=losses.MeanSquaredError(mask_nan=True))


@pytest.mark.parametrize(
    ("kind", "flag", "argument", "value"),
    [
        (layers.Dense, "use_bias", "bias_initializer", "ones"),
        (layers.Dense, "use_bias", "bias_regularizer", "l2"),
        (layers.BatchNormalization, "scale", "gamma_constraint", "non_neg"),
        (layers.LayerNormalization, "center", "beta_initializer", "ones"),
        (layers.GroupNormalization, "scale", "gamma_initializer", "zeros"),
    ],
)
def test_arguments_of_a_weight_that_is_not_there(kind, flag, argument, value, recwarn):
    first = (4,) if kind is layers.Dense else (2,) if kind is layers.GroupNormalization else ()
    for flags in ({flag: True, argument: value}, {flag: False}):
        kind(*first, **flags).build((None, 4))
    assert not recwarn
    with pytest.warns(UserWarning, match=f"{argument} has no effect with {flag}=False") as warned:
        kind(*first, **{flag: False, argument: value}).build((None, 4))
    assert len(warned) == 1
