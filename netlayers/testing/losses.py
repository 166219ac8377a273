"""Losses: gradients, weights of samples, dtypes, and what a loss keeps from call to call."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.errors import NoForwardError
from netlayers.losses import ElementwiseLoss, Loss
from netlayers.testing.arguments import BASES, OBSERVE
from netlayers.testing.contract import Example, Mismatch, check
from netlayers.testing.targets import axis_of, draw
from netlayers.testing.values import (
    FLOATS,
    awkward,
    bits,
    close,
    peak_of,
    require,
    same,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array

BASES[Loss] = "loss"
SHAPES = [(4, 1), (5, 3), (3, 2, 4)]
REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"]
_OWN = "keep what backward() needs in self.cache, overwritten by each forward()"


def _weightings(loss: Loss, y_true: Array, shape: tuple[int, ...]) -> Iterator[Array | None]:
    rng = np.random.default_rng(12)
    yield None
    yield rng.uniform(0, 3, shape[0])
    if len(shape) > 2 and not getattr(loss, "takes_lengths", False):
        yield rng.uniform(0, 3, np.delete(shape, axis_of(loss)))
    if loss.weighs_outputs:
        yield rng.uniform(0, 3, y_true.shape)


def _data(example: Example, dtype: str = "float64") -> Iterator[tuple[Array, Array, Any]]:
    """Yield targets, predictions and weights of samples of several shapes."""
    loss = example.make()
    for shape in SHAPES:
        y_true, y_pred = draw(example, loss, shape, dtype)
        for weight in _weightings(loss, y_true, y_pred.shape):
            yield y_true, y_pred, weight


def observe_loss(example: Example, loss: Loss) -> list[Any]:
    """Return values and gradients."""
    seen: list[Any] = []
    for y_true, y_pred, weight in _data(example):
        seen += [np.array(loss.forward(y_true, y_pred, weight)), np.array(loss.backward())]
    return seen


OBSERVE["loss"] = observe_loss


@check("loss")
def gradient_is_that_of_the_value(example: Example) -> None:
    """Check that backward() is the derivative of what forward() returns, for each reduction."""
    for reduction in REDUCTIONS:
        loss = example.make(reduction=reduction)
        for y_true, y_pred, weight in _data(example):
            entries = list(np.ndindex(*y_pred.shape))
            rng = np.random.default_rng(0)
            loss.forward(y_true, y_pred, weight)
            gradient = np.array(loss.backward())
            require(
                gradient.shape == y_pred.shape,
                f"backward() to return the shape of the predictions, {y_pred.shape}",
                str(gradient.shape),
                "return one number for each prediction",
            )
            # Every entry for the usual reduction with a weight for each sample; random directions,
            # which move them all, for the others.
            usual = reduction == REDUCTIONS[0] and np.ndim(weight) == 1
            ways = entries if usual else [rng.normal(size=y_pred.shape)]
            for way in ways:
                moved = np.zeros(y_pred.shape)
                if isinstance(way, tuple):
                    moved[way] = 1
                else:
                    moved = way
                ends = [
                    np.sum(loss.forward(y_true, y_pred + h * moved, weight)) for h in (1e-6, -1e-6)
                ]
                numerical = (ends[0] - ends[1]) / 2e-6
                close(
                    [np.vdot(gradient, moved)],
                    [numerical],
                    f"the derivative of forward() with reduction={reduction!r} "
                    + (f"along y_pred{list(way)}" if usual else "along a random direction"),
                    "compare backward_samples() with the derivative of forward_samples()",
                    2e-6,
                    2e-8 if usual else 2e-7,
                )


@check("loss")
def calls_do_not_depend_on_earlier_ones(example: Example) -> None:
    """Check that a second forward() and backward(), on other data, is that of a new loss."""
    loss = example.make()
    for y_true, y_pred, weight in [*_data(example), *_data(example)]:
        fresh = example.make()
        got = [loss.forward(y_true, y_pred, weight), np.array(loss.backward())]
        wanted = [fresh.forward(y_true, y_pred, weight), np.array(fresh.backward())]
        same(got, wanted, "value and gradient of a new loss from one that was used before", _OWN)


@check("loss")
def two_losses_keep_apart(example: Example) -> None:
    """Check that two losses of the class share no array."""
    one, other = example.make(), example.make()
    first, second = list(_data(example))[:2]
    batches = [first, tuple(a[::-1] for a in second)]
    wanted = []
    for batch in batches:
        fresh = example.make()
        fresh.forward(*batch)
        wanted.append(np.array(fresh.backward()))
    for loss, batch in zip((one, other), batches, strict=True):
        loss.forward(*batch)
    got = [np.array(loss.backward()) for loss in (one, other)]
    same(got, wanted, "each loss to go back through its own forward()", _OWN)


@check("loss")
def value_is_numerator_by_denominator(example: Example) -> None:
    """Check that value and gradient are those of numerator / denominator."""
    loss = example.make()
    for y_true, y_pred, weight in _data(example):
        value = loss.forward(y_true, y_pred, weight)
        if loss.denominator is None:
            return
        hint = "write forward_samples() and backward_samples() and leave the reduction to Loss"
        close(
            [loss.numerator / (loss.denominator or 1.0)],
            [value],
            "loss.numerator / loss.denominator to be the value",
            hint,
            1e-12,
            1e-12,
        )
        gradient = np.array(loss.backward())
        close(
            [np.array(loss.backward(denominator=1.0))],
            [gradient * loss.denominator],
            "backward(denominator=1.0) to be the gradient of the numerator",
            hint,
            1e-9,
            1e-12,
        )


@check("loss")
def unknown_targets_and_weights_of_outputs(example: Example) -> None:
    """Check what an ElementwiseLoss makes of weights of outputs, and with mask_nan of NaN."""
    loss = example.make()
    if not isinstance(loss, ElementwiseLoss):
        return
    for shape in SHAPES:
        y_true, y_pred = draw(example, loss, shape, "float64")
        rng = np.random.default_rng(13)
        weight = rng.uniform(0.1, 3, len(y_true))
        everywhere = np.broadcast_to(weight.reshape(-1, *(1,) * (y_true.ndim - 1)), y_true.shape)
        _close_losses(
            _weighted(example, y_true, y_pred, everywhere),
            _weighted(example, y_true, y_pred, weight),
            "a weight that all outputs of a sample have to be the weight of the sample",
        )
        if loss.mask_nan:
            known = rng.integers(0, 2, y_true.shape).astype(float)
            _close_losses(
                _weighted(example, np.where(known == 1, y_true, np.nan), y_pred, None),
                _weighted(example, y_true, y_pred, known),
                "a target that is NaN to be left out as by a weight of 0",
            )


def _weighted(example: Example, y_true: Array, y_pred: Array, weight: Array | None) -> list[Any]:
    """Return the mean by the weights, what is divided, and the gradient."""
    loss = example.make(reduction="mean_with_sample_weight")
    value = loss.forward(y_true, y_pred, weight)
    return [value, loss.numerator, loss.denominator, loss.backward().copy()]


def _close_losses(got: list[Any], wanted: list[Any], promise: str) -> None:
    hint = "return self.mean_outputs(e) from forward_samples(), and leave the weights to it"
    close(got, wanted, promise, hint, 1e-9, 1e-12)


@check("loss")
def given_arrays_stay_unchanged(example: Example) -> None:
    """Check that targets, predictions and weights are not written to."""
    for reduction in (REDUCTIONS[0], "none"):
        loss = example.make(reduction=reduction)
        for batch in _data(example):
            arrays = [a for a in batch if a is not None]
            before = bits(arrays)
            for read_only in (False, True):
                for a in arrays:
                    a.flags.writeable = not read_only
                loss.forward(*batch)
                loss.backward()
                require(
                    bits(arrays) == before,
                    "forward() and backward() to leave targets, predictions and weights alone",
                    "other numbers in them",
                    "write into self.buffer(name, y_pred)",
                )


@check("loss")
def dtypes_of_value_and_gradient(example: Example) -> None:
    """Check that the value is a float, the gradient is in the dtype of y_pred, both exact."""
    for dtype in FLOATS:
        loss, wide = example.make(), example.make()
        for y_true, y_pred, weight in _data(example, dtype):
            value = loss.forward(y_true, y_pred, weight)
            dy = loss.backward()
            require(
                type(value) is float and dy.dtype == dtype,
                f"a float, and a gradient in {dtype} for predictions in it",
                f"a {type(value).__name__}, and a gradient in {dy.dtype}",
                "compute in the dtype of y_pred",
            )
            exact = wide.forward(y_true, y_pred.astype("float64"), weight)
            promise = f"value and gradient in {dtype} to be those in float64, up to rounding"
            hint = "look for what depends on the dtype: a buffer, a constant, a branch"
            close([value], [exact], promise, hint, 1e-5, 1e-6)
            close([dy], [wide.backward()], promise, hint, 1e-3, 1e-6)


@check("loss")
def awkward_targets_and_predictions_are_taken(example: Example) -> None:
    """Check that lists, strided, read-only, big-endian and other arrays give the same result."""
    loss = example.make()
    y_true, y_pred = draw(example, loss, (5, 3), "float32")
    expected = loss.forward(y_true, y_pred)
    gradient = loss.backward().copy()
    hint = "leave forward() to Loss, which converts, and write forward_samples()"
    for form, given in awkward(y_pred).items():
        if form in ("float16", "integers"):  # other numbers
            continue
        promise = f"the same result for predictions as {form}"
        close([loss.forward(y_true, given)], [expected], promise, hint)
        close([loss.backward()], [gradient], promise, hint, 1e-5, 1e-7)
    whole = bool((np.asarray(y_true) == np.round(y_true)).all())
    for form, given in awkward(np.atleast_2d(y_true)).items():
        if form in ("float16", "integers") and not whole:
            continue
        given = np.asarray(given).reshape(y_true.shape) if np.ndim(y_true) == 1 else given
        promise = f"the same result for targets as {form}"
        close([loss.forward(given, y_pred)], [expected], promise, hint)


@check("loss")
def a_copy_has_no_forward(example: Example) -> None:
    """Check that a new loss, or a copy of one that was used, has nothing to go back through."""
    loss = example.make(name="mine")
    used = example.make(name="mine")
    used.forward(*draw(example, loss, (5, 3), "float64"))
    for what, other in (("a new loss", loss), ("a copy", copy.deepcopy(used))):
        try:
            other.backward()
        except NoForwardError as error:
            require("'mine'" in str(error), "the error to name the loss 'mine'", str(error), _OWN)
        else:
            raise Mismatch(f"a NoForwardError from backward() of {what}", "no error", _OWN)


@check("loss", strict=True)
def third_loss_allocates_nothing_large(example: Example) -> None:
    """Check that a steady call allocates no block as large as the predictions."""
    # Large beside the buffers of NumPy itself, of 8192 numbers.
    for shape in ((512, 512), (8, 256, 128)):
        loss = example.make()
        y_true, y_pred = draw(example, loss, shape, "float32", same_size=True)
        weight = np.ones(len(y_true), "float32")

        def train(loss: Loss = loss, batch: Any = (y_true, y_pred, weight)) -> None:
            loss.forward(*batch)
            loss.backward()

        train()
        train()
        samples = np.size(example.make(reduction=None).forward(y_true, y_pred))
        each = (
            128 if getattr(loss, "losses", ()) else 64
        )  # bytes for a sample; parts have their own
        most = y_pred.nbytes / 8 + each * samples  # a mask of booleans would be a quarter
        peak = peak_of(train)
        require(
            peak < most,
            f"the third call to allocate less than {most:.0f} bytes",
            f"{peak} bytes",
            "write into self.buffer(name, y_pred) with out=",
        )
