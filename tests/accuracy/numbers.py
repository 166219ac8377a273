"""Numbers over the whole range of a dtype, and errors in units of its rounding."""

import numpy as np
from mpmath import mp, mpf

DTYPES = ["float32", "float64"]
DIGITS = 60


def magnitudes(dtype):
    """Return positive numbers from the smallest denormal to the largest finite number."""
    limits = np.finfo(dtype)
    low, high = np.log10(float(limits.smallest_normal)), np.log10(float(limits.max))
    decades = 1 if dtype == "float32" else 8
    inner = 10.0 ** np.arange(np.ceil(low), np.floor(high), decades)
    near = np.concatenate([np.arange(0.25, 4, 0.25), np.arange(4, 120, 2.5), [700, 709, 745, 1e3]])
    edges = [
        limits.smallest_subnormal,
        limits.smallest_normal / 3,
        limits.smallest_normal,
        limits.eps,
        limits.max / 4,
        limits.max / 2,
        limits.max,
    ]
    return np.unique(np.concatenate([inner, near, edges]).astype(dtype))


def numbers(dtype):
    """Return 0 and the magnitudes of both signs, ascending."""
    positive = magnitudes(dtype)
    return np.concatenate([-positive[::-1], np.zeros(1, dtype), positive])


def error(got, expected, dtype, scale=0, headroom=1):
    """Return the error of ``got`` in roundings of the larger of ``|expected|`` and ``scale``.

    An error of some smallest normal numbers is none: denormal results may be 0. What is beyond the
    largest number, or a part of it given by ``headroom``, may be it or infinite.
    """
    limits = np.finfo(dtype)
    largest, rounding = float(limits.max), float(limits.eps)
    beyond = abs(expected) > largest / headroom * (1 - 8 * rounding)
    if beyond and np.sign(got) == mp.sign(expected) and abs(got) >= largest * (1 - 32 * rounding):
        return 0.0
    if not np.isfinite(got):
        return np.inf
    difference = abs(mpf(float(got)) - expected)
    unit = max(abs(expected), mpf(scale)) * mpf(rounding)
    if difference <= 100 * float(limits.smallest_normal):
        return 0.0
    return float(difference / unit) if unit else np.inf
