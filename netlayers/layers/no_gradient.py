"""Where a backward pass ends: calls that get no gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.checks import is_foreign
from netlayers.core.inputs import specs_of
from netlayers.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlayers.layers.wiring import Callee


def pass_nothing(call: Callee, below: Iterable[Callee]) -> None:
    """Set the gradients below a call that returned no input gradient to zero.

    Raises:
        ShapeError: it is of a user's layer that does not declare that.
    """
    layer: Any = getattr(call, "layer", call)
    if is_foreign(type(layer)) and all(spec.gradient for spec in specs_of(layer)):
        raise ShapeError(
            f"{layer.owner} ({type(layer).__name__}): backward() must return dL/dx, got None; it "
            "may lack a return. A layer without input gradient declares input_spec = "
            "InputSpec(gradient=False)."
        )
    for one in below:
        clear_gradients(one)


def clear_gradients(call: Callee) -> None:
    """Set the gradients of a call that is not run to zero."""
    for p in call.declared_parameters:
        p.clear_gradient()
