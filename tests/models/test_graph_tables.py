"""Functional and sequential models: names, connections, configurations, parts, kept in tables."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError
from netlayers.layers.graph import Graph
from netlayers.models.functional import Functional
from tests.golden import check_text
from tests.snapshots import numbers, outcome
from tests.user_layers import Embed, Gate, Halves

L = nl.layers
X = numbers(4, 3)


def pair(**options):
    a, b = nl.Input((3,), name="a"), nl.Input((2,), name="b")
    h = L.Dense(3, "tanh", name="h")(L.Concatenate(name="both")([a, b]))
    return nl.Model([a, b], h + a, name="pair", **options)


def halves(outputs):
    x = nl.Input((4,), name="x")
    left, right = L.Dense(4, name="d")(x), x
    first, second = Halves(name="halves")(left)
    return nl.Model(x, outputs(first, second, right), name="net", seed=2)


def ids():
    x, y = nl.Input((5,), dtype="int32", name="ids"), nl.Input((3,), name="plain")
    e = L.Flatten(name="flat")(Embed(6, 2, name="e")(x))
    return nl.Model({"words": x, "numbers": y}, {"sum": L.Concatenate(name="c")([e, y]), "e": e})


def shared():
    x, layer = nl.Input((3,), name="x"), L.Dense(3, name="s")
    return nl.Model(x, layer(L.Dropout(0.5, name="drop")(layer(x), training=False)), seed=1)


MODELS = {
    "pair": pair,
    "float64": lambda: pair(
        dtype="float64", trainable=False, seed=5, learning_rate_multiplier=0.5
    ),
    "both halves": lambda: halves(lambda a, b, x: [b, a]),
    "one half": lambda: halves(lambda a, b, x: b),
    "one in a list": lambda: halves(lambda a, b, x: [a]),
    "twice": lambda: halves(lambda a, b, x: (a, a, x, x)),
    "the input": lambda: halves(lambda a, b, x: x),
    "by name": ids,
    "shared": shared,
    "chain": lambda: (lambda x: nl.Model(x, L.Dense(2, name="d")(x)))(nl.Input((3,), name="x")),
    "inner": lambda: (lambda x: nl.Model(x, shared_inner()(x)))(nl.Input((3,), name="x")),
    "gate": lambda: (lambda x, y: nl.Model([y, x], Gate(name="g")([x, y])))(
        nl.Input((3,), name="x"), nl.Input((3,), name="y")
    ),
}  # fmt: skip


def shared_inner():
    inner = shared()
    return nl.Sequential([inner, L.Dense(1, name="last")], name="seq")


def described(model):
    lines = [f"  {model.input_names} {model.output_names} {model._is_chain}"]
    lines.append(f"  {model.input_shape} -> {model.output_shape}")
    lines += [f"  {spec}" for spec in np.atleast_1d(np.array(model.input_spec, object)).ravel()]
    connected = {layer.name: names for layer, names in model._connected_to().items()}
    lines.append(f"  {connected}")
    lines.append(f"  {model.inputs} {model.outputs}")
    lines.append(f"  {model.input} {model.output}")
    config = model.get_config()
    layers = [(d["class_name"], d["config"]["name"]) for d in config.pop("layers")]
    lines.append(f"  {layers} {config}")
    lines.append(f"  {type(model.activation).__name__} {len(model._output_activations())}")
    lines.append(f"  {[type(a).__name__ for a in model._output_activations()]}")
    lines.append(
        f"  {[layer.name for layer in model.layers]} {[type(c).__name__ for c in model.calls]}"
    )
    return lines


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    model = MODELS[name]()
    lines = described(model)
    own = {cls.__name__: cls for cls in (Embed, Gate, Halves)}
    again = type(model).from_config(model.get_config(), own)
    if model.parameters is not None:
        model.parameters.values[...] = numbers(model.parameters.size)
    assert again.get_config() == model.get_config()
    assert described(again)[:1] == lines[:1]
    shapes = model.input_shape if isinstance(model.input_shape[0], tuple) else [model.input_shape]
    data = [numbers(4, *shape[1:]) for shape in shapes]
    if name == "by name":
        data[0] = np.abs(4 * data[0]).astype(int)
    for given in (
        data, tuple(data), data[0], dict(zip(model.input_names, data, strict=True)),
        data[::-1], {"wrong": data[0]}, [*data, data[0]], [data],
    ):  # fmt: skip
        for call in (model.predict, model, lambda x: model.forward(tuple(x))):
            lines.append(f"  {outcome(lambda c=call, g=given: flat(c(g)))}")
    check_text(__file__, f"graph {name}.txt", "\n".join(lines))


def flat(y):
    """Return outputs as a tuple, and in what they came as a word."""
    parts = y.values() if isinstance(y, dict) else y if isinstance(y, (list, tuple)) else [y]
    return f"{type(y).__name__} {[(p.shape, float(f'{p.sum():.5g}')) for p in parts]}"


def test_configurations_that_are_not_valid():
    config, lines = pair().get_config(), []
    changes = {
        "calls": [[], [[9, [[0, 0]]]], [[1, [[7, None]]]], [[1, 3]], "x", None, [[0, [[0, 0]]]]],
        "inputs": [[], [0], [0, 9], {"a": 0, "b": 1}, {"a": 9}, None, "x"],
        "outputs": [[], [9, None], [[1, None]], {"y": [1, None]}, [1, 5], None, [1], "x"],
        "layers": [[], [3], None],
        "seed": [-1, "x"], "dtype": ["float16"], "trainable": [3], "unknown": [1],
    }  # fmt: skip
    for key, values in changes.items():
        for value in values:
            made = outcome(lambda k=key, v=value: pair_from({**config, k: v}))
            lines.append(f"{key}={value}: {made}")
    check_text(__file__, "graph-configurations.txt", "\n".join(lines))


def pair_from(config):
    try:
        return f"{nl.models.Functional.from_config(config).output_shape}"
    except (ConfigurationError, TypeError) as error:
        return f"{type(error).__name__}: {error}".partition(" is not valid: ")[0]


def test_what_is_no_model():
    x = nl.Input((3,), name="x")
    y = L.Dense(2)(x)
    cases = [(x, []), ([], y), (x, None), (x, 3), ({}, y), (x, {"a": y, "b": 1}), (x, [y, X]),
             (L.Dense(1), y), ([x, x], y), ([x, y], y), (y, x)]  # fmt: skip
    lines = [
        f"{i}: {outcome(lambda a=a, b=b: nl.Model(a, b).count_params())}"
        for i, (a, b) in enumerate(cases)
    ]
    check_text(__file__, "no-models.txt", "\n".join(lines))


# Sequential ---------------------------------------------------------------------------------------


def test_configurations_of_chains():
    made = nl.Sequential(
        [L.Dense(2)], False, "mine", seed=4, dtype="float64", learning_rate_multiplier=0.5
    )
    config = made.get_config()
    del config["layers"]
    assert config == {
        "name": "mine", "trainable": False, "seed": 4, "dtype": "float64",
        "learning_rate_multiplier": 0.5,
    }  # fmt: skip
    again = nl.Sequential.from_config(made.get_config())
    assert again.get_config() == made.get_config()
    assert again.learning_rate_multiplier == 0.5
    assert not again.layers[0].trainable


def test_symbolic_values_of_chains():
    first = nl.Input((3,), name="x")
    known = nl.Sequential([first, L.Dense(2, name="d")], name="known")
    later = nl.Sequential([L.Dense(2, name="d"), L.Dense(1, name="e")], name="later")
    with pytest.raises(ConfigurationError, match="its input shape is not known yet"):
        _ = later.inputs
    later.build((None, 5))
    assert known.inputs == [first]
    assert repr(known.outputs) == "[<SymbolicValue (batch, 2) of layer 'd'>]"
    assert later.input.shape == (None, 5)
    assert repr(later.output) == "<SymbolicValue (batch, 1) of layer 'e'>"
    assert later.inputs[0] is later.inputs[0]
    assert copy.deepcopy(later).input is not later.input
    tail = nl.Model(later.get_layer("d").output, later.output)
    np.testing.assert_allclose(
        tail.predict(later.layers[0].forward(numbers(4, 5)).copy()), later.predict(numbers(4, 5))
    )


def test_input_specs_of_the_first_layers():
    for layer, dtype, keeps in (
        (L.Dense(2), "float", True),
        (L.Embedding(5, 2), "integer", False),
        (L.Normalization(), "float", True),
    ):
        model = nl.Sequential([nl.Input((3,)), layer])
        spec = model.get_layer("input_layer").input_spec
        assert (spec.dtype, spec.keeps_precision) == (dtype, keeps)
    with pytest.raises(nl.errors.ShapeError, match="takes 2 inputs"):
        nl.Sequential([nl.Input((3,)), L.Add()])


def test_a_removed_layer_has_weights_of_its_own_unless_another_model_has_them():
    model = nl.Sequential([L.Dense(4), L.Dense(2, name="last")], seed=0)
    model.build((None, 3))
    whole, kept = model.parameters.values, model.layers[1].get_weights()
    layer = model.pop()
    assert model.output_shape == (None, 4)
    for before, now in zip(kept, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)
    assert not np.shares_memory(layer.kernel, whole)
    layer.kernel[...] = 0
    assert model.predict(X).any()
    chain = nl.Sequential([nl.Input((4,)), layer])
    model.add(layer)
    model.pop()
    assert np.shares_memory(layer.kernel, chain.parameters.values)
    unbuilt = nl.Sequential([L.Dense(4), L.Dense(2)])
    assert not unbuilt.pop().built
    first = nl.Sequential([nl.Input((3,))])
    first.pop()
    assert first.input_shape is None
    assert not first.layers


def test_a_chain_within_a_model_is_built_by_the_model():
    inner = nl.Sequential([L.Dense(2)])
    inner.layers[0].build((None, 3))
    outer = nl.Sequential([inner, L.Dense(1)])
    outer.summary(print_fn=lambda line: None)
    assert outer.built
    assert inner.parameters.values.base is not None
    assert np.shares_memory(inner.layers[0].kernel, outer.parameters.values)
    text = str(nl.models.summary.Summary(outer))
    assert text.splitlines()[0] == f"Model: {outer.name}" or outer.name in text


def test_layers_that_a_refused_graph_was_given_are_free_again():
    layer = L.Dense(3, name="a")
    with pytest.raises(ConfigurationError, match="sources"):
        Graph([layer], [(0, [(4, None)])])
    assert not layer._containers
    model = nl.Sequential([nl.Input((3,)), layer])
    assert isinstance(model.pop(), L.Dense)
    assert Functional.__name__ == "Functional"
