"""Shapes: of one array or of several, and as messages show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.checks import check_shape, is_several

if TYPE_CHECKING:
    from netlayers._typing import Shape


def listed_shapes(shape: Any) -> list[Any]:
    """Return the shapes of several arrays, or the one shape, as a list."""
    return list(shape) if is_several(shape) else [shape]


def any_batch(shape: Any) -> Any:
    """Return the shape, or the shapes, for a batch of any size."""
    if is_several(shape):
        return tuple(any_batch(one) for one in shape)
    return (None, *shape[1:])


def checked_shape(owner: str, argument: str, shape: Any) -> Any:
    """Return a shape, or the shapes of several arrays, as tuples.

    Raises:
        ConfigurationError: it is not a sequence of sizes.
    """
    if is_several(shape):
        return tuple(check_shape(owner, argument, one) for one in shape)
    return check_shape(owner, argument, shape)


def shown_shape(shape: Shape) -> str:
    """``(None, 784)`` as ``(batch, 784)``."""
    if is_several(shape):
        return " and ".join(shown_shape(one) for one in shape)  # type: ignore[arg-type]
    sizes = ("any" if size is None else str(size) for size in shape[1:])
    return f"({', '.join(['batch', *sizes])})"


# Part of a hint that does not apply where the targets show that there are several samples.
OR_SINGLE_SAMPLE = ", x[None, :] for a single sample"


def shape_hint(expected: Shape, shape: Shape) -> str:
    """Return a hint for an input of ``shape`` where ``expected`` is required."""
    if len(shape) == 1 and len(expected) == 2:
        features = expected[1]
        if features in (None, 1) or shape[0] in (None, features):
            return f"Add an axis: x[:, None] for samples of one feature{OR_SINGLE_SAMPLE}."
        return (
            f"Add an axis: x[:, None] has one feature for each sample, and {features} are needed; "
            f"windows of a series are np.lib.stride_tricks.sliding_window_view(x, {features})."
        )
    if len(shape) < len(expected):
        return "For a single sample, add the batch axis: x[None, ...]."
    if len(shape) > len(expected):
        return f"Reshape it: x.reshape(len(x), {', '.join(str(s or -1) for s in expected[1:])})."
    return "Change the data, or the input shape of the model."
