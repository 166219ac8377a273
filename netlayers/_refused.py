"""Arguments of Keras that are refused or have no effect, and arguments that are not kept."""

from __future__ import annotations

from typing import Any

from netlayers.errors import ConfigurationError

# Keras arguments that only choose how something is executed. They are accepted where Keras accepts
# them and have no effect; every other argument is honoured or refused.
EXECUTION_ARGUMENTS = {
    "auto_scale_loss": "there is no mixed precision, so the loss needs no scaling",
    "autocast": "a model computes in one dtype",
    "flash_attention": "attention has a single implementation",
    "jit_compile": "kernels are selected per process with use_kernels",
    "run_eagerly": "everything runs eagerly",
    "safe_mode": "loading never runs code of a file",
    "unroll": "there is no graph to unroll a loop in",
    "use_cudnn": "there is no GPU",
    "use_multiprocessing": "batches are prefetched by a thread, see read_ahead",
    "workers": "batches are prefetched by a thread, see read_ahead",
}

# Refused, with what to use: of a class or one of its bases.
REFUSED_ARGUMENTS = {
    ("Optimizer", "lr"): "lr is called learning_rate; pass learning_rate={value!r}.",
    ("Optimizer", "decay"): "decay was an argument of old versions of Keras; pass "
    "learning_rate=schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate={value!r}).",
    ("Optimizer", "loss_scale_factor"): "loss_scale_factor={value!r} is not supported: it is for "
    "mixed precision, and a model computes in one dtype. Leave it out.",
}


def refused_argument(cls: type, name: str, value: object) -> str | None:
    """Return why a class does not take an argument, or ``None`` if nothing is known of it."""
    for base in cls.__mro__:
        reason = REFUSED_ARGUMENTS.get((base.__name__, name))
        if reason is not None:
            return reason.format(value=value)
    return None


def kept_argument(thing: object, name: str) -> Any:
    """Return the attribute that keeps a constructor argument.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return getattr(thing, name)
    except AttributeError:
        raise ConfigurationError(
            f"{type(thing).__name__}: its argument {name} is not kept; write self.{name} = {name} "
            "in __init__, or define get_config()."
        ) from None
