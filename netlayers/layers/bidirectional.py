"""A recurrent layer in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._remade import remade
from netlayers.checks import check_choice, is_several
from netlayers.core.layer import Layer
from netlayers.errors import ConfigurationError
from netlayers.layers.network import backward_of
from netlayers.layers.recurrent import Recurrent
from netlayers.layers.series import SeriesLayer
from netlayers.registry import register, resolve

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape

MERGES = ("concat", "sum", "mul", "ave", None)


@register("layer")
class Bidirectional(SeriesLayer):
    """A recurrent layer from the first step on, another from the last step on, merged.

    ``y[t] = merge(f[t], b[t])``, where f and b are the outputs of the two layers at step t; without
    ``return_sequences``, of their last computed steps: f at the end and b at the start of the
    series. Steps that a mask leaves out are 0 in a returned series.

    Shapes: input (batch, steps, features); output (batch, 2 units), or with ``return_sequences``
    of the layer (batch, steps, 2 units); units without the 2 unless ``merge_mode`` is ``"concat"``.
    With ``return_state`` of the layer, the states of both follow, those of the first before.

    Args:
        layer: a recurrent layer; its configuration is used, its weights are not.
        merge_mode: ``"concat"``, ``"sum"``, ``"mul"`` (the product), ``"ave"`` (the mean), or
            ``None`` for both outputs.
        weights: initial values of the weights, those of both layers. Not part of the configuration.
        backward_layer: the layer for the other direction, with ``go_backwards=True``; by default
            like ``layer``, with weights of its own.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ConfigurationError: the layers are not recurrent, or do not match.

    Source:
        M. Schuster, K. Paliwal, "Bidirectional recurrent neural networks", IEEE Transactions on
        Signal Processing 45 (1997).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Bidirectional(nl.layers.LSTM(4, return_sequences=True))
        >>> layer(np.ones((2, 5, 3))).shape
        (2, 5, 8)
    """

    can_skip_input_gradient = True
    _not_stored = ("input_shape", "input_dim", "weights")

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.merge_mode = check_choice("Bidirectional", "merge_mode", merge_mode, MERGES)
        first = self._copied("layer", layer, "forward")
        self._own_backward = backward_layer is not None
        if backward_layer is None:
            second = self._copied("layer", layer, "backward", go_backwards=not first.go_backwards)
        else:
            second = self._copied("backward_layer", backward_layer, "backward")
        if first.go_backwards == second.go_backwards:
            raise ConfigurationError(
                "Bidirectional: layer and backward_layer must differ in go_backwards, both have "
                f"go_backwards={first.go_backwards}."
            )
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(first, name) != getattr(second, name):
                raise ConfigurationError(
                    f"Bidirectional: layer and backward_layer must have the same {name}, got "
                    f"{getattr(first, name)} and {getattr(second, name)}."
                )
        for one in (first, second):
            one.zero_output_for_mask = one.return_sequences
        self._add_sublayers("layer", [first, second])
        self.random = first.random or second.random
        self.same_in_training = not self.random
        self._given_weights = weights

    @staticmethod
    def _copied(argument: str, layer: Any, direction: str, **changed: Any) -> Recurrent:
        """Return a new layer of the configuration of a layer."""
        if isinstance(layer, dict):
            layer = resolve("layer", layer, Layer)
        if not isinstance(layer, Recurrent):
            got = type(layer).__name__ if isinstance(layer, Layer) else repr(layer)
            raise ConfigurationError(
                f"Bidirectional: {argument} must be a recurrent layer, such as LSTM(32), GRU(32) "
                f"or RNN(cell), got {got}."
            )
        name = layer.name.removeprefix("forward_").removeprefix("backward_")
        changed |= {"name": f"{direction}_{name}"}
        if hasattr(layer, "use_cudnn"):
            changed["use_cudnn"] = layer.use_cudnn
        return remade(layer, **changed)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""

        def recurrent(kind: str, **config: Any) -> dict[str, Any]:
            return {"class_name": kind, "config": {"units": 2, **config}}

        back = recurrent("GRU", activation="relu", return_sequences=True, go_backwards=True)
        series = recurrent("GRU", return_sequences=True)
        return [
            ({"layer": recurrent("LSTM")}, (3, 4, 2)),
            ({"layer": series, "merge_mode": "mul"}, (2, 3, 2)),
            ({"layer": recurrent("SimpleRNN", return_state=True), "merge_mode": "ave"}, (2, 3, 2)),
            ({"layer": series, "merge_mode": "sum", "backward_layer": back}, (2, 3, 2)),
            ({"layer": series, "merge_mode": None}, (2, 3, 2)),
        ]

    @property
    def layer(self) -> Any:
        """The layer from the first step on."""
        return self.layers[0]

    forward_layer = layer

    @property
    def backward_layer(self) -> Any:
        """The layer from the last step on."""
        return self.layers[1]

    def _argument(self, name: str) -> Any:
        if name == "backward_layer" and not self._own_backward:
            return None
        return super()._argument(name)

    # Shapes ----------------------------------------------------------------------------------

    def _state_shapes(self, series: Any = None) -> list[tuple[int, ...]]:
        return [shape for layer in self.layers for shape in layer._state_shapes(series)]

    def _split(self, given: Any) -> tuple[Any, Any]:
        """Return what the two layers take, of the series and the states of both."""
        if not is_several(given) and not isinstance(given, tuple):
            return given, given
        series, *states = given
        half = len(states) // 2
        return (series, *states[:half]), (series, *states[half:])

    def _split_shape(self, shape: Any) -> tuple[Any, Any]:
        return self._split(shape) if is_several(shape) else (shape, shape)

    def build(self, input_shape: Shape) -> None:
        """Build both layers."""
        self._given_states = is_several(input_shape)
        self._build_sublayers(list(zip(self.layers, self._split_shape(input_shape), strict=True)))

    def _after_build(self) -> None:
        super()._after_build()
        if self._given_weights is not None:
            self.set_weights(self._given_weights)
            self._given_weights = None

    def check_input_shape(self, shape: Any) -> None:
        """Raise a ShapeError unless both layers take it."""
        for layer, its in zip(self.layers, self._split_shape(shape), strict=True):
            layer.check_input_shape(its)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the merged outputs, or of both, and those of the states."""
        first, second = (
            layer.compute_output_shape(its)
            for layer, its in zip(self.layers, self._split_shape(input_shape), strict=True)
        )
        states: tuple[Any, ...] = ()
        if self.layer.return_state:
            first, *before = first  # type: ignore[assignment]
            second, *after = second  # type: ignore[assignment]
            states = (*before, *after)
        if self.merge_mode is None:
            return (first, second, *states)
        if self.merge_mode == "concat":
            first = (*first[:-1], first[-1] + second[-1])  # type: ignore[operator]
        return (first, *states) if states else first

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the mask of a returned series; the states have none."""
        mask = mask[0] if isinstance(mask, tuple) else mask
        mask = mask if self.layer.return_sequences else None
        masks = (mask,) * (2 if self.merge_mode is None else 1)
        if self.layer.return_state:
            masks += (None,) * len(self._state_shapes())
        return masks if len(masks) > 1 else mask

    # Forward ---------------------------------------------------------------------------------

    def forward(
        self,
        x: Any,
        training: bool = False,
        mask: Any = None,
        mask_out: list[Any] | None = None,
    ) -> Any:
        """``y[t] = merge(f[t], b[t])``; see :meth:`Recurrent.forward`."""
        x = self.prepare(x)
        if mask_out is not None:
            mask_out.append(self.compute_mask(x, mask))
        mask = mask[0] if isinstance(mask, tuple) else mask
        outputs: list[Array] = []
        states: list[Array] = []
        calls: list[Any] = list(self.calls)
        for call, given in zip(calls, self._split(x), strict=True):
            y = call.forward(given, training, mask=mask)
            if self.layer.return_state:
                y, *its = y
                states += its
            outputs.append(y)
        if self.layer.return_sequences:
            # The order of the steps is that of the series again, in both.
            outputs = [self._in_order(i, y, training) for i, y in enumerate(outputs)]
        if training:
            self.cache.outputs = outputs
        if self.merge_mode is None:
            return (*outputs, *states)
        y = self._merged(outputs, training)
        return (y, *states) if self.layer.return_state else y

    def backward(self, dy: Any, input_gradient: bool = True) -> Any:
        """``dx = dx_f + dx_b``, from the parts of dy that belong to f and b.

        These are slices of dy (concat), dy (sum), dy / 2 (ave), or dy times the other output
        (mul).
        """
        outputs = self.cache.outputs
        given = list(dy) if isinstance(dy, tuple) else [dy]
        count = 2 if self.merge_mode is None else 1
        parts, d_states = given[:count], given[count:]
        if self.merge_mode is not None:
            parts = self._parted(parts[0], outputs)
        d_states = [
            self.check_gradient(d, (len(outputs[0]), *shape))
            for d, shape in zip(d_states, self._state_shapes(), strict=bool(d_states))
        ]
        half = len(d_states) // 2
        series: list[Any] = []
        first: list[Any] = []
        for i, call in enumerate(self.calls):
            d = parts[i]
            if d is not None:
                d = self.check_gradient(d, outputs[i].shape)
                if self.layer.return_sequences:
                    d = self._in_order(i, d, True, "d ordered")
            its = d_states[half * i : half * (i + 1)]
            dx = backward_of(call, (d, *its) if its else d, input_gradient)
            if isinstance(dx, tuple):
                dx, *more = dx
                first += more
            series.append(dx)
        total = None
        if input_gradient:
            total = np.add(series[0], series[1], out=self.buffer("dx", series[0].shape))
        return (total, *first) if first else total

    def _in_order(self, i: int, y: Array, training: bool, name: str = "ordered") -> Array:
        """Return a series of layer i in the other order, if that layer goes backwards."""
        if not self.layers[i].go_backwards:
            return y
        out = self.buffer(f"{name} {i}", y.shape, training)
        np.copyto(out, y[:, ::-1])
        return out

    def _merged(self, outputs: list[Array], training: bool) -> Array:
        f, b = outputs
        if self.merge_mode == "concat":
            y = self.buffer("y", (*f.shape[:-1], f.shape[-1] + b.shape[-1]), training)
            return np.concatenate((f, b), axis=-1, out=y)
        y = self.buffer("y", f.shape, training)
        if self.merge_mode == "mul":
            return np.multiply(f, b, out=y)
        np.add(f, b, out=y)
        return np.multiply(y, 0.5, out=y) if self.merge_mode == "ave" else y

    def _parted(self, dy: Any, outputs: list[Array]) -> list[Any]:
        """Return the gradients of both outputs."""
        f, b = outputs
        if dy is None:
            return [None, None]
        if self.merge_mode == "concat":
            units = f.shape[-1]
            dy = self.check_gradient(dy, (*f.shape[:-1], units + b.shape[-1]))
            parts = [self.buffer(f"dy {i}", a.shape) for i, a in enumerate(outputs)]
            np.copyto(parts[0], dy[..., :units])
            np.copyto(parts[1], dy[..., units:])
            return parts
        dy = self.check_gradient(dy, f.shape)
        if self.merge_mode == "sum":
            return [dy, dy]
        if self.merge_mode == "ave":
            return [np.multiply(dy, 0.5, out=self.buffer("dy 0", dy.shape))] * 2
        others = (b, f)
        return [
            np.multiply(dy, other, out=self.buffer(f"dy {i}", dy.shape))
            for i, other in enumerate(others)
        ]
