"""Gradient transforms, applied before the rule of an optimizer.

An optimizer lists the transforms that its settings require when it is bound to parameters; unused
ones cost nothing. The order is: accumulate, divide, add penalties, check for non-finite values,
clip. (A reduction over several processes comes first.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from netlayers._warn import warn
from netlayers.core.parameters import rows_of
from netlayers.errors import NonFiniteError
from netlayers.kernels.memory import Workspace
from netlayers.kernels.select import kernels
from netlayers.optimizers.clipping import norm, scale_to

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter
    from netlayers.optimizers.layout import Gradients
    from netlayers.optimizers.protocol import OptimizerProtocol


class Transform:
    """Base class. Subclasses implement :meth:`apply`.

    Args:
        optimizer: the optimizer, with its settings and counters.
    """

    def __init__(self, optimizer: OptimizerProtocol) -> None:
        self.optimizer = optimizer

    def apply(self, gradients: Gradients) -> bool:
        """Modify the gradients in place; return whether to continue the update."""
        raise NotImplementedError(f"{type(self).__name__} must define apply")


def transforms_for(optimizer: OptimizerProtocol, gradients: Gradients) -> list[Transform]:
    """Return the transforms that the settings of an optimizer require, in order."""
    transforms: list[Transform] = []
    if (optimizer.gradient_accumulation_steps or 1) > 1:
        transforms += [Accumulate(optimizer), Divide(optimizer)]
        if gradients.parameters.regularized:
            transforms.append(AddPenalties(optimizer))
    clipping = clipping_of(optimizer)
    transforms += clipping[:1]
    if (optimizer.nonfinite_override or optimizer.on_nonfinite) != "ignore":
        transforms.append(FindNonFinite(optimizer))
    return transforms + clipping[1:]


def clipping_of(optimizer: OptimizerProtocol) -> list[Transform]:
    """Return the transforms that clip: one that computes the norm, and one that uses it."""
    if not optimizer.clips:
        return []
    kind: type[Transform] = ClipByNorm
    if optimizer.global_clipnorm is not None:
        kind = ClipByGlobalNorm
    elif optimizer.clipvalue is not None:
        kind = ClipByValue
    return [MeasureNorm(optimizer), kind(optimizer)]


class Accumulate(Transform):
    """Sum ``d g`` over several calls of ``step``, with the denominators d; ``Divide`` follows.

    The sum is that of ``d g / d₁``, where d₁ is the first nonzero denominator: for batches of equal
    size, the plain sum of gradients. Denominators of 0 count as 1: such gradients are sums or 0.
    """

    def __init__(self, optimizer: OptimizerProtocol) -> None:
        super().__init__(optimizer)
        self._workspace = Workspace()

    def apply(self, gradients: Gradients) -> bool:
        """Accumulate the gradients; the last call replaces them by their sum."""
        optimizer = self.optimizer
        total_gradient: Array = optimizer.state["gradient_sum"]
        d = 1.0 if gradients.denominator is None else gradients.denominator
        is_first = not optimizer.accumulated
        if is_first:
            optimizer.denominators = [0.0, 0.0]
            if not gradients.whole:
                # There are row gradients, or layers that may be unfrozen before the last call.
                total_gradient.fill(0)
        elif optimizer.denominators is None:  # missing in files of earlier versions
            self._convert_sum(gradients, d)
        assert optimizer.denominators is not None
        first, total = optimizer.denominators
        first = first or d
        optimizer.denominators = [first, total + d]
        factor = d / first if d and first else 1.0
        optimizer.accumulated += 1
        steps = optimizer.gradient_accumulation_steps
        assert steps is not None
        last = optimizer.accumulated >= steps
        with np.errstate(all="ignore"):  # FindNonFinite checks the mean
            for g, own in gradients.pieces:
                scaled = g
                if factor != 1:
                    scaled = np.multiply(g, factor, out=self._workspace("g", g.shape, g.dtype))
                if is_first:
                    np.copyto(total_gradient[own], scaled)
                else:
                    np.add(scaled, total_gradient[own], out=g if last else total_gradient[own])
            for p in gradients.tables:
                own = gradients.parameters.own_slice(p)
                self._add_rows(p, total_gradient[own].reshape(p.shape), factor, last)
        if last:
            optimizer.accumulated = 0
            if gradients.tables:
                gradients.collect()
        return last

    def _add_rows(self, p: Parameter, table: Array, factor: float, last: bool) -> None:
        """Add a row gradient to the sum; the last call replaces it by the rows of the sum."""
        gradient = rows_of(p)
        table[gradient.rows] += gradient.values * factor
        if last:
            rows = np.flatnonzero(table.reshape(len(table), -1).any(axis=1))
            gradient.rows, gradient.values = rows, table[rows]

    def _convert_sum(self, gradients: Gradients, d: float) -> None:
        """Convert a restored sum of means with penalties, assuming equal denominators."""
        optimizer, parameters = self.optimizer, gradients.parameters
        optimizer.denominators = [d, optimizer.accumulated * d]
        if gradients.denominator is None:
            return
        for p in parameters.regularized:
            own, value = parameters.own_slice(p), p.value
            gradient_sum = optimizer.state["gradient_sum"][own].reshape(p.shape)
            penalty: Array = np.zeros_like(value)
            p.regularizer.add_gradient(value, penalty, np.empty_like(value))  # type: ignore[union-attr,arg-type]
            gradient_sum -= optimizer.accumulated * penalty


class Divide(Transform):
    """Divide the sum of gradients by the sum of denominators."""

    def apply(self, gradients: Gradients) -> bool:
        """``g = g d₁ / Σ d``; unchanged if all denominators are 0."""
        assert self.optimizer.denominators is not None
        first, total = self.optimizer.denominators
        if total:
            factor = first / total  # at most 1, so nothing overflows
            for g in gradients.arrays:
                np.multiply(g, factor, out=g)
        return True


class AddPenalties(Transform):
    """Add the gradients of the weight penalties, once per update.

    If ``step`` gets no denominator, the gradients already include them.
    """

    def __init__(self, optimizer: OptimizerProtocol) -> None:
        super().__init__(optimizer)
        self._workspace = Workspace()

    def apply(self, gradients: Gradients) -> bool:
        """``g = g + dR/dw``."""
        if gradients.denominator is not None:
            gradients.parameters.add_regularization_gradients(self._workspace)
            gradients.collect()
        return True


class MeasureNorm(Transform):
    """Compute the norm of all gradients, for clipping and for the check for non-finite values."""

    def apply(self, gradients: Gradients) -> bool:
        """Store the norm in ``gradients.norm``."""
        gradients.norm = norm(gradients.arrays)
        return True


class FindNonFinite(Transform):
    """Raise an error, or skip the update, if a gradient is not finite."""

    _warned = False

    def apply(self, gradients: Gradients) -> bool:
        """Return whether all gradients are finite.

        Raises:
            NonFiniteError: one is not, and ``on_nonfinite`` is ``"raise"``.
        """
        if gradients.norm is None:
            squares = 0.0
            for g in gradients.arrays:
                squares += kernels.sum_of_squares(g)
            finite = squares < math.inf
        else:
            finite = gradients.norm.value < math.inf
        if finite:
            return True
        optimizer = self.optimizer
        bad = next(gradients.nonfinite(), None)
        if bad is None:  # their squares are
            if optimizer._squares_gradients and not optimizer.clips:
                self._keep_squares_finite(gradients)
            return True
        if (optimizer.nonfinite_override or optimizer.on_nonfinite) == "skip":
            optimizer.skipped += 1
            return False
        p, count = bad
        raise NonFiniteError(
            f"{type(optimizer).__name__}: the gradient of the parameter {p.name!r} of layer "
            f"{p.layer.path!r} is not finite ({count} of {p.size} values), at update "
            f"{optimizer.iterations + 1}. No weight was changed. Try a smaller learning rate, "
            "gradient clipping (global_clipnorm=1.0), another initializer or scaled "
            "inputs; on_nonfinite='skip' skips such updates."
        )

    def _keep_squares_finite(self, gradients: Gradients) -> None:
        """Limit gradients and state, so that sums of squares saturate and do not overflow.

        An infinite second moment would stay so, and its weight would never change again.
        """
        for g in gradients.arrays:
            limit = math.sqrt(float(np.finfo(g.dtype).max)) / 4
            np.clip(g, -limit, limit, out=g)
        for vector in self.optimizer.state.values():
            limit = float(np.finfo(vector.dtype).max) / 2
            np.clip(vector, -limit, limit, out=vector)
        if not self._warned:
            self._warned = True
            largest = [float(np.abs(g).max(initial=0)) for g in gradients.tensors]
            p = gradients.owners[int(np.argmax(largest))]
            warn(
                f"{type(self.optimizer).__name__}: at update {self.optimizer.iterations + 1} the "
                f"square of a gradient of {p.path!r} is too large for {p.dtype}. It is limited; "
                "the moving averages of squares stay far too large for many updates. Clip the "
                "gradients (global_clipnorm=1.0), or scale the inputs."
            )


class ClipByGlobalNorm(Transform):
    """Scale all gradients so that their joint norm is at most ``global_clipnorm``."""

    def apply(self, gradients: Gradients) -> bool:
        """``g = g global_clipnorm / |g|`` for the vector g of all gradients."""
        optimizer = self.optimizer
        current, limit = gradients.norm, optimizer.global_clipnorm
        assert current is not None
        assert limit is not None
        optimizer.grad_norm = current.value
        scale_to(gradients.arrays, current, limit)
        return True


class ClipByValue(Transform):
    """Clip each gradient entry to [-``clipvalue``, ``clipvalue``]."""

    def apply(self, gradients: Gradients) -> bool:
        """``g = clip(g, -clipvalue, clipvalue)``."""
        optimizer = self.optimizer
        current, limit = gradients.norm, optimizer.clipvalue
        assert current is not None
        assert limit is not None
        optimizer.grad_norm = current.value
        for g in gradients.arrays:
            np.clip(g, -limit, limit, out=g)
        return True


class ClipByNorm(Transform):
    """Scale the gradient of each parameter so that its norm is at most ``clipnorm``."""

    def apply(self, gradients: Gradients) -> bool:
        """``g = g clipnorm / |g|`` for the gradient g of one parameter."""
        optimizer = self.optimizer
        current, limit = gradients.norm, optimizer.clipnorm
        assert current is not None
        assert limit is not None
        optimizer.grad_norm = current.value
        for g in gradients.tensors:
            scale_to([g], norm([g]), limit)
        return True
