"""Standardized tables with targets that a network learns."""

import numpy as np


def table(seed, rows=600, width=8):
    """Standardized features, and a target with an interaction."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, width))
    return x, x[:, 0] * x[:, 1] + x[:, 2] + 0.1 * rng.normal(size=rows)


def classes(seed, rows=600, width=8):
    x, t = table(seed, rows, width)
    return x, np.digitize(t, [-0.7, 0.7])


def binary(seed, rows=600):
    x, t = table(seed, rows)
    return x, (t > 0).astype(int)
