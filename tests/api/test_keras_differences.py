"""Each row of "What differs on purpose" in ``docs/keras.md`` is tried: what netlayers does."""

import contextlib
import inspect
import io
import warnings
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import NetlayersError

L, M = nl.layers, nl.metrics
X, Y = np.linspace(-1, 1, 24).reshape(8, 3), np.linspace(0, 1, 8)
CLASSES = np.arange(8) % 3


def rows():
    """Return the first cells of the tables of the page."""
    text = (Path(__file__).parents[2] / "docs" / "keras.md").read_text(encoding="utf-8")
    text = text.partition("## What differs on purpose")[2].partition("## Layers of your own")[0]
    cells = [line[2:].split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    return [cell for cell in cells if cell not in {"in Keras", "---"}]


def compiled(units=1, optimizer="sgd", loss="mse", **arguments):
    model = nl.Sequential([L.Input((3,)), L.Dense(units)], seed=0)
    model.compile(optimizer, loss, **arguments)
    return model


def refused(function, *args, **kwargs):
    """Whether a call is an error of netlayers, or a TypeError for an argument."""
    try:
        function(*args, **kwargs)
    except (NetlayersError, TypeError):
        return True
    return False


def warned(function, *args, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*args, **kwargs)
    return bool(caught)


class Epochs(nl.callbacks.Callback):
    def __init__(self):
        self.batches = self.tested = 0

    def on_test_batch_end(self, batch, logs=None):
        self.tested += 1

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1


def batches_of(**arguments):
    counted = Epochs()
    compiled(**arguments.pop("compile", {})).fit(X, Y, verbose=0, callbacks=[counted], **arguments)
    return counted.batches


def masked_sum(two=True):
    a, b = L.Input((2, 1)), L.Input((2, 1))
    mask = L.Masking()
    added = L.Add()([mask(a), L.Masking()(b) if two else b])
    model = nl.Model([a, b], L.LSTM(1, return_sequences=True)(added), seed=0)
    first, second = np.ones((1, 2, 1)), np.ones((1, 2, 1))
    first[0, 1] = 0
    out = model.predict([first, second])
    return out[0, 0] == out[0, 1]  # the state stays as it was in a step that is left out


def graph_of_a_sum():
    a, b = L.Input((1,)), L.Input((1,))
    return [type(layer).__name__ for layer in nl.Model([a, b], a + b).layers]


def two_outputs(loss, **arguments):
    x = L.Input((3,))
    model = nl.Model(x, [L.Dense(1, name="a")(x), L.Dense(1, name="b")(x)], seed=0)
    model.compile("sgd", loss, **arguments)
    return model.fit(X, [Y, Y], verbose=0).history


def variables():
    model = compiled(optimizer="adam")
    model.train_on_batch(X, Y)
    return [np.size(array) for array in model.optimizer.variables] == [1, 1, 4, 4]


def plateau():
    model = compiled(optimizer=nl.optimizers.SGD(nl.optimizers.schedules.CosineDecay(0.1, 100)))
    halve = nl.callbacks.ReduceLROnPlateau("loss", 0.5, 1, min_delta=1e9)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[halve])
    return model.optimizer.learning_rate_factor < 1


def default_batches():
    x, y, counted = np.ones((33, 3)), np.ones(33), Epochs()
    model = compiled()
    model.fit(x, y, verbose=0, callbacks=[counted])
    model.evaluate(x, y, verbose=0, callbacks=[counted])
    return counted.batches == 2 and counted.tested == 1


def spectral():
    layer = L.SpectralNormalization(L.Dense(2))
    layer.build((None, 3))
    before = layer.layer.kernel.copy()
    layer.forward(X.astype("float32"), training=True)
    return np.array_equal(before, layer.layer.kernel)


def named():
    x = L.Input((3,), name="x")
    return nl.Model({"x": x}, L.Dense(1)(x), seed=0)


def printed(function):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        function()
    return out.getvalue()


def adjusted_r2():
    y = np.random.default_rng(0).normal(size=(5, 2))
    plain, adjusted = M.R2Score(), M.R2Score(num_regressors=1)
    for metric in (plain, adjusted):
        metric.update_state(y, y[::-1])
    n, p = 5, 1
    return adjusted.result() == pytest.approx(1 - (1 - plain.result()) * (n - 1) / (n - p - 1))


def weighted_iou():
    metric = M.MeanIoU(2)
    metric.update_state([1, 1], [1, 0], sample_weight=[0.5, 1.0])
    return 2 * metric.result()  # the other class has 0


def exact_bins():
    layer = L.Discretization(num_bins=4, epsilon=0.5)
    values = np.random.default_rng(0).normal(size=10_001)
    layer.adapt(values)
    counts = np.bincount(np.ravel(layer(values)))
    return np.ptp(counts) <= 1


