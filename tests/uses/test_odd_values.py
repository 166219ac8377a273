"""Odd values of arguments: a sample of what the harness tries, and what it has found."""

import zlib

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks, initializers, layers, losses, metrics, optimizers
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.optimizers import schedules
from tests.classes import KINDS
from tests.uses import constructors
from tests.uses.outcomes import BAD, outcome

X, Y = np.ones((4, 2)), np.ones((4, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_constructors(kind):
    """Each argument gets a share of the odd values, another one in each class."""
    found = []
    for use in constructors.uses([kind]):
        if zlib.crc32(use.name.encode()) % 20 == 0:
            result, text = outcome(use)
            if result in BAD:
                found.append(f"{result}: {use.name}: {text}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: initializers.RandomUniform(minval=7), "minval must be at most maxval, got 7 and"),
        (lambda: initializers.VarianceScaling(distribution=np.ones(2)), "distribution must be one"),
        (lambda: initializers.get(np.array(["a"])), "an array as initializer, must hold finite"),
        (lambda: layers.LayerNormalization(rms_scaling=""), "rms_scaling must be True or False"),
        (lambda: layers.BatchNormalization(moving_variance_initializer=None), "initializer.*None"),
        (lambda: layers.Parallel([3]), "branches must be objects of Layer, got 3"),
        (lambda: layers.Parallel(np.array(0.5)), "branches must be a list of layers"),
        (lambda: layers.Residual([], projection=3), "projection must be objects of Layer, got 3"),
        (lambda: layers.Residual([], projection={}), "Residual: projection: layer must be a name"),
        (lambda: layers.Dense(10**400), "units must be an integer >= 1 and at most"),
        (lambda: losses.SplitLoss([3], [1]), "SplitLoss: losses: loss must be a name"),
        (lambda: losses.SplitLoss(["no"], [1]), "SplitLoss: losses: unknown loss 'no'"),
        (lambda: losses.SplitLoss(np.array(0.5), [1]), "SplitLoss: losses must be a list"),
        (lambda: metrics.AUC(label_weights=[]), "label_weights must hold a number for each"),
        (
            lambda: metrics.AUC(multi_label=True, num_labels=3, label_weights=[1, 2]),
            "label_weights has 2 numbers, expected num_labels=3",
        ),
        (lambda: metrics.IoU(3, []), "target_class_ids must hold a class index"),
        (lambda: metrics.IoU(10**6, [1]), "num_classes must be an integer >= 1 and at most 16384"),
        (lambda: metrics.IoU(3, {"a": 1}), "target_class_ids must be a list of class indices"),
        (lambda: optimizers.MultiOptimizer(lambda: None), "must be an OptimizerMap or a function"),
        (lambda: optimizers.OptimizerMap("sgd", 3), "optimizer_map must be a dict of names and"),
        (
            lambda: optimizers.LARS(exclude_from_layer_adaptation=np.ones(2)),
            "exclude_from_layer_ad",
        ),
        (lambda: optimizers.Muon(ns_steps=10**15), "ns_steps must be an integer >= 0 and at most"),
        (lambda: layers.Hashing(3, output_mode=[]), r"output_mode must be one of .*, got \[\]"),
        (lambda: layers.Discretization(np.array(0.5)), "bin_boundaries must be a list of numbers"),
        (lambda: layers.TextVectorization(split=lambda: 0), "split must be .* or a function, got"),
        (lambda: layers.TextVectorization(ngrams=10**9), "ngrams must be an integer >= 1 and at"),
        (lambda: layers.TextVectorization(encoding={1}), "encoding must be the name of one, such"),
        (
            lambda: layers.StringLookup(
                vocabulary=["a", "b"], idf_weights=[1, np.nan], output_mode="tf_idf"
            ),
            "idf_weights must be finite",
        ),
        (lambda: layers.GetItem(np.zeros((2, 0))), "GetItem: the index must be of integers"),
        (lambda: layers.ReversibleEmbedding(3, 2, reverse_dtype=np.ones(2)), "dtype must be 'floa"),
        (lambda: callbacks.RemoteMonitor(path=3), "path must begin with /, got 3"),
        (lambda: callbacks.RemoteMonitor(field=[]), r"field must be the name of a field, got \[\]"),
        (lambda: callbacks.RemoteMonitor(headers=["x"]), "headers must be a dict of strings"),
        (lambda: callbacks.TensorBoard(write_images=np.ones(2)), "write_images=.* not supported"),
        (lambda: callbacks.GradientMonitor(layers=np.array(0.5)), "layers must be a list of names"),
    ],
)
def test_arguments(make, match):
    with pytest.raises(ConfigurationError, match=match):
        make()


@pytest.mark.parametrize(
    ("use", "match"),
    [
        (lambda: metrics.AUC(label_weights=[1, 2])([[0, 1, 0]], [[0.1, 0.8, 0.1]]), "as in label_"),
        (
            lambda: metrics.MeanIoU(3, sparse_y_pred=False)([[0, 1]], [[0, 1]]),
            "sparse_y_pred=False",
        ),
        (
            lambda: metrics.OneHotIoU(3, [1], axis=2)(np.eye(3), np.eye(3)),
            "axis=2 is none of the 2",
        ),
        (
            lambda: nl.Sequential([layers.Dense(2, kernel_initializer=np.ones(3))]).predict(X),
            "initializer of 'dense/kernel': Constant: its value has the shape",
        ),
    ],
)
def test_uses_of_objects(use, match):
    with pytest.raises((ShapeError, ConfigurationError), match=match):
        use()


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.ExponentialDecay(0.1, 1, 1e38),
        schedules.CosineDecayRestarts(0.1, 1, t_mul=1.0, m_mul=1e38),
    ],
)
def test_rates_beyond_a_float(schedule):
    model = nl.Sequential([layers.Dense(1)])
    optimizer = optimizers.SGD(schedule)
    model.compile(optimizer, "mse")
    model.build((None, 2))
    optimizer.iterations = 50
    with pytest.raises(ConfigurationError, match=r"returned the learning rate .* for update 50"):
        model.train_on_batch(X, Y)


def test_a_schedule_within_a_warmup_that_returns_nothing():
    warmup = schedules.LinearWarmup(lambda: None, 3)
    with pytest.raises(
        ConfigurationError, match=r"LinearWarmup: the learning rate that .* returns"
    ):
        warmup(0)


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        (layers.Dense(10**15), r"weights do not fit in memory: .* in 'dense/kernel' of the shape"),
        (layers.RepeatVector(10**15), r"layer 'repeat_vector': an array of the shape \(4, 10000"),
    ],
)
def test_layers_beyond_the_memory(layer, match):
    with pytest.raises(MemoryError, match=match):
        nl.Sequential([layer]).predict(X)


def test_a_large_factor_of_the_circle_loss():
    y = np.random.default_rng(0).normal(size=(6, 3))
    loss = losses.Circle(gamma=1e15)
    assert np.isfinite(loss.forward(np.arange(6) % 2, y / np.linalg.norm(y, axis=1)[:, None]))
    assert np.isfinite(loss.backward()).all()


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_weights_that_the_last_update_made_infinite():
    model = nl.Sequential([layers.Dense(1)], seed=0)
    model.compile(optimizers.SGD(3e38), "mse")
    with pytest.warns(UserWarning, match=r"weights are not finite: .*the update of 'dense'"):
        model.fit(X, 1e3 * Y, verbose=0)
