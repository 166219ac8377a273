"""Data of the ports: digits, pairs of digits, and tables that are drawn."""

import numpy as np

from netlayers.datasets import digits as included


def digits():
    """Return digits between 0 and 1 in rows of 64, and labels: to train on, and to test with."""
    (x, y), (x_test, y_test) = included.load_data()
    return (_rows(x), y), (_rows(x_test), y_test)


def _rows(images):
    return images.reshape(len(images), -1).astype("float32") / 16


def pairs(x, labels, count, rng):
    """Return pairs of digits, half of them of one number, and 1.0 for those that are not."""
    first, second = rng.integers(0, len(x), (2, count))
    for i in range(0, count, 2):
        second[i] = rng.choice(np.flatnonzero(labels == labels[first[i]]))
    return [x[first], x[second]], (labels[first] != labels[second]).astype("float32")


def bicycles(rows, seed=0):
    """Return a table of bicycle rentals by column, and whether the bicycle came back late."""
    rng = np.random.default_rng(seed)
    table = {
        "age": rng.integers(16, 80, rows),
        "weather": rng.choice(["sun", "rain", "wind", "snow"], rows, p=[0.5, 0.3, 0.15, 0.05]),
        "kind": rng.choice(["city", "cargo", "tandem"], rows, p=[0.6, 0.3, 0.1]),
        "weekday": rng.integers(0, 7, rows),
        "hours": rng.gamma(2.0, 2.0, rows).astype("float32"),
        "distance": rng.gamma(3.0, 4.0, rows).astype("float32"),
    }
    late = 0.4 * table["hours"] - 0.1 * table["distance"] - 1.5
    late += 1.5 * (table["weather"] == "rain") + 2.0 * (table["kind"] == "tandem")
    late += 2.0 * ((table["kind"] == "cargo") & (table["weekday"] > 4)) - 1.0 * (table["age"] > 60)
    return table, (rng.random(rows) < 1 / (1 + np.exp(-late))).astype("float32")


def soils(rows, seed=0):
    """Return a table of places by column, and the kind of forest that grows there, of five."""
    rng = np.random.default_rng(seed)
    table = {
        "height": rng.normal(1200, 400, rows).astype("float32"),
        "slope": rng.gamma(2.0, 8.0, rows).astype("float32"),
        "to_water": rng.gamma(1.5, 150.0, rows).astype("float32"),
        "soil": rng.choice([f"soil_{i}" for i in range(20)], rows),
        "area": rng.choice(["north", "east", "south", "west"], rows),
    }
    effects = np.random.default_rng(1)
    soil = np.array([int(name[5:]) for name in table["soil"]])
    area = np.unique(table["area"], return_inverse=True)[1]
    scores = effects.normal(0, 1.5, (20, 5))[soil] + effects.normal(0, 1.5, (4, 5))[area]
    scores += effects.normal(0, 0.5, (20, 4, 5))[soil, area]
    z = [(table["height"] - 1200) / 400, table["slope"] / 16 - 1, table["to_water"] / 200 - 1]
    scores += np.stack(z, axis=1) @ effects.normal(0, 1.5, (3, 5))
    return table, scores.argmax(axis=1)
