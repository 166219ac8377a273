"""What every registered class promises, whoever wrote it: nothing here is written for one class."""

import copy
import importlib
import json
import pickle
import pkgutil
import sys
import tracemalloc

import numpy as np
import pytest

import netlayers as nl
from netlayers.activations import ActivationFunction, ActivationLayer
from netlayers.arrays.convert import shapes_of
from netlayers.checks import is_several
from netlayers.core.calls import generators_of
from netlayers.core.inputs import input_names, specs_of
from netlayers.core.shapes import any_batch, listed_shapes
from netlayers.data.batch import Batch
from netlayers.errors import ConfigurationError, NoForwardError, ShapeError
from netlayers.metrics import Mean, MeanMetric, MeanMetricWrapper, Metric, Sum
from netlayers.optimizers.schedules import LearningRateSchedule
from netlayers.registry import registered, snake_case
from netlayers.training.state import pack, unpack
from tests.user_layers import Embed, Gate, Halves, Join, Leaky, MaskedMean, MaskingEmbed

MODULES = [
    importlib.import_module(m.name)
    for m in pkgutil.walk_packages(nl.__path__, "netlayers.")
    if not m.name.endswith("__main__")
]
BASES = {
    "ActivationLayer",
    "AffineNormalization",
    "AxisActivation",
    "Chain",
    "Container",
    "CompilableModel",
    "TrainableModel",
    "Model",
    "Network",
    "NormalizingLayer",
}
# For each kind: its base class, where it is exported, and the bases that are no class to use.
KINDS = {
    "layer": (nl.layers.Layer, nl.layers, BASES),
    "loss": (nl.losses.Loss, nl.losses, {"AxisLoss", "Crossentropy", "OneHotTargets"}),
    "optimizer": (nl.optimizers.Optimizer, nl.optimizers, {"Moments"}),
    "schedule": (LearningRateSchedule, nl.optimizers.schedules, set()),
    "metric": (Metric, nl.metrics, {"MeanMetric", "LossMetric"}),
    "initializer": (nl.initializers.Initializer, nl.initializers, {"RandomInitializer"}),
    "regularizer": (nl.regularizers.Regularizer, nl.regularizers, set()),
    "constraint": (nl.constraints.Constraint, nl.constraints, set()),
}


def ours(cls):
    # A class of a docstring's example claims the module too, but is not in it.
    module = sys.modules.get(cls.__module__)
    return cls.__module__.startswith("netlayers.") and hasattr(module, cls.__name__)


def concrete(kind):
    """Every class of the package that is no base class, found without the registry."""
    base, _, abstract = KINDS[kind]
    found, todo = [], list(base.__subclasses__())
    while todo:
        cls = todo.pop()
        todo += cls.__subclasses__()
        if ours(cls) and not cls.__name__.startswith("_") and cls.__name__ not in abstract:
            found.append(cls)
    return sorted(set(found), key=lambda c: c.__name__)


def call_id(cls, kwargs):
    def short(value):
        if isinstance(value, dict) and "class_name" in value:
            return value["class_name"]
        return [short(v) for v in value] if isinstance(value, list) else value

    kwargs = {k: short(v) for k, v in kwargs.items()}
    return f"{cls.__name__}({', '.join(f'{k}={v}' for k, v in kwargs.items())})"


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_is_registered_and_exported(kind):
    classes = concrete(kind)
    known, exported = registered(kind), KINDS[kind][1]
    assert classes
    for cls in classes:
        for name in (cls.__name__, snake_case(cls.__name__)):
            assert known.get(name) is cls, f"{cls.__name__} is not registered as {name!r}"
        if cls.__name__ == "Graph":  # for functional models, which are not there yet
            continue
        place = nl if cls is nl.Sequential else exported
        assert cls.__name__ in place.__all__, f"{cls.__name__} is not exported"
        assert getattr(place, cls.__name__) is cls
    assert {c for c in known.values() if ours(c)} == set(classes)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_public_names_exist_and_have_docstrings(module):
    assert module.__doc__
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names))
    for name in names:
        value = getattr(module, name)
        assert (value.__doc__ or "").strip(), f"{module.__name__}.{name} has no docstring"
        assert name in dir(module)


def test_root_exports():
    assert set(nl.__all__) <= set(dir(nl))
    assert all(getattr(nl, name).__doc__ for name in nl.__all__)


# Layers ---------------------------------------------------------------------------------------

LAYERS = concrete("layer")
# Several inputs and outputs, indices, masks, states: what a user's layers may be.
USERS = [Embed, Gate, Halves, Join, Leaky, MaskedMean, MaskingEmbed]


def shape_id(shape):
    return "+".join("x".join(map(str, one)) for one in listed_shapes(shape))


def examples_of(classes):
    return [
        pytest.param(cls, kwargs, shape, id=f"{call_id(cls, kwargs)}-{shape_id(shape)}")
        for cls in classes
        for kwargs, shape in cls.examples()
    ]


EXAMPLES = examples_of([*LAYERS, *USERS])
each_example = pytest.mark.parametrize(("cls", "kwargs", "shape"), EXAMPLES)
FLOATS = ("float32", "float64")


def make(cls, kwargs, shape, dtype="float64", seed=0):
    """A built layer with random weights and the name ``mine``."""
    layer = cls(**kwargs, dtype=dtype, name="mine")
    layer.build(any_batch(shape))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    statistics = layer.parameters.statistics
    statistics[...] = np.abs(statistics) + 0.5  # a variance is positive
    return layer


