"""Networks of every family, with data: what a run of several processes trains."""

import numpy as np
import scipy.sparse

import netlayers as nl
from netlayers import layers


def dense():
    """Dropout, noise with a seed of its own, batch normalization, penalties, clipping, weights."""
    its = [
        layers.Dense(20, "relu", kernel_regularizer="l2"),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.GaussianNoise(0.1, seed=3),
        layers.Dense(3, "softmax"),
    ]
    model = nl.Sequential(its, seed=0)
    optimizer = nl.optimizers.Adam(0.01, clipnorm=1.0)
    metrics = {"metrics": ["accuracy", nl.metrics.AUC()], "weighted_metrics": ["accuracy"]}
    model.compile(optimizer, "sparse_categorical_crossentropy", **metrics)
    return model, ARRAYS["x"], ARRAYS["classes"], {"sample_weight": ARRAYS["weights"]}


def accumulation():
    """Accumulated gradients, a loss with the reduction "sum", rows that are read in blocks."""
    model = nl.Sequential([layers.Dense(9, "tanh"), layers.Dense(2)], seed=1)
    optimizer = nl.optimizers.SGD(0.001, momentum=0.9, gradient_accumulation_steps=3)
    model.compile(optimizer, nl.losses.MeanSquaredError(reduction="sum"))
    return model, ARRAYS["x"], ARRAYS["x"][:, :2], {"shuffle": 30}


def words():
    """Row gradients of an embedding, masks, a recurrent layer."""
    its = [
        layers.Embedding(50, 6, mask_zero=True),
        layers.LSTM(5, recurrent_dropout=0.2),
        layers.Dense(1, "sigmoid"),
    ]
    model = nl.Sequential(its, seed=2)
    model.compile(nl.optimizers.Adagrad(0.1), "binary_crossentropy", metrics=["accuracy"])
    return model, ARRAYS["words"], ARRAYS["classes"] > 0, {}


def images():
    """Convolutions, pooling, batch normalization, augmentation."""
    its = [
        layers.RandomFlip("horizontal"),
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(3, "softmax"),
    ]
    model = nl.Sequential(its, seed=3)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, ARRAYS["images"], ARRAYS["classes"], {}


def graph():
    """Two inputs and two outputs, with a metric for each."""
    a, b = nl.Input((12,), name="a"), nl.Input((12,), name="b")
    shared = layers.Dense(6, "relu")
    both = layers.Concatenate()([shared(a), shared(b)])
    outputs = [layers.Dense(1, name="size")(both), layers.Dense(3, name="kind")(both)]
    model = nl.Model([a, b], outputs, seed=4)
    loss = ["mse", nl.losses.SparseCategoricalCrossentropy(from_logits=True)]
    model.compile("rmsprop", loss, metrics=[["mae"], ["accuracy"]])
    x = [ARRAYS["x"], ARRAYS["x"][::-1].copy()]
    return model, x, [ARRAYS["x"].sum(axis=1), ARRAYS["classes"]], {}


def series():
    """Convolutions over time, masks, recurrent layers in both directions, all dropouts."""
    its = [
        layers.Masking(),
        layers.Bidirectional(layers.GRU(4, return_sequences=True, dropout=0.2)),
        layers.SpatialDropout1D(0.2),
        layers.TimeDistributed(layers.Dense(3, "tanh")),
        layers.SimpleRNN(4),
        layers.AlphaDropout(0.1),
        layers.Dense(1),
    ]
    model = nl.Sequential(its, seed=5)
    model.compile(nl.optimizers.RMSprop(0.01, clipvalue=0.1), "huber", metrics=["r2_score"])
    return model, ARRAYS["series"], ARRAYS["x"][:, :1], {}


