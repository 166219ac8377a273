"""Initializers, regularizers and constraints."""

from __future__ import annotations

from typing import Any

import numpy as np

from netlayers.constraints import Constraint
from netlayers.initializers import Initializer
from netlayers.regularizers import Regularizer
from netlayers.testing.arguments import BASES, OBSERVE
from netlayers.testing.contract import Example, check
from netlayers.testing.values import FLOATS, close, require, same

BASES.update({Initializer: "initializer", Regularizer: "regularizer", Constraint: "constraint"})
_IN_PLACE = "write into the array that is given: out[...] = values"


def _weights(dtype: str = "float64") -> Any:
    x = np.array([[0.1, 0.3, 0.45], [0.6, 0.0, -2.0]])
    return x.astype(dtype)


def _filled(initializer: Any, seed: int = 0, dtype: str = "float64") -> Any:
    out = np.full((5, 4), np.nan, dtype)
    initializer.fill(out, np.random.default_rng(seed))
    return out


def observe_initializer(example: Example, initializer: Any) -> list[Any]:
    """Return what it fills an array with."""
    return [_filled(initializer)]


def observe_regularizer(example: Example, regularizer: Any) -> list[Any]:
    """Return the penalty and its gradient."""
    w = _weights()
    gradient = np.zeros_like(w)
    regularizer.add_gradient(w, gradient, np.empty_like(w))
    return [np.array(regularizer(w)), gradient]


def observe_constraint(example: Example, constraint: Any) -> list[Any]:
    """Return the weights after it."""
    w = _weights()
    constraint.apply(w)
    return [w]


OBSERVE.update(
    initializer=observe_initializer,
    regularizer=observe_regularizer,
    constraint=observe_constraint,
)


@check("initializer")
def fills_the_array_it_is_given(example: Example) -> None:
    """Check that fill(out, rng) writes to every entry of a view, and to nothing else."""
    for dtype in FLOATS:
        vector = np.full(40, np.nan, dtype)
        view = vector[10:30].reshape(5, 4)
        returned = example.make().fill(view, np.random.default_rng(0))
        require(
            returned is None and bool(np.isfinite(view).all()),
            "fill(out) to write a finite number into each entry of out, and to return None",
            f"{np.count_nonzero(~np.isfinite(view))} entries without, and {returned!r}",
            _IN_PLACE,
        )
        require(
            bool(np.isnan(vector[:10]).all() and np.isnan(vector[30:]).all()),
            "fill(out) to write to out alone",
            "other numbers beside it",
            _IN_PLACE,
        )


def _global_state() -> tuple[bytes, list[Any]]:
    """Return the words of NumPy's global generator, and how many of them have been used."""
    _, words, *rest = np.random.get_state()  # noqa: NPY002
    return np.asarray(words).tobytes(), rest


@check("initializer")
def numbers_follow_from_the_generator(example: Example) -> None:
    """Check that the numbers come from the generator alone."""
    before = _global_state()
    first = _filled(example.make())
    same(
        [_filled(example.make())],
        [first],
        "the same numbers from the same generator",
        "draw from rng alone, not from np.random",
    )
    require(
        _global_state() == before,
        "the global random state of NumPy to stay as it is",
        "another state",
        "draw from rng alone, not from np.random",
    )


@check("initializer")
def float32_starts_like_float64(example: Example) -> None:
    """Check that an array of float32 gets the numbers of one of float64, rounded."""
    same(
        [_filled(example.make(), dtype="float32")],
        [_filled(example.make()).astype("float32")],
        "the same numbers in float32 as in float64, rounded once",
        "draw in float64 and let out[...] = values round",
    )


@check("initializer")
def seeds_are_obeyed(example: Example) -> None:
    """Check that with a seed the generator does not matter."""
    seed = getattr(example.make(), "seed", None)
    if seed is not None:
        same(
            [_filled(example.make(), 1)],
            [_filled(example.make(), 0)],
            "an initializer with a seed to ignore the generator",
            "make a generator from self.seed; see RandomInitializer",
        )


@check("regularizer")
def penalty_has_its_gradient(example: Example) -> None:
    """Check that add_gradient() adds the derivative of the penalty."""
    thing = example.make()
    w = np.array([[0.1, 0.3, 0.45], [0.6, 0.25, -2.0]])
    kept = w.copy()
    penalty = thing(w)
    require(
        isinstance(penalty, float),
        "the penalty to be a float",
        f"a {type(penalty).__name__}",
        "return float(...) or array.item()",
    )
    gradient = np.ones_like(w)
    thing.add_gradient(w, gradient, np.empty_like(w))
    numerical = np.empty_like(w)
    for i in np.ndindex(*w.shape):
        moved = w.copy()
        moved[i] += 1e-6
        up = thing(moved)
        moved[i] -= 2e-6
        numerical[i] = (up - thing(moved)) / 2e-6
    close(
        [gradient - 1],
        [numerical],
        "add_gradient(w, dw, scratch) to add d(penalty)/dw to dw",
        "compare it with the derivative of __call__, and write dw += ..., not dw[...] = ...",
        1e-5,
        1e-7,
    )
    same([w], [kept], "the weights to stay as they are", "write to dw and scratch alone")


@check("constraint")
def weights_change_in_place(example: Example) -> None:
    """Check that apply(w) changes the weights in place, in both dtypes."""
    thing = example.make()
    for dtype in FLOATS:
        vector = np.full(20, 9.0, dtype)
        view = vector[6:12].reshape(2, 3)
        view[...] = _weights(dtype)
        returned = thing.apply(view)
        require(
            returned is None and bool(np.isfinite(view).all()),
            "apply(w) to change w and to return None",
            repr(returned),
            "write w *= factor or w[...] = values",
        )
        require(
            bool((vector[:6] == 9).all() and (vector[12:] == 9).all()),
            "apply(w) to write to w alone",
            "other numbers beside it",
            "write into w",
        )
        wide = _weights()
        thing.apply(wide)
        close([view], [wide], "the same weights in float32", "compute in the dtype of w", 1e-5)