def contrasts():
    layer = L.RandomContrast(0.5, seed=0)
    image = np.ones((1, 2, 2, 1))
    drawn = [layer.get_random_transformation(image)["contrast_factor"].item() for _ in range(100)]
    return 0.5 <= min(drawn) < 0.6 and 1.4 < max(drawn) <= 1.5


def nan_run():
    model = compiled()
    x = X.copy()
    model.layers[0].kernel[...] = 1e38
    before = model.get_weights()
    assert refused(model.fit, x * 1e30, Y, verbose=0)
    return all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def of_images():
    return np.arange(32, dtype="float64").reshape(1, 4, 4, 2)


def same_as_at_inference():
    model = nl.Model(x := nl.Input((3,)), L.Dropout(0.5)(x, training=False))
    return np.array_equal(model.forward(X, training=True), model.predict(X))


CHECKS = {
    "targets outside the range": lambda: (
        refused(nl.losses.MeanSquaredLogarithmicError().forward, [[-1.0]], [[1.0]])
        and refused(nl.losses.Dice().forward, [[2.0]], [[1.0]])
    ),
    "NaN or infinity in data": lambda: (
        refused(compiled().fit, X * np.nan, Y)
        and refused(compiled().fit, X, Y, sample_weight=-np.ones(8))
        and nl.losses.MeanSquaredError(mask_nan=True).forward([[np.nan], [1]], [[0], [2]]) == 1
    ),
    "`class_weight` takes": lambda: refused(
        compiled(3).fit, X, np.full((8, 3), 0.4), class_weight={0: 1, 1: 2, 2: 1}
    ),
    "`steps_per_epoch` beyond": lambda: batches_of(batch_size=8, steps_per_epoch=3) == 3,
    "`jit_compile`, `run_eagerly`": lambda: batches_of(compile={"jit_compile": True}) == 1,
    "`steps_per_execution=n`": lambda: (
        batches_of(batch_size=1, compile={"steps_per_execution": 4}) == 2
    ),
    "each layer has a dtype": lambda: (
        nl.Sequential([L.Dense(1, dtype="float64")]).dtype == "float64"
    ),
    "`fit` sets `training=True` also": same_as_at_inference,
    "the mean of a loss": lambda: (
        nl.losses.SparseCategoricalCrossentropy(ignore_class=0).forward(
            [0, 1], [[0.5, 0.5], [0.5, 0.5]]
        )
        == pytest.approx(np.log(2))
    ),
    '`"accuracy"` with logits': lambda: (
        compiled(
            loss=nl.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"]
        ).evaluate(X, np.ones((8, 1)), verbose=0)[1]
        == np.mean(X @ compiled().layers[0].kernel > 0)
    ),
    "metrics are float32": lambda: type(M.Mean(dtype="float32").result()) is float,
    "`AUC()` has 200": lambda: M.AUC().num_thresholds is None and M.AUC(200).num_thresholds == 200,
    "`IoU` leaves out": lambda: (
        warned(M.IoU(2, [0]).update_state, [0, 5], [0, 1])
        and not warned(M.IoU(2, [0], ignore_class=5).update_state, [0, 5], [0, 1])
    ),
    "`FBetaScore(beta=1)`": lambda: M.FBetaScore(beta=1).beta == 1,
    "`activations.get": lambda: (
        nl.activations.get("relu") == nl.activations.relu
        and nl.losses.get("mse") == nl.losses.mean_squared_error
    ),
    "a layer of a model that was built": lambda: (
        refused(compiled().predict, np.ones((2, 4)))
        and nl.Sequential([L.Input((None, 3)), L.Dense(1)]).predict(np.ones((2, 7, 3))).shape
        == (2, 7, 1)
    ),
    "a function as loss": lambda: warned(
        compiled(loss=lambda y, p: np.mean((y - p) ** 2, axis=-1)).fit, X, Y[:, None], verbose=0
    ),
    "`BatchNormalization(renorm=True)`, `synchronized": lambda: (
        refused(L.BatchNormalization, renorm=True)
        and refused(L.BatchNormalization, synchronized=True)
    ),
    "targets are broadcast": lambda: refused(
        nl.losses.MeanSquaredError().forward, np.ones((4, 1)), np.ones((4, 3))
    ),
    "`ema_momentum` without": lambda: (
        refused(nl.optimizers.SGD, ema_momentum=0.5) and warned(nl.optimizers.SGD, nesterov=True)
    ),
    "`compile()` without": lambda: refused(nl.Sequential([L.Dense(1)]).compile, "sgd"),
    "`optimizer = ...`": lambda: (
        refused(setattr, compiled(), "optimizer", "adam")
        and refused(setattr, compiled(), "loss", "mae")
    ),
    "the epoch that a NaN ends": nan_run,
    "`TensorBoard(write_images": lambda: (
        refused(nl.callbacks.TensorBoard, write_images=True)
        and refused(nl.callbacks.TensorBoard, embeddings_freq=1)
        and refused(nl.callbacks.TensorBoard, profile_batch=1)
    ),
    "`load_model`, `save_model`": lambda: (
        refused(compiled().save, "model.keras") and refused(nl.load_model, "model.keras")
    ),
    "`model_from_json`": lambda: (
        "keras" not in compiled().to_json()
        and "keras" not in str(nl.saving.serialize_keras_object(L.Dense(1)))
    ),
    "`get_custom_objects()`": lambda: (
        nl.utils.get_custom_objects() is not nl.utils.get_custom_objects()
    ),
    '`config.set_floatx("float64")`': lambda: (
        refused(nl.config.set_floatx, "float64")
        and refused(nl.config.set_epsilon, 1e-5)
        and refused(nl.config.set_image_data_format, "channels_first")
    ),
    "`optimizer.variables`": variables,
    "accuracies, `AUC`": lambda: refused(M.BinaryAccuracy().update_state, [[0.48]], [[0.5]]),
    "LoRA, quantization": lambda: (
        refused(L.Dense, 1, lora_rank=2) and refused(nl.optimizers.SGD, loss_scale_factor=2.0)
    ),
    '`ModelCheckpoint(mode="typo")`': lambda: refused(
        nl.callbacks.ModelCheckpoint, "m.safetensors", mode="typo"
    ),
    "`optimizer.name`": lambda: [nl.optimizers.Adam().name for _ in "ab"] == ["adam"] * 2,
    '`hasattr(model, "input_shape")`': lambda: (
        nl.Sequential([L.Dense(1)]).input_shape is None and not nl.Sequential([L.Dense(1)]).built
    ),
    "`get_config()` of `CosineSimilarity`": lambda: (
        "delta" in nl.losses.Huber().get_config()
        and "axis" in nl.losses.CosineSimilarity().get_config()
    ),
    "`sparsemax` adds": lambda: (
        nl.activations.sparsemax([1.0, 0.5, 0.0, -3.0]).tolist() == [0.75, 0.25, 0.0, 0.0]
    ),
    "`CategoryEncoding` and lookups encode": lambda: (
        L.CategoryEncoding(3)([0, 1]).shape == L.CategoryEncoding(3)([[0], [1]]).shape
    ),
    "missing values": lambda: (
        L.StringLookup(vocabulary=["a"])(np.array([["a"], [None]], dtype=object)).tolist()
        == [[1], [0]]
    ),
    "`TextVectorization` lowers": lambda: (
        L.TextVectorization(vocabulary=["é"])(["É"]).tolist() == [[2]]
    ),
    "`sparse=True`, `ragged=True`": lambda: (
        refused(L.StringLookup, sparse=True) and refused(L.TextVectorization, ragged=True)
    ),
    "weights and rates": lambda: (
        type(compiled().layers[0].kernel) is np.ndarray
        and type(nl.optimizers.Adam(0.1).learning_rate) is float
    ),
    "`activity_regularizer=`": lambda: refused(L.Dense, 1, activity_regularizer="l2"),
    "`Input(optional=True)`": lambda: refused(L.Input, (3,), optional=True),
    "inputs and outputs are nested": lambda: refused(nl.Model, [[L.Input((1,))]], L.Input((1,))),
    "`fit` checks": lambda: refused(compiled, loss={"no": "mse"}),
    "arrays of another rank": lambda: refused(compiled().predict, np.ones((2, 3, 1))),
    "operators between": lambda: graph_of_a_sum() == ["InputLayer", "InputLayer", "Add"],
    "`Add`, `Multiply`": lambda: masked_sum() and masked_sum(two=False),
    "`Embedding` cuts": lambda: refused(L.Embedding(5, 1).forward, np.array([[3.7]])),
    "shapes of values": lambda: L.Input((3,), batch_size=2).shape == (None, 3),
    "`HashedCrossing` refuses": lambda: (
        len(L.HashedCrossing(5)(([1.0], [2.0]))) == 1
        and refused(L.HashedCrossing(5), ([1.5], [2.0]))
    ),
    "`count` and `multi_hot`": lambda: (
        L.Discretization([0.0], output_mode="count")(np.ones((2, 3, 4))).shape == (2, 3, 2)
    ),
    "layers of categories": lambda: (
        L.StringLookup(vocabulary=["a"])(["a"]).dtype == "int64"
        and refused(L.StringLookup, dtype="int32")
    ),
    "`keras.ops`": lambda: not hasattr(nl, "ops"),
    "layers on images": lambda: L.Resizing(2, 2)(of_images()[0]).shape == (2, 2, 2),
    "`Resizing` of uint8": lambda: L.Resizing(2, 2)(of_images().astype("uint8")).dtype.kind == "f",
    "bounding boxes": lambda: refused(L.RandomFlip, bounding_box_format="xyxy"),
    "`strides` and `dilation_rate`": lambda: (
        L.Conv2D(1, 2, strides=2, dilation_rate=2)(of_images()).shape == (1, 1, 1, 1)
    ),
    "`GlobalAveragePooling1D`": lambda: (
        nl.Sequential([L.Input((2, 1)), L.Masking(), L.GlobalAveragePooling1D()]).predict(
            np.zeros((1, 2, 1))
        )
        == 0
    ),
    "`RandomCrop` returns": lambda: L.RandomCrop(2, 2)(of_images()).shape == (1, 2, 2, 2),
    "`RandomContrast(f)`": contrasts,
    "its interpolations": lambda: refused(L.Resizing, 2, 2, interpolation="area"),
    "the `batch_size` of `evaluate`": default_batches,
    "`R2Score(num_regressors=...)`": adjusted_r2,
    "`ReduceLROnPlateau` refuses": plateau,
    "`MultiOptimizer.learning_rate`": lambda: (
        nl.optimizers.MultiOptimizer(
            nl.optimizers.OptimizerMap("sgd"), use_ema=True, gradient_accumulation_steps=2
        ).learning_rate
        == 1
    ),
    "metrics of an output": lambda: (
        "b_mae" in two_outputs(["mse", "mse"], loss_weights=[1, 0], metrics=[[], ["mae"]])
    ),
    "where one of several": lambda: "a_loss" in two_outputs({"a": "mse"}),
    "`MeanIoU` cuts": lambda: weighted_iou() == pytest.approx(0.5 / 1.5),
    "`Discretization(epsilon)`": exact_bins,
    "`Embedding` with Adam": lambda: issubclass(nl.optimizers.LazyAdam, nl.optimizers.Adam),
    "an error names": lambda: issubclass(nl.errors.ConfigurationError, ValueError),
    "a dict with other names": lambda: (
        refused(named().predict, {"z": X}) and named().predict([X]).shape == (8, 1)
    ),
    "masks are attributes": lambda: "mask" in inspect.signature(L.LSTM.forward).parameters,
    "a cell is any": lambda: refused(L.RNN, L.Dense(1)),
    "`stateful=True` needs": lambda: L.LSTM(1, stateful=True)(np.ones((2, 3, 1))).shape == (2, 1),
    "`RNN(cells).compute_output_shape`": lambda: (
        L.RNN([L.LSTMCell(2), L.LSTMCell(3)], return_state=True).compute_output_shape((None, 4, 1))
        == ((None, 3), (None, 2), (None, 2), (None, 3), (None, 3))
    ),
    "`get_config()` of a functional": lambda: "calls" in named().get_config(),
    "`summary()`": lambda: "Parameters" in printed(named().summary),
    "`SpectralNormalization(layer)`": spectral,
    "`GlobalAveragePooling` of float64": lambda: (
        L.GlobalAveragePooling2D(dtype="float64")(of_images()).dtype == "float64"
    ),
}

