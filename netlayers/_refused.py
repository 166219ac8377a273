"""Arguments and names of Keras that are refused, with what to use."""

from __future__ import annotations

# Of a class or one of its bases.
REFUSED_ARGUMENTS = {
    ("Optimizer", "lr"): "lr is called learning_rate; pass learning_rate={value!r}.",
    ("Optimizer", "decay"): "decay was an argument of old versions of Keras; pass "
    "learning_rate=schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate={value!r}).",
    ("Optimizer", "loss_scale_factor"): "loss_scale_factor={value!r} is not supported: it is for "
    "mixed precision, and a model computes in one dtype. Leave it out.",
}
# Of a module.
REFUSED_NAMES = {
    "layers.SpectralNormalization": "its forward pass would replace the weights that the optimizer "
    "trains. A constraint divides a kernel by its largest singular value after each update, see "
    "docs/keras.md; kernel_regularizer=OrthogonalRegularizer() keeps all singular values together",
}


def refused_argument(cls: type, name: str, value: object) -> str | None:
    """Return why a class does not take an argument, or ``None`` if nothing is known of it."""
    for base in cls.__mro__:
        reason = REFUSED_ARGUMENTS.get((base.__name__, name))
        if reason is not None:
            return reason.format(value=value)
    return None


def refused_name(module: str, name: str) -> AttributeError:
    """Return the error for a name that a module does not have."""
    reason = REFUSED_NAMES.get(f"{module.rpartition('.')[2]}.{name}")
    because = "" if reason is None else f": {reason}"
    return AttributeError(f"module {module!r} has no attribute {name!r}{because}.")
