"""Check that a model can answer with ``exact=True``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from netlayers.training.compilation import CompilableModel


def has_exact_rows(cls: type) -> bool:
    """Return whether the forward of a class of layers is ours, or its class says ``exact_rows``."""
    for base in cls.__mro__:
        if "exact_rows" in vars(base):
            return bool(vars(base)["exact_rows"])
        if "forward" in vars(base):
            break
    return base.__module__.startswith("netlayers.")


def check_exact(owner: str, model: CompilableModel) -> None:
    """Check that the output for a row does not depend on other rows.

    Args:
        owner: the caller, for messages.
        model: a built model.

    Raises:
        ConfigurationError: it depends on them, or a layer of the user's does not say.
    """
    if model._has_states:
        raise ConfigurationError(
            f"{owner}: exact=True needs a model without states, whose outputs do not depend on "
            "earlier batches; this one has them. Leave exact out."
        )
    for layer in model._flatten_layers():
        shape, axis = layer.input_shape, getattr(getattr(layer, "activation", None), "axis", None)
        if axis is not None and shape is not None and axis % len(shape) == 0:
            raise ConfigurationError(
                f"{owner}: exact=True needs outputs that do not depend on other rows, but the "
                f"activation of {layer.owner} acts along axis {axis}, which is the batch. Choose "
                "another axis, or leave exact out."
            )
        if not has_exact_rows(type(layer)):
            raise ConfigurationError(
                f"{owner}: exact=True is not known to hold for {layer.owner} "
                f"({type(layer).__name__}), which is your own. If its forward computes each row "
                "alone, without matrix products except in layers, set exact_rows = True in the "
                "class; otherwise leave exact out."
            )
