"""Gated recurrent units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import activations
from netlayers.checks import check_choice, check_flag, check_integer
from netlayers.kernels.memory import constant
from netlayers.kernels.select import kernels
from netlayers.layers.gated_cell import GatedCell, multiply, of_gate, weight_gradient
from netlayers.layers.gated_layer import GatedLayer
from netlayers.layers.simple_rnn import CELL_EXAMPLE, layer_examples
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Identifier
    from netlayers.kernels.axes import New
    from netlayers.layers.gated_cell import KernelCall, Masks


@register("layer")
class GRUCell(GatedCell):
    """One step of :class:`GRU`.

    Shapes: the inputs x (batch, features) and h (batch, units); the outputs h and h.

    Args: see :class:`GRU`.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> cell = nl.layers.GRUCell(4)
        >>> y, states = cell(np.ones((2, 3)), [np.zeros((2, 4))])
        >>> y.shape, len(states)
        ((2, 4), 1)
    """

    _gates = 3

    def __init__(
        self,
        units: int,
        activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid",
        use_bias: bool = True,
        *,
        reset_after: bool = True,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = check_flag("GRUCell", "reset_after", reset_after)
        self.implementation = check_integer(
            "GRUCell", "implementation", implementation, minimum=0, maximum=2
        )
        self._set_dtype(self._dtype)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        shapes = ((4, 3), (4, 2))
        return [
            ({"units": 2}, shapes),
            ({"units": 2, "reset_after": False, "activation": "softsign"}, shapes),
            ({"units": 2, "use_bias": False, "recurrent_activation": "hard_sigmoid"}, shapes),
            ({"units": 2, "dropout": 0.3, "recurrent_dropout": 0.5, "seed": 3}, shapes),
            ({"units": 2, "dropout": 0.3, "implementation": 1}, shapes),
            ({"units": 2, "reset_after": False, "recurrent_dropout": 0.5}, shapes),
            ({"units": 2, **CELL_EXAMPLE}, shapes),
        ]

    def _bias_shape(self) -> tuple[int, ...]:
        columns = self._gates * self.units
        return (2, columns) if self.reset_after else (columns,)

    def _biases(self) -> tuple[Array, Array]:
        """Return the biases of x W and of h U; that of h U is 0 without ``reset_after``."""
        nothing = constant(0, (self._gates * self.units,), self._dtype)
        if not self.use_bias:
            return nothing, nothing
        return (self.bias[0], self.bias[1]) if self.reset_after else (self.bias, nothing)

    def forward(self, x: Any, training: bool = False, masks: Masks | None = None) -> Any:
        """Compute the gates z and r, the new value g, and the new state.

        With s the recurrent activation, a the other, and the columns z, r and g of W and U:

        ``z = s(x W_z + h U_z + b_z)``, ``r = s(x W_r + h U_r + b_r)``,
        ``g = a(x W_g + b_g + r (h U_g + b'_g))``, or without ``reset_after``
        ``g = a(x W_g + b_g + (r h) U_g)``, ``new h = z h + (1 - z) g``.

        Args:
            x: the inputs and the states.
            training: whether to cache what backward needs, and to drop entries.
            masks: dropout masks of x and h, such as those of a layer that runs the cell; by default
                new ones.
        """
        x, hd, (h,) = self._started(x, training, masks)
        count, units = h.shape
        b_x, b_h = self._biases()
        z = self._product("z", x, self.kernel, training)
        np.add(z, b_x, out=z)
        u = self.recurrent_kernel
        if self.reset_after:
            inner = self._product("inner", hd, u, training)
        else:
            h_zr = of_gate(hd, slice(2))
            inner = self._product("inner", h_zr, u[:, : 2 * units], training)
        np.add(inner, b_h[: inner.shape[1]], out=inner)
        np.add(z[:, : 2 * units], inner[:, : 2 * units], out=z[:, : 2 * units])
        gates = self.buffer("gates", (2, count, units), training)
        np.copyto(gates, z[:, : 2 * units].reshape(count, 2, units).swapaxes(0, 1))
        gates = self.recurrent_activation.forward(gates, training, inplace=True)
        z_gate, r = gates
        z_g = self.buffer("g", (count, units), training)
        if self.reset_after:
            np.multiply(r, inner[:, 2 * units :], out=z_g)
        else:
            reset = self.buffer("reset", (count, units), training)
            inner = np.multiply(r, of_gate(hd, 2), out=reset)
            multiply(inner, u[:, 2 * units :], z_g)
        np.add(z_g, z[:, 2 * units :], out=z_g)
        g = self.activation.forward(z_g, training, inplace=True)
        new_h = np.subtract(h, g, out=self.buffer("h", (count, units), training))
        np.multiply(new_h, z_gate, out=new_h)
        np.add(new_h, g, out=new_h)
        if training:
            self.cache.h_before, self.cache.inner = h, inner
            self.cache.gates, self.cache.g = gates, g
        return new_h, new_h

    def backward(self, dy: Any) -> Any:
        """Return the gradients of x and h.

        With dh of both outputs, ``dz = dh (h - g)`` and ``dg = dh (1 - z)``, each by the slope of
        its activation, and with ``reset_after``: ``dr = dg (h U_g + b'_g)``; the gradient of h U_g
        is ``dg r``. Without: ``d(r h) = dg U_gᵀ``, ``dr = d(r h) h``. The gradient of h is ``dh z``
        and what comes from the products with U.
        """
        dh = self._summed(*dy)
        z_gate, r = self.cache.gates
        h, hd = self.cache.h_before, self.cache.h  # without and with dropout
        inner, mask = self.cache.inner, self.cache.masks[1]
        mask_zr = None if mask is None else of_gate(mask, slice(2))
        count, units = dh.shape
        d_gates = self.buffer("d gates", (2, count, units))
        np.subtract(h, self.cache.g, out=d_gates[0])
        np.multiply(d_gates[0], dh, out=d_gates[0])
        d_g = np.subtract(1, z_gate, out=self.buffer("d g", dh.shape))
        d_g = self.activation.backward(np.multiply(d_g, dh, out=d_g))
        u_g = self.recurrent_kernel[:, 2 * units :]
        if self.reset_after:
            np.multiply(d_g, inner[:, 2 * units :], out=d_gates[1])
        else:
            d_reset = np.matmul(d_g, u_g.T, out=self.buffer("d reset", dh.shape))
            np.multiply(d_reset, of_gate(hd, 2), out=d_gates[1])
        d_z = self.buffer("dz", (count, 3 * units))
        d_z[:, : 2 * units].reshape(count, 2, units)[...] = self.recurrent_activation.backward(
            d_gates
        ).swapaxes(0, 1)
        d_z[:, 2 * units :] = d_g
        d_h = self.buffer("dz h", d_z.shape)  # the gradient of h U
        np.copyto(d_h, d_z)
        np.multiply(d_g, r, out=d_h[:, 2 * units :])
        np.multiply(dh, z_gate, out=dh)
        if self._trainable and self.use_bias:
            np.sum(d_z, axis=0, out=self.d_bias[0] if self.reset_after else self.d_bias)
            if self.reset_after:
                np.sum(d_h, axis=0, out=self.d_bias[1])
        dx = self._input_gradient(d_z)
        if self.reset_after:
            return dx, np.add(dh, self._state_gradient(d_h), out=dh)
        d_zr, d_u = d_z[:, : 2 * units], self.d_recurrent_kernel
        if self._trainable:
            weight_gradient(of_gate(hd, slice(2)), d_zr, d_u[:, : 2 * units])
            np.matmul(inner.T, d_g, out=d_u[:, 2 * units :])
        through = self._back("dh", d_zr, self.recurrent_kernel[:, : 2 * units], mask_zr)
        np.multiply(d_reset, r, out=d_reset)
        if mask is not None:
            np.multiply(d_reset, of_gate(mask, 2), out=d_reset)
        np.add(dh, d_reset, out=dh)
        return dx, np.add(dh, through, out=dh)

    def _kernel_call(
        self, x: Array, states: list[Array], absent: Array | None, new: New
    ) -> KernelCall:
        """As :meth:`forward` for each step; see ``kernels.gru_forward``."""
        (h,) = states
        b, b_h = self._biases() if self.reset_after else (self.bias, None)
        gates, inner = new("gates", (*x.shape[:2], 3 * self.units)), new("inner", h[1:].shape)
        weights = self.kernel, b, self.recurrent_kernel, b_h
        arguments = (x, *weights, gates, inner, h, absent, new)
        return kernels.gru_forward, arguments, {"gates": gates, "inner": inner}

    def _run_all_backward(
        self,
        layer: Any,
        dy: Array | None,
        d_states: list[Array | None],
        absent: Array | None,
        input_gradient: bool,
    ) -> tuple[Array | None, list[Array]]:
        """As :meth:`backward` for each step; see ``kernels.gru_backward``."""
        cache = layer.cache
        (dh,), out = self._run_back(layer, d_states, input_gradient)
        biases = out.pop("d_b")
        d_b, d_b_h = biases if self.reset_after and biases is not None else (biases, None)
        kernels.gru_backward(
            dy, dh, cache.series, self.kernel, self.recurrent_kernel, cache.gates, cache.inner,
            cache.steps[0], absent, self.reset_after, d_b=d_b,
            d_b_h=d_b_h, **out,
        )  # fmt: skip
        return self._run_dropped(layer, out["dx"]), [dh]


@register("layer")
class GRU(GatedLayer):
    """Gated recurrent units: a recurrent layer whose gate z mixes the state with a new value.

    For each step t, with s the recurrent activation: ``z = s(x[t] W_z + h[t-1] U_z + b_z)``, ``r =
    s(x[t] W_r + h[t-1] U_r + b_r)``, ``g = tanh(x[t] W_g + b_g + r (h[t-1] U_g + b'_g))``, ``h[t] =
    z h[t-1] + (1 - z) g``. Without ``reset_after``, r multiplies the state before the product: ``g
    = tanh(x[t] W_g + b_g + (r h[t-1]) U_g)``.

    Shapes: ``x`` (batch, steps, features), ``W`` = ``kernel`` (features, 3 units), ``U`` =
    ``recurrent_kernel`` (units, 3 units), with the columns in the order z, r, g; ``bias`` (2, 3
    units), of x W and of h U, or without ``reset_after`` (3 units,); the output is the last h
    (batch, units), or with ``return_sequences`` all (batch, steps, units).

    Args:
        units: number of units.
        activation: in place of tanh.
        recurrent_activation: s, of the gates z and r.
        use_bias: whether there is a bias.
        reset_after: whether r multiplies h U_g, as in cuDNN and PyTorch, or h, as in the paper.
        use_cudnn: ``"auto"``, ``True`` or ``False``, without effect.
        implementation: as in Keras, 1 draws a dropout mask for each gate, as ``recurrent_dropout``
            always does; 0 and 2 draw one for all.
        kwargs: initializers, regularizers and constraints of the weights, ``dropout``,
            ``recurrent_dropout``, ``seed``: see :class:`SimpleRNN`; ``return_sequences``,
            ``return_state``, ``go_backwards``, ``stateful``, ``zero_output_for_mask``: see
            :class:`RNN`; ``name``, ``trainable``, ``dtype``.

    Source:
        K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical
        machine translation", EMNLP 2014, equations (5) to (8), with z and 1 - z as there.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.GRU(4)
        >>> layer.forward(np.ones((2, 5, 3)), training=True).shape
        (2, 4)
        >>> layer.backward(np.ones((2, 4))).shape, layer.d_bias.shape
        ((2, 5, 3), (2, 12))
    """

    _cell_class = GRUCell

    def __init__(
        self,
        units: int,
        activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid",
        use_bias: bool = True,
        *,
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        self.use_cudnn = check_choice("GRU", "use_cudnn", use_cudnn, ("auto", True, False))
        self._own_options = {
            "recurrent_activation": recurrent_activation,
            "reset_after": reset_after,
            "implementation": implementation,
        }
        super().__init__(units, activation, use_bias, **kwargs)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        before = {"units": 2, "reset_after": False}
        return [
            *layer_examples(),
            ({**before, "return_sequences": True}, (3, 4, 2)),
            ({**before, "recurrent_dropout": 0.4}, (3, 3, 2)),
            ({**before, "recurrent_activation": "hard_sigmoid", "return_state": True}, (2, 3, 2)),
            ({"units": 2, "dropout": 0.3, "implementation": 1}, (2, 3, 2)),
        ]
