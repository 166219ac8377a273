"""Keras's example "Structured data learning with wide, deep and cross networks", written anew.

Which forest grows at a place? Names of soils and areas are one-hot in the wide part, which
remembers, and vectors in the deep part, which generalizes; the cross network multiplies features.
The table is drawn, so that nothing is downloaded. On this one the plain network is the best: few
names, and all of them often.

    python examples/ports/wide_and_deep.py

Output:

    baseline         2,373 weights, test accuracy 94.0%
    wide and deep    2,128 weights, test accuracy 91.6%
    deep and cross   2,146 weights, test accuracy 90.1%
"""

import math

from ports_data import soils

import netlayers as nl
from netlayers import layers

MOMENTS = {"height": (1200.0, 400.0**2), "slope": (16.0, 16.0**2), "to_water": (200.0, 200.0**2)}
CATEGORIES = {
    "soil": [f"soil_{i}" for i in range(20)],
    "area": ["north", "east", "south", "west"],
}
KINDS, HIDDEN, DROPOUT = 5, (32, 32), 0.1


def make_inputs():
    """Return an input for each column."""
    inputs = {name: nl.Input(name=name, shape=(1,), dtype="float32") for name in MOMENTS}
    for name in CATEGORIES:
        inputs[name] = nl.Input(name=name, shape=(1,), dtype="string")
    return inputs


def encode(inputs, use_embedding=False):
    """Return all columns as one vector; categories one-hot, or as learned vectors."""
    encoded = []
    for name, value in inputs.items():
        if name not in CATEGORIES:
            mean, variance = MOMENTS[name]
            encoded.append(layers.Normalization(mean=mean, variance=variance)(value))
            continue
        vocabulary = CATEGORIES[name]
        lookup = layers.StringLookup(
            vocabulary=vocabulary,
            mask_token=None,
            num_oov_indices=0,
            output_mode="int" if use_embedding else "one_hot",
        )
        feature = lookup(value)
        if use_embedding:
            size = int(math.sqrt(len(vocabulary)))
            feature = layers.Flatten()(layers.Embedding(len(vocabulary), size)(feature))
        encoded.append(feature)
    return layers.concatenate(encoded)


def deep_part(features):
    """Return the output of the hidden layers."""
    for units in HIDDEN:
        features = layers.Dense(units)(features)
        features = layers.BatchNormalization()(features)
        features = layers.ReLU()(features)
        features = layers.Dropout(DROPOUT)(features)
    return features


def baseline():
    """Return a network of hidden layers alone."""
    inputs = make_inputs()
    outputs = layers.Dense(units=KINDS, activation="softmax")(deep_part(encode(inputs)))
    return nl.Model(inputs=inputs, outputs=outputs)


def wide_and_deep():
    """Return a wide and a deep part, side by side."""
    inputs = make_inputs()
    wide = layers.BatchNormalization()(encode(inputs))
    deep = deep_part(encode(inputs, use_embedding=True))
    merged = layers.concatenate([wide, deep])
    outputs = layers.Dense(units=KINDS, activation="softmax")(merged)
    return nl.Model(inputs=inputs, outputs=outputs)


def deep_and_cross():
    """Return a deep part beside one that multiplies features, ``x_0 (W x + b) + x``."""
    inputs = make_inputs()
    x0 = encode(inputs, use_embedding=True)
    cross = x0
    for _ in HIDDEN:
        cross = x0 * layers.Dense(cross.shape[-1])(cross) + cross
    cross = layers.BatchNormalization()(cross)
    merged = layers.concatenate([cross, deep_part(x0)])
    outputs = layers.Dense(units=KINDS, activation="softmax")(merged)
    return nl.Model(inputs=inputs, outputs=outputs)


def main(epochs=15, rows=8000):
    """Train the three; return their accuracies on other rows."""
    nl.utils.set_random_seed(0)
    table, kind = soils(rows)
    tested, truth = soils(2000, seed=2)
    found = {}
    for make in (baseline, wide_and_deep, deep_and_cross):
        model = make()
        model.compile(
            optimizer=nl.optimizers.Adam(learning_rate=2e-3),
            loss=nl.losses.SparseCategoricalCrossentropy(),
            metrics=[nl.metrics.SparseCategoricalAccuracy()],
        )
        model.fit(table, kind, epochs=epochs, batch_size=256, verbose=0)
        _, accuracy = model.evaluate(tested, truth, verbose=0)
        name = make.__name__.replace("_", " ")
        print(f"{name:15} {model.count_params():6,} weights, test accuracy {accuracy:.1%}")
        found[make.__name__] = accuracy
    return found


if __name__ == "__main__":
    main()
