"""A model as a table."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any

from netlayers._html import html_table, paragraph
from netlayers._notebook import Report, in_notebook, show
from netlayers._printable import printable
from netlayers.checks import check_flag, check_integer, takes
from netlayers.errors import ConfigurationError
from netlayers.layers.containers import Container

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.models.trainable import TrainableModel


WIDTH = 100  # of a table with a column of connections, which is wrapped
NARROWEST = 20  # that column


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

    For a functional model that is no chain, a column lists the layers whose outputs a layer takes;
    it is wrapped at ``line_length``, by default 100.

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
        Layer (type)              Output shape  Parameters  Bytes  Trainable
        --------------------------------------------------------------------
        input_layer (InputLayer)  (None, 4)              0      0  -
        dense (Dense)             (None, 8)             40    160  yes
        dense_1 (Dense)           (None, 1)              9     36  yes
        --------------------------------------------------------------------
        Total                                           49    196
        Trainable                                       49    196
        Not trainable                                    0      0
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
    if print_fn is not None and not (callable(print_fn) and takes(print_fn, 1)):
        raise ConfigurationError(f"summary: print_fn must take a line of text, got {print_fn!r}.")
    layers = _in_range(model, layer_range)
    table = Summary(model, line_length, expand_nested, show_trainable, layers)
    if print_fn is None and in_notebook():
        show(table)
        return
    for line in table.lines():
        (print if print_fn is None else print_fn)(line)


def _in_range(model: TrainableModel, layer_range: Sequence[str] | None) -> list[Layer]:
    """Return the layers from the first to the second of two names."""
    if layer_range is None:
        return model._layers
    names = [layer.name for layer in model._layers]
    if (
        not isinstance(layer_range, (list, tuple))
        or len(layer_range) != 2
        or any(name not in names for name in layer_range)
    ):
        raise ConfigurationError(
            f"summary: layer_range must be the names of two layers, got {layer_range!r}. The "
            f"layers are {', '.join(names)}."
        )
    first, last = (names.index(name) for name in layer_range)
    return model._layers[first : last + 1]


class Summary(Report):
    """The table of the layers of a model.

    Args:
        model: the model; it is built if its shapes are known.
        line_length: width of the text.
        expand_nested: show the layers within layers too.
        show_trainable: show that column.
        layers: the layers to show; by default all.
    """

    def __init__(
        self,
        model: TrainableModel,
        line_length: int | None = None,
        expand_nested: bool = False,
        show_trainable: bool = True,
        layers: list[Layer] | None = None,
    ) -> None:
        if not model.built:
            model._build_if_known()
        self._line_length, before = line_length, model._connected_to()
        self._connected = bool(before)
        rows: list[list[str]] = []
        for layer, depth in _walk(model._layers if layers is None else layers, expand_nested):
            shape = "?" if layer.output_shape is None else str(layer.output_shape)
            title = f"{'  ' * depth}{printable(layer.name)} ({type(layer).__name__})"
            sizes = _sizes(layer.weights) if layer.built else ("not built", "")
            connected = ", ".join(map(printable, before.get(layer, ())))
            rows.append([title, shape, *sizes, _trainable(layer), connected])
        head = ["Layer (type)", "Output shape", "Parameters", "Bytes", "Trainable", "Connected to"]
        totals = [[*row, ""] for row in _totals(model)] if model.built else []
        shown = [True] * 4 + [show_trainable, self._connected]
        self._rows, self._totals = (
            [tuple(compress(row, shown)) for row in its] for its in ([head, *rows], totals)
        )
        self._title = f'Model: "{printable(model.name)}"'
        self._note = ""
        if not model.built:
            self._note = (
                "Not built yet: the shapes follow from the first data, or from layers.Input."
            )

    def lines(self) -> Iterator[str]:
        """Yield the lines of the text."""
        columns = zip(*self._rows, *self._totals, strict=True)
        widths = [max(map(len, column)) for column in columns]
        rows = self._rows[1:]
        if self._connected:  # the last column, which is the only one that is wrapped
            room = (self._line_length or WIDTH) - sum(widths[:-1]) - 2 * (len(widths) - 1)
            rows = [part for row in rows for part in _wrapped(row, max(room, NARROWEST))]
            widths[-1] = max(len(row[-1]) for row in [self._rows[0], *rows])
        width = sum(widths) + 2 * (len(widths) - 1)
        if self._line_length is not None and self._line_length > width:
            widths[0] += self._line_length - width
            width = self._line_length
        yield self._title
        yield _line(self._rows[0], widths)
        yield "-" * width
        for row in rows:
            yield _line(row, widths)
        yield "-" * width
        for row in self._totals:
            yield _line(row, widths)
        if self._note:
            yield self._note

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        rules = [1, len(self._rows)]
        table = html_table([*self._rows, *self._totals], left=2, rules=rules)
        return paragraph(self._title) + table + (paragraph(self._note) if self._note else "")


def _wrapped(row: tuple[str, ...], width: int) -> Iterator[tuple[str, ...]]:
    """Yield a row, and what is too long for its last column in further ones."""
    lines = [""]
    for name in row[-1].split(", "):
        if lines[-1] and len(lines[-1]) + len(name) + 3 > width:
            lines[-1] += ","
            lines.append("")
        lines[-1] += f", {name}" if lines[-1] else name
    yield *row[:-1], lines[0]
    for line in lines[1:]:
        yield *([""] * (len(row) - 1)), line


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [f"{row[i]:{'>' if i in (2, 3) else '<'}{w}}" for i, w in enumerate(widths)]
    return "  ".join(cells).rstrip()


def _totals(model: TrainableModel) -> Iterator[tuple[str, ...]]:
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