def batch(shape, dtype="float64", seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def with_rows(shape, rows):
    """The shape, or the shapes, of an example with another number of rows."""
    return tuple(with_rows(s, rows) for s in shape) if is_several(shape) else (rows, *shape[1:])


def given(layer, shape, dtype="float64", seed=1):
    """An input of the kind that a layer declares: an array, or a tuple of them."""
    drawn = []
    for i, (spec, one) in enumerate(zip(specs_of(layer), listed_shapes(shape), strict=True)):
        if spec.dtype == "float":
            drawn.append(batch(one, dtype, seed + 100 * i))
            continue
        numbers = np.random.default_rng(seed + i).integers(0, 3, one)
        kinds = {"integer": int, "boolean": bool, "string": str}
        drawn.append(numbers.astype(kinds[spec.dtype]))
    return tuple(drawn) if isinstance(layer.input_spec, tuple) else drawn[0]


def listed(value):
    """Several arrays, or the one, without those that there are not."""
    return [a for a in (value if isinstance(value, tuple) else (value,)) if a is not None]


def rows_of(x, start, stop):
    """Some rows of an input."""
    return tuple(a[start:stop] for a in x) if isinstance(x, tuple) else x[start:stop]


def gradient_like(y, seed=2):
    """A random dL/dy for an output, or for several."""
    if isinstance(y, tuple):
        return tuple(batch(a.shape, a.dtype, seed + i) for i, a in enumerate(y))
    return batch(y.shape, y.dtype, seed)


def forward(layer, x, training=False):
    """The output, from states of zeros."""
    layer.reset_states()
    return layer.forward(x, training=training)


def start_again(layer):
    """Let random layers draw what they drew at first."""
    for generator in generators_of(layer).values():
        generator.bit_generator.state = np.random.PCG64(0).state


def step(layer, x, seed=2):
    """Return output, dL/dx and the gradients of a training step, as copies.

    Random layers draw the same numbers in every step, so that two of them can be compared.
    """
    start_again(layer)
    y = forward(layer, x, training=True)
    kept = [np.array(a) for a in listed(y)]
    dx = layer.backward(gradient_like(y, seed))
    return [*kept, *map(np.array, listed(dx)), *map(np.array, layer.gradients)]


def zeros(shape, dtype="float64"):
    """An array of zeros, or a tuple of them for several shapes."""
    return tuple(map(zeros, shape)) if is_several(shape) else np.zeros(shape, dtype)


def same_bits(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("cls", LAYERS, ids=lambda c: c.__name__)
def test_layer_has_examples_that_it_can_be_built_from(cls):
    examples = cls.examples()
    assert examples
    for kwargs, shape in examples:
        layer = cls(**kwargs)
        x = given(layer, shape)
        assert all(y.shape for y in listed(layer.forward(x)))


@each_example
def test_layer_gradients(cls, kwargs, shape):
    layer = make(cls, kwargs, shape)
    report = nl.check_gradients(layer, given(layer, shape), max_entries=None)
    assert report.passed, f"\n{report}"
    specs = specs_of(layer)
    moving = [spec.dtype == "float" and spec.gradient for spec in specs]
    inputs = ["input"] if len(specs) == 1 else [f"input {name}" for name in input_names(specs)]
    names = [name for name, moves in zip(inputs, moving, strict=True) if moves]
    names += [p.path for p in layer.declared_parameters if p.trainable]
    count = len(listed_shapes(layer.output_shape))
    ways = [f" (output {i} alone)" for i in range(count) if count > 1]
    ways += [" (masked)"] if layer.takes_mask else []
    assert [row.name for row in report.rows] == [n + way for way in ("", *ways) for n in names]
    assert all(row.checked == np.prod(row.shape) for row in report.rows), f"\n{report}"


@each_example
@pytest.mark.parametrize("dtype", FLOATS)
def test_layer_shapes_and_dtypes(cls, kwargs, shape, dtype):
    layer = make(cls, kwargs, shape, dtype)
    expected = layer.compute_output_shape(any_batch(shape))
    assert layer.output_shape == expected
    assert all(one[0] is None for one in listed_shapes(expected))
    rows = listed_shapes(shape)[0][0]
    assert layer.compute_output_shape(shape) == with_rows(expected, rows)
    for its in FLOATS:
        x = given(layer, shape, its)
        for training in (False, True):
            y = layer.forward(x, training=training)
            assert all(a.dtype == dtype for a in listed(y))
            assert shapes_of(y) == layer.compute_output_shape(shape)
        dx = layer.backward(gradient_like(y))
        several = isinstance(layer.input_spec, tuple)
        assert isinstance(dx, tuple) is several
        specs, gradients = specs_of(layer), dx if several else (dx,)
        for spec, d, one in zip(specs, gradients, listed_shapes(shape), strict=True):
            if spec.dtype == "float" and spec.gradient:
                assert d.dtype == dtype
                assert d.shape == one
            else:
                assert d is None
    assert [g.shape for g in layer.gradients] == [w.shape for w in layer.trainable_weights]
    assert {a.dtype for a in [*layer.weights, *layer.gradients]} <= {np.dtype(dtype)}


@each_example
@pytest.mark.parametrize("dtype", FLOATS)
def test_layer_changes_no_array_that_it_is_given(cls, kwargs, shape, dtype):
    layer = make(cls, kwargs, shape, dtype)
    x = given(layer, shape, dtype)
    before = [a.tobytes() for a in listed(x)]
    for training in (False, True):
        y = layer.forward(x, training=training)
        assert [a.tobytes() for a in listed(x)] == before
    dy = gradient_like(y)
    dy_before = [a.tobytes() for a in listed(dy)]
    layer.backward(dy)
    assert [a.tobytes() for a in listed(x)] == before
    assert [a.tobytes() for a in listed(dy)] == dy_before
    for a in (*listed(x), *listed(dy)):  # and none is written to in between
        a.flags.writeable = False
    layer.forward(x)
    layer.forward(x, training=True)
    layer.backward(dy)


@each_example
def test_layer_batch_is_the_sum_of_its_samples(cls, kwargs, shape):
    layer = make(cls, kwargs, shape)
    x = given(layer, shape)
    count = len(listed(x)[0])
    rows = [listed(forward(layer, rows_of(x, i, i + 1))) for i in range(count)]
    for i, y in enumerate(listed(forward(layer, x))):
        together = np.concatenate([row[i] for row in rows])
        np.testing.assert_allclose(y, together, rtol=1e-13, atol=1e-14)


@each_example
def test_layer_inference_output_is_the_callers(cls, kwargs, shape):
    layer = make(cls, kwargs, shape)
    y = listed(layer.forward(given(layer, shape)))
    kept = [a.copy() for a in y]
    layer.forward(given(layer, shape, seed=7))
    step(layer, given(layer, shape, seed=8))
    same_bits(y, kept)


@pytest.mark.parametrize(
    ("cls", "kwargs", "shape"), [p for p in EXAMPLES if p.values[0].same_in_training]
)
def test_layer_training_and_inference_agree(cls, kwargs, shape):
    layer = make(cls, kwargs, shape, "float32")
    x = given(layer, shape, "float32")
    kept = [np.array(y) for y in listed(forward(layer, x))]
    same_bits(listed(forward(layer, x, training=True)), kept)


@each_example
@pytest.mark.parametrize("dtype", FLOATS)
def test_layer_config_round_trip(cls, kwargs, shape, dtype):
    layer = make(cls, kwargs, shape, dtype)
    config = json.loads(json.dumps(layer.get_config()))
    again = cls.from_config(config)
    assert type(again) is cls
    assert again.get_config() == layer.get_config()
    assert again.name == "mine"
    assert again.dtype == dtype
    assert repr(again) == repr(layer)
    again.build(any_batch(shape))
    again.set_weights(layer.get_weights())
    x = given(layer, shape, dtype)
    same_bits(step(again, x), step(layer, x))


@each_example
@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_layer_copies(cls, kwargs, shape, how, used):
    layer = make(cls, kwargs, shape, "float32")
    x = given(layer, shape, "float32")
    if used:
        step(layer, x)
    again = pickle.loads(pickle.dumps(layer)) if how == "pickle" else copy.deepcopy(layer)
    same_bits(again.weights, layer.weights)
    with pytest.raises(NoForwardError, match="'mine'"):
        again.backward(zeros(again.compute_output_shape(shape), "float32"))
    same_bits(step(again, x), step(layer, x))
    views_alias_the_vector(again)
    views_alias_the_vector(layer)
    for one, other in zip(again.weights, layer.weights, strict=True):
        assert not np.shares_memory(one, other)


def views_alias_the_vector(layer):
    vector = layer.parameters
    for p in layer.declared_parameters:
        assert getattr(p.layer, p.name) is p.value
        assert np.shares_memory(p.value, vector.statistics if p.statistic else vector.values)
        if not p.statistic:
            assert np.shares_memory(getattr(p.layer, "d_" + p.name), vector.gradients)
    vector.values[...] = np.arange(vector.values.size)
    vector.statistics[...] = -np.arange(vector.statistics.size)
    flat = [p.value.reshape(-1) for p in layer.declared_parameters if not p.statistic]
    np.testing.assert_array_equal(np.concatenate([*flat, []]), np.arange(vector.values.size))


@each_example
def test_layer_copies_within_a_model(cls, kwargs, shape):
    model = nl.Sequential([cls(**kwargs)], seed=0)
    x = given(model, shape, "float32")
    model.forward(x)
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        same_bits(listed(forward(again, x)), listed(forward(model, x)))
        again.parameters.values[...] = 7
        again.parameters.statistics[...] = 7
        assert all((w == 7).all() for w in again.layers[0].weights)
    for w in model.layers[0].weights:
        assert any(
            np.shares_memory(w, vector)
            for vector in (model.parameters.values, model.parameters.statistics)
        )


@each_example
def test_layer_smaller_batch_after_a_larger_one(cls, kwargs, shape):
    layer, fresh = (make(cls, kwargs, shape, "float32") for _ in range(2))
    large = given(layer, with_rows(shape, 7), "float32", 5)
    small = given(layer, with_rows(shape, 3), "float32", 6)
    first = step(layer, large)
    same_bits(step(layer, small), step(fresh, small))
    same_bits(step(layer, large), first)


@each_example
def test_layer_two_calls_keep_apart(cls, kwargs, shape):
    layer, fresh = (make(cls, kwargs, shape) for _ in range(2))
    inputs = [given(layer, shape, seed=seed) for seed in (1, 5)]
    expected = [step(fresh, x) for x in inputs]
    calls, outputs = [layer, layer.new_call()], []
    for call, x in zip(calls, inputs, strict=True):
        start_again(layer)
        layer.reset_states()
        y = call.forward(x, training=True)
        outputs.append(y)
    for call, y, bits in zip(calls, outputs, expected, strict=True):
        dx = call.backward(gradient_like(y))
        same_bits([*listed(y), *listed(dx), *layer.gradients], bits)


def awkward(x):
    """The same numbers as ``x`` in the forms that users have them in."""
    padded = np.zeros((len(x), *x.shape[1:-1], 2 * x.shape[-1]), x.dtype)
    padded[..., ::2] = x
    readonly = x.copy()
    readonly.flags.writeable = False
    return {
        "list": x.tolist(),
        "fortran": np.asfortranarray(x),
        "strided": padded[..., ::2],
        "reversed": x[::-1].copy()[::-1],
        "readonly": readonly,
        "big endian": x.astype(x.dtype.newbyteorder(">")),
        "float16": x.astype("float16"),
        "integers": x.astype("int64"),
        "float64": x.astype("float64"),
    }


@each_example
def test_layer_takes_awkward_arrays(cls, kwargs, shape):
    layer = make(cls, kwargs, shape, "float32")
    # Whole numbers, exact in every dtype.
    x = given(layer, shape, "float32")
    drawn = [
        np.random.default_rng(3 + i).integers(-3, 4, a.shape).astype("float32")
        if a.dtype.kind == "f"
        else a
        for i, a in enumerate(listed(x))
    ]
    expected = step(layer, tuple(drawn) if isinstance(x, tuple) else drawn[0])
    forms = [awkward(a) for a in drawn]
    for form in forms[0]:
        its = tuple(f[form] for f in forms)
        got = step(layer, its if isinstance(x, tuple) else its[0])
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6, err_msg=form)


def enlarged(cls, kwargs, shape):
    """A layer and an input shape of its rank with 2^18 entries and no short axis."""
    sizes = {2: (512, 512), 3: (64, 64, 64), 4: (16, 16, 32, 32), 5: (8, 8, 8, 8, 64)}[len(shape)]

    def wide(value):
        if isinstance(value, dict):
            return {k: sizes[-1] if k == "units" else wide(v) for k, v in value.items()}
        return [wide(v) for v in value] if isinstance(value, list) else value

    kwargs = wide(kwargs)
    layer = cls(**kwargs, dtype="float32")
    try:
        layer.build((None, *sizes[1:]))
    except ShapeError:  # the layer's arguments fix the size of a sample
        sizes = (2**18 // int(np.prod(shape[1:])), *shape[1:])
        layer.build((None, *sizes[1:]))
    return layer, sizes


def peak_of(function):
    """Return the bytes that a call has allocated at its worst moment."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("cls", "kwargs", "shape"), examples_of(LAYERS))
def test_layer_third_step_allocates_nothing_large(cls, kwargs, shape):
    layer, sizes = enlarged(cls, kwargs, shape)
    x = batch(sizes, "float32")
    dy = batch(layer.compute_output_shape(sizes), "float32")

    def train():
        layer.forward(x, training=True)
        layer.backward(dy)

    train()
    train()
    assert peak_of(train) < min(x.nbytes, dy.nbytes) / 8  # a mask of booleans would be a quarter


@each_example
def test_layer_frozen_between_two_calls_of_compile(cls, kwargs, shape):
    layer = cls(**kwargs, name="mine")
    rest = [Join()] if cls is Halves else []
    model = nl.Sequential([layer, *rest, nl.layers.Dense(2)], seed=0)
    x = given(model, with_rows(shape, 16), "float32")
    y = batch(model.forward(x).shape, "float32", seed=9)
    for trainable in (True, False, True):
        layer.trainable = trainable
        before = model.get_weights()
        model.compile("adam", "mse")
        model.reset_states()
        if cls in LAYERS:
            model.fit(x, y, epochs=3, batch_size=8, verbose=0)
        else:
            steps = model._make_steps(y.shape)
            for _ in range(6):
                steps.train(Batch(rows_of(x, 0, 8), y[:8], None, 8))
        changes = [bool((a != b).any()) for a, b in zip(before, model.weights, strict=True)]
        for p, change in zip(layer._ordered(), changes, strict=False):
            if not (p.statistic and trainable):  # that is the layer's own affair
                assert change is trainable, p.path
        assert changes[-2:] == [True, True]
        assert len(layer.trainable_weights) == len(layer.gradients)
        assert trainable or not layer.trainable_weights


@each_example
def test_layer_backward_needs_a_training_forward(cls, kwargs, shape):
    dy = zeros(make(cls, kwargs, shape).compute_output_shape(shape))
    unbuilt = cls(**kwargs, name="mine")
    with pytest.raises(NoForwardError, match=r"(layer|model) 'mine': .*training=True"):
        unbuilt.backward(dy)
    layer = make(cls, kwargs, shape)
    with pytest.raises(NoForwardError, match=r"(layer|model) 'mine': .*training=True"):
        layer.backward(dy)
    layer.forward(given(layer, shape))
    with pytest.raises(NoForwardError, match=r"(layer|model) 'mine': .*training=True"):
        layer.backward(dy)


@each_example
def test_layer_refuses_a_gradient_of_the_wrong_shape(cls, kwargs, shape):
    layer = make(cls, kwargs, shape)
    outputs = layer.forward(given(layer, shape), training=True)
    for i, y in enumerate(listed(outputs)):
        for wrong in ((len(y) + 1, *y.shape[1:]), (*y.shape[:-1], 1), y.shape[1:], (*y.shape, 1)):
            dy = [np.zeros(a.shape) for a in listed(outputs)]
            dy[i] = np.zeros(wrong)
            with pytest.raises(ShapeError, match=r"(layer|model) 'mine'") as caught:
                layer.backward(tuple(dy) if isinstance(outputs, tuple) else dy[0])
            assert str(wrong) in str(caught.value)
            assert str(y.shape) in str(caught.value)


# Layers with chance ---------------------------------------------------------------------------

RANDOM = [p for p in EXAMPLES if p.values[0].random and p.values[1].get("rate") != 0]
each_random = pytest.mark.parametrize(("cls", "kwargs", "shape"), RANDOM)


def draws(layer, x, times=3):
    """What a layer gives while training, one step after the other."""
    return [np.array(layer.forward(x, training=True)) for _ in range(times)]


def large(shape):
    """Ones of the example's shape, with so many samples that no two draws are the same."""
    if is_several(shape):
        return tuple(map(large, shape))
    return np.ones((64, *shape[1:]), "float32")


def test_layers_with_chance_say_so():
    assert RANDOM
    for p in EXAMPLES:
        cls, kwargs, shape = p.values
        layer = make(cls, kwargs, shape)
        assert cls.random is bool(generators_of(layer))
        assert not (cls.random and cls.same_in_training)


@each_random
def test_random_layer_draws_anew_in_each_step_and_never_at_inference(cls, kwargs, shape):
    layer = make(cls, kwargs, shape, "float32")
    x = large(shape)
    first, second = draws(layer, x, 2)
    assert (first != second).any()
    states = [g.bit_generator.state for g in generators_of(layer).values()]
    layer.forward(x)
    assert states == [g.bit_generator.state for g in generators_of(layer).values()]


@each_random
def test_random_layer_follows_the_seed_of_its_model(cls, kwargs, shape):
    kwargs = {k: v for k, v in kwargs.items() if k != "seed"}
    x = large(shape)
    one, same, other = (nl.Sequential([cls(**kwargs)], seed=s) for s in (5, 5, 6))
    expected = draws(one, x)
    same_bits(draws(same, x), expected)
    assert all((a != b).any() for a, b in zip(draws(other, x), expected, strict=True))


@each_random
def test_random_layer_with_a_seed_follows_that(cls, kwargs, shape):
    x = large(shape)
    kwargs = {k: v for k, v in kwargs.items() if k != "seed"}
    alone = draws(cls(**kwargs, seed=4), x)
    for seed in (5, None):
        same_bits(draws(nl.Sequential([cls(**kwargs, seed=4)], seed=seed), x), alone)
    assert (draws(cls(**kwargs, seed=3), x, 1)[0] != alone[0]).any()


@each_random
@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
@pytest.mark.parametrize("in_model", [True, False], ids=["in a model", "alone"])
def test_random_layer_copy_goes_on_with_the_same_bits(cls, kwargs, shape, how, in_model):
    thing = nl.Sequential([cls(**kwargs)], seed=1) if in_model else cls(**kwargs)
    x = large(shape)
    draws(thing, x, 2)
    again = pickle.loads(pickle.dumps(thing)) if how == "pickle" else copy.deepcopy(thing)
    expected = draws(thing, x)
    same_bits(draws(again, x), expected)
    if in_model:  # and a copy that is assembled again too
        again.add(nl.layers.Dense(1))
        same_bits(draws(again.layers[0], x), draws(thing.layers[0], x))


@each_random
def test_random_layers_of_a_model_draw_different_numbers(cls, kwargs, shape):
    kwargs = {k: v for k, v in kwargs.items() if k != "seed"}
    model = nl.Sequential([cls(**kwargs), cls(**kwargs)], seed=1)
    x = large(shape)
    model.forward(x)
    first, second = (draws(layer, x, 1)[0] for layer in model.layers)
    assert (first != second).any()


@each_random
def test_random_layer_does_not_depend_on_other_layers(cls, kwargs, shape):
    x = large(shape)
    alone = nl.Sequential([cls(**kwargs, name="mine")], seed=1)
    before = [nl.layers.Activation("relu"), nl.layers.Dropout(0.5), nl.layers.GaussianNoise(1.0)]
    among = nl.Sequential([*before, cls(**kwargs, name="mine")], seed=1)
    for model in (alone, among):
        model.forward(x, training=True)
    expected = draws(alone.layers[0], x, 4)
    same_bits(draws(among.layers[3], x, 2), expected[:2])
    among.add(nl.layers.Dense(1))  # lays out the weights anew, and no stream starts again
    same_bits(draws(among.layers[3], x, 2), expected[2:])


ACTIVATIONS = [p for p in EXAMPLES if issubclass(p.values[0], ActivationLayer)]


@pytest.mark.parametrize(("cls", "kwargs", "shape"), ACTIVATIONS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_activation_inplace_gives_the_same_bits(cls, kwargs, shape, dtype):
    x = batch(shape, dtype)
    plain, inplace = (make(cls, kwargs, shape, dtype) for _ in range(2))
    for training in (False, True):
        expected = plain.forward(x, training)
        given = x.copy()
        got = inplace.forward(given, training, inplace=True)
        same_bits([got], [expected])
        # What fits is overwritten, and what backward reads is left alone.
        fits = plain.compute_output_shape(shape) == shape
        assert np.shares_memory(got, given) == (fits and not (training and inplace.needs_input))
        if not np.shares_memory(got, given):
            same_bits([given], [x])
    dy = batch(plain.compute_output_shape(shape), dtype, seed=4)
    same_bits([inplace.backward(dy)], [plain.backward(dy)])


def test_activation_names():
    names = registered("activation")
    functions = [v for v in vars(nl.activations).values() if isinstance(v, ActivationFunction)]
    classes = {cls for cls in LAYERS if issubclass(cls, ActivationLayer)}
    arguments = {cls: cls.examples()[0][0] for cls in classes}  # the fewest that it can do with
    made = {f.make: f._layer for f in functions}
    assert set(made.values()) == classes
    assert {names[cls.__name__] for cls in classes} == classes
    for function in functions:
        assert function.__name__ in nl.activations.__all__
        assert function.__name__ in names
    for name, factory in names.items():
        cls = made.get(factory, factory)
        assert type(factory(**arguments[cls])) is cls, name
        if arguments[cls]:
            with pytest.raises(ConfigurationError, match="it needs arguments"):
                nl.activations.get(name)
        else:
            assert type(nl.activations.get(name)) is cls


# Losses ---------------------------------------------------------------------------------------

# For each loss: arguments, kind of the predictions, kind of the targets (see loss_data).
CROSSENTROPIES = [
    ({}, "shares", "shares"),
    ({"label_smoothing": 0.2}, "shares", "one-hot"),
    ({"from_logits": True}, "numbers", "one-hot"),
    ({"from_logits": True, "label_smoothing": 0.2}, "numbers", "shares"),
    ({"axis": 1}, "shares", "one-hot"),
    ({"axis": 1, "from_logits": True}, "numbers", "shares"),
]
TASKS = [
    "mse",
    {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}},
    "gaussian_nll",
    {"class_name": "Dice", "config": {"axis": -1}},
]
OVERLAPS = [{}, {"axis": 1}, {"axis": [0]}, {"axis": [0, -1]}, {"axis": -1}]
LOSSES = {
    "MeanSquaredError": [({}, "numbers", "numbers")],
    "MeanAbsoluteError": [({}, "numbers", "numbers")],
    "Huber": [({}, "numbers", "numbers"), ({"delta": 0.4}, "numbers", "numbers")],
    "LogCosh": [({}, "numbers", "numbers")],
    "MeanAbsolutePercentageError": [({}, "numbers", "numbers")],
    "MeanSquaredLogarithmicError": [({}, "numbers", "counts")],
    "Poisson": [({}, "positive", "counts")],
    "KLDivergence": [({}, "shares", "shares")],
    "CosineSimilarity": [({}, "numbers", "numbers"), ({"axis": 1}, "numbers", "numbers")],
    "Hinge": [({}, "numbers", "signs"), ({}, "numbers", "one-hot")],
    "SquaredHinge": [({}, "numbers", "signs"), ({}, "numbers", "one-hot")],
    "CategoricalHinge": [({}, "numbers", "one-hot"), ({}, "numbers", "shares")],
    "BinaryCrossentropy": CROSSENTROPIES,
    "CategoricalCrossentropy": CROSSENTROPIES,
    "BinaryFocalCrossentropy": [
        *CROSSENTROPIES,
        *[
            ({"gamma": gamma, "apply_class_balancing": True, "from_logits": logits}, pred, true)
            for gamma in (0.0, 0.5, 3.0)
            for logits, pred in ((False, "shares"), (True, "numbers"))
            for true in ("one-hot", "shares")
        ],
    ],
    "CategoricalFocalCrossentropy": [
        *CROSSENTROPIES,
        *[
            ({"gamma": gamma, "alpha": 0.7, "from_logits": logits}, pred, true)
            for gamma in (0.0, 0.5, 3.0)
            for logits, pred in ((False, "shares"), (True, "numbers"))
            for true in ("one-hot", "shares")
        ],
        ({"alpha": [0.2, 0.5, 0.9], "from_logits": True}, "numbers", "shares"),
        ({"alpha": [0.2, 0.5, 0.9]}, "shares", "shares"),
    ],
    "SparseCategoricalCrossentropy": [
        ({}, "shares", "classes"),
        ({"from_logits": True}, "numbers", "classes"),
        ({"ignore_class": 0}, "shares", "classes"),
        ({"from_logits": True, "ignore_class": 0}, "numbers", "classes"),
        ({"axis": 1}, "shares", "classes"),
        ({"axis": 1, "from_logits": True, "ignore_class": 0}, "numbers", "classes"),
    ],
    "Dice": [(kwargs, "shares", "shares") for kwargs in OVERLAPS],
    "Tversky": [({**kwargs, "alpha": 0.3, "beta": 0.9}, "shares", "shares") for kwargs in OVERLAPS],
    "Quantile": [
        ({}, "numbers", "numbers"),
        ({"quantile": 0.2}, "numbers", "numbers"),
        ({"quantile": [0.1, 0.5, 0.7]}, "numbers", "column"),
    ],
    "GaussianNLL": [({}, "gaussian", "numbers"), ({"full": True}, "gaussian", "numbers")],
    "SplitLoss": [
        ({"losses": TASKS[:3], "sizes": [2, 3, 4]}, "shares", "tasks"),
        ({"losses": TASKS[:1], "sizes": [9], "weights": [3.0]}, "numbers", "numbers"),
        (
            {"losses": TASKS, "sizes": [1, 3, 2, 3], "weights": [0.5, 2.0, 1.0, 0.7]},
            "shares",
            "tasks",
        ),
    ],
}
REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"]
LOSS_SHAPES = [(4, 1), (5, 3), (3, 2, 4)]
LOSS_CASES = [
    pytest.param(name, *case, id=f"{name}{case[0]}") for name, cs in LOSSES.items() for case in cs
]
each_loss = pytest.mark.parametrize(("name", "kwargs", "pred", "true"), LOSS_CASES)


def outputs_axis(kwargs):
    """The axis of the outputs; what overlap losses sum over is something else."""
    return kwargs.get("axis", -1) if isinstance(kwargs.get("axis"), int) else -1


def loss_data(kwargs, pred, true, shape, dtype="float64"):
    """Targets and predictions, the latter of ``shape`` but for arguments that fix their number."""
    rng = np.random.default_rng(11)
    axis = outputs_axis(kwargs)
    for argument in ("quantile", "alpha", "sizes"):
        if isinstance(kwargs.get(argument), list):
            width = sum(kwargs["sizes"]) if argument == "sizes" else len(kwargs[argument])
            shape = (*shape[:-1], width)
    classes = rng.integers(0, shape[axis], np.delete(shape, axis))

    def tasks():
        """Columns for TASKS: numbers, a class, means, shares."""
        lead, sizes = shape[:-1], kwargs["sizes"]
        columns = [
            rng.normal(size=(*lead, sizes[0])),
            rng.integers(0, sizes[1], (*lead, 1)),
            rng.normal(size=(*lead, sizes[2] // 2)),
        ]
        columns += [rng.uniform(0, 1, (*lead, n)) for n in sizes[3:]]
        return np.concatenate(columns, -1)

    y_pred = {
        "numbers": lambda: rng.normal(size=shape),
        "shares": lambda: rng.uniform(0.1, 0.9, shape),
        "positive": lambda: rng.uniform(0.1, 3, shape),
        "gaussian": lambda: np.concatenate(
            [rng.normal(size=shape), rng.uniform(0.1, 3, shape)], axis=-1
        ),
    }[pred]()
    y_true = {
        "numbers": lambda: rng.normal(size=shape),
        "column": lambda: rng.normal(size=(*shape[:-1], 1)),
        "shares": lambda: rng.uniform(0, 1, shape),
        "counts": lambda: rng.poisson(1.5, shape),
        "signs": lambda: rng.choice([-1, 1], shape),
        "one-hot": lambda: np.moveaxis(np.eye(shape[axis])[classes], -1, axis),
        "classes": lambda: classes,
        "tasks": tasks,
    }[true]()
    return (y_true if true == "classes" else y_true.astype(dtype)), y_pred.astype(dtype)


def weightings(kwargs, shape):
    rng = np.random.default_rng(12)
    yield None
    yield rng.uniform(0, 3, shape[0])
    if len(shape) > 2:
        yield rng.uniform(0, 3, np.delete(shape, outputs_axis(kwargs)))


def test_every_loss_is_tried():
    assert {c.__name__ for c in concrete("loss")} == set(LOSSES)


@each_loss
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_loss_gradient_is_that_of_its_value(name, kwargs, pred, true, reduction):
    loss = getattr(nl.losses, name)(**kwargs, reduction=reduction)
    for shape in LOSS_SHAPES:
        y_true, y_pred = loss_data(kwargs, pred, true, shape)
        for weight in weightings(kwargs, y_pred.shape):

            def value(p, y_true=y_true, weight=weight):
                return np.sum(loss.forward(y_true, p, weight))

            numerical = np.empty(y_pred.shape)
            for i in np.ndindex(*y_pred.shape):
                ends = []
                for h in (1e-6, -1e-6):
                    moved = y_pred.copy()
                    moved[i] += h
                    ends.append(value(moved))
                numerical[i] = (ends[0] - ends[1]) / 2e-6
            value(y_pred)
            got = loss.backward()
            assert got.shape == y_pred.shape
            np.testing.assert_allclose(got, numerical, rtol=2e-6, atol=2e-8)


@each_loss
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_loss_changes_no_array_that_it_is_given(name, kwargs, pred, true, reduction):
    loss = getattr(nl.losses, name)(**kwargs, reduction=reduction)
    for shape in LOSS_SHAPES:
        y_true, y_pred = loss_data(kwargs, pred, true, shape)
        for weight in weightings(kwargs, y_pred.shape):
            arrays = [y_true, y_pred] + ([] if weight is None else [weight])
            before = [a.tobytes() for a in arrays]
            for a in arrays:
                a.flags.writeable = False
            loss.forward(y_true, y_pred, weight)
            loss.backward()
            assert [a.tobytes() for a in arrays] == before


@each_loss
@pytest.mark.parametrize("dtype", FLOATS)
def test_loss_dtype(name, kwargs, pred, true, dtype):
    loss = getattr(nl.losses, name)(**kwargs)
    wide = getattr(nl.losses, name)(**kwargs)
    for shape in LOSS_SHAPES:
        y_true, y_pred = loss_data(kwargs, pred, true, shape, dtype)
        for weight in weightings(kwargs, y_pred.shape):
            value = loss.forward(y_true, y_pred, weight)
            assert type(value) is float
            dy = loss.backward()
            assert dy.dtype == dtype
            exact = wide.forward(y_true, y_pred.astype("float64"), weight)
            assert value == pytest.approx(exact, rel=1e-5, abs=1e-6)
            np.testing.assert_allclose(dy, wide.backward(), rtol=1e-3, atol=1e-6)


@each_loss
def test_loss_takes_awkward_arrays(name, kwargs, pred, true):
    loss = getattr(nl.losses, name)(**kwargs)
    y_true, y_pred = loss_data(kwargs, pred, true, (5, 3), "float32")
    expected = loss.forward(y_true, y_pred)
    gradient = loss.backward().copy()
    forms = awkward(y_pred)
    del forms["float16"], forms["integers"]  # other numbers
    for form, given in forms.items():
        assert loss.forward(y_true, given) == pytest.approx(expected, rel=1e-6), form
        np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-5, atol=1e-7)
        assert loss.backward().dtype.isnative
    for form, given in awkward(np.atleast_2d(y_true)).items():
        exact = true in ("classes", "one-hot", "counts", "signs")
        if form in ("float16", "integers") and not exact:
            continue
        given = np.asarray(given).reshape(y_true.shape) if np.ndim(y_true) == 1 else given
        assert loss.forward(given, y_pred) == pytest.approx(expected, rel=1e-6), form


@each_loss
def test_loss_round_trips(name, kwargs, pred, true):
    cls = getattr(nl.losses, name)
    loss = cls(**kwargs, reduction="sum", name="mine")
    y_true, y_pred = loss_data(kwargs, pred, true, (5, 3))
    expected = loss.forward(y_true, y_pred)
    config = json.loads(json.dumps(loss.get_config()))
    again = cls.from_config(config)
    assert again.get_config() == config
    for other in (
        again,
        nl.losses.get({"class_name": name, "config": config}),
        pickle.loads(pickle.dumps(loss)),
        copy.deepcopy(loss),
    ):
        assert type(other) is cls
        assert other.name == "mine"
        with pytest.raises(NoForwardError, match="'mine'"):
            other.backward()
        assert other.forward(y_true, y_pred) == expected
        np.testing.assert_array_equal(other.backward(), loss.backward())


def enlarged_arguments(kwargs, width):
    """The same arguments for ``width`` outputs, of each loss where they are several."""
    kwargs = dict(kwargs)
    for argument in ("quantile", "alpha"):
        if isinstance(kwargs.get(argument), list):
            kwargs[argument] = np.linspace(0.01, 0.99, width).tolist()
    if "sizes" in kwargs:
        kwargs["sizes"] = [width] * len(kwargs["sizes"])
    return kwargs


@each_loss
@pytest.mark.parametrize("shape", [(512, 512), (8, 256, 128)])
def test_loss_third_step_allocates_nothing_large(name, kwargs, pred, true, shape):
    kwargs = enlarged_arguments(kwargs, shape[-1])
    loss = getattr(nl.losses, name)(**kwargs)
    y_true, y_pred = loss_data(kwargs, pred, true, shape, "float32")
    weight = np.ones(len(y_true), "float32")

    def train():
        loss.forward(y_true, y_pred, weight)
        loss.backward()

    train()
    train()
    few = 64 * np.size(getattr(nl.losses, name)(**kwargs, reduction=None).forward(y_true, y_pred))
    assert peak_of(train) < y_pred.nbytes / 8 + few  # a mask of booleans would be a quarter


# Optimizers -----------------------------------------------------------------------------------

OPTIMIZERS = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}],
    "RMSprop": [{}, {"momentum": 0.5, "centered": True, "clipnorm": 1.0}],
    "Adam": [{}, {"amsgrad": True, "clipvalue": 0.5, "on_nonfinite": "skip"}],
    "AdamW": [{}, {"weight_decay": 0.1, "global_clipnorm": 1.0}],
    "Adagrad": [{}, {"initial_accumulator_value": 0.5, "epsilon": 1e-3, "use_ema": True}],
    "Adadelta": [{}, {"rho": 0.5, "epsilon": 1e-3, "weight_decay": 0.1}],
    "Adamax": [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}],
    "Nadam": [{}, {"beta_1": 0.5, "use_ema": True, "ema_overwrite_frequency": 2}],
    "Lion": [{}, {"beta_1": 0.5, "beta_2": 0.8, "weight_decay": 0.1}],
    "Lamb": [{}, {"beta_1": 0.5, "weight_decay": 0.1, "clipnorm": 1.0}],
    "RAdam": [{}, {"beta_2": 0.9, "use_ema": True, "ema_momentum": 0.5}],
}
RATES = [
    0.05,
    nl.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5),
    nl.optimizers.schedules.CosineDecay(0.0, 5, 0.1, warmup_target=0.1, warmup_steps=2),
    nl.optimizers.schedules.LinearWarmup(nl.optimizers.schedules.OneCycle(0.1, 5), 2, 0.01),
]
each_optimizer = pytest.mark.parametrize(
    ("name", "kwargs"),
    [pytest.param(n, kw, id=f"{n}{kw}") for n, kws in OPTIMIZERS.items() for kw in kws],
)


