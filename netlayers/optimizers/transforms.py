"""What happens to the gradients before the rule uses them, one small class for each step.

An optimizer makes the list of those that its settings ask for once, when it meets the parameters;
what is not asked for costs nothing. The order is: accumulate, divide, add penalties, find what is
not finite, clip. (A reduction over several processes has its place before all of them.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.errors import NonFiniteError
from netlayers.kernels.memory import Workspace
from netlayers.kernels.select import kernels
from netlayers.optimizers.clipping import norm, scale_to

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.optimizers.layout import Gradients


class Transform:
    """Base class. A subclass writes :meth:`apply`.

    Args:
        optimizer: whose settings and counters it goes by.
    """

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer

    def apply(self, gradients: Gradients) -> bool:
        """Change the gradients in place; return whether the update goes on."""
        raise NotImplementedError(f"{type(self).__name__} must define apply")


def transforms_for(optimizer: Any, gradients: Gradients) -> list[Transform]:
    """Return the transforms that the settings of an optimizer ask for, in their order."""
    found: list[Transform] = []
    if (optimizer.gradient_accumulation_steps or 1) > 1:
        found += [Accumulate(optimizer), Divide(optimizer)]
        if gradients.parameters.regularized:
            found.append(AddPenalties(optimizer))
    if optimizer.clips:
        found.append(Measure(optimizer))
    if (optimizer.nonfinite_override or optimizer.on_nonfinite) != "ignore":
        found.append(FindNonFinite(optimizer))
    if optimizer.global_clipnorm is not None:
        found.append(ClipByGlobalNorm(optimizer))
    elif optimizer.clipvalue is not None:
        found.append(ClipByValue(optimizer))
    elif optimizer.clipnorm is not None:
        found.append(ClipByNorm(optimizer))
    return found


class Accumulate(Transform):
    """Add up ``d g`` of several calls of ``step``, with the denominators d; ``Divide`` follows.

    What is added up is ``d g / d₁``, with the first denominator above 0: for batches of one size
    that is the plain sum of their gradients. Denominators of 0 count as 1: such gradients are sums
    themselves, or 0.
    """

    def __init__(self, optimizer: Any) -> None:
        super().__init__(optimizer)
        self._workspace = Workspace()

    def apply(self, gradients: Gradients) -> bool:
        """Gather the gradients; with the last ones their sum takes their place."""
        optimizer = self.optimizer
        gathered: Array = optimizer.state["gradient_sum"]
        d = 1.0 if gradients.denominator is None else gradients.denominator
        begins = not optimizer.accumulated
        if begins:
            optimizer.denominators = [0.0, 0.0]
            if not gradients.whole:
                gathered.fill(
                    0
                )  # there are rows, or layers that may be thawed before the last call
        elif optimizer.denominators is None:  # a file of an earlier version does not have them
            self._take_over(gradients, d)
        first, total = optimizer.denominators
        first = first or d
        optimizer.denominators = [first, total + d]
        factor = d / first if d and first else 1.0
        optimizer.accumulated += 1
        last = optimizer.accumulated >= optimizer.gradient_accumulation_steps
        with np.errstate(all="ignore"):  # what is not finite is looked for in the mean
            for g, own in gradients.pieces:
                scaled = g
                if factor != 1:
                    scaled = np.multiply(g, factor, out=self._workspace("g", g.shape, g.dtype))
                if begins:
                    np.copyto(gathered[own], scaled)
                else:
                    np.add(scaled, gathered[own], out=g if last else gathered[own])
            for p in gradients.tables:
                self._add_rows(
                    p, gathered[gradients.parameters.own_slice(p)].reshape(p.shape), factor, last
                )
        if last:
            optimizer.accumulated = 0
            if gradients.tables:
                gradients.collect()
        return last

    def _add_rows(self, p: Any, table: Array, factor: float, last: bool) -> None:
        """Add the rows of a gradient to the sum; at last, the rows of the sum are the gradient."""
        gradient = p.gradient
        table[gradient.rows] += gradient.values * factor
        if last:
            rows = np.flatnonzero(table.reshape(len(table), -1).any(axis=1))
            gradient.rows, gradient.values = rows, table[rows]

    def _take_over(self, gradients: Gradients, d: float) -> None:
        """Go on with a sum of means, penalties included, whose denominators were like this one."""
        optimizer, parameters = self.optimizer, gradients.parameters
        optimizer.denominators = [d, optimizer.accumulated * d]
        if gradients.denominator is None:
            return
        for p in parameters.regularized:
            its, value = (
                optimizer.state["gradient_sum"][parameters.own_slice(p)].reshape(p.shape),
                p.value,
            )
            penalty: Array = np.zeros_like(value)
            p.regularizer.add_gradient(value, penalty, np.empty_like(value))  # type: ignore[union-attr,arg-type]
            its -= optimizer.accumulated * penalty


class Divide(Transform):
    """Divide the sum of gradients by that of the denominators, once."""

    def apply(self, gradients: Gradients) -> bool:
        """``g = g d₁ / Σ d``; what has only denominators of 0 stays as it is."""
        first, total = self.optimizer.denominators
        if total:
            factor = first / total  # at most 1, so nothing overflows
            for g in gradients.arrays:
                np.multiply(g, factor, out=g)
        return True


class AddPenalties(Transform):
    """Add the gradients of the penalties on the weights, of which each update has one.

    Where ``step`` is not told a denominator, whoever computed the gradients has added them.
    """

    def __init__(self, optimizer: Any) -> None:
        super().__init__(optimizer)
        self._workspace = Workspace()

    def apply(self, gradients: Gradients) -> bool:
        """``g = g + dR/dw``."""
        if gradients.denominator is not None:
            gradients.parameters.add_regularization_gradients(self._workspace)
            gradients.collect()
        return True


class Measure(Transform):
    """Measure the norm of all gradients, which clipping and the search for NaN go by."""

    def apply(self, gradients: Gradients) -> bool:
        """Note the norm."""
        gradients.size = norm(gradients.arrays)
        return True


class FindNonFinite(Transform):
    """Stop with an error where a gradient is not finite, or leave out the update."""

    def apply(self, gradients: Gradients) -> bool:
        """Return whether all gradients are finite.

        Raises:
            NonFiniteError: one is not, and ``on_nonfinite`` is ``"raise"``.
        """
        if gradients.size is None:
            squares = 0.0
            for g in gradients.arrays:
                squares += kernels.sum_of_squares(g)
            finite = squares < math.inf
        else:
            finite = gradients.size.value < math.inf
        if finite or not (bad := next(gradients.nonfinite(), None)):
            return True
        optimizer = self.optimizer
        if (optimizer.nonfinite_override or optimizer.on_nonfinite) == "skip":
            optimizer.skipped += 1
            return False
        p, count = bad
        raise NonFiniteError(
            f"{type(optimizer).__name__}: the gradient of the parameter {p.name!r} of layer "
            f"{p.layer.path!r} is not finite ({count} of {p.size} values), at update "
            f"{optimizer.iterations + 1}. No weight was changed. Try a smaller learning rate, "
            "gradient clipping (global_clipnorm=1.0), another initializer or scaled "
            "inputs; on_nonfinite='skip' leaves such updates out."
        )


class ClipByGlobalNorm(Transform):
    """Scale all gradients together down to the norm ``global_clipnorm``, if theirs is above it."""

    def apply(self, gradients: Gradients) -> bool:
        """``g = g global_clipnorm / |g|`` for the vector g of all gradients."""
        optimizer = self.optimizer
        optimizer.grad_norm = gradients.size.value
        scale_to(gradients.arrays, gradients.size, optimizer.global_clipnorm)
        return True


class ClipByValue(Transform):
    """Cut each number to within ± ``clipvalue``."""

    def apply(self, gradients: Gradients) -> bool:
        """``g = clip(g, -clipvalue, clipvalue)``."""
        optimizer = self.optimizer
        optimizer.grad_norm, limit = gradients.size.value, optimizer.clipvalue
        for g in gradients.arrays:
            np.clip(g, -limit, limit, out=g)
        return True


class ClipByNorm(Transform):
    """Scale the gradient of each parameter down to the norm ``clipnorm``, if its is above it."""

    def apply(self, gradients: Gradients) -> bool:
        """``g = g clipnorm / |g|`` for the gradient g of one parameter."""
        optimizer = self.optimizer
        optimizer.grad_norm = gradients.size.value
        for g in gradients.tensors:
            scale_to([g], norm([g]), optimizer.clipnorm)
        return True
