"""Normalizations at numbers of all sizes, also of several in one group, against mpmath."""

import numpy as np
import pytest

mpmath = pytest.importorskip("mpmath")

from netlayers import layers  # noqa: E402
from tests.accuracy import normalizations as true  # noqa: E402
from tests.accuracy.numbers import DTYPES, error  # noqa: E402

SHAPES = [
    (1, -1, 0.5, 0, 0.25),
    (1, 2 / 3, 0.7, 0.9, 0.8),
    (1, 0, 0, 0, 0),
    (1, 1, 1, 1, 1),
    (-1, -0.5, -0.25, -0.125, -0.7),
]
GRADIENT = [1, -0.5, 0.25, 2, -3.0]
LIMIT = 32  # roundings


def groups(dtype, largest):
    """Return rows of five numbers of one size, and of two."""
    limits = np.finfo(dtype)
    sizes = [1e-30, 1e-20, 1e-10, 1e-3, 1, 1e3, 1e10, 1e18, 1e20, 1e30, largest]
    if dtype == "float64":
        sizes += [1e-300, 1e-200, 1e-160, 1e-100, 1e100, 1e145]
    sizes += [float(limits.smallest_subnormal), float(limits.smallest_normal)]
    rows = [np.array(shape) * size for size in sizes for shape in SHAPES]
    for size in sizes:
        for other in sizes:
            if other < size:
                rows.append(np.array((other, -other, size, other / 2, 0)))
                rows.append(size + np.array((other, -other, 0, other / 2, -other / 4)))
    return np.array(rows, dtype)


def compare(layer, ref, dtype, largest, steepness, columns=False, tiny=0):
    x = groups(dtype, largest)
    x = x[np.abs(x).max(axis=1) > tiny]
    dy = np.broadcast_to(np.array(GRADIENT, dtype), x.shape).copy()
    if columns:
        x, dy = x.T.copy(), dy.T.copy()
    layer.build((None, x.shape[1]))
    y, dx = layer.forward(x.copy(), training=True).copy(), layer.backward(dy).copy()
    if columns:
        x, y, dx = x.T, y.T, dx.T
    with mpmath.workdps(1300):
        incoming = [mpmath.mpf(v) for v in GRADIENT]
        for row, got, slopes in zip(x.tolist(), y, dx, strict=True):
            numbers = [mpmath.mpf(v) for v in row]
            right, gradient = ref(numbers, incoming)
            steep = steepness(numbers)
            for a, b in zip(got, right, strict=True):
                assert error(a, b, dtype, 1) < LIMIT, (row, got, [*map(float, right)])
            for a, b in zip(slopes, gradient, strict=True):
                assert error(a, b, dtype, steep) < LIMIT, (row, slopes, [*map(float, gradient)])


def by_deviation(epsilon):
    def steepness(x):
        centre = true.mean(x)
        return 1 / mpmath.sqrt(true.mean([(v - centre) ** 2 for v in x]) + epsilon)

    return steepness


# Differences from the mean have to be finite, and in float64 their squares.
LARGEST = {"float32": 1.5e38, "float64": 1e150}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["layer", "group", "batch"])
@pytest.mark.parametrize("epsilon", [1e-3, 1e-12])
def test_standardization(kind, epsilon, dtype):
    made = {
        "layer": lambda: layers.LayerNormalization(epsilon=epsilon, dtype=dtype),
        "group": lambda: layers.GroupNormalization(groups=1, epsilon=epsilon, dtype=dtype),
        "batch": lambda: layers.BatchNormalization(epsilon=epsilon, dtype=dtype),
    }[kind]()
    exact = mpmath.mpf(epsilon)
    compare(
        made,
        lambda x, dy: true.standardized(x, dy, exact),
        dtype,
        LARGEST[dtype],
        by_deviation(exact),
        columns=kind == "batch",
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_root_mean_square(dtype):
    epsilon = mpmath.mpf(1e-6)
    compare(
        layers.RMSNormalization(dtype=dtype),
        lambda x, dy: true.by_root_mean_square(x, dy, epsilon),
        dtype,
        np.finfo(dtype).max / 4,
        lambda x: 1 / mpmath.sqrt(true.mean([v * v for v in x]) + epsilon),
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_unit_norm(dtype):
    limits = np.finfo(dtype)
    compare(
        layers.UnitNormalization(dtype=dtype),
        true.by_norm,
        dtype,
        limits.max / 4,
        lambda x: 1 / mpmath.sqrt(sum(v * v for v in x)),
        tiny=10 * float(limits.smallest_normal),  # shorter rows are zeros, as good as
    )