def frozen_in_the_middle():
    layers = [nl.layers.Dense(3) for _ in range(3)]
    layers[1].trainable = False
    model = nl.Sequential(layers, seed=0)
    model.build((None, 3))
    return model


def update(optimizer, parameters, times=1, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(times):
        parameters.gradients[...] = rng.normal(size=parameters.gradients.size)
        optimizer.step(parameters)


def test_every_optimizer_is_tried():
    assert {c.__name__ for c in concrete("optimizer")} == set(OPTIMIZERS)


@each_optimizer
@pytest.mark.parametrize("rate", RATES, ids=repr)
def test_optimizer_config_round_trip(name, kwargs, rate):
    cls = getattr(nl.optimizers, name)
    optimizer = cls(rate, **kwargs, name="mine")
    config = json.loads(json.dumps(optimizer.get_config()))
    vectors = []
    for again in (
        optimizer,
        cls.from_config(config),
        nl.optimizers.get({"class_name": name, "config": config}),
    ):
        assert type(again) is cls
        assert json.loads(json.dumps(again.get_config())) == config
        parameters = frozen_in_the_middle().parameters
        update(again, parameters, 4)
        vectors.append(parameters.values)
    same_bits(vectors[:1] * 2, vectors[1:])


@each_optimizer
@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
def test_optimizer_copy_keeps_the_state(name, kwargs, how):
    optimizer = getattr(nl.optimizers, name)(0.05, **kwargs)
    model = frozen_in_the_middle()
    update(optimizer, model.parameters, 3)
    pair = optimizer, model
    pair_again = pickle.loads(pickle.dumps(pair)) if how == "pickle" else copy.deepcopy(pair)
    again, other = pair_again
    assert again.iterations == 3
    assert again.state.keys() == optimizer.state.keys()
    for key, vector in optimizer.state.items():
        np.testing.assert_array_equal(again.state[key], vector)
        assert not np.shares_memory(again.state[key], vector)
    for opt, m in ((optimizer, model), (again, other)):
        update(opt, m.parameters, 2, seed=9)
    np.testing.assert_array_equal(other.parameters.values, model.parameters.values)
    assert again.iterations == 5


@each_optimizer
def test_optimizer_changes_only_trainable_segments(name, kwargs):
    model = frozen_in_the_middle()
    before = model.get_weights()
    gradients = model.parameters.gradients
    optimizer = getattr(nl.optimizers, name)(0.05, **kwargs)
    average = model.parameters.values.copy()
    update(optimizer, model.parameters, 3)
    kept = gradients.copy()
    changed = [bool((a != b).any()) for a, b in zip(before, model.weights, strict=True)]
    assert changed == [True, True, False, False, True, True]
    frozen = slice(12, 24)
    for key, vector in optimizer.state.items():
        start = average[frozen] if key == "average" else optimizer.state_start.get(key, 0)
        assert (vector[frozen] == np.float32(start)).all()
        assert vector[:12].all()
    np.testing.assert_array_equal(gradients[frozen], kept[frozen])


# Initializers, regularizers, constraints, metrics, schedules ------------------------------------


@nl.register("metric")
def largest_difference(y_true, y_pred):
    return np.abs(y_true - y_pred).max(axis=-1)


REQUIRED = {
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "alpha": 0.25},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 3, "m_mul": 0.5},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "PiecewiseConstantDecay": {"boundaries": [2, 5], "values": [0.5, 0.25, 0.125]},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 4, "cycle": True},
    "LinearWarmup": {"learning_rate": 0.1, "warmup_steps": 4, "initial_learning_rate": 0.05},
    "OneCycle": {"max_learning_rate": 0.1, "total_steps": 10, "pct_start": 0.5},
    "Noam": {"d_model": 16, "warmup_steps": 4, "scale": 0.5},
    "Constant": {"value": 2.5},
    "VarianceScaling": {"scale": 2.0, "mode": "fan_avg", "distribution": "uniform", "seed": 3},
    "L1L2": {"l1": 0.25, "l2": 0.5},
    "MaxNorm": {"max_value": 0.75, "axis": 1},
    "MinMaxNorm": {"min_value": 0.25, "max_value": 0.5, "rate": 0.75, "axis": [0, 1]},
    "BinaryAccuracy": {"name": "mine", "threshold": 0.25},
    "TopKCategoricalAccuracy": {"k": 2},
    "SparseTopKCategoricalAccuracy": {"k": 2, "from_sorted_ids": True},
    "TruePositives": {"thresholds": [0.2, 0.58], "from_logits": True},
    "FalsePositives": {"thresholds": 0.4},
    "Precision": {"thresholds": [0.6, 0.2], "top_k": 2, "class_id": 1, "from_logits": True},
    "Recall": {"thresholds": [0.6, 0.2], "top_k": 2, "class_id": 1},
    "ConfusionMatrix": {"normalize": "all", "threshold": 0.25, "from_logits": True},
    "FBetaScore": {"average": "weighted", "beta": 2.0, "threshold": 0.55, "from_logits": True},
    "F1Score": {"average": "macro", "threshold": 0.25},
    "AUC": {
        "curve": "PR",
        "summation_method": "minoring",
        "thresholds": [0.55, 0.2],
        "multi_label": True,
        "num_labels": 3,
        "label_weights": [1.0, 2.0, 0.5],
        "from_logits": True,
    },
    "BinaryCrossentropy": {"from_logits": True, "label_smoothing": 0.25},
    "CategoricalCrossentropy": {"from_logits": True, "label_smoothing": 0.25, "axis": 1},
    "SparseCategoricalCrossentropy": {"from_logits": True, "ignore_class": 0, "axis": 1},
    "CosineSimilarity": {"axis": 1},
    "PearsonCorrelation": {"axis": 1},
    "R2Score": {"class_aggregation": "variance_weighted_average", "num_regressors": 1},
    "ExplainedVariance": {"class_aggregation": None},
    "MeanMetricWrapper": {"fn": largest_difference, "name": "mine"},
}
SMALL = [
    pytest.param(kind, cls, id=f"{kind}-{cls.__name__}")
    for kind in ("initializer", "regularizer", "constraint", "metric", "schedule")
    for cls in concrete(kind)
]


