"""Complex-step differentiation: arrays that carry a derivative in their imaginary part.

For an analytic function of ``x + i h`` with a tiny h, the imaginary part of the result is h times
the derivative, without a subtraction and hence without cancellation. NumPy's complex arithmetic is
used, except where it differs from real arithmetic: comparisons use the real parts, ``abs`` and
``maximum`` propagate the derivative, and products do not conjugate.

Source:
    W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM
    Review 40 (1998) 110. Real comparisons and abs: J. Martins, P. Sturdza, J. Alonso, "The
    complex-step derivative approximation", ACM Transactions on Mathematical Software 29 (2003) 245,
    section 3.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from netlayers._typing import Array

_COMPLEX = np.dtype(np.complex128)


class _Seen(threading.local):
    """Whether a kink or discontinuity was evaluated, such as a tie or ``abs(0)``."""

    corner = False


seen = _Seen()


class ComplexStep(np.ndarray):
    """A complex array that behaves like the real array of its real parts."""

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **kwargs: Any
    ) -> Any:
        plain = [_plain(value) for value in inputs]
        kwargs = _in_complex(kwargs)
        rule = _RULES.get(ufunc) if method == "__call__" else None
        if rule is not None:
            result = rule(*plain, **kwargs)
            if out:
                np.copyto(_plain(out[0]), result)
        else:
            if out:
                kwargs["out"] = tuple(_plain(value) for value in out)
            result = getattr(ufunc, method)(*plain, **kwargs)
            if method == "reduce" and ufunc in (np.maximum, np.minimum):
                _note_ties(plain[0], result, kwargs.get("axis", 0))
        return out[0] if len(out) == 1 else _wrapped(result)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.clip:
            return _clip(*args, **kwargs)
        return _wrapped(super().__array_function__(function, types, args, _in_complex(kwargs)))


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, ComplexStep) else value


def _wrapped(value: Any) -> Any:
    """Return complex arrays and numbers as :class:`ComplexStep`, other values unchanged."""
    if isinstance(value, (list, tuple)):
        return type(value)(_wrapped(item) for item in value)
    if isinstance(value, (np.ndarray, np.complexfloating)) and value.dtype == _COMPLEX:
        return np.asarray(value).view(ComplexStep)
    return value


def _in_complex(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Replace the dtype float64 by complex128."""
    dtype = kwargs.get("dtype")
    return {**kwargs, "dtype": _COMPLEX} if dtype is not None and np.dtype(dtype) == "d" else kwargs


# NumPy functions with the semantics of real numbers ---------------------------------------------


def _note_kink(where: Any, *operands: Any) -> None:
    """Record a kink if the derivatives differ anywhere in ``where``."""
    if not seen.corner:
        first, second = (np.imag(operand) for operand in operands)
        seen.corner = bool(np.any(where & (first != second)))


def _note_ties(x: Array, result: Any, axis: Any) -> None:
    """Record a kink if tied extrema along an axis have different derivatives."""
    if axis is not None and np.ndim(result) < x.ndim:
        result = np.expand_dims(result, axis)
    _note_kink(x.real == np.real(result), x, result)


def _absolute(x: Any) -> Any:
    _note_kink(np.real(x) == 0, x, 0)
    return np.where(np.real(x) < 0, -x, x)


def _sign(x: Any) -> Any:
    _note_kink(np.real(x) == 0, x, 0)
    return np.sign(np.real(x)) + 0j


def _rounded(function: Any) -> Any:
    return lambda x: function(np.real(x)) + 0j


def _compared(function: Any) -> Any:
    def compare(a: Any, b: Any) -> Any:
        _note_kink(np.real(a) == np.real(b), a, b)
        return function(np.real(a), np.real(b))

    return compare


def _maximum(a: Any, b: Any) -> Any:
    _note_kink(np.real(a) == np.real(b), a, b)
    return np.where((np.real(a) >= np.real(b)) | np.isnan(a), a, b)


def _minimum(a: Any, b: Any) -> Any:
    _note_kink(np.real(a) == np.real(b), a, b)
    return np.where((np.real(a) <= np.real(b)) | np.isnan(a), a, b)


def _clip(x: Any, low: Any, high: Any, out: Any = None) -> Any:
    return np.minimum(np.maximum(x, low), high, out=out)


def _vecdot(a: Any, b: Any, axis: int = -1) -> Any:
    return np.einsum("...i,...i->...", np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1))


_RULES: dict[Any, Any] = {
    np.absolute: _absolute,
    np.sign: _sign,
    np.maximum: _maximum,
    np.fmax: _maximum,
    np.minimum: _minimum,
    np.fmin: _minimum,
    np.vecdot: _vecdot,
    np.conjugate: lambda x: x,
    **{f: _rounded(f) for f in (np.floor, np.ceil, np.trunc, np.rint)},
    **{f: _compared(f) for f in (np.greater, np.greater_equal, np.less, np.less_equal)},
    **{f: _compared(f) for f in (np.equal, np.not_equal)},
}
