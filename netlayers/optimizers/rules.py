"""How an optimizer updates one parameter, and the state that this takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

# The initial value of a state vector that starts as a copy of the weights.
WEIGHTS = "weights"


class Rule(NamedTuple):
    """The rule for one parameter; neighbours with equal rules are updated in one block.

    Attributes:
        update: changes a block in place, see :meth:`Optimizer.update`.
        state_names: names of the state vectors that it is given.
        starts: initial value of each: a number, or ``WEIGHTS``.
        decay: weight decay.
        scratch_rows: number of temporary arrays.
        by_rows: whether only rows with a gradient are updated in a table.
        by_parameter: whether a block is one whole parameter.
        shaped: whether weights, gradient and state have the shape of the parameter.
    """

    update: Callable[..., Any]
    state_names: tuple[str, ...]
    starts: tuple[float | str, ...]
    decay: float
    scratch_rows: int
    by_rows: bool
    by_parameter: bool
    shaped: bool