def behaviour(kind, thing):
    """Something that depends on every argument."""
    x = np.array([[0.1, 0.3, 0.45], [0.6, 0.0, -2.0]])
    if kind == "initializer":
        out = np.empty((5, 4))
        thing.fill(out, np.random.default_rng(0))
        return out
    if kind == "regularizer":
        gradient = np.zeros_like(x)
        thing.add_gradient(x, gradient, np.empty_like(x))
        return [thing(x), *gradient.ravel()]
    if kind == "constraint":
        thing.apply(x)
        return x
    if kind == "schedule":
        return [thing(step) for step in range(12)]
    thing.reset_state()
    if isinstance(thing, (Mean, Sum)) and not isinstance(thing, (MeanMetric, MeanMetricWrapper)):
        return [thing(x, [1.0, 3.0])]
    # Three samples of three outputs: enough for each to have a variance.
    y, y_pred = np.array([0, 2, 1]), np.concatenate([x, x[:1] - [[0.3, 0.0, 0.2]]])
    sparse = "Sparse" in type(thing).__name__
    if isinstance(thing, nl.metrics.Poisson):  # its predictions are not negative
        y_pred = np.abs(y_pred)
    return np.ravel(thing(y if sparse else np.eye(3)[y], y_pred, [1.0, 3.0, 2.0]))


