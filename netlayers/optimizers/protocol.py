"""The part of an optimizer that gradient transforms and row updates use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter
    from netlayers.optimizers.rules import Rule


class OptimizerProtocol(Protocol):
    """Settings, counters and state of an optimizer; see :class:`Optimizer`."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    gradient_accumulation_steps: int | None
    on_nonfinite: str
    nonfinite_override: str | None
    iterations: int
    skipped: int
    accumulated: int
    denominators: list[float] | None
    grad_norm: float | None
    state: dict[str, Array]
    state_names: tuple[str, ...]
    state_start: Mapping[str, float | str]
    scratch_rows: int
    by_rows: bool
    by_parameter: bool
    _shaped: bool
    _epsilon: str
    _made_dense: set[str]
    _squares_gradients: bool

    @property
    def clips(self) -> bool:
        """Whether clipping is enabled."""

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Apply the rule to a block of weights."""

    def rule_of(self, p: Parameter) -> Rule:
        """Return the rule that updates a parameter."""
