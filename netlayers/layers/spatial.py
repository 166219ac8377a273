"""Base class of layers on images, series and volumes: arrays with spatial axes and channels."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from netlayers.checks import LARGEST_INTEGER, check_choice, check_integer
from netlayers.core.shapes import shown_shape
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.kernels.windows import Windows
from netlayers.layers.arranging import ArrangingLayer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlayers._typing import Shape

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_KINDS = {1: "series", 2: "images", 3: "volumes"}
_FORMATS = ("channels_last", "channels_first")
# Largest size of an axis that a layer is asked for.
LARGEST_SIZE = 1 << 16


def lower_case(value: Any) -> Any:
    """Return a text in lower case, as Keras takes ``"SAME"`` for ``"same"``; others as they are."""
    return value.lower() if isinstance(value, str) else value


def per_axis(
    owner: str,
    argument: str,
    value: Any,
    rank: int,
    minimum: int = 1,
    maximum: int | None = LARGEST_INTEGER,
) -> tuple[int, ...]:
    """Return one integer, or one for each spatial axis, as a tuple.

    Raises:
        ConfigurationError: it is neither.
    """
    values = list(value) if isinstance(value, (list, tuple)) else [value] * rank
    if len(values) != rank:
        raise ConfigurationError(
            f"{owner}: {argument} must be an integer, or a tuple of {rank} ({', '.join(AXES[rank])}"
            f"), got {value!r}."
        )
    name = argument if not isinstance(value, (list, tuple)) else f"each of {argument}"
    return tuple(
        check_integer(owner, name, one, minimum=minimum, maximum=maximum) for one in values
    )


def pairs_per_axis(owner: str, argument: str, value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """Return numbers of entries before and after each spatial axis, as a tuple of pairs.

    Args:
        owner: the name of the layer, used in messages.
        argument: the name of ``value``, used in messages.
        value: an integer for all, or for each axis an integer or a pair; with a single axis also
            a pair alone.
        rank: number of spatial axes.

    Raises:
        ConfigurationError: it is none of these.
    """
    several = isinstance(value, (list, tuple))
    if rank == 1 and several:
        value = [value]
    values = list(value) if several else [value] * rank
    if len(values) != rank or any(isinstance(v, (list, tuple)) and len(v) != 2 for v in values):
        axes = ", ".join(f"(before, after) of the {axis}" for axis in AXES[rank])
        either = "a pair" if rank == 1 else f"a tuple of {rank} integers or pairs"
        raise ConfigurationError(
            f"{owner}: {argument} must be an integer >= 0 or {either}, {axes}, got {value!r}."
        )
    found = []
    for entry in values:
        pair = entry if isinstance(entry, (list, tuple)) else (entry, entry)
        name = f"each of {argument}" if several else argument
        before, after = (check_integer(owner, name, one, minimum=0) for one in pair)
        found.append((before, after))
    return tuple(found)


class SpatialLayer(ArrangingLayer):
    """Base class of layers on inputs with spatial axes and channels.

    They compute with the channels last. With ``data_format="channels_first"``, the input is copied
    into that order and the output back.
    """

    # Number of spatial axes.
    _rank = 2
    _in_threads = True  # see Network
    _takes_empty = True  # whether an axis of the input may have the size 0

    def _set_kernel(
        self,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        paddings: tuple[str, ...] = ("valid", "same"),
    ) -> None:
        """Store the arguments that all convolutions have, checked."""
        owner, rank = type(self).__name__, self._rank
        self.kernel_size = per_axis(owner, "kernel_size", kernel_size, rank)
        self.strides = per_axis(owner, "strides", strides, rank)
        self.padding = check_choice(owner, "padding", lower_case(padding), paddings)
        self._set_data_format(data_format)
        self.dilation_rate = per_axis(owner, "dilation_rate", dilation_rate, rank)

    def _set_data_format(self, data_format: str | None) -> None:
        """Store ``data_format``; ``None`` stands for ``"channels_last"``."""
        owner = type(self).__name__
        given = "channels_last" if data_format is None else lower_case(data_format)
        self.data_format = check_choice(owner, "data_format", given, _FORMATS)
        axes = list(range(2 + self._rank))
        first = self.data_format == "channels_first"
        self._set_order([0, *axes[2:], 1] if first else axes)

    def _split_shape(self, shape: Shape) -> tuple[tuple[int | None, ...], int | None]:
        """Return the sizes of the spatial axes and the number of channels.

        Raises:
            ShapeError: there are more or fewer axes, or an axis is empty and must not be.
        """
        if len(shape) != 2 + self._rank:
            names = [*AXES[self._rank], "channels"]
            if self._order is not None:
                names = [names[-1], *names[:-1]]
            hint = ""
            if len(shape) == 1 + self._rank:
                hint = " For one channel, add its axis: x[..., None]."
                if self._order is not None:
                    hint = " For one channel, add its axis: x[:, None]."
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): expected {_KINDS[self._rank]} of shape "
                f"(batch, {', '.join(names)}), got {shown_shape(shape)}.{hint}"
            )
        if not self._takes_empty and 0 in shape[1:]:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): there is nothing in {_KINDS[self._rank]} "
                f"of shape {shown_shape((None, *shape[1:]))}; each axis must have a size of at "
                "least 1."
            )
        if self._order is None:
            return shape[1:-1], shape[-1]
        return shape[2:], shape[1]

    def _refuse_empty(self, shape: Shape) -> None:
        """Raise a ShapeError if there is nothing to pool along a spatial axis."""
        for axis, size in zip(AXES[self._rank], self._split_shape(shape)[0], strict=True):
            if size == 0:
                raise ShapeError(
                    f"{self.owner} ({type(self).__name__}): {axis} 0 leaves nothing to pool, in an "
                    f"input of shape {shown_shape((None, *shape[1:]))}."
                )

    def _joined_shape(
        self, batch: int | None, sizes: Sequence[int | None], channels: int | None
    ) -> Shape:
        """Return a shape in the order of ``data_format``."""
        if self._order is None:
            return (batch, *sizes, channels)
        return (batch, channels, *sizes)

    @property
    def _first_axis(self) -> int:
        """The first spatial axis of the input."""
        return 1 if self._order is None else 2

    def _at(self, slices: Iterable[Any]) -> tuple[Any, ...]:
        """Return the index of an input with these slices of its spatial axes."""
        return (slice(None),) * self._first_axis + (*slices,)

    def _known_channels(self, shape: Shape) -> int:
        """Return the number of channels.

        Raises:
            ShapeError: it is unknown.
        """
        channels = self._split_shape(shape)[1]
        if channels is None:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): the number of channels must be known, got "
                f"an input of shape {shown_shape(shape)}."
            )
        return channels

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the rank or a size differs from what the layer was built for."""
        self._split_shape(shape)
        super().check_input_shape(shape)