@pytest.mark.parametrize(("kind", "cls"), SMALL)
def test_config_round_trip(kind, cls):
    thing = cls(**REQUIRED.get(cls.__name__, {}))
    config = json.loads(json.dumps(thing.get_config()))
    for again in (cls.from_config(config), pickle.loads(pickle.dumps(thing))):
        assert type(again) is cls
        assert again.get_config() == config
        assert repr(again) == repr(thing)
        np.testing.assert_array_equal(behaviour(kind, again), behaviour(kind, thing))


@pytest.mark.parametrize("cls", concrete("metric"), ids=lambda c: c.__name__)
def test_metrics_go_on_in_another_process(cls):
    """Half the samples, the state through JSON, the other half: the result of all, to the bit."""
    options = REQUIRED.get(cls.__name__, {})
    whole, first, second = cls(**options), cls(**options), cls(**options)
    rng = np.random.default_rng(0)
    y, y_pred = np.arange(8) % 3, rng.uniform(0.1, 1, size=(8, 3))
    y_true = y if "Sparse" in cls.__name__ else np.eye(3)[y]
    plain_mean = cls in (Mean, Sum)
    for part in (slice(0, 3), slice(3, 5), slice(5, 8)):
        batch = (y_pred[part],) if plain_mean else (y_true[part], y_pred[part])
        whole.update_state(*batch)
        if part.stop == 8:
            plain, arrays = pack(first.get_state())
            second.set_state(unpack(json.loads(json.dumps(plain)), arrays))
            assert np.array_equal(first.result(), second.result(), equal_nan=True)
            second.update_state(*batch)
        else:
            first.update_state(*batch)
    np.testing.assert_array_equal(second.result(), whole.result())


@pytest.mark.parametrize(("kind", "cls"), SMALL)
def test_unknown_arguments_are_refused(kind, cls):
    with pytest.raises(TypeError, match=f"{cls.__name__}.*'sede'"):
        cls(**REQUIRED.get(cls.__name__, {}), sede=3)


@pytest.mark.parametrize("cls", LAYERS, ids=lambda c: c.__name__)
def test_unknown_layer_arguments_are_refused(cls):
    with pytest.raises(TypeError, match=f"{cls.__name__}.*'nmae'.*Did you mean 'name'"):
        cls(**cls.examples()[0][0], nmae="x")
