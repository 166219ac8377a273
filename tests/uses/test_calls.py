"""Odd values of arguments of functions and methods: a sample, and what the harness has found."""

import zlib

import numpy as np
import pytest

import netlayers as nl
from netlayers import initializers, layers, metrics, optimizers, random, utils
from netlayers.errors import ConfigurationError, DataError, NetlayersError
from tests.uses import calls
from tests.uses.outcomes import BAD, outcome

PLANE = np.ones(2)


def test_functions_and_methods():
    """Each argument gets a share of the odd values."""
    found = []
    for use in calls.uses():
        if zlib.crc32(use.name.encode()) % 15 == 0:
            result, text = outcome(use)
            if result in BAD:
                found.append(f"{result}: {use.name}: {text}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("method", "arguments", "match"),
    [
        ("evaluate", {"return_dict": PLANE}, "return_dict must be True or False"),
        ("train_on_batch", {"return_dict": "yes"}, "return_dict must be True or False"),
        ("fit_lbfgs", {"history_size": 10**9}, "history_size must be an integer >= 1 and at most"),
        ("fit_lbfgs", {"max_line_search": 2**40}, "max_line_search must be .* at most 2147483647"),
        ("loss_surface", {"trajectory": 3}, "trajectory must be a list of weights, got 3"),
    ],
)
def test_methods_with_data(method, arguments, match):
    quiet = {} if method in ("train_on_batch", "loss_surface") else {"verbose": 0}
    with pytest.raises(ConfigurationError, match=match):
        getattr(calls.model(), method)(calls.X, calls.Y, **quiet, **arguments)


@pytest.mark.parametrize(
    ("use", "match"),
    [
        (lambda model: model.summary(print_fn=3), "print_fn must take a line of text, got 3"),
        (lambda model: model.summary(print_fn=lambda: 0), "print_fn must take a line"),
        (lambda model: model.summary(layer_range=True), "layer_range must be the names of two"),
        (lambda model: model.set_weights(None), "set_weights.*weights must be a list of arrays"),
        (lambda model: model.get_layer(index=7), "index must name one of 2 layers, got 7"),
        (lambda model: model.compile_from_config({}), "config must be what get_compile_config"),
        (lambda model: model.compile_from_config(3), "config must be what get_compile_config"),
        (lambda model: nl.models.clone_model(model, None, 3), "clone_function must take a layer"),
        (
            lambda model: nl.check_gradients(model, calls.X, calls.Y, max_entries=PLANE),
            "max_entries must be an integer",
        ),
    ],
)
def test_methods(use, match):
    with pytest.raises(ConfigurationError, match=match):
        use(calls.model())


@pytest.mark.parametrize("name", [None, 3, ["w"]])
def test_names_of_states(name):
    class Keeps(layers.Layer):
        def build(self, input_shape):
            self.add_state(name, (2,))

    with pytest.raises(ConfigurationError, match="a state cannot be named"):
        Keeps().build((None, 3))