def movies():
    """Convolutional recurrent layers, convolutions in three dimensions."""
    its = [
        layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True, recurrent_dropout=0.2),
        layers.Conv3D(2, (2, 3, 3), activation="relu"),
        layers.GlobalAveragePooling3D(),
        layers.Dense(3),
    ]
    model = nl.Sequential(its, seed=6)
    model.compile("nadam", nl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, ARRAYS["movies"], ARRAYS["classes"], {}


def pictures():
    """Transposed, depthwise and separable convolutions, mixed images, other normalizations."""
    its = [
        layers.RandomTranslation(0.2, 0.2),
        layers.MixUp(),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.GroupNormalization(2),
        layers.SeparableConv2D(3, 3, activation="relu"),
        layers.Conv2DTranspose(2, 3),
        layers.SpectralNormalization(layers.Conv2D(2, 3)),
        layers.GlobalMaxPooling2D(),
        layers.Dense(3, "softmax"),
    ]
    model = nl.Sequential(its, seed=7)
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model, ARRAYS["images"], np.eye(3, dtype="f")[ARRAYS["classes"]], {}


def residual():
    """Residual blocks and branches, averaged weights, layer normalization."""
    block = [layers.BatchNormalization(), layers.Dense(6, "relu"), layers.Dropout(0.2)]
    its = [
        layers.Dense(6),
        layers.Residual([*block, layers.Dense(6)]),
        layers.LayerNormalization(),
        layers.Parallel([layers.Dense(1), layers.Dense(1, "softplus")]),
    ]
    model = nl.Sequential(its, seed=8)
    model.compile(nl.optimizers.AdamW(0.01, use_ema=True), nl.losses.GaussianNLL())
    return model, ARRAYS["x"], ARRAYS["x"][:, :1], {}


def sparse():
    """Rows of a sparse matrix, whose gradients are rows of the kernel."""
    model = nl.Sequential([layers.Dense(5, "relu"), layers.Dense(1, "sigmoid")], seed=9)
    model.compile("ftrl", "binary_crossentropy", metrics=["auc"])
    return model, ARRAYS["sparse"], ARRAYS["classes"] > 0, {"class_weight": {0: 1.0, 1: 0.5}}


def categories():
    """Integers as two named inputs, a table whose rows LazyAdam updates alone."""
    inputs = {name: nl.Input((1,), name=name, dtype="int64") for name in ("small", "large")}
    table = layers.Flatten()(layers.Embedding(1000, 3)(inputs["large"]))
    codes = layers.CategoryEncoding(3, output_mode="one_hot")(inputs["small"])
    output = layers.Dense(1, kernel_constraint="max_norm")(layers.Concatenate()([table, codes]))
    model = nl.Model(inputs, output, seed=10)
    model.compile(nl.optimizers.LazyAdam(0.01, global_clipnorm=1.0), "mae")
    x = {"small": ARRAYS["classes"][:, None], "large": ARRAYS["words"][:, :1] * 17}
    return model, x, ARRAYS["x"][:, 0], {}


def stateful():
    """States that go on from batch to batch, of which each shard has its rows."""
    series = layers.LSTM(4, stateful=True, dropout=0.1)
    model = nl.Sequential([layers.Reshape((4, 3)), series, layers.Dense(1)], seed=13)
    model.compile("adam", "mse")
    return model, ARRAYS["x"][:100], ARRAYS["classes"][:100], {"shuffle": False}


class Uneven:
    """Batches by shard: shards of different sizes, which end at different batches."""

    def shard(self, num_shards, index):
        for number in range(2 + index % 3):
            x = np.random.default_rng([index, number]).normal(size=(1 + (index + number) % 3, 12))
            yield x, x.sum(axis=1)

    def __iter__(self):
        return self.shard(1, 0)


def streams():
    """Each process reads its shards, which start again within an epoch."""
    model = nl.Sequential([layers.Dense(9, "relu"), layers.Dense(1)], seed=11)
    model.compile("adam", "mse", metrics=["mae"])
    return model, Uneven(), None, {"steps_per_epoch": 3}


def windows():
    """Each process reads the rows of its shards of batches in random order."""
    model = nl.Sequential([layers.SimpleRNN(4), layers.Dense(1)], seed=12)
    model.compile("adam", "mse")
    series = ARRAYS["x"].astype(np.float64)
    its = nl.utils.timeseries_dataset_from_array(series, series[:, 0], 5, batch_size=23)
    return model, its, None, {}


def packed():
    """Series of different lengths, of which each process reads those of its shards."""
    its = [layers.Masking(), layers.GRU(3, dropout=0.2), layers.Dense(1)]
    model = nl.Sequential(its, seed=14)
    model.compile("adam", "mse")
    lengths = np.random.default_rng(1).integers(1, 8, 25)
    values = ARRAYS["series"].reshape(-1, 4)[: lengths.sum()]
    return model, nl.utils.packed_dataset(values, lengths, lengths / 8, 9), None, {}


def files():
    """Rows in chunks of a file, two inputs, of which each process reads those of its shards."""
    a, b = nl.Input((12,), name="a"), nl.Input((12,), name="b")
    both = layers.Dropout(0.2)(layers.Concatenate()([a, b]))
    model = nl.Model([a, b], layers.Dense(3, "softmax")(both), seed=15)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = [Chunked(ARRAYS["x"]), ARRAYS["x"][::-1].copy()]
    return model, x, ARRAYS["classes"], {"shuffle": 55, "sample_weight": ARRAYS["weights"]}


class Chunked:
    """Rows that are read in slices, as of a file of HDF5 with chunks of three rows."""

    def __init__(self, values):
        self._values, self.shape, self.dtype = values, values.shape, values.dtype
        self.chunks = (3, *values.shape[1:])

    def __len__(self):
        return len(self._values)

    def __getitem__(self, rows):
        return self._values[rows]


def make_arrays(rows=103):
    rng = np.random.default_rng(0)
    words = rng.integers(1, 50, (rows, 7))
    words[np.arange(7) >= rng.integers(1, 8, rows)[:, None]] = 0
    return {
        "x": rng.normal(size=(rows, 12)).astype("f"),
        "classes": rng.integers(0, 3, rows),
        "weights": rng.random(rows),
        "words": words,
        "images": rng.random((rows, 8, 8, 1)).astype("f"),
        "series": rng.normal(size=(rows, 7, 4)).astype("f") * (words > 0)[:, :, None],
        "movies": rng.random((rows, 3, 5, 5, 1)).astype("f"),
        "sparse": scipy.sparse.random(rows, 300, 0.02, "csr", "f", random_state=0),
    }


ARRAYS = make_arrays()
NETWORKS = {
    f.__name__: f
    for f in [
        *(dense, accumulation, words, images, graph, series),
        *(
            movies,
            pictures,
            residual,
            sparse,
            categories,
            streams,
            windows,
            stateful,
            packed,
            files,
        ),
    ]
}
