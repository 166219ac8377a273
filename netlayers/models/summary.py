"""A model as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.checks import check_flag, check_integer
from netlayers.errors import ConfigurationError
from netlayers.layers.containers import Container

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.models.trainable import TrainableModel


def print_summary(
    model: TrainableModel,
    line_length: int | None = None,
    positions: Any = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = True,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Print a table of the layers: output shapes, parameters, bytes, trainable or not.

    Args:
        model: the model; it need not be built.
        line_length: width of the table; it is never narrower than its contents.
        positions: must be ``None``: the columns are as wide as their contents.
        print_fn: called with each line instead of ``print``.
        expand_nested: show the layers within layers too, indented.
        show_trainable: show that column.
        layer_range: names of the first and the last layer to show; by default all. The totals
            remain those of the model.

    Raises:
        ConfigurationError: an argument is of another kind, ``positions`` is given, or a layer of
            the range does not exist.

    Example:
        >>> import netlayers as nl
        >>> layers = [nl.layers.Dense(8, activation="relu"), nl.layers.Dense(1)]
        >>> nl.Sequential([nl.layers.Input((4,)), *layers]).summary()
        Model: "sequential"
        Layer (type)     Output shape  Parameters  Bytes  Trainable
        -----------------------------------------------------------
        input (Input)    (None, 4)              0      0  -
        dense (Dense)    (None, 8)             40    160  yes
        dense_1 (Dense)  (None, 1)              9     36  yes
        -----------------------------------------------------------
        Total                                  49    196
        Trainable                              49    196
        Not trainable                           0      0
    """
    check_flag("summary", "expand_nested", expand_nested)
    check_flag("summary", "show_trainable", show_trainable)
    if positions is not None:
        raise ConfigurationError(
            f"summary: positions={positions!r} has no effect, as the columns are as wide as their "
            "contents; leave it out, or pass line_length."
        )
    if line_length is not None:
        check_integer("summary", "line_length", line_length, minimum=1)
    layers = _in_range(model, layer_range)
    for line in summary_lines(model, line_length, expand_nested, show_trainable, layers):
        (print if print_fn is None else print_fn)(line)


def _in_range(model: TrainableModel, layer_range: Sequence[str] | None) -> list[Layer]:
    """Return the layers from the first to the second of two names."""
    if layer_range is None:
        return model.layers
    names = [layer.name for layer in model.layers]
    if (
        isinstance(layer_range, str)
        or len(layer_range) != 2
        or any(name not in names for name in layer_range)
    ):
        raise ConfigurationError(
            f"summary: layer_range must be the names of two layers, got {layer_range!r}. The "
            f"layers are {', '.join(names)}."
        )
    first, last = (names.index(name) for name in layer_range)
    return model.layers[first : last + 1]


def summary_lines(
    model: TrainableModel,
    line_length: int | None,
    expand_nested: bool,
    show_trainable: bool,
    layers: list[Layer],
) -> Iterator[str]:
    """Yield the lines of the table."""
    if not model.built:
        model._build_if_known()
    rows = [("Layer (type)", "Output shape", "Parameters", "Bytes", "Trainable")]
    for layer, depth in _walk(layers, expand_nested):
        shape = "?" if layer.output_shape is None else str(layer.output_shape)
        title = f"{'  ' * depth}{layer.name} ({type(layer).__name__})"
        sizes = _sizes(layer.weights) if layer.built else ("not built", "")
        rows.append((title, shape, *sizes, _trainable(layer)))
    totals = list(_totals(model)) if model.built else []
    count = 5 if show_trainable else 4
    widths = [max(len(row[i]) for row in [*rows, *totals]) for i in range(count)]
    width = sum(widths) + 2 * (count - 1)
    if line_length is not None and line_length > width:
        widths[0] += line_length - width
        width = line_length
    yield f'Model: "{model.name}"'
    yield _line(rows[0], widths)
    yield "-" * width
    for row in rows[1:]:
        yield _line(row, widths)
    yield "-" * width
    for row in totals:
        yield _line(row, widths)
    if not model.built:
        yield "Not built yet: the shapes follow from the first data, or from layers.Input."


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [f"{row[i]:{'>' if i in (2, 3) else '<'}{w}}" for i, w in enumerate(widths)]
    return "  ".join(cells).rstrip()


def _totals(model: TrainableModel) -> Iterator[tuple[str, str, str, str, str]]:
    yield ("Total", "", *_sizes(model.weights), "")
    yield ("Trainable", "", *_sizes(model.trainable_weights), "")
    yield ("Not trainable", "", *_sizes(model.non_trainable_weights), "")
    state = list(getattr(model.optimizer, "state", {}).values())
    if state:
        yield ("Optimizer state", "", *_sizes(state), "")


def _sizes(arrays: list[Array]) -> tuple[str, str]:
    return f"{sum(a.size for a in arrays):,}", f"{sum(a.nbytes for a in arrays):,}"


def _walk(layers: list[Layer], expand: bool, depth: int = 0) -> Iterator[tuple[Layer, int]]:
    """Yield each layer and its nesting depth."""
    for layer in layers:
        yield layer, depth
        if expand:
            yield from _walk(_inside(layer), expand, depth + 1)


def _inside(layer: Layer) -> list[Layer]:
    """Return the sublayers of a container; the activation of a layer has no row of its own."""
    return layer._sublayers if isinstance(layer, Container) else []


def _trainable(layer: Layer) -> str:
    if not layer.built:
        return "yes" if layer.trainable else "no"
    if not layer.weights:
        return "-"
    if not layer.trainable or not layer.trainable_weights:
        return "no"
    below = {_trainable(part) for part in _inside(layer)} - {"-"}
    return "partly" if below & {"no", "partly"} else "yes"
