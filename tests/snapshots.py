"""Kept results of classes on ordinary and on extreme data: numbers nearly, words exactly."""

import warnings

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import NetlayersError

EDGES = [-np.inf, -1e30, -100.0, -30.0, -6.0, -3.0, -1.0, -0.5, -1e-3, 0.0, 1e-8, 0.25, 0.5, 1.0]
EDGES += [2.5, 3.0, 6.0, 20.0, 100.0, 1e30, np.inf, np.nan]


@pytest.fixture(autouse=True)
def numpy_kernels():
    """In a module that imports it: compute with NumPy's kernels, as others round otherwise."""
    before = nl.kernels_in_use()
    nl.use_kernels("numpy")
    yield
    nl.use_kernels(before)


def shown(value):
    """Return a line for a number, an array or several: its form, sums that also see its order."""
    if isinstance(value, (tuple, list)) and any(isinstance(v, np.ndarray) for v in value):
        return " ".join(map(shown, value))
    if not isinstance(value, (np.ndarray, np.floating)):
        return repr(value) if not isinstance(value, float) else f"{value:.9g}"
    a = np.asarray(value)
    if a.dtype.kind not in "fiub":
        return repr(a.tolist())
    flat = a.ravel().astype(np.float64)
    finite = np.where(np.isfinite(flat), flat, 0)
    ranks = np.arange(1, flat.size + 1)
    bad = np.isnan(flat).sum(), np.isinf(flat).sum()
    odd = f" {bad[0]} nan {bad[1]} inf" if any(bad) else ""
    numbers = (
        f"{np.abs(finite).sum():.6g} {np.abs(finite) @ np.sqrt(ranks):.6g} {(finite > 1e-9).sum()}"
    )
    return f"{a.dtype.name}{list(a.shape)} {numbers}{odd}"


def outcome(function):
    """Return what a call returns, or the error that it raises (words of NumPy left out)."""
    with warnings.catch_warnings(record=True) as seen, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            text = shown(function())
        except NetlayersError as error:
            # Without the list of all names, which each new class makes longer.
            text = f"{type(error).__name__}: {error}".partition(" Known names: ")[0]
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            text = type(error).__name__
    return " ".join([text, *(f"({w.category.__name__})" for w in seen)])


def numbers(*shape, first=0.0):
    """Numbers between -1 and 1 without any rule to them."""
    return np.sin(first + 2.3 * np.arange(1, int(np.prod(shape)) + 1)).reshape(shape)
