"""Files of every version of the format load to the numbers that they were written with, for ever.

A file here is never written again. ``golden()`` says how it was made; for a new version of the
format, add a file beside the old ones.
"""

from pathlib import Path

import numpy as np
import pytest

import netlayers as nl

FOLDER = Path(__file__).parent / "golden"
KERNEL = np.array([[1.0, -0.5], [0.25, 2.0], [-1.5, 0.75]], np.float32)


def golden():
    """Return the model of version 1, all of whose numbers are set by hand."""
    layers = [
        nl.layers.Dense(2, "relu", kernel_regularizer=nl.regularizers.L2(0.5)),
        nl.layers.Residual([nl.layers.Dense(3, "tanh", kernel_constraint="max_norm")]),
        nl.layers.BatchNormalization(momentum=0.75),
        nl.layers.Dropout(0.25),
        nl.layers.GaussianNoise(0.5, seed=11),
        nl.layers.Dense(1, name="out", learning_rate_multiplier=2.0),
    ]
    layers[0].trainable = False
    model = nl.Sequential(layers, name="golden", seed=42)
    model.build((None, 3))
    schedule = nl.optimizers.schedules.ExponentialDecay(0.5, 10, 0.25)
    optimizer = nl.optimizers.AdamW(schedule, weight_decay=0.125, clipvalue=3.0, use_ema=True)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, nl.losses.Huber(2.0), metrics=["mae", nl.metrics.R2Score(name="r2")])
    values = model.parameters.values
    optimizer.step(model.parameters)
    values[...] = np.arange(values.size) / 8 - 1
    layers[0].kernel[...] = KERNEL
    layers[0].bias[...] = [0.5, -0.25]
    layers[2].moving_mean[...] = [0.5, 0.25, -1.0]
    layers[2].moving_variance[...] = [4.0, 1.0, 0.25]
    for i, vector in enumerate(optimizer.state.values()):
        vector[...] = np.arange(values.size) + i
    optimizer.iterations, optimizer.skipped, optimizer.learning_rate_factor = 10, 1, 0.5
    model._streams.get("shuffle").random(5)
    layers[3].rng.random(3)
    layers[4].rng.random(7)
    return model


@pytest.fixture(scope="module")
def model():
    return nl.load_model(FOLDER / "version_1.safetensors")


def test_weights(model):
    n = model.parameters.values.size
    expected = np.arange(n, dtype=np.float32) / 8 - 1
    expected[:6], expected[6:8] = KERNEL.ravel(), [0.5, -0.25]
    np.testing.assert_array_equal(model.parameters.values, expected)
    np.testing.assert_array_equal(
        model.parameters.statistics, np.float32([0.5, 0.25, -1.0, 4.0, 1.0, 0.25])
    )
    assert [p.path for p in model.declared_parameters] == [
        "dense/kernel",
        "dense/bias",
        "residual/dense/kernel",
        "residual/dense/bias",
        "residual/projection/kernel",
        "batch_normalization/gamma",
        "batch_normalization/beta",
        "batch_normalization/moving_mean",
        "batch_normalization/moving_variance",
        "out/kernel",
        "out/bias",
    ]


def test_prediction(model):
    """Against the formulas of the layers, in float64."""
    x = np.array([[1.0, 2.0, -1.0], [0.5, -0.5, 3.0]])
    w = {p.path: p.value.astype(np.float64) for p in model.declared_parameters}
    h = np.maximum(x @ w["dense/kernel"] + w["dense/bias"], 0)
    f = np.tanh(h @ w["residual/dense/kernel"] + w["residual/dense/bias"])
    h = h @ w["residual/projection/kernel"] + f
    h = (h - [0.5, 0.25, -1.0]) / np.sqrt(np.array([4.0, 1.0, 0.25]) + 1e-3)
    h = h * w["batch_normalization/gamma"] + w["batch_normalization/beta"]
    y = h @ w["out/kernel"] + w["out/bias"]
    np.testing.assert_allclose(model.predict(x), y, rtol=2e-6)


def test_settings(model):
    optimizer, layers = model.optimizer, model.layers
    assert (model.name, model.seed, model.dtype) == ("golden", 42, "float32")
    assert [layer.trainable for layer in layers] == [False] + [True] * 5
    assert layers[0].kernel_regularizer.l2 == 0.5
    assert isinstance(layers[1].layers[0].kernel_constraint, nl.constraints.MaxNorm)
    assert layers[2].momentum == 0.75
    assert layers[5].learning_rate_multiplier == 2
    assert (type(optimizer).__name__, optimizer.weight_decay, optimizer.clipvalue) == (
        "AdamW",
        0.125,
        3.0,
    )
    assert (optimizer.iterations, optimizer.skipped, optimizer.accumulated) == (10, 1, 0)
    assert optimizer.learning_rate == 0.5 * 0.25 * 0.5  # after 10 updates, times the factor
    assert list(optimizer.state) == ["m", "v", "average"]
    for i, vector in enumerate(optimizer.state.values()):
        np.testing.assert_array_equal(vector, np.arange(vector.size) + i)
    assert [p.learning_rate_multiplier for p in model.declared_parameters[-2:]] == [2.0, 2.0]
    assert [optimizer.decay_of(p) for p in model.declared_parameters[-2:]] == [0.125, 0.0]
    assert model.loss.delta == 2
    assert model._metrics[0] == "mae"
    assert model._metrics[1].name == "r2"


def test_streams(model):
    """The next numbers of each, as NumPy's PCG64 gives them after those that were drawn."""
    sequence = np.random.SeedSequence(42, spawn_key=(0x33FE5971,))  # CRC-32 of "shuffle"
    shuffle = np.random.Generator(np.random.PCG64(sequence))
    shuffle.random(5)
    assert model._streams.get("shuffle").random() == shuffle.random()
    noise = np.random.Generator(np.random.PCG64(11))
    noise.random(7)
    assert model.layers[4].rng.random() == noise.random()
    assert model.layers[3].rng is model._streams.get("layer/dropout")


def contained(old, new):
    """Whether ``new`` says all that ``old`` does; classes may have got further arguments since."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(k in new and contained(old[k], new[k]) for k in old)
    if isinstance(old, list):
        return len(old) == len(new) and all(map(contained, old, new))
    return old == new


def test_it_is_written_as_it_was(tmp_path):
    """Today's file of the same model says the same, but for versions."""
    old = FOLDER / "version_1.safetensors"
    new = tmp_path / "new"
    golden().save(new)
    with nl.saving.StoredFile(old) as a, nl.saving.StoredFile(new) as b:
        for key in ("library", "numpy"):
            a.description.pop(key)
            b.description.pop(key)
        assert contained(a.description, b.description)
        assert a.description.keys() == b.description.keys()
        assert a.entries == b.entries
    assert old.stat().st_size < 10_000
