"""One step of a convolutional LSTM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_integer
from netlayers.core.shapes import shown_shape
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.kernels.convolution import channel_sums
from netlayers.kernels.select import kernels
from netlayers.kernels.windows import Windows
from netlayers.layers.lstm import LSTMCell
from netlayers.layers.spatial import LARGEST_SIZE, WindowLayer, per_axis

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.kernels.memory import Workspace
    from netlayers.layers.gated_cell import Masks


class ConvLSTMCell(LSTMCell, WindowLayer):
    """One step of :class:`ConvLSTM2D` and its forms on one and three axes.

    It is an :class:`LSTMCell` at each place, whose products are convolutions. They are computed
    with the channels last.

    Shapes: the inputs x (batch, *sizes, channels), h and c (batch, *new sizes, filters); the
    outputs h, h and c; with the channels first in the order of ``data_format``.

    Args:
        rank: number of spatial axes.
        filters: number of channels of the states.
        kernel_size: size of both kernels along each axis.
        strides: of the windows on x.
        padding: of the windows on x, ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"`` or ``"channels_first"``.
        dilation_rate: of the windows on x.
        kwargs: those of :class:`LSTMCell`.
    """

    _runs_all_steps = False

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(check_integer("ConvLSTMCell", "filters", filters, minimum=1), **kwargs)
        self.filters, self._rank = self.units, rank
        self._set_kernel(kernel_size, strides, padding, data_format, dilation_rate)
        owner = type(self).__name__
        per_axis(owner, "dilation_rate", list(self.dilation_rate), rank, maximum=LARGEST_SIZE)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ConfigurationError(
                f"{owner}: strides and dilation_rate cannot both be above 1, got "
                f"{self.strides} and {self.dilation_rate}."
            )

    @property
    def _window(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.kernel_size

    # Shapes ----------------------------------------------------------------------------------

    def _state_shapes_for(self, step: Any) -> list[tuple[int, ...]]:
        """Return the shapes of the states of a sample, for steps of this shape."""
        sizes, _ = self._split_shape(step)
        if None in sizes:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): the sizes of the axes must be known, got "
                f"steps of shape {shown_shape(step)}."
            )
        _, *shape = self._joined_shape(None, self._counts(sizes), self.filters)
        return [tuple(shape)] * 2  # type: ignore[arg-type]

    def build(self, input_shape: Any) -> None:
        """Declare both kernels, (*kernel_size, channels, 4 filters), and ``bias``."""
        channels = self._known_channels(input_shape[0])
        self.state_size = self._state_shapes_for(input_shape[0])
        columns = 4 * self.filters
        self._declare(
            (*self.kernel_size, channels, columns), (*self.kernel_size, self.filters, columns)
        )

    def _both_windows(self, sizes: tuple[int, ...]) -> tuple[Windows, Windows]:
        """Return the windows on x, and those on h: at each place, with zeros around it."""
        on_x, ones = self._windows(sizes), (1,) * self._rank
        before = tuple((k - 1) // 2 for k in self.kernel_size)
        return on_x, Windows(on_x.counts, self.kernel_size, ones, ones, before, on_x.counts)

    # Dropout ---------------------------------------------------------------------------------

    @property
    def _drops_by_gate(self) -> bool:
        """Always, as in Keras."""
        return self.random and not self._at_inference

    def _draw_masks(self, count: int, memory: Workspace | None = None) -> Masks:
        """Return the dropout masks of x and h, (gates, batch, *sizes, channels)."""
        memory = self.workspace if memory is None else memory
        given: Any = self.input_shape
        shapes: list[Any] = []
        for shape in given[:2]:
            sizes, channels = self._split_shape(shape)
            shapes.append((4, count, *sizes, channels))
        return (
            self._mask("x", self.dropout, shapes[0], memory),
            self._mask("h", self.recurrent_dropout, shapes[1], memory),
        )

    # One step --------------------------------------------------------------------------------

    def forward(self, x: Any, training: bool = False, masks: Masks | None = None) -> Any:
        """Compute the gates, and the new states; ``*`` is the convolution.

        With ``(z_i, z_f, z_g, z_o) = W * x + U * h + b``, s the recurrent activation, a the other:

        ``i = s(z_i)``, ``f = s(z_f)``, ``g = a(z_g)``, ``o = s(z_o)``,
        ``new c = f c + i g``, ``new h = o a(new c)``.
        """
        x, h, c = (
            self._arranged(f"{name} last", a, training)
            for name, a in zip("xhc", self.prepare(x), strict=True)
        )
        windows = self._both_windows(x.shape[1:-1])
        count, filters = len(x), self.filters
        if training:
            for_x, for_h = self.cache.masks = masks or self._draw_masks(count)
            if for_x is not None:
                x = np.multiply(x, for_x, out=self.buffer("dropped x", for_x.shape))
            if for_h is not None:
                h = np.multiply(h, for_h, out=self.buffer("dropped h", for_h.shape))
            self.cache.x, self.cache.h, self.cache.windows = x, h, windows
        z = self._convolved("z", x, self.kernel, windows[0], training)
        inner = self._convolved("inner", h, self.recurrent_kernel, windows[1], training)
        np.add(z, inner, out=z)
        if self.use_bias:
            np.add(z, self.bias, out=z)
        rows = z.reshape(-1, 4 * filters), c.reshape(-1, filters)
        new_h, _, new_c = (
            a.reshape(count, *windows[0].counts, filters) for a in self._new_states(*rows, training)
        )
        new_h = self._arranged_back("h first", new_h, training)
        return new_h, new_h, self._arranged_back("c first", new_c, training)

    def backward(self, dy: Any) -> Any:
        """Return the gradients of x, h and c.

        ``dz`` is as in :class:`LSTMCell`. ``dW[q] = Σ x[n, stride p + dilation q]ᵀ dz[n, p]`` over
        samples n and places p, ``dU[q] = Σ h[n, p + q]ᵀ dz[n, p]``, ``db = Σ dz[n, p]``, and dx and
        dh are the transposed convolutions of dz.
        """
        windows, masks = self.cache.windows, self.cache.masks
        filters, counts = self.filters, windows[0].counts
        shape: Any = self._joined_shape(self.cache.x.shape[-2 - self._rank], counts, filters)
        d_h, d_new, dc = (
            self._arranged(f"d{i} last", self.check_gradient(d, shape)) for i, d in enumerate(dy)
        )
        dh = np.add(d_h, d_new, out=self.buffer("dy", d_h.shape))
        dz, dc = self._logits_gradient(dh.reshape(-1, filters), dc.reshape(-1, filters))
        dz = dz.reshape(*dh.shape[:-1], 4 * filters)
        if self._trainable and self.use_bias:
            channel_sums(dz, self.d_bias)
        given = (
            ("x", self.cache.x, self.kernel, "d_kernel"),
            ("h", self.cache.h, self.recurrent_kernel, "d_recurrent_kernel"),
        )
        found = [
            self._convolved_back(name, a, weight, getattr(self, d), dz, its, mask)
            for (name, a, weight, d), its, mask in zip(given, windows, masks, strict=True)
        ]
        found.append(self._arranged_back("dc first", dc.reshape(dh.shape)))
        return tuple(found)

    def _convolved(
        self, name: str, a: Array, weight: Array, windows: Windows, training: bool
    ) -> Array:
        """Return the logits of all gates; with dropout, each gate sees an array of its own."""
        by_gate = a.ndim > self._rank + 2
        shape = (a.shape[1 if by_gate else 0], *windows.counts)
        z = self.buffer(name, (*shape, 4 * self.filters), training)
        if not by_gate:
            kernels.convolve(a, weight, windows, z)
            return z
        part = self.buffer(f"{name} of a gate", (*shape, self.filters))
        for its, own in zip(a, self._columns(), strict=True):
            kernels.convolve(its, np.ascontiguousarray(weight[..., own]), windows, part)
            np.copyto(z[..., own], part)
        return z

    def _convolved_back(
        self,
        name: str,
        a: Array,
        weight: Array,
        d_weight: Array,
        dz: Array,
        windows: Windows,
        mask: Array | None,
    ) -> Array:
        """Write the gradient of a kernel, and return that of what it is convolved with."""
        by_gate = a.ndim > self._rank + 2
        da = self.buffer(f"d{name}", a.shape[1:] if by_gate else a.shape)
        if not by_gate:
            if self._trainable:
                kernels.convolve_kernel_gradient(a, dz, windows, d_weight)
            kernels.convolve_input_gradient(dz, weight, windows, da)
            return self._arranged_back(f"d{name} first", da)
        da.fill(0)
        part = self.buffer(f"d{name} of a gate", da.shape)
        d_gate = self.buffer("dz of a gate", (*dz.shape[:-1], self.filters))
        for its, own, factors in zip(a, self._columns(), mask, strict=True):  # type: ignore[arg-type]
            np.copyto(d_gate, dz[..., own])
            own_weight = np.ascontiguousarray(weight[..., own])
            if self._trainable:
                d_own = np.empty_like(own_weight)
                kernels.convolve_kernel_gradient(its, d_gate, windows, d_own)
                d_weight[..., own] = d_own
            kernels.convolve_input_gradient(d_gate, own_weight, windows, part)
            np.add(da, np.multiply(part, factors, out=part), out=da)
        return self._arranged_back(f"d{name} first", da)

    def _columns(self) -> list[slice]:
        """Return the columns of each gate."""
        return [slice(k * self.filters, (k + 1) * self.filters) for k in range(4)]