ELSEWHERE = {  # tried by other tests
    "a `Layer` may": "models/test_keras_classes.py",
    "`TensorBoard(histogram_freq)`": "callbacks/test_tensorboard.py",
    "`TimeDistributed` hands": "layers/test_time_distributed.py",
    "metrics without weights": "training/test_masks.py",
    "the first value is": "callbacks/test_checkpoint.py",
    "in masked steps": "layers/test_conv_lstm.py",
    "a `Lambda` with code": "layers/test_lambda.py",
    "`CategoryEncoding` is one layer": "layers/test_categories.py",
    "`get_random_transformation`": "layers/test_grids.py",
    "`image_dataset_from_directory` and": "utils/test_images.py",
    "augmentation of bounding boxes": "layers/test_augmentation.py",
    "`MixUp` mixes segmentation masks of any values": "layers/test_augmentation.py",
}


def test_each_row_is_tried_once():
    begun = [[key for key in (*CHECKS, *ELSEWHERE) if row.startswith(key)] for row in rows()]
    assert [row for row, keys in zip(rows(), begun, strict=True) if len(keys) != 1] == []
    assert sorted(key for keys in begun for key in keys) == sorted([*CHECKS, *ELSEWHERE])
    assert all((Path(__file__).parents[1] / path).exists() for path in ELSEWHERE.values())


@pytest.mark.parametrize("row", CHECKS)
@pytest.mark.filterwarnings("ignore")
def test_what_is_here(row):
    assert CHECKS[row]()
