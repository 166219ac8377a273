"""Mistakes that people make, a few lines each: none may pass without a word."""

import numpy as np

import netlayers as nl
from netlayers import callbacks, layers, losses, optimizers
from tests.uses import written_classes
from tests.uses.mistakes import (
    CLASSES,
    NAN,
    ONE_HOT,
    X,
    Y,
    built,
    dense,
    fit,
    loss,
    rule,
    schedule,
    set_on,
    two_with,
    weights_of,
)
from tests.uses.outcomes import Silent, Use

BCE, CE, SPARSE = (
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
)
logits = losses.SparseCategoricalCrossentropy(from_logits=True)


WRITTEN = {
    # what the loss takes
    "logits into binary cross-entropy": lambda: fit(loss=BCE),
    "logits into sparse cross-entropy": lambda: fit(dense(3), loss=SPARSE, y=CLASSES),
    "logits into cross-entropy": lambda: fit(dense(3), loss=CE, y=ONE_HOT),
    "softmax into logits": lambda: fit(dense(3, "softmax"), loss=logits, y=CLASSES),
    "sigmoid into logits": lambda: fit(
        dense(1, "sigmoid"), loss=losses.BinaryCrossentropy(from_logits=True)
    ),
    "relu into cross-entropy": lambda: fit(dense(3, "relu"), loss=SPARSE, y=CLASSES),
    "tanh into binary cross-entropy": lambda: fit(dense(1, "tanh"), loss=BCE),
    "softmax of one output": lambda: fit(dense(1, "softmax"), loss=BCE),
    "softmax layer after a softmax": lambda: fit(
        dense(3, "softmax"), layers.Softmax(), loss=CE, y=ONE_HOT
    ),
    "logits into focal": lambda: fit(dense(1), loss="binary_focal_crossentropy"),
    "logits into dice": lambda: fit(dense(3), loss="dice", y=ONE_HOT),
    "logits into Poisson": lambda: fit(dense(1), loss="poisson", y=np.abs(Y)),
    "logits into KL": lambda: fit(dense(3), loss="kl_divergence", y=ONE_HOT),
    "one-hot of 5": lambda: fit(dense(3, "softmax"), loss=CE, y=5 * ONE_HOT),
    "one-hot of 0": lambda: fit(dense(3, "softmax"), loss=CE, y=0 * ONE_HOT),
    "one-hot into sparse": lambda: fit(dense(3, "softmax"), loss=SPARSE, y=ONE_HOT),
    "classes into one-hot": lambda: fit(dense(3, "softmax"), loss=CE, y=CLASSES),
    "classes from 1": lambda: fit(dense(3, "softmax"), loss=SPARSE, y=CLASSES + 1),
    "classes as strings": lambda: fit(
        dense(3, "softmax"), loss=SPARSE, y=np.array(["a", "b"] * 16)
    ),
    "targets of -1 and 1": lambda: fit(dense(1, "sigmoid"), loss=BCE, y=2 * Y - 1),
    "targets of 0 and 1 into hinge": lambda: fit(loss="hinge", y=Y * 3),
    "targets of 255": lambda: fit(dense(1, "sigmoid"), loss=BCE, y=255 * Y),
    "negative targets of a logarithm": lambda: fit(loss="msle", y=-Y - 2),
    "negative counts": lambda: fit(dense(1, "exponential"), loss="poisson", y=-Y - 1),
    "quantile of 2": lambda: losses.Quantile(2.0),
    "all targets left out": lambda: fit(
        dense(3, "softmax"),
        loss=losses.SparseCategoricalCrossentropy(ignore_class=-1),
        y=np.full(32, -1),
    ),
    "all targets unknown": lambda: fit(
        loss=losses.MeanSquaredError(mask_nan=True), y=np.full(32, NAN)
    ),
    "targets NaN": lambda: fit(y=np.full(32, NAN)),
    "two targets for one output": lambda: fit(y=np.stack([Y, Y], axis=1)),
    "a loss of a wrong name": lambda: fit(loss="mean_square_error"),
    "a function as loss": lambda: fit(loss=lambda t, p: (t - p) ** 2),
    "a loss class": lambda: fit(loss=losses.MeanSquaredError),
    "a loss that returns a float": lambda: fit(loss=loss(lambda t, p: 1.0)),
    "a loss that returns None": lambda: fit(loss=loss(lambda t, p: None)),
    "a loss that returns NaN": lambda: fit(loss=loss(lambda t, p: p[:, 0] * NAN)),
    "a loss gradient of another shape": lambda: fit(
        loss=loss(lambda t, p: p[:, 0], lambda self, dl: np.ones((3, 3)))
    ),
    "a loss gradient of None": lambda: fit(loss=loss(lambda t, p: p[:, 0], lambda self, dl: None)),
    "a loss gradient of text": lambda: fit(loss=loss(lambda t, p: p[:, 0], lambda self, dl: "a")),
    # weights
    "sample weights of 0": lambda: fit(sample_weight=np.zeros(32)),
    "sample weights below 0": lambda: fit(sample_weight=-np.ones(32)),
    "sample weights NaN": lambda: fit(sample_weight=np.full(32, NAN)),
    "sample weights too few": lambda: fit(sample_weight=np.ones(7)),
    "class weights of 0": lambda: fit(
        dense(3, "softmax"), loss=SPARSE, y=CLASSES, class_weight={0: 0.0, 1: 0.0, 2: 0.0}
    ),
    "class weights of no class": lambda: fit(
        dense(3, "softmax"), loss=SPARSE, y=CLASSES, class_weight={7: 1.0}
    ),
    "class weights by name": lambda: fit(
        dense(3, "softmax"), loss=SPARSE, y=CLASSES, class_weight={"cat": 1.0}
    ),
    "class weights of a regression": lambda: fit(y=X[:, 1], class_weight={0: 1.0, 1: 2.0}),
    "NaN in set_weights": lambda: weights_of(NAN),
    "infinity in set_weights": lambda: weights_of(np.inf),
    "set_weights of text": lambda: weights_of("a"),
    "set_weights transposed": lambda: built().set_weights([np.ones((1, 4)), np.zeros(1)]),
    "set_weights too few": lambda: built().set_weights([np.ones((4, 1))]),
    "weights of an unbuilt model": lambda: nl.Sequential([dense()]).get_weights(),
    # nothing to do
    "all layers frozen": lambda: fit(layers.Dense(1, trainable=False)),
    "no weights": lambda: fit(layers.ReLU(), y=X),
    "a learning rate of 0": lambda: fit(optimizer=optimizers.SGD(0.0)),
    "epochs of 0": lambda: fit(epochs=0),
    "initial_epoch at the end": lambda: fit(epochs=2, initial_epoch=2),
    "initial_epoch beyond": lambda: fit(epochs=2, initial_epoch=7),
    "validation_freq beyond": lambda: fit(epochs=2, validation_data=(X, Y), validation_freq=3),
    "validation_freq without data": lambda: fit(validation_freq=3),
    "validation_steps without data": lambda: fit(validation_steps=3),
    "validation_batch_size without data": lambda: fit(validation_batch_size=3),
    "validation_split and data": lambda: fit(validation_split=0.5, validation_data=(X, Y)),
    "validation_split of a stream": lambda: fit(
        x=lambda: iter([(X, Y)]), y=None, validation_split=0.5
    ),
    "stratify without a split": lambda: fit(stratify=True),
    "batch_size above the rows with drop_last": lambda: fit(batch_size=64, drop_last=True),
    "y beside a stream": lambda: fit(x=lambda: iter([(X, Y)]), y=Y),
    "sample_weight beside a stream": lambda: fit(
        x=lambda: iter([(X, Y)]), y=None, sample_weight=np.ones(32)
    ),
    "class_weight without classes": lambda: fit(class_weight={}),
    "early stopping on no such name": lambda: fit(callbacks=[callbacks.EarlyStopping("val_los")]),
    "checkpoint on no such name": lambda: fit(
        callbacks=[callbacks.ModelCheckpoint("a.safetensors", "acc", save_best_only=True)]
    ),
    "plateau on no such name": lambda: fit(callbacks=[callbacks.ReduceLROnPlateau("val_loss")]),
    "early stopping without validation": lambda: fit(callbacks=[callbacks.EarlyStopping()]),
    "early stopping of a mode that does not fit": lambda: fit(
        callbacks=[callbacks.EarlyStopping("loss", mode="max")]
    ),
    "patience above epochs": lambda: fit(callbacks=[callbacks.EarlyStopping("loss", patience=9)]),
    "gradient accumulation beyond the run": lambda: fit(
        optimizer=optimizers.SGD(0.1, gradient_accumulation_steps=9)
    ),
    # optimizers
    "past the end of OneCycle": lambda: fit(
        optimizer=optimizers.SGD(optimizers.schedules.OneCycle(0.1, 3)), batch_size=8, epochs=2
    ),
    "optimizer.lr": lambda: set_on(optimizers.SGD, "lr", 0.5),
    "model.optimizer": lambda: set_on(built, "optimizer", optimizers.SGD()),
    "model.loss": lambda: set_on(built, "loss", "mae"),
    "model.metrics": lambda: set_on(built, "metrics", []),
    "model.layers": lambda: set_on(built, "layers", []),
    "model.optimizer of a name": lambda: set_on(built, "optimizer", "adam"),
    "EMA frequency without use_ema": lambda: optimizers.SGD(ema_overwrite_frequency=3),
    "EMA momentum without use_ema": lambda: optimizers.SGD(ema_momentum=0.5),
    "nesterov without momentum": lambda: optimizers.SGD(nesterov=True),
    "two ways of clipping": lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0),
    "an exclusion of nothing": lambda: (
        (o := optimizers.AdamW()).exclude_from_weight_decay(var_names=["no such"]),
        fit(optimizer=o),
    ),
    "an exclusion without decay": lambda: (
        (o := optimizers.Adam()).exclude_from_weight_decay(var_names=["bias"]),
        fit(optimizer=o),
    ),
    "a learning rate of 10**400": lambda: optimizers.SGD(10**400),
    "a learning rate of a schedule class": lambda: optimizers.SGD(optimizers.schedules.Noam),
    "a schedule of arrays": lambda: fit(optimizer=schedule(np.ones(3))),
    "a schedule of None": lambda: fit(optimizer=schedule(None)),
    "a schedule of NaN": lambda: fit(optimizer=schedule(NAN)),
    "a schedule below 0": lambda: fit(optimizer=schedule(-0.1)),
    "a step of arrays": lambda: optimizers.SGD().step(np.ones(3)),
    "an update that rebinds w": lambda: fit(
        optimizer=rule(lambda self, w, g, lr, state, scratch: (w := w - lr * g))
    ),
    "an update without w": lambda: fit(optimizer=rule(lambda self, w, g, lr: None)),
    "an optimizer class": lambda: fit(optimizer=optimizers.SGD),
    "one optimizer for two models": lambda: [
        m.fit(X, Y, verbose=0) for m in two_with(optimizers.Adam())
    ],
    "epsilon of 1e-50": lambda: fit(optimizer=optimizers.Adam(epsilon=1e-50)),
    "a setter of a scheduled rate": lambda: set_on(
        lambda: optimizers.SGD(optimizers.schedules.Noam(16)), "learning_rate", 0.1
    ),
}  # fmt: skip

