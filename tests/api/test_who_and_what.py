"""Errors begin with whose argument it is, and which, also where a value is checked last."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import NetlayersError

L, Y, P = nl.layers, np.eye(2), np.full((2, 2), 0.5)
W = np.array([1.0, np.nan])


class Own(L.Layer):
    def __init__(self, trainable, **kwargs):
        super().__init__(name="own", **kwargs)
        self.flag = trainable

    def build(self, input_shape):
        self.add_weight("w", (2,), trainable=self.flag)

    def forward(self, x, training=False):
        return self.prepare(x)


def loss(name="MeanSquaredError", **options):
    return getattr(nl.losses, name)(**options)


CASES = {
    "Dice: each axis must be an integer": lambda: loss("Dice", axis=[0.5]),
    "Dice: axis must be an integer": lambda: loss("Dice", axis="x"),
    "Tversky: each axis must be an integer": lambda: loss("Tversky", axis=["x"]),
    "CategoricalFocalCrossentropy: each alpha must be a": lambda: loss(
        "CategoricalFocalCrossentropy", alpha=[0.5, -1]
    ),
    "CategoricalFocalCrossentropy: alpha must be a": lambda: loss(
        "CategoricalFocalCrossentropy", alpha=-1
    ),
    "CategoricalFocalCrossentropy: gamma must be a": lambda: loss(
        "CategoricalFocalCrossentropy", gamma="x"
    ),
    "loss 'mean_squared_error': sample_weight contains NaN": lambda: loss().forward(Y, P, W),
    "loss 'mean_squared_error': sample_weight must not be": lambda: loss().forward(Y, P, -Y[0]),
    "loss 'mean_squared_error': sample_weight contains an inf": lambda: loss().forward(
        Y, P, [1.0, np.inf]
    ),
    "loss 'mean_squared_error': y_pred holds numbers too large": lambda: loss().forward(
        Y, (P * 1e40).tolist()
    ),
    "loss 'mean_squared_error': y_pred must hold real": lambda: loss().forward(Y, [["a"]]),
    "loss 'mean_squared_error': y_pred must hold at least": lambda: loss().forward(Y, []),
    "loss 'mean_squared_error': y_true holds numbers too large": lambda: loss().forward(
        Y * 1e40, P.astype("f4")
    ),
    "metric 'mean': sample_weight must hold real numbers": lambda: nl.metrics.Mean()([1.0], "x"),
    "metric 'mean': sample_weight must hold finite": lambda: nl.metrics.Mean()([1.0], [-1.0]),
    "metric 'mean': values must hold real numbers": lambda: nl.metrics.Mean()("x"),
    "metric 'auc': sample_weight must hold real": lambda: nl.metrics.AUC()([1], [0.5], "x"),
    "metrics.get: each size in output_shape must": lambda: nl.metrics.get("mse", (None, 1), "x"),
    "metrics.get: from_logits must": lambda: nl.metrics.get("mse", from_logits=3),
    "layer 'own': trainable must be True or False": lambda: Own("yes").build((None, 3)),
    "layer 'd': x must hold real numbers": lambda: L.Dense(2, name="d")("a"),
    "layer 'd': dy must hold real": lambda: dense().backward("a"),
    "layer 'd' (Dense): x must have at least 1": lambda: L.Dense(2, name="d")(3.0),
    "fit: sample_weight contains NaN": lambda: model().fit(P, P, sample_weight=W, verbose=0),
    "fit: y contains NaN": lambda: model().fit(P, P * np.nan, verbose=0),
    "fit: x contains NaN": lambda: model().fit(P * np.nan, P, verbose=0),
    "fit: x holds numbers too large for float32": lambda: model().fit(P * 1e40, P, verbose=0),
    "predict: x contains an infinite": lambda: model().predict(P * np.inf),
    "train_on_batch: x contains NaN": lambda: model().train_on_batch(P * np.nan, P),
    "test_on_batch: y contains NaN": lambda: model().test_on_batch(P, P * np.nan),
    "evaluate: sample_weight must not be negative": lambda: model().evaluate(
        P, P, sample_weight=[1.0, -1.0], verbose=0
    ),
    "pad_sequences: each of sequences has values": lambda: nl.utils.pad_sequences([[2**40]]),
    "split_dataset: shuffle must be": lambda: nl.utils.split_dataset(P, 1, shuffle=3),
    "split_dataset: seed must be": lambda: nl.utils.split_dataset(P, 1, shuffle=True, seed=-1),
}


def dense():
    layer = L.Dense(2, name="d")
    layer.forward(P, training=True)
    return layer


def model():
    made = nl.Sequential([L.Dense(2)], seed=0)
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize("begin", CASES)
def test_who_and_what(begin):
    with pytest.raises(NetlayersError) as raised:
        CASES[begin]()
    assert str(raised.value).startswith(begin)


def test_windows_say_which_argument():
    for argument, value in (
        ("shuffle", 3), ("sequence_length", 0), ("sequence_stride", 0), ("sampling_rate", 0),
        ("batch_size", 0), ("start_index", -1), ("end_index", 0),
    ):  # fmt: skip
        given = {"sequence_length": 2, argument: value}
        with pytest.raises(NetlayersError) as raised:
            nl.utils.timeseries_dataset_from_array(np.arange(9.0), None, **given)
        assert str(raised.value).startswith(f"timeseries_dataset_from_array: {argument} must ")
    with pytest.raises(NetlayersError, match=r"^timeseries_dataset_from_array: seed must"):
        nl.utils.timeseries_dataset_from_array(np.ones(9), None, 2, shuffle=True, seed=-1)
