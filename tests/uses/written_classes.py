"""Mistakes with callbacks, metrics, layers, data and files; see `written.py`."""

import numpy as np

import netlayers as nl
from netlayers import callbacks, initializers, layers, losses, metrics, optimizers
from tests.uses.mistakes import (
    CLASSES,
    NAN,
    Short,
    X,
    Y,
    add,
    add_in_init,
    built,
    callback,
    declare,
    dense,
    empty_result,
    fit,
    foreign_file,
    generator,
    in_epoch,
    layer,
    no_backward,
    safetensors_of_others,
    scaled,
    seeded,
    set_on,
    text_file,
)

BCE, CE, SPARSE = (
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
)
logits = losses.SparseCategoricalCrossentropy(from_logits=True)


WRITTEN = {
    # callbacks
    "a misspelt hook": lambda: fit(
        callbacks=[callback(on_epoch_ends=lambda self, epoch, logs=None: None)]
    ),
    "a hook with other arguments": lambda: fit(callbacks=[callback(on_epoch_end=lambda s: None)]),
    "compile in a callback": lambda: in_epoch(lambda model: model.compile("adam", "mae")),
    "fit in a callback": lambda: in_epoch(lambda model: model.fit(X, Y, verbose=0)),
    "add in a callback": lambda: in_epoch(lambda model: model.add(dense(2))),
    "model.loss in a callback": lambda: in_epoch(
        lambda model: set_on(lambda: model, "loss", "mae")
    ),
    "keep_last of a fixed name": lambda: callbacks.ModelCheckpoint("a.safetensors", keep_last=3),
    "append to a binary file": lambda: text_file(bytes(range(256)), True),
    "append to other columns": lambda: text_file(b"a,b\n1,2\n", True),
    "a callback class": lambda: fit(callbacks=[callbacks.TerminateOnNaN]),
    "a function as callback": lambda: fit(callbacks=[lambda epoch, logs: None]),
    "one callback twice": lambda: fit(callbacks=[callbacks.TerminateOnNaN()] * 2),
    "logs that are written to": lambda: fit(
        callbacks=[callback(on_epoch_end=lambda s, epoch, logs=None: logs.update(loss="x"))],
        verbose=0,
    ),
    "a LambdaCallback of no such hook": lambda: callbacks.LambdaCallback(on_epoch_ends=print),
    "a rate per epoch of text": lambda: fit(
        callbacks=[callbacks.LearningRateScheduler(lambda epoch: "fast")]
    ),
    "a checkpoint in no folder": lambda: fit(
        callbacks=[callbacks.ModelCheckpoint("no/such/a.safetensors")]
    ),
    "a table in no folder": lambda: fit(callbacks=[callbacks.CSVLogger("no/such/a.csv")]),
    # metrics
    "accuracy of a regression": lambda: fit(y=X[:, 1], metrics=["accuracy"]),
    "top-5 of 3 classes": lambda: fit(
        dense(3, "softmax"), loss=SPARSE, y=CLASSES, metrics=["sparse_top_k_categorical_accuracy"]
    ),
    "a metric of classes out of range": lambda: metrics.SparseCategoricalAccuracy()([7], [[1, 0]]),
    "a metric with weights below 0": lambda: metrics.Mean()([1.0, 2.0], [-1, 1]),
    "a metric with weights NaN": lambda: metrics.BinaryAccuracy()([1, 0], [0.1, 0.9], [NAN, 1]),
    "a metric named epoch": lambda: fit(metrics=[metrics.MeanSquaredError(name="epoch")]),
    "a metric named val_loss": lambda: fit(metrics=[metrics.MeanSquaredError(name="val_loss")]),
    "a metric named loss": lambda: fit(metrics=[metrics.MeanSquaredError(name="loss")]),
    "two metrics of one name": lambda: fit(metrics=["mse", "mse"]),
    "a metric of one argument": lambda: fit(metrics=[lambda y: 1.0]),
    "Mean as a metric": lambda: fit(metrics=[metrics.Mean()]),
    "a metric class": lambda: fit(metrics=[metrics.MeanSquaredError]),
    "a metric that returns text": lambda: fit(metrics=[lambda t, p: "a"]),
    "a metric that returns NaN": lambda: fit(metrics=[lambda t, p: NAN]),
    "a metric of no such name": lambda: fit(metrics=["accurracy"]),
    "precision of logits": lambda: fit(
        loss=losses.BinaryCrossentropy(from_logits=True), metrics=[metrics.Precision()]
    ),
    "a result of nothing": lambda: empty_result(metrics.AUC()),
    # layers
    "a weight in __init__": lambda: fit(add_in_init(), dense()),
    "no super().__init__": lambda: fit(layer(__init__=lambda self: None), dense()),
    "forward without training": lambda: fit(layer(forward=lambda self, x: x), dense()),
    "forward that returns None": lambda: fit(
        layer(forward=lambda self, x, training=False: None), dense()
    ),
    "forward that returns a list": lambda: fit(
        layer(forward=lambda self, x, training=False: x.tolist()), dense()
    ),
    "forward that returns text": lambda: fit(
        layer(forward=lambda self, x, training=False: "a"), dense()
    ),
    "forward that writes to x": lambda: fit(layer(forward=lambda self, x, training=False: add(x))),
    "backward that returns None": lambda: fit(dense(), layer(backward=lambda self, dy: None)),
    "backward of another shape": lambda: fit(
        dense(), layer(backward=lambda self, dy: np.ones((3, 3)))
    ),
    "backward that writes to dy": lambda: fit(dense(), layer(backward=lambda self, dy: add(dy))),
    "no backward": lambda: fit(dense(), no_backward()),
    "a gradient that is not written": lambda: fit(layer(build=declare, forward=scaled), dense()),
    "an output of another shape": lambda: fit(
        layer(forward=lambda self, x, training=False: x[:, :2]), dense()
    ),
    "a layer class": lambda: nl.Sequential([layers.Dense]),
    "a layer twice": lambda: (lambda one: nl.Sequential([one, one]))(layers.Dense(4)),
    "two layers of one name": lambda: nl.Sequential(
        [layers.Dense(2, name="a"), layers.Dense(2, name="a")]
    ),
    "Normalization that was not adapted": lambda: fit(layers.Normalization(), dense()),
    "one seeded initializer in two layers": lambda: built(*seeded()),
    "an initializer class": lambda: built(layers.Dense(2, kernel_initializer=initializers.Ones)),
    "dropout of 50": lambda: layers.Dropout(50),
    "backward before forward": lambda: built().backward(np.ones((1, 1))),
    "an attribute that does not exist": lambda: set_on(lambda: layers.Dense(2), "unts", 3),
    # data
    "a memoryview": lambda: fit(x=memoryview(X)),
    "a generator function with an argument": lambda: fit(x=generator, y=None),
    "a short sequence": lambda: fit(x=Short(), y=None, shuffle=False),
    "an iterator that is empty": lambda: fit(x=lambda: iter([]), y=None),
    "an iterator of single rows": lambda: fit(x=lambda: iter([(X[0], Y[0])]), y=None),
    "an iterator of text": lambda: fit(x=lambda: iter(["ab"]), y=None),
    "ids above 2^24 in float32": lambda: fit(x=2**24 + np.arange(128).reshape(32, 4)),
    "int64 beyond float64": lambda: fit(x=2**60 + np.arange(128).reshape(32, 4)),
    "an image as bytes": lambda: built().predict(b"abcd"),
    "x of strings": lambda: fit(x=X.astype(str)),
    "x of dates": lambda: fit(x=X.astype("datetime64[s]")),
    "x with NaN": lambda: fit(x=np.where(X > 2, NAN, X) * NAN),
    "x of objects": lambda: fit(x=X.astype(object)),
    "x as one row": lambda: built().predict(X[0]),
    "x transposed": lambda: built().predict(X.T),
    "x and y swapped": lambda: built().fit(Y, X, verbose=0),
    "y of other length": lambda: fit(y=Y[:9]),
    "x huge": lambda: fit(x=X * 1e38, optimizer=optimizers.SGD(1.0)),
    "x as float16 infinity": lambda: fit(x=(X * 1e6).astype("float16")),
    "predict without weights": lambda: nl.Sequential().predict(X),
    "evaluate before compile": lambda: nl.Sequential([dense()]).evaluate(X, Y),
    "fit before compile": lambda: nl.Sequential([dense()]).fit(X, Y),
    # files
    "a file of NumPy": lambda: foreign_file(nl.load_model),
    "weights of a file of NumPy": lambda: foreign_file(built().load_weights),
    "a safetensors file of others": lambda: safetensors_of_others(nl.load_model),
    "weights of a safetensors file of others": lambda: safetensors_of_others(built().load_weights),
    "a backup of others": lambda: safetensors_of_others(nl.replay_snapshot),
    "a file that does not exist": lambda: nl.load_model("no.safetensors"),
    "a keras file": lambda: built().save("model.keras"),
    "an h5 file": lambda: built().save_weights("model.h5"),
    "a model of JSON text": lambda: nl.models.model_from_json("{}"),
    "save in no folder": lambda: built().save("no/such/a.safetensors"),
    "save over a folder": lambda: built().save("."),
}  # fmt: skip