# What has the meaning that it has, and where that is documented.
RIGHT = {
    "a memoryview": "it is an array",
    "epochs of 0": "fit: no epoch",
    "a learning rate of 0": "Optimizer: a number >= 0",
    "class_weight without classes": "fit: classes without weight have weight 1",
    "early stopping of a mode that does not fit": "EarlyStopping: mode",
    "patience above epochs": "EarlyStopping: patience counts epochs",
    "one callback twice": "callbacks are called in their order",
    "a checkpoint in no folder": "ModelCheckpoint: missing folders are made",
    "save in no folder": "Model.save: missing folders are made",
    "a metric named loss": "compile: a second loss is loss_1",
    "two metrics of one name": "compile: a second mse is mse_1",
    "a metric that returns NaN": "its value in History is NaN",
    "a result of nothing": "AUC: NaN without samples",
    "forward that returns a list": "it is made an array",
    "an attribute that does not exist": "Python: an object takes any attribute",
    **dict.fromkeys(
        ("a loss class", "an optimizer class", "a metric class", "an initializer class"),
        "docs/keras.md: a class stands for an object of it",
    ),
}


def uses():
    """Yield the uses; one that passes without a word must have a documented meaning."""
    for name, act in (WRITTEN | written_classes.WRITTEN).items():

        def run(act=act):
            act()
            raise Silent("no word")

        yield Use("written", name, run, (), RIGHT.get(name, ""))
