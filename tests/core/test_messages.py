"""What layers say of names, shapes, inputs, weights and calls, is kept word for word."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers
from netlayers.arrays.spec import InputSpec
from netlayers.core.binding import Declared
from netlayers.core.inputs import check_declared, check_shapes, input_names
from netlayers.core.shapes import any_batch, checked_shape, listed_shapes, shape_hint, shown_shape
from tests.golden import check_text, messages

X = np.ones((4, 3), np.float32)


class Plain(layers.Layer):
    """Declares what it is told to, and returns its input."""

    def __init__(self, *weights, states=(), spec=None, **more):
        super().__init__(name="plain", **more)
        self.given, self.kept = weights, states
        if spec is not None:
            self.input_spec = spec

    def build(self, input_shape):
        for name, shape, options in self.given:
            self.add_weight(name, shape, **options)
        for state in self.kept:
            self.add_state(*state)

    def forward(self, x, training=False):
        return self.prepare(x)


class Two(layers.Layer):
    input_spec = (InputSpec(name="left"), InputSpec(dtype="integer", ndim=3, gradient=False))

    def build(self, input_shape):
        self.add_weight("w", (1,))

    def forward(self, x, training=False):
        return self.prepare(x)[0]

    def compute_output_shape(self, input_shape):
        return input_shape[0]


def weight(name, shape, **options):
    return lambda: Plain((name, shape, options)).build((None, 3))


def state(*states):
    return lambda: Plain(states=states).build((None, 3))


def build(shape, layer=Plain):
    return lambda: layer().build(shape)


def built(shape, layer=Plain):
    made = layer()
    made.build(shape)
    return made


def weighted():
    return Plain(("w", (1,), {}))  # without weights it would take any shape


def run(x, shape=None, layer=weighted):
    return lambda: (built(shape, layer) if shape else layer()).forward(x)


class Mine(layers.Dense):
    def __init__(self):
        super().__init__(2, name="mine")

    def build(self, input_shape):
        self.add_weight("units", (3,))


WEIGHTS = [
    ("a weight", weight("w", (3, 2))),
    ("a number", weight("w", ())),
    ("no name", weight("two words", (3,))),
    ("a taken name", weight("name", (3,))),
    ("a taken gradient", lambda: Plain(("d_w", (3,), {}), ("w", (3,), {})).build((None, 3))),
    ("a name twice", lambda: Plain(("w", (3,), {}), ("w", (3,), {})).build((None, 3))),
    ("an attribute of the class", lambda: Mine().build((None, 3))),
    ("an unknown size", weight("w", (None, 2))),
    ("a size of 0", weight("w", (0, 2))),
    ("a size of 1.5", weight("w", (1.5, 2))),
    ("a text as a shape", weight("w", "ab")),
    ("another dtype", weight("w", (3,), dtype="int64")),
    ("a dtype of a statistic", weight("w", (3,), dtype="int64", statistic=True)),
    ("rows", weight("w", (3, 2), row_gradient=True)),
    ("rows of a statistic", weight("w", (3, 2), row_gradient=True, statistic=True)),
    ("rows of a number", weight("w", (), row_gradient=True)),
    ("an initializer that is none", weight("w", (3,), initializer="zero")),
    ("a constraint of other axes", weight("w", (3,), constraint=nl.constraints.MaxNorm(axis=1))),
    ("a regularizer that is none", weight("w", (3,), regularizer="l3")),
    ("a state", state(("h", (2,)))),
    ("a state without a name", state(("h h", (2,)))),
    ("a state twice", state(("h", (2,)), ("h", (2,)))),
    ("a state of an unknown size", state(("h", (None,)))),
    ("a state of a wrong size", state(("h", (-1,)))),
    ("rows of a state", lambda: rows(4, 4)),
    ("other rows of a state", lambda: rows(4, 3)),
    ("too few arrays", lambda: built((None, 3), Dense).set_weights([np.ones((3, 2))])),
    ("another shape", lambda: built((None, 3), Dense).set_weights([np.ones((3, 2)), np.ones(3)])),
    ("a text", lambda: built((None, 3), Dense).set_weights([np.ones((3, 2)), ["a", "b"]])),
    ("a new array", lambda *_: replace()),
    ("weights of nothing", lambda: Dense().get_weights()),
    ("an attribute of nothing", lambda: Plain().kernel),
    ("a kernel of nothing", lambda: Dense().kernel),
    ("a kernel of a class", lambda: Dense().d_kernel),
    ("a rate", lambda: Plain(learning_rate_multiplier=-1)),
    ("a frozen text", lambda: Plain(trainable="no")),
    ("an empty name", lambda: layers.Dense(2, name="")),
    ("a name that is a number", lambda: layers.Dense(2, name=3)),
    ("a half", lambda: layers.Dense(2, dtype="float16")),
    ("a mask", lambda: Plain()(X, mask=np.ones((4, 3), bool))),
    ("nothing to run", lambda: layers.Layer().forward(X)),
    ("nothing to run back", lambda: layers.Layer().backward(X)),
    ("back before", lambda: built((None, 3), Dense).backward(X)),
    ("a gradient of another shape", lambda: backward(X)),
    ("the gradient of a text", lambda: backward([["a"] * 2] * 4)),
    ("a layer of Keras", lambda: Keras().forward(X)),
]


class Dense(layers.Dense):
    def __init__(self):
        super().__init__(2, name="dense")


def replace():
    layer = Dense()
    layer.forward(X)
    layer.kernel = np.ones((3, 2))


class Keras(layers.Layer):
    def call(self, x):
        return x


def rows(*counts):
    layer = Plain(states=[("h", (2,))])
    layer.build((None, 3))
    for count in counts:
        layer.state("h", count)


def backward(dy):
    layer = Dense()
    layer.forward(X, training=True)
    layer.backward(dy)


INPUTS = [
    ("no shape", build(())),
    ("no shapes", build(((), (None, 3)), Two)),
    ("a text", build("ab")),
    ("a number", build(3)),
    ("a negative size", build((None, -1))),
    ("two for one", build(((None, 3), (None, 3)))),
    ("one for two", build((None, 3), Two)),
    ("three for two", build(((None, 3),) * 3, Two)),
    ("two", build(((None, 3), (None, 3, 1)), Two)),
    ("too few axes", build(((None, 3), (None, 3)), Two)),
    ("again", lambda: built((None, 3), Dense).build((5, 3))),
    ("again, of another size", lambda: built((None, 3), Dense).build((None, 4))),
    ("again, without weights", lambda: built((None, 3)).build((None, 4))),
    ("a list of two", run([X, X[:, :, None].astype(int)], layer=Two)),
    ("one array for two", run(X, layer=Two)),
    ("three arrays for two", run((X, X, X), layer=Two)),
    ("two arrays for one", run((X, X))),
    ("other rows", run((X, X[:3, :, None].astype(int)), layer=Two)),
    ("axes of the second", run((X, X.astype(int)), layer=Two)),
    ("a kind of the second", run((X, X[:, :, None] / 2), layer=Two)),
    ("other features", run(X, (None, 4))),
    ("an axis less", run(np.ones((5, 3)), (None, None, 3))),
    ("an axis more", run(np.ones((2, 5, 3)), (None, 3))),
    ("any length", run(np.ones((2, 5, 3)), (None, None, 3))),
    ("any length, other features", run(np.ones((2, 5, 3)), (None, None, 4))),
    ("shapes of two", run((X, X[:, :, None].astype(int)), ((None, 3), (None, 4, 1)), Two)),
]


def test_words_of_binding_states_layer_and_module():
    check_text(__file__, "weights.txt", messages(WEIGHTS))


def test_words_of_inputs_and_building():
    check_text(__file__, "inputs.txt", messages(INPUTS))


def test_hints_of_shapes():
    lines = []
    for expected, shape in (
        ((None, 1), (5,)),
        ((None, None), (5,)),
        ((None, 5), (5,)),
        ((None, 5), (None,)),
        ((None, 5), (4,)),
        ((None, 5, 2), (5, 2)),
        ((None, 5, 2), (5,)),
        ((None, 5, None), (4, 5, 2, 2)),
        ((None, 5), (4, 5, 1)),
        ((None, 5), (4, 6)),
    ):
        lines.append(f"{expected} {shape}: {shape_hint(expected, shape)}")
    shapes = ((None,), (None, 3), (7, None, 3), ((None, 3), (None, None)))
    lines += [f"{shown_shape(s)} {listed_shapes(s)} {any_batch(s)}" for s in shapes]
    check_text(__file__, "shapes.txt", "\n".join(lines))
    assert checked_shape("layer", "shape", [[None, 3], [2]]) == ((None, 3), (2,))
    assert checked_shape("layer", "shape", [None, 3]) == (None, 3)
    for specs, names in (
        ([InputSpec()], ["x"]),
        ([InputSpec(name="a")], ["a"]),
        ([InputSpec(), InputSpec(name="a"), InputSpec()], ["x_0", "a", "x_2"]),
    ):
        assert input_names(tuple(specs)) == names


def test_axes_of_declared_inputs():
    for spec, shape, fits in (
        (InputSpec(), (None,), True),
        (InputSpec(min_ndim=2), (None,), False),
        (InputSpec(min_ndim=2), (None, 1), True),
        (InputSpec(min_ndim=2), (None, 1, 1), True),
        (InputSpec(ndim=2), (None, 1), True),
        (InputSpec(ndim=2), (None, 1, 1), False),
        (InputSpec(ndim=2), (None,), False),
    ):
        layer = Plain(spec=spec)
        said = messages([("", lambda layer=layer, shape=shape: check_declared(layer, shape))])
        assert (said == ": passes") == fits, said
    layer = built((None, None, 3))
    for shape, fits in (
        ((4, 5, 3), True), ((None, 5, 3), True), ((4, 5, 2), False), ((4, 5), False),
        ((4, 5, 3, 1), False), (((4, 5, 3),), True), (((4, 5, 3),) * 2, False),
    ):  # fmt: skip
        said = messages([("", lambda shape=shape: check_shapes(layer, shape))])
        assert (said == ": passes") == fits, shape


# What layers know --------------------------------------------------------------------------------


def test_binding_and_the_row_of_the_fast_check():
    for layer, shape, row in (
        (Plain(), (None, 3), (3,)),
        (Plain(), (None, None, 3), (None, 3)),
        (Plain(spec=InputSpec(dtype="integer")), (None, 3), None),
        (Two(), ((None, 3), (None, 3, 1)), None),
    ):
        layer.build(shape)
        layer._bind_alone()
        assert layer._row == row
    layer._unbuild()
    assert layer._row is layer.input_shape is layer.output_shape is None
    assert not layer.declared_parameters


def test_binding_makes_weights_attributes_of_their_layer():
    layer = Plain(("a", (3, 2), {}), ("s", (2,), {"statistic": True}), ("b", (2,), {}))
    layer.build((None, 3))
    assert isinstance(type(layer).a, Declared)
    assert [w.shape for w in layer.weights] == [(3, 2), (2,), (2,)]
    assert layer.weights[1] is layer.b
    assert [w is v for w, v in zip(layer.trainable_weights, (layer.a, layer.b), strict=True)] == [
        True, True,
    ]  # fmt: skip
    assert [w is layer.s for w in layer.non_trainable_weights] == [True]
    assert [g.shape for g in layer.gradients] == [(3, 2), (2,)]
    assert layer.count_params() == 10
    assert np.shares_memory(layer.d_a, layer.parameters.gradients)
    assert np.shares_memory(layer.d_b, layer.parameters.gradients)
    assert np.shares_memory(layer.a, layer.parameters.values)
    with pytest.raises(AttributeError, match="layer Plain has no attribute 'd_s'"):
        layer.d_s  # noqa: B018
    copied = layer.get_weights()
    copied[0][...] = 7
    assert (layer.a != 7).any()
    layer.set_weights([np.full((3, 2), 5), np.full(2, 6), np.full(2, 7)])
    assert (layer.a.min(), layer.b.min(), layer.s.min()) == (5, 6, 7)
    layer.trainable = False
    assert layer.trainable_weights == layer.gradients == []
    assert len(layer.non_trainable_weights) == 3
    layer.set_weights([np.ones((3, 2)), np.ones(2), np.ones(2)])
    layer.b = layer.b  # the same view


def test_inputs_of_a_layer_call():
    class Spy(Plain):
        takes_mask = True

        def forward(self, x, training=False, mask=None):
            return x, training, mask

    spy, a, b = Spy(), X, X + 1
    assert spy(a) == (a, False, None) or spy(a)[0] is a
    for given, expected in (
        (((a,), {}), (a, False, None)),
        (((a, True), {}), (a, True, None)),
        (((a, np.bool_(True)), {}), (a, True, None)),
        (((a,), {"training": True}), (a, True, None)),
        (((a,), {"mask": 3}), (a, False, 3)),
        (((a, True), {"mask": 3}), (a, True, 3)),
    ):
        found = spy(*given[0], **given[1])
        assert found[0] is a
        assert found[1:] == expected[1:]
    pair = spy(a, b)[0]
    assert pair[0] is a
    assert pair[1] is b
    assert spy.compute_mask(a, 3) is None
    spy.supports_masking = True
    assert spy.compute_mask(a, 3) == 3
    assert spy.compute_mask(a, (3, 4)) is None


def test_parameters_that_an_optimizer_changes():
    first = Plain(("a", (2,), {}), ("s", (3,), {"statistic": True}), ("b", (4,), {}))
    frozen = Plain(("a", (2,), {}), trainable=False)
    still = Plain(("a", (5,), {}), learning_rate_multiplier=0)
    table = Plain(("a", (2, 3), {"row_gradient": True}), ("b", (1,), {}))
    last = Plain(("a", (2,), {"regularizer": "l2", "constraint": "non_neg"}))
    parts = [first, frozen, still, table, last]
    for i, part in enumerate(parts):
        part.name = f"p{i}"
    its = nl.Sequential(parts, seed=0)
    its.build((None, 3))
    p = its.parameters
    assert (p.size, len(p.all), len(p.tensors)) == (22, 8, 6)
    assert [t.path for t in p.regularized] == [t.path for t in p.constrained] == ["p4/a"]
    assert p.segments == [slice(0, 6), slice(16, 22), slice(13, 16)]
    owned = [(key, own) for key, _, own in p.runs(lambda t: t.name)]
    assert owned == [
        ("a", slice(0, 2)), ("b", slice(2, 6)), ("a", slice(13, 19)),
        ("b", slice(19, 20)), ("a", slice(20, 22)),
    ]  # fmt: skip
    assert p.gradients.size == 16
    p.gradients[...] = np.arange(16)
    table.d_a.set([1], [[7, 8, 9]])
    assert p.dense_gradients()[16:].tolist() == [0, 0, 0, 7, 8, 9]
    assert p.dense_gradients()[:16].tolist() == list(range(16))
    assert p.regularization() == pytest.approx(0.01 * float((last.a**2).sum()))
    last.a[...] = [-1, 2]
    p.constrain()
    assert last.a.tolist() == [0, 2]
    assert [layer._has_trainable_weights for layer in parts] == [True, False, True, True, True]


def test_gradients_of_parameters_that_are_frozen():
    its = nl.Sequential([layers.Dense(2, name="a"), layers.Dense(1, name="b")], seed=0)
    its.build((None, 3))
    first, vector = its.layers[0], its.parameters.vector
    first.trainable = False
    assert vector._gradients is None
    its.parameters.gradients[...] = 5
    first.trainable = True
    assert its.parameters.gradients.min() == 5
    first.trainable = False
    assert first.d_kernel.max() == first.d_bias.max() == 0
    assert its.layers[1].d_kernel.min() == 5
    assert (first._has_trainable_weights, its.layers[1]._has_trainable_weights) == (False, True)
