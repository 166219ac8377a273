"""The simple recurrent layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.select import kernels
from netlayers.layers.gated_cell import GatedCell
from netlayers.layers.gated_layer import GatedLayer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples
    from netlayers.kernels.axes import New
    from netlayers.layers.gated_cell import KernelCall, Masks

CELL_EXAMPLE: dict[str, Any] = {
    "kernel_initializer": "he_normal",
    "recurrent_initializer": "glorot_normal",
    "bias_initializer": "ones",
    "kernel_regularizer": "l2",
    "recurrent_regularizer": "l1",
    "bias_regularizer": "l2",
    "kernel_constraint": "unit_norm",
    "recurrent_constraint": "max_norm",
    "bias_constraint": "unit_norm",
}
# All arguments of the layers that handle time, but for return_state.
LAYER_EXAMPLE: dict[str, Any] = {
    "return_sequences": True,
    "go_backwards": True,
    "zero_output_for_mask": True,
}


@register("layer")
class SimpleRNNCell(GatedCell):
    """One step of :class:`SimpleRNN`: ``h[t] = activation(x[t] W + h[t-1] U + b)``.

    Shapes: the inputs x (batch, features) and h (batch, units); the outputs h and h.

    Args: see :class:`SimpleRNN`.

    Source:
        J. Elman, "Finding structure in time", Cognitive Science 14 (1990).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> cell = nl.layers.SimpleRNNCell(4)
        >>> y, states = cell(np.ones((2, 3)), [np.zeros((2, 4))])
        >>> y.shape, len(states)
        ((2, 4), 1)
    """

    _gates = 1

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        shapes = ((4, 3), (4, 2))
        return [
            ({"units": 2}, shapes),
            ({"units": 2, "activation": "relu", "use_bias": False}, shapes),
            ({"units": 2, "dropout": 0.3, "recurrent_dropout": 0.5, "seed": 3}, shapes),
            ({"units": 2, **CELL_EXAMPLE}, shapes),
        ]

    def forward(self, x: Any, training: bool = False, masks: Masks | None = None) -> Any:
        """``z = x W + h U + b``, ``y = activation(z)``, which is also the new state.

        Args:
            x: the inputs and the states.
            training: whether to cache what backward needs, and to drop entries.
            masks: dropout masks of x and h, such as those of a layer that runs the cell; by default
                new ones.
        """
        x, h, _ = self._started(x, training, masks)
        z = self._product("z", x, self.kernel, training)
        np.add(z, self._product("inner", h, self.recurrent_kernel, training), out=z)
        if self.use_bias:
            np.add(z, self.bias, out=z)
        y = self.activation.forward(z, training, inplace=True)
        return y, y

    def backward(self, dy: Any) -> Any:
        """``dz = dy activation'(z)``, with dy of both outputs.

        ``dW = xᵀ dz``, ``dU = hᵀ dz``, ``db = Σ dz``, ``dx = dz Wᵀ``, ``dh = dz Uᵀ``.
        """
        dz = self.activation.backward(self._summed(*dy))
        if self._trainable and self.use_bias:
            np.sum(dz, axis=0, out=self.d_bias)
        return self._input_gradient(dz), self._state_gradient(dz)

    def _kernel_call(
        self, x: Array, states: list[Array], absent: Array | None, new: New
    ) -> KernelCall:
        """``h[t] = tanh(x[t] W + b + h[t-1] U)``; see ``kernels.simple_rnn_forward``."""
        weights = self.kernel, self.bias, self.recurrent_kernel
        return kernels.simple_rnn_forward, (x, *weights, *states, absent, new), {}

    def _run_all_backward(
        self,
        layer: Any,
        dy: Array | None,
        d_states: list[Array | None],
        absent: Array | None,
        input_gradient: bool,
    ) -> tuple[Array | None, list[Array]]:
        """As :meth:`backward` for each step; see ``kernels.simple_rnn_backward``."""
        cache = layer.cache
        (dh,), out = self._run_back(layer, d_states, input_gradient)
        kernels.simple_rnn_backward(
            dy, dh, cache.series, self.kernel, self.recurrent_kernel, cache.steps[0], absent, **out,
        )  # fmt: skip
        return self._run_dropped(layer, out["dx"]), [dh]


@register("layer")
class SimpleRNN(GatedLayer):
    """Recurrent layer: ``h[t] = activation(x[t] W + h[t-1] U + b)``, over the steps t of a series.

    Shapes: ``x`` (batch, steps, features), ``W`` = ``kernel`` (features, units), ``U`` =
    ``recurrent_kernel`` (units, units), ``b`` = ``bias`` (units,); the output is the last h (batch,
    units), or with ``return_sequences`` all (batch, steps, units).

    Args:
        units: number of units.
        activation: name, function of ``netlayers.activations`` or activation object; ``None`` for
            none.
        use_bias: whether to add ``b``.
        kernel_initializer: fills ``W``.
        recurrent_initializer: fills ``U``.
        bias_initializer: fills ``b``.
        kernel_regularizer: penalty on ``W``.
        recurrent_regularizer: penalty on ``U``.
        bias_regularizer: penalty on ``b``.
        kernel_constraint: constraint applied to ``W`` after each update.
        recurrent_constraint: constraint applied to ``U`` after each update.
        bias_constraint: constraint applied to ``b`` after each update.
        dropout: fraction of the entries of x to drop in training, in [0, 1); all steps of a sample
            drop the same.
        recurrent_dropout: the same for h where it meets ``U``.
        seed: seed of a random stream for the dropout of this layer alone; by default the stream is
            derived from the model's seed.
        kwargs: ``return_sequences``, ``return_state``, ``go_backwards``, ``stateful``,
            ``zero_output_for_mask``: see :class:`RNN`; ``name``, ``trainable``, ``dtype``.

    Source:
        J. Elman, "Finding structure in time", Cognitive Science 14 (1990); backward: P. Werbos,
        "Backpropagation through time: what it does and how to do it", Proceedings of the IEEE 78
        (1990).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.SimpleRNN(4, return_sequences=True)
        >>> layer.forward(np.ones((2, 5, 3)), training=True).shape
        (2, 5, 4)
        >>> layer.backward(np.ones((2, 5, 4))).shape, layer.d_recurrent_kernel.shape
        ((2, 5, 3), (4, 4))
    """

    _cell_class = SimpleRNNCell

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return layer_examples()


def layer_examples() -> Examples:
    """Return examples of a layer with a gated cell."""
    return [
        ({"units": 3}, (3, 4, 2)),
        ({"units": 2, **LAYER_EXAMPLE, "use_bias": False}, (3, 4, 2)),
        ({"units": 2, "activation": "softsign", "return_state": True}, (2, 3, 2)),
        ({"units": 2, "activation": "sigmoid", **LAYER_EXAMPLE}, (2, 3, 2)),
        (
            {"units": 2, "dropout": 0.3, "recurrent_dropout": 0.5, "seed": 3, **LAYER_EXAMPLE},
            (3, 4, 3),
        ),
        ({"units": 2, "stateful": True}, (2, 3, 2)),
        ({"units": 2, **CELL_EXAMPLE}, (2, 3, 2)),
    ]
