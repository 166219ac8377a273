"""A layer that is used several times: each use has a memory of its own, and gradients add up."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.core.calls import generators_of
from netlayers.core.hooks import observed
from netlayers.layers.graph import Graph
from tests.user_layers import Gate

L = nl.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4))


def twice(**options):
    """``y = g(f(f(x)))`` with one f."""
    calls = [(0, [(0, None)]), (0, [(1, None)]), (1, [(2, None)])]
    return Graph([L.Dense(4, "tanh"), L.Dense(3)], calls, **options)


def wide():
    """f of x and f of f(x), side by side as the sum of both, to see values with several users."""
    calls = [
        (0, [(0, None)]),
        (0, [(1, None)]),
        (1, [(1, None)]),
        (1, [(2, None)]),
        (2, [(3, None), (4, None)]),
    ]
    return Graph([L.Dense(4, "sigmoid"), L.Dense(2, "tanh"), Gate()], calls)


@pytest.mark.parametrize("make", [twice, wide], ids=["twice", "wide"])
def test_gradients_of_a_layer_that_is_used_twice(make):
    for target in (make(), nl.Sequential([make(), L.Dense(2)], seed=0)):
        report = nl.check_gradients(target, X)
        assert report.passed, str(report)


def test_it_is_the_sum_of_two_layers_with_the_same_weights():
    graph = twice(dtype="float64")
    f, g = graph.layers
    y = graph.forward(X, training=True)
    dx = graph.backward(np.ones_like(y)).copy()
    plain = nl.Sequential([L.Dense(4, "tanh"), L.Dense(4, "tanh"), L.Dense(3)], dtype="float64")
    plain.build((None, 4))
    plain.set_weights([*f.get_weights(), *f.get_weights(), *g.get_weights()])
    np.testing.assert_array_equal(plain.forward(X, training=True), y)
    np.testing.assert_array_equal(plain.backward(np.ones_like(y)), dx)
    a, b, c = plain.layers
    np.testing.assert_allclose(f.d_kernel, a.d_kernel + b.d_kernel, rtol=1e-15)
    np.testing.assert_allclose(f.d_bias, a.d_bias + b.d_bias, rtol=1e-15)
    np.testing.assert_array_equal(g.d_kernel, c.d_kernel)


def test_a_graph_that_is_used_twice_uses_a_layer_twice():
    inner = Graph([L.Dense(4, "tanh")], [(0, [(0, None)]), (0, [(1, None)])])
    outer = Graph([inner, L.Dense(2)], [(0, [(0, None)]), (0, [(1, None)]), (1, [(2, None)])])
    report = nl.check_gradients(outer, X)
    assert report.passed, str(report)


def test_a_source_that_names_no_array_is_refused():
    graph = Graph([L.Dense(2), L.Dense(2)], [(0, [(0, None)]), (1, [(1, 1)])])
    with pytest.raises(nl.errors.ShapeError, match=r"\(1, 1\) names an array of one array"):
        graph.build((None, 4))


def test_a_layer_with_a_state_is_called_once():
    class Sum(L.Layer):
        def build(self, input_shape):
            self.add_state("total", (input_shape[-1],))

        def forward(self, x, training=False):
            x = self.prepare(x)
            total = self.state("total", len(x))
            total += x
            return total.copy()

        def backward(self, dy):
            return dy

    graph = Graph([Sum()], [(0, [(0, None)]), (0, [(1, None)])])
    with pytest.raises(nl.errors.ConfigurationError, match="has a state and can be called once"):
        graph.build((None, 4))


@pytest.mark.parametrize(
    ("name", "shape", "match"),
    [("not a name", (2,), "cannot be named"), ("h", (2, None), "size of every axis")],
)
def test_a_state_that_can_not_be_is_refused(name, shape, match):
    class Odd(L.Layer):
        def build(self, input_shape):
            self.add_state(name, shape)

    with pytest.raises(nl.errors.ConfigurationError, match=match):
        Odd().build((None, 4))


def test_new_call_has_a_cache_and_buffers_of_its_own():
    layer = L.Dense(2, "relu", dtype="float64")
    again = layer.new_call()
    a = layer.forward(X, training=True)
    kept = a.copy()
    again.forward(2 * X[:3], training=True)
    np.testing.assert_array_equal(a, kept)
    alone = copy.deepcopy(layer)
    alone.forward(X, training=True)
    np.testing.assert_array_equal(layer.backward(np.ones((5, 2))), alone.backward(np.ones((5, 2))))
    assert again.backward(np.ones((3, 2))).shape == (3, 4)
    with pytest.raises(nl.errors.NoForwardError, match=r"layer 'dense' \(call 3\)"):
        layer.new_call().backward(np.ones((5, 2)))
    with pytest.raises(nl.errors.ShapeError, match=r"layer 'dense' \(call 2\)"):
        again.backward(np.ones((5, 2)))


def test_calls_draw_random_numbers_of_their_own():
    calls = [(0, [(0, None)]), (0, [(1, None)])]
    model = nl.Sequential([L.Input((4,)), Graph([L.Dropout(0.5)], calls)], seed=0)
    x = np.ones((64, 4), np.float32)
    y = model.forward(x, training=True)
    dx = model.backward(np.ones_like(y))
    np.testing.assert_array_equal(dx, y)  # both masks, twice over
    shares = [(model.forward(x, training=True) != 0).mean() for _ in range(50)]
    assert 0.2 < np.mean(shares) < 0.3  # the masks are independent


def test_trained_saved_copied_and_resumed(tmp_path):
    def make():
        model = nl.Sequential([wide(), L.Dense(1)], seed=1)
        model.compile("adam", "mse")
        return model

    y = X.sum(axis=1)
    model = make()
    first = model.fit(X, y, epochs=30, verbose=0).history["loss"]
    assert first[-1] < first[0]
    path = tmp_path / "model.safetensors"
    model.save(path)
    others = [
        nl.load_model(path, {"Gate": Gate}),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ]
    model.fit(X, y, epochs=3, verbose=0)
    for other in others:
        assert other.count_params() == model.count_params()
        other.fit(X, y, epochs=3, verbose=0)
        assert other.parameters.values.tobytes() == model.parameters.values.tobytes()
        np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_hooks_see_which_call_it_is():
    graph = twice()
    graph.build((None, 4))
    seen = []

    def around(layer, method, given, run):
        seen.append((layer.name, method, layer._call_number))
        return run()

    with observed(graph, around):
        y = graph.forward(X, training=True)
        graph.backward(np.ones_like(y))
    dense = [entry[1:] for entry in seen if entry[0] == "dense" and "logits" not in entry[1]]
    assert dense == [("forward", 1), ("forward", 2), ("backward", 2), ("backward", 1)]


def test_gradients_ready_is_told_once_for_each_weight_after_its_last_backward():
    model = nl.Sequential([wide(), L.Dense(1)], seed=1, dtype="float64")
    model.compile("sgd", "mse")
    model.train_on_batch(X, X[:, :1])
    told, vector = [], model.parameters.vector
    vector.gradients_ready = lambda place: told.append((place, vector.gradients[place].copy()))
    model.train_on_batch(X, X[:, :1])
    assert sorted(p.start for p, _ in told) == sorted(
        p.slice.start for p in model.declared_parameters
    )
    for place, gradient in told:
        np.testing.assert_array_equal(vector.gradients[place], gradient)


def test_wrong_wires_are_named():
    for calls, match in (
        ([(1, [(0, None)])], "call 1 must name a layer from 0 to 0, got 1"),
        ([(0, [(1, None)])], "numbers from 0 to 0"),
        ([(0, 3)], "list of pairs"),
    ):
        layer = L.Dense(2)
        with pytest.raises(nl.errors.ConfigurationError, match=match):
            Graph([layer], calls)
        nl.Sequential([layer])  # it was let go


def test_a_container_that_is_used_twice_and_uses_a_layer_twice():
    inner = Graph([L.Dense(4, "tanh")], [(0, [(0, None)]), (0, [(1, None)])])
    outer = Graph([inner, L.Dense(2)], [(0, [(0, None)]), (0, [(1, None)]), (1, [(2, None)])])
    report = nl.check_gradients(outer, X)
    assert report.passed, str(report)
    seen = []

    def around(layer, method, given, run):
        if layer is inner.layers[0] and method == "forward":
            seen.append(layer._call_number)
        return run()

    outer.build((None, 4))
    with observed(outer, around):
        outer.forward(X, training=True)
    assert seen == [1, 2, 3, 4]


def test_the_seed_fixes_the_weights():
    a, b = (nl.Sequential([wide(), L.Dense(1)], seed=1) for _ in range(2))
    for model in (a, b):
        model.build((None, 4))
    np.testing.assert_array_equal(a.parameters.values, b.parameters.values)


def test_generators_of_further_calls_are_known():
    calls = [(0, [(0, None)]), (0, [(1, None)])]
    model = nl.Sequential([L.Dense(4), Graph([L.Dropout(0.5)], calls)], seed=0)
    model.build((None, 4))
    assert sorted(n.partition(".")[2] for n in generators_of(model)) == ["rng", "rng/2"]
    report = nl.check_gradients(model, X)  # which lets each evaluation draw the same numbers
    assert report.passed, str(report)


@pytest.mark.parametrize(("wrong", "count"), [(lambda dx: dx[:1], 1), (lambda dx: dx[0], 1)])
def test_a_layer_that_returns_too_few_gradients_is_named(wrong, count):
    class Wrong(Gate):
        def backward(self, dy):
            return wrong(super().backward(dy))

    wires = [(0, [(0, None)]), (1, [(0, None)]), (2, [(1, None), (2, None)])]
    graph = Graph([L.Dense(3), L.Dense(3), Wrong()], wires)
    y = graph.forward(np.ones((4, 2)), training=True)
    message = rf"'graph/wrong' \(Wrong\): backward\(\) must return a tuple of 2.*got {count}\."
    with pytest.raises(nl.errors.ShapeError, match=message):
        graph.backward(y)
