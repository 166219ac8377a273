"""Losses and their gradients at numbers of all sizes, against mpmath."""

import numpy as np
import pytest

mpmath = pytest.importorskip("mpmath")

from tests.accuracy.cases import for_dtype  # noqa: E402
from tests.accuracy.numbers import DIGITS, DTYPES, error  # noqa: E402

CASES = {dtype: for_dtype(dtype) for dtype in DTYPES}
QUICK = ("bce (logits)", "binary focal (logits, 2)", "log_cosh", "gaussian")
VALUE, SLOPE = 16, 32  # roundings


def compare(name, dtype, step=1):
    """Return the largest errors of value and gradient with the row of each."""
    case = CASES[dtype][name]
    rows = case.rows[::step]
    t, p = (np.array([row[i] for row in rows], dtype) for i in (0, 1))
    with np.errstate(over="ignore"):
        values = np.array(case.loss.forward(t, p.copy()))
        gradients = np.array(case.loss.backward())
    worst = [(0.0, None), (0.0, None)]
    with mpmath.workdps(DIGITS):
        for row, value, gradient in zip(rows, values, gradients, strict=True):
            exact = [[mpmath.mpf(v) for v in part] for part in row]
            right, slopes = case.true(*exact)
            scale = case.scale(*row) if case.scale else 0
            steep = max(map(abs, slopes))
            if case.slope_scale:
                steep = max(steep, case.slope_scale(*row))
            pairs = zip(gradient, slopes, strict=True)
            errors = (
                error(value, right, dtype, scale, headroom=4),
                max(error(g, s, dtype, steep, headroom=4) for g, s in pairs),
            )
            told = (row, value, float(right)), (row, gradient.tolist(), [*map(float, slopes)])
            worst = [
                max(w, (e, s), key=lambda b: b[0])
                for w, e, s in zip(worst, errors, told, strict=True)
            ]
    return worst


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", QUICK)
def test_some_losses(name, dtype):
    value, slope = compare(name, dtype, 11)
    assert value[0] < VALUE, value
    assert slope[0] < SLOPE, slope


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES["float32"])
def test_every_loss(name, dtype):
    value, slope = compare(name, dtype)
    assert value[0] < VALUE, value
    assert slope[0] < SLOPE, slope