@pytest.mark.parametrize(
    ("use", "match"),
    [
        (lambda: random.normal(shape="x"), "normal: .*shape must be an integer"),
        (lambda: random.normal((None,)), "normal: each size in shape must be known"),
        (lambda: random.normal((2,), mean=None), "normal: mean must be a finite number"),
        (lambda: random.normal((2,), stddev=-1), "normal: stddev must be a finite number >= 0"),
        (lambda: random.normal((2,), dtype="x"), "normal: dtype must be one of real numbers"),
        (lambda: random.normal((2,), dtype=bool), "normal: dtype must be one of real numbers"),
        (lambda: random.normal((2,), seed="x"), "normal: seed must be an integer >= 0"),
        (lambda: random.uniform((2,), 3, 1), "uniform: minval must be at most maxval"),
        (lambda: random.randint((2,), 3, 3), "randint: minval must be below maxval"),
        (lambda: random.randint((2,), 0, 1000, "int8"), "randint: minval=0 and maxval=1000 are be"),
        (lambda: random.shuffle(3), "shuffle: x must be an array with an axis, got"),
        (lambda: random.shuffle(PLANE, axis=1), "shuffle: axis must be from -1 to 0"),
        (lambda: random.SeedGenerator(0.5), "SeedGenerator: seed must be an integer >= 0"),
        (lambda: random.set_seed("x"), "set_seed: seed must be an integer >= 0"),
        (lambda: utils.set_random_seed(2**32), "seed must be an integer >= 0 and at most 4294967"),
        (lambda: utils.normalize(3.0), "normalize: x must be an array with an axis"),
        (lambda: utils.normalize(PLANE, axis=2), "normalize: axis must be from -1 to 0"),
        (lambda: utils.normalize(PLANE, order=0.5), "normalize: order must be an integer >= 1"),
        (lambda: utils.pad_sequences("ab"), "sequences must be a list of sequences, got 'ab'"),
        (lambda: utils.pad_sequences([3]), "each of sequences must have a length, got 3"),
        (lambda: utils.pad_sequences([["a"]]), "each of sequences must hold real numbers"),
        (lambda: utils.pad_sequences([[1]], dtype="x"), "pad_sequences: dtype must be one of real"),
        (lambda: utils.pad_sequences([[1]], value=None), "pad_sequences: value must be a finite"),
        (lambda: utils.pad_sequences([[300]], dtype="int8"), "values that the dtype int8 cannot"),
        (lambda: utils.pad_sequences([[1]], value=1e30), "value has values that the dtype int32"),
        (lambda: utils.split_dataset(3, 0.5), "dataset must hold arrays of equally many rows"),
        (lambda: utils.split_dataset(PLANE, 5), "left_size=5 and right_size=None mean parts of 5"),
        (
            lambda: utils.timeseries_dataset_from_array(3, None, 2),
            "data must have an axis of times",
        ),
        (
            lambda: utils.timeseries_dataset_from_array(PLANE, None, 10**15),
            "no window of sequence_length=1000000000000000 values, sampling_rate=1 apart",
        ),
        (lambda: utils.get_registered_name(None), "obj must be a class or a function, got None"),
        (lambda: utils.get_registered_object([]), "name must be a string, got "),
        (lambda: utils.get_registered_object("a", 3), "custom_objects must be a dict"),
        (lambda: utils.custom_object_scope(None), "custom_objects must be a dict"),
        (lambda: initializers.HeNormal()((2, None)), "each size in shape must be known"),
        (lambda: initializers.HeNormal()((2,), "int8"), "dtype must be 'float32' or 'float64'"),
        (lambda: nl.constraints.MaxNorm()(3.0), "MaxNorm: w has the shape .*, which has no axis"),
        (lambda: nl.constraints.NonNeg()(["a"]), "NonNeg: w must hold real numbers"),
        (lambda: nl.regularizers.L2()(None), "L2: w must hold real numbers, got object None"),
        (lambda: optimizers.AdamW().exclude_from_weight_decay(3), "var_list must be a list of we"),
        (
            lambda: optimizers.AdamW().exclude_from_weight_decay(var_names=PLANE),
            "var_names must be a list of regular expressions",
        ),
        (lambda: optimizers.schedules.CosineDecay(0.1, 9)("x"), "CosineDecay: step must be a fini"),
        (lambda: optimizers.schedules.Noam(9)(-1), "Noam: step must be a finite number >= 0"),
        (lambda: metrics.get("accuracy", (None, 1), ()), "output_shape must have an axis of outp"),
        (lambda: metrics.get("mse", from_logits=PLANE), "from_logits must be True or False"),
        (lambda: nl.config.set_epsilon(PLANE), "the value array.* cannot be set for all models"),
        (lambda: nl.datasets.mnist.load_data(3), "path must be the path of a folder, got 3"),
    ],
)
def test_functions(use, match):
    with pytest.raises(NetlayersError, match=match):
        use()


@pytest.mark.parametrize("kind", [metrics.BinaryAccuracy, metrics.SparseCategoricalAccuracy])
@pytest.mark.parametrize("y_pred", [None, 3.0, "x", [["a"]]])
def test_predictions_that_are_none(kind, y_pred):
    with pytest.raises(NetlayersError, match="y_pred"):
        kind()([1], y_pred)
    with pytest.raises(NetlayersError, match="y_pred must be an array of real numbers"):
        metrics.AUC()([1], y_pred)


@pytest.mark.parametrize("weight", ["x", None, 1j, object()])
def test_values_and_weights_of_metrics(weight):
    with pytest.raises(DataError, match="metric 'mean': values"):
        metrics.Mean()(weight)
    if weight is not None:
        with pytest.raises(DataError, match="metric 'mean': sample_weight must hold"):
            metrics.Mean()([1.0], weight)


def test_as_many_classes_as_memory_does_not_hold():
    with pytest.raises(MemoryError, match="rows of num_classes=1000000000000000 numbers"):
        utils.to_categorical([1], 10**15)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax"])
def test_a_softmax_of_nothing(name):
    assert getattr(nl.activations, name)(np.zeros((2, 0))).shape == (2, 0)


@pytest.mark.parametrize("order", [1, 2, 300])
def test_norms_of_large_and_small_numbers(order):
    for scale in (1e-200, 1.0, 1e200):
        found = utils.normalize(scale * np.array([3.0, 4.0]), order=order)
        expected = np.array([0.75, 1]) / np.linalg.norm([0.75, 1], order)
        np.testing.assert_allclose(found, expected, rtol=1e-14)
