"""Keras's guide "Transfer learning and fine-tuning", written anew with digits of 8 x 8.

A convolutional network learns the digits 0 to 4. Its lower layers, frozen, then serve to learn 5 to
9 from eight examples of each; in the end the whole network is trained on at a low rate.

    python examples/ports/transfer_learning.py

Output:

    dense                trained 2, not trained 0
    batch_normalization  trained 2, not trained 2
    dense                trained 0, not trained 2
    the frozen base has not changed: True
    a new layer on the frozen base: 60.3%
    the whole network, tuned: 67.0%
    a layer on extracted features: 69.8%
"""

import numpy as np
from ports_data import digits

import netlayers as nl
from netlayers import layers


def attributes():
    """Print how many weights are trained: of a layer, of a normalization, of a frozen layer."""
    dense, normalization, frozen = layers.Dense(3), layers.BatchNormalization(), layers.Dense(3)
    for layer in (dense, normalization, frozen):
        layer.build((None, 4))
    frozen.trainable = False
    counts = []
    for layer in (dense, normalization, frozen):
        counts.append((len(layer.trainable_weights), len(layer.non_trainable_weights)))
        print(f"{layer.name:20} trained {counts[-1][0]}, not trained {counts[-1][1]}")
    inner = nl.Sequential([nl.Input(shape=(3,)), layers.Dense(3, activation="relu")])
    outer = nl.Sequential([nl.Input(shape=(3,)), inner, layers.Dense(3)])
    outer.trainable = False
    assert not inner.trainable
    assert not inner.layers[0].trainable
    return counts


def learned_base(x, y, epochs):
    """Return the lower layers of a network that tells 0 to 4."""
    base = nl.Sequential(
        [
            nl.Input(shape=(8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
        ],
        name="base",
    )
    inputs = nl.Input(shape=(8, 8, 1))
    h = layers.GlobalAveragePooling2D()(base(inputs))
    model = nl.Model(inputs, layers.Dense(5)(h))
    model.compile(
        optimizer=nl.optimizers.Adam(),
        loss=nl.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(x, y, epochs=epochs, verbose=0)
    return base


def on_top(base, rate):
    """Return a compiled model on a base, which computes as at inference."""
    inputs = nl.Input(shape=(8, 8, 1))
    h = base(inputs, training=False)
    h = layers.GlobalAveragePooling2D()(h)
    h = layers.Dropout(0.2)(h)
    model = nl.Model(inputs, layers.Dense(5)(h))
    compiled(model, rate)
    return model


def compiled(model, rate):
    """Compile; again after ``trainable`` was changed."""
    model.compile(
        optimizer=nl.optimizers.Adam(rate),
        loss=nl.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[nl.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )


def main(epochs=60):
    """Compare; return the accuracies on unseen digits."""
    nl.utils.set_random_seed(0)
    counts = attributes()
    (x, y), (x_test, y_test) = digits()
    x, x_test = x.reshape(-1, 8, 8, 1), x_test.reshape(-1, 8, 8, 1)
    base = learned_base(x[y < 5], y[y < 5], epochs // 2)

    few = np.concatenate([np.flatnonzero(y == label)[:8] for label in range(5, 10)])
    new, labels = x[few], y[few] - 5
    unseen, truth = x_test[y_test >= 5], y_test[y_test >= 5] - 5

    base.trainable = False
    model = on_top(base, 1e-2)
    before = [w.copy() for w in base.get_weights()]
    model.fit(new, labels, epochs=epochs, verbose=0)
    unchanged = all(np.array_equal(a, b) for a, b in zip(before, base.get_weights(), strict=True))
    frozen = model.evaluate(unseen, truth, verbose=0)[1]
    print("the frozen base has not changed:", unchanged)
    print(f"a new layer on the frozen base: {frozen:.1%}")

    base.trainable = True  # and computes as at inference: the normalization keeps its moments
    compiled(model, 1e-4)
    model.fit(new, labels, epochs=epochs, verbose=0)
    tuned = model.evaluate(unseen, truth, verbose=0)[1]
    print(f"the whole network, tuned: {tuned:.1%}")

    features = layers.GlobalAveragePooling2D()(base.layers[-1].output)
    extractor = nl.Model(base.inputs, features)
    head = nl.Sequential([nl.Input(shape=(32,)), layers.Dense(5)])
    compiled(head, 1e-2)
    head.fit(extractor.predict(new, verbose=0), labels, epochs=epochs, verbose=0)
    extracted = head.evaluate(extractor.predict(unseen, verbose=0), truth, verbose=0)[1]
    print(f"a layer on extracted features: {extracted:.1%}")
    return {"counts": counts, "unchanged": unchanged, "accuracy": (frozen, tuned, extracted)}


if __name__ == "__main__":
    main()
