"""Messages about names and classes: what a user most likely meant, once, and in one spelling."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError
from netlayers.registry import lookup, registered, shown_names, snake_case

KINDS = ["layer", "activation", "loss", "metric", "optimizer", "schedule"]
KINDS += ["initializer", "regularizer", "constraint"]
X, Y = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 3


# Before tests run, which may register classes of their own.
NAMES = {kind: (list(registered(kind)), shown_names(kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_each_thing_is_listed_in_one_spelling(kind):
    shown = shown_names(kind)
    letters = [name.replace("_", "") for name in shown]
    assert len(set(letters)) == len(letters)
    names, listed = NAMES[kind]
    assert {n.lower().replace("_", "") for n in names} == {n.replace("_", "") for n in listed}
    assert not {"hard_si_lu", "rm_sprop", "r_adam", "adam_w", "p_re_lu"} & set(shown)
    with pytest.raises(ConfigurationError, match=rf"Known names: {', '.join(shown)}\."):
        lookup(kind, "0000")


@pytest.mark.parametrize(
    ("kind", "name", "meant"),
    [
        ("loss", "cross_entropy", "'crossentropy'"),
        ("loss", "Categorical-CrossEntropy", "'categorical_crossentropy'"),
        ("loss", "mean squared error", "'mean_squared_error'"),
        ("optimizer", "rms_prop", "'rmsprop'"),
        ("optimizer", "adm", "'adam' or 'radam' or 'nadam'"),
        ("activation", "hard-silu", "'hard_silu'"),
        ("constraint", "max norm", "'max_norm'"),
        ("layer", "p_relu", "'prelu'"),
        ("metric", "f1-score", "'f1_score'"),
    ],
)
def test_another_spelling_gets_the_name(kind, name, meant):
    with pytest.raises(ConfigurationError, match=rf"Did you mean {meant}\?"):
        lookup(kind, name)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "activation"])
def test_the_spellings_of_a_class_name_still_work(kind):
    for factory in {f for f in registered(kind).values() if isinstance(f, type)}:
        for name in (factory.__name__, factory.__name__.lower(), snake_case(factory.__name__)):
            assert lookup(kind, name) is not None


@pytest.mark.parametrize("name", ["CE", "ce", "crossentropy", "CrossEntropy"])
def test_the_cross_entropy_by_shape_works_wherever_shapes_are_known(name):
    model = nl.Sequential([nl.layers.Dense(3, "softmax")], seed=0)
    model.compile("sgd", name)
    model.fit(X, Y, verbose=0)
    assert nl.check_gradients(model, X, Y).passed
    assert nl.check_gradients(model, X, Y, loss=name).passed
    with pytest.raises(ConfigurationError, match=r"chosen by the shapes .* 'binary_crossentropy'"):
        nl.losses.get(name)


class KerasLoss(nl.losses.Loss):
    def call(self, y_true, y_pred):
        return (y_true - y_pred) ** 2


class HalfLoss(nl.losses.Loss):
    def forward_samples(self, y_true, y_pred):
        return (y_true - y_pred) ** 2


class KerasMetric(nl.metrics.Metric):
    def update_state(self, y_true, y_pred, sample_weight=None):
        pass


class KerasOptimizer(nl.optimizers.Optimizer):
    def update_step(self, gradient, variable, learning_rate):
        pass


class KerasRegularizer(nl.regularizers.Regularizer):
    def __call__(self, w):
        return 0.0


class Own(nl.losses.Loss):
    """Overrides the two methods that call those for samples."""

    def forward(self, y_true, y_pred, sample_weight=None):
        self.difference = y_pred - np.reshape(y_true, y_pred.shape)
        return float((self.difference**2).mean())

    def backward(self):
        return 2 * self.difference / self.difference.size


COMPILED = [
    ({"loss": KerasLoss()}, r"^KerasLoss must define backward_samples\(dl\) and forward_"),
    ({"loss": KerasLoss}, r"call\(\) is a method of Keras"),
    ({"loss": HalfLoss()}, r"HalfLoss must define backward_samples\(dl\) to be used as loss\.$"),
    ({"loss": "mse", "metrics": [KerasMetric()]}, r"reset_state\(\) and result\(\) to"),
    ({"loss": "mse", "optimizer": KerasOptimizer(0.1)}, r"KerasOptimizer must define update\(w, "),
]


@pytest.mark.parametrize(("arguments", "message"), COMPILED, ids=str)
def test_a_class_without_a_method_is_refused_by_compile(arguments, message):
    model = nl.Sequential([nl.layers.Dense(1)])
    with pytest.raises(ConfigurationError, match=message):
        model.compile(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_regularizer": KerasRegularizer()}, "must define add_gradient"),
        ({"kernel_constraint": nl.constraints.Constraint()}, r"must define apply\(w\)"),
        ({"kernel_initializer": nl.initializers.Initializer()}, r"must define fill\(out, rng\)"),
    ],
)
def test_a_class_without_a_method_is_refused_by_a_layer(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        nl.layers.Dense(1, **arguments)


def test_a_loss_with_methods_of_its_own_is_taken():
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", Own())
    model.fit(X, Y, verbose=0)


def test_a_layer_with_the_method_of_keras():
    class KerasLayer(nl.layers.Layer):
        def call(self, x):
            return x

    with pytest.raises(NotImplementedError, match=r"has call\(\), which nothing calls here"):
        nl.Sequential([KerasLayer()]).predict(X)


def test_an_activation_that_does_not_take_inplace():
    class Plain(nl.activations.ActivationLayer):
        def forward(self, x, training=False):
            return x

        def backward(self, dy):
            return dy

    with pytest.raises(ConfigurationError, match=r"Plain\.forward must take the argument inplace"):
        nl.layers.Dense(1, activation=Plain())
    nl.Sequential([nl.layers.Dense(1), Plain()]).predict(X)  # as a layer it needs none