class WindowLayer(SpatialLayer):
    """Base class of layers whose output is computed from a window of the input at each place.

    A subclass sets ``_window`` (its sizes), ``strides``, ``dilation_rate`` and ``padding``.
    """

    _window: tuple[int, ...]
    strides: tuple[int, ...]
    dilation_rate: tuple[int, ...]
    padding: str
    # How messages call the window.
    _window_name = "kernel"

    def _counts(self, sizes: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the number of windows along each axis: the sizes of the output.

        With the extent ``e = (kernel - 1) dilation + 1`` they are ``(size - e) // stride + 1`` for
        ``"valid"``, ``⌈size / stride⌉`` for ``"same"`` and ``"causal"``.

        Raises:
            ShapeError: the input is smaller than the kernel.
        """
        counts: list[int | None] = []
        for axis, n, k, s, d in zip(
            AXES[self._rank], sizes, self._window, self.strides, self.dilation_rate, strict=True
        ):
            extent = (k - 1) * d + 1
            if n is None:
                counts.append(None)
            elif self.padding != "valid":
                counts.append(-(-n // s))
            elif n >= extent:
                counts.append((n - extent) // s + 1)
            else:
                reach = f"{k} with dilation {d}, which reaches over {extent}" if d > 1 else k
                raise ShapeError(
                    f"{self.owner} ({type(self).__name__}): {axis} {n} is less than the "
                    f"{self._window_name} {reach}. Use padding='same', a smaller "
                    f"{self._window_name} or a larger input."
                )
        return tuple(counts)

    def _windows(self, sizes: tuple[int, ...]) -> Windows:
        """Return the windows on axes of these sizes.

        ``"same"`` puts half of the zeros before, rounded down, ``"causal"`` all.
        """
        counts: tuple[int, ...] = self._counts(sizes)  # type: ignore[assignment]
        return _windows(self.padding, sizes, counts, self._window, self.strides, self.dilation_rate)


@functools.lru_cache(maxsize=1024)
def _windows(
    padding: str,
    sizes: tuple[int, ...],
    counts: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Windows:
    before = []
    for n, count, k, s, d in zip(sizes, counts, window, strides, dilation, strict=True):
        reach = (k - 1) * d
        zeros = max(0, (count - 1) * s + reach + 1 - n)
        before.append({"valid": 0, "same": zeros // 2, "causal": reach}[padding])
    return Windows(sizes, window, strides, dilation, tuple(before), counts)
