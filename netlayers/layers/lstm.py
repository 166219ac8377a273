"""Long short-term memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import activations
from netlayers.checks import check_choice, check_flag, check_integer
from netlayers.initializers import Initializer
from netlayers.kernels.select import kernels
from netlayers.layers.gated_cell import GatedCell
from netlayers.layers.gated_layer import GatedLayer
from netlayers.layers.simple_rnn import CELL_EXAMPLE, layer_examples
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Identifier
    from netlayers.kernels.axes import New
    from netlayers.layers.gated_cell import KernelCall, Masks


class _ForgetBias(Initializer):
    """1 for the forget gate; the others are filled by another initializer."""

    def __init__(self, initializer: Initializer) -> None:
        self.initializer = initializer

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Fill a bias (4 units,)."""
        units = len(out) // 4
        self.initializer.fill(out, rng)
        out[units : 2 * units] = 1


@register("layer")
class LSTMCell(GatedCell):
    """One step of :class:`LSTM`.

    Shapes: the inputs x (batch, features), h and c (batch, units); the outputs h, h and c.

    Args: see :class:`LSTM`.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> cell = nl.layers.LSTMCell(4)
        >>> y, (h, c) = cell(np.ones((2, 3)), [np.zeros((2, 4)), np.zeros((2, 4))])
        >>> y.shape, c.shape
        ((2, 4), (2, 4))
    """

    _gates = 4
    _states = 2

    def __init__(
        self,
        units: int,
        activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid",
        use_bias: bool = True,
        *,
        unit_forget_bias: bool = True,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = check_flag("LSTMCell", "unit_forget_bias", unit_forget_bias)
        self.implementation = check_integer(
            "LSTMCell", "implementation", implementation, minimum=0, maximum=2
        )
        self._set_dtype(self._dtype)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        shapes = ((4, 3), (4, 2), (4, 2))
        return [
            ({"units": 2}, shapes),
            ({"units": 2, "activation": "softsign", "use_bias": False}, shapes),
            (
                {"units": 2, "recurrent_activation": "hard_sigmoid", "unit_forget_bias": False},
                shapes,
            ),
            ({"units": 2, "dropout": 0.3, "recurrent_dropout": 0.5, "seed": 3}, shapes),
            ({"units": 2, "dropout": 0.3, "implementation": 1}, shapes),
            ({"units": 2, **CELL_EXAMPLE}, shapes),
        ]

    def _initial_bias(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer
        return _ForgetBias(self.bias_initializer)  # type: ignore[arg-type]

    def _in_c(self) -> Any:
        """Return the call of the activation that takes the cell state; the first takes g."""
        calls = vars(self.workspace)
        if "in_c" not in calls:
            calls["in_c"] = self.activation.new_call()
        return calls["in_c"]

    def forward(self, x: Any, training: bool = False, masks: Masks | None = None) -> Any:
        """Compute the gates, and the new states.

        With ``(z_i, z_f, z_g, z_o) = x W + h U + b``, s the recurrent activation, a the other:

        ``i = s(z_i)``, ``f = s(z_f)``, ``g = a(z_g)``, ``o = s(z_o)``,
        ``new c = f c + i g``, ``new h = o a(new c)``.

        Args:
            x: the inputs and the states.
            training: whether to cache what backward needs, and to drop entries.
            masks: dropout masks of x and h, such as those of a layer that runs the cell; by default
                new ones.
        """
        x, h, (_, c) = self._started(x, training, masks)
        z = self._product("z", x, self.kernel, training)
        np.add(z, self._product("inner", h, self.recurrent_kernel, training), out=z)
        if self.use_bias:
            np.add(z, self.bias, out=z)
        return self._new_states(z, c, training)

    def _new_states(self, z: Array, c: Array, training: bool) -> tuple[Array, Array, Array]:
        """Return the output and the new states, from the logits of the gates (rows, 4 units)."""
        count, units = c.shape
        z = z.reshape(count, 4, units)
        gates = self.buffer("gates", (3, count, units), training)
        np.copyto(gates[:2], z[:, :2].swapaxes(0, 1))
        np.copyto(gates[2], z[:, 3])
        z_g = self.buffer("g", (count, units), training)
        np.copyto(z_g, z[:, 2])
        gates = self.recurrent_activation.forward(gates, training, inplace=True)
        g = self.activation.forward(z_g, training, inplace=True)
        i, f, o = gates
        new_c = np.multiply(f, c, out=self.buffer("c", (count, units), training))
        np.add(new_c, np.multiply(i, g, out=self.buffer("i g", c.shape, training)), out=new_c)
        a_c = (self._in_c() if training else self.activation).forward(new_c, training)
        new_h = np.multiply(o, a_c, out=self.buffer("h", (count, units), training))
        if training:
            self.cache.c, self.cache.gates, self.cache.g, self.cache.a_c = c, gates, g, a_c
        return new_h, new_h, new_c

    def backward(self, dy: Any) -> Any:
        """Return the gradients of x, h and c.

        With dh of both outputs h, and ``dc = d(new c) + dh o a'(new c)``:

        ``di = dc g``, ``df = dc c``, ``dg = dc i``, ``do = dh a(new c)``, and ``dz`` of each by the
        slope of its activation; the gradient of c is ``dc f``. ``dW = xᵀ dz``, ``dU = hᵀ dz``,
        ``db = Σ dz``, ``dx = dz Wᵀ``, ``dh = dz Uᵀ``.
        """
        *dh, dc = dy
        dz, dc = self._logits_gradient(self._summed(*dh), dc)
        if self._trainable and self.use_bias:
            np.sum(dz, axis=0, out=self.d_bias)
        return self._input_gradient(dz), self._state_gradient(dz), dc

    def _logits_gradient(self, dh: Array, dc: Array) -> tuple[Array, Array]:
        """Return the gradient of the logits (rows, 4 units), and that of c; dh is overwritten."""
        (i, f, o), (count, units) = self.cache.gates, dh.shape
        dc = self.check_gradient(dc, dh.shape)
        d_gates = self.buffer("d gates", (3, count, units))
        np.multiply(dh, self.cache.a_c, out=d_gates[2])
        d_c = self.buffer("dc", dh.shape)
        np.add(dc, self._in_c().backward(np.multiply(dh, o, out=dh)), out=d_c)
        np.multiply(d_c, self.cache.g, out=d_gates[0])
        np.multiply(d_c, self.cache.c, out=d_gates[1])
        dz = self.buffer("dz", (count, 4 * units))
        columns = dz.reshape(count, 4, units)
        columns[:, 2] = self.activation.backward(np.multiply(d_c, i, out=dh))
        d_gates = self.recurrent_activation.backward(d_gates)
        columns[:, :2], columns[:, 3] = d_gates[:2].swapaxes(0, 1), d_gates[2]
        return dz, np.multiply(d_c, f, out=d_c)

    def _kernel_call(
        self, x: Array, states: list[Array], absent: Array | None, new: New
    ) -> KernelCall:
        """As :meth:`forward` for each step; see ``kernels.lstm_forward``."""
        h, c = states
        gates, tanh_c = new("gates", (*x.shape[:2], 4 * self.units)), new("tanh c", h[1:].shape)
        weights = self.kernel, self.bias, self.recurrent_kernel
        arguments = (x, *weights, gates, c, tanh_c, h, absent, new)
        return kernels.lstm_forward, arguments, {"gates": gates, "tanh_c": tanh_c}

    def _run_all_backward(
        self,
        layer: Any,
        dy: Array | None,
        d_states: list[Array | None],
        absent: Array | None,
        input_gradient: bool,
    ) -> tuple[Array | None, list[Array]]:
        """As :meth:`backward` for each step; see ``kernels.lstm_backward``."""
        cache = layer.cache
        (dh, dc), out = self._run_back(layer, d_states, input_gradient)
        kernels.lstm_backward(
            dy, dh, dc, cache.series, self.kernel, self.recurrent_kernel, cache.gates,
            cache.steps[1], cache.tanh_c, cache.steps[0], absent, **out,
        )  # fmt: skip
        return self._run_dropped(layer, out["dx"]), [dh, dc]


@register("layer")
class LSTM(GatedLayer):
    """Long short-term memory: a recurrent layer whose cell state c changes by sums.

    For each step t, with ``(z_i, z_f, z_g, z_o) = x[t] W + h[t-1] U + b`` and s the recurrent
    activation: ``i = s(z_i)``, ``f = s(z_f)``, ``g = tanh(z_g)``, ``o = s(z_o)``, ``c[t] = f c[t-1]
    + i g``, ``h[t] = o tanh(c[t])``. A gradient flows from c[t] to c[t-1] through the factor f
    alone, which can stay near 1 for many steps.

    Shapes: ``x`` (batch, steps, features), ``W`` = ``kernel`` (features, 4 units), ``U`` =
    ``recurrent_kernel`` (units, 4 units), ``b`` = ``bias`` (4 units,), with the columns of the
    gates in the order i, f, g, o; the output is the last h (batch, units), or with
    ``return_sequences`` all (batch, steps, units). The states are h and c.

    Args:
        units: number of units.
        activation: in place of tanh.
        recurrent_activation: s, of the gates i, f and o.
        use_bias: whether to add ``b``.
        unit_forget_bias: whether the bias of f starts at 1, so that c is kept at first.
        use_cudnn: ``"auto"``, ``True`` or ``False``, without effect.
        implementation: as in Keras, 1 draws a dropout mask for each gate, as ``recurrent_dropout``
            always does; 0 and 2 draw one for all.
        kwargs: initializers, regularizers and constraints of the weights, ``dropout``,
            ``recurrent_dropout``, ``seed``: see :class:`SimpleRNN`; ``return_sequences``,
            ``return_state``, ``go_backwards``, ``stateful``, ``zero_output_for_mask``: see
            :class:`RNN`; ``name``, ``trainable``, ``dtype``.

    Source:
        S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); the
        forget gate: F. Gers, J. Schmidhuber, F. Cummins, "Learning to forget: continual prediction
        with LSTM", Neural Computation 12 (2000); its bias: R. Jozefowicz, W. Zaremba, I. Sutskever,
        "An empirical exploration of recurrent network architectures", ICML 2015; the whole gradient
        through time: A. Graves, J. Schmidhuber, "Framewise phoneme classification with
        bidirectional LSTM", Neural Networks 18 (2005).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.LSTM(4, return_state=True)
        >>> y, h, c = layer(np.ones((2, 5, 3)))
        >>> y.shape, c.shape, layer.kernel.shape
        ((2, 4), (2, 4), (3, 16))
        >>> layer(np.ones((2, 1, 3)), initial_state=[h, c])[0].shape
        (2, 4)
    """

    _cell_class = LSTMCell

    def __init__(
        self,
        units: int,
        activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid",
        use_bias: bool = True,
        *,
        unit_forget_bias: bool = True,
        use_cudnn: bool | str = "auto",
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        self.use_cudnn = check_choice("LSTM", "use_cudnn", use_cudnn, ("auto", True, False))
        self._own_options = {
            "recurrent_activation": recurrent_activation,
            "unit_forget_bias": unit_forget_bias,
            "implementation": implementation,
        }
        super().__init__(units, activation, use_bias, **kwargs)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        hard = {"recurrent_activation": "hard_sigmoid", "unit_forget_bias": False}
        return [
            *layer_examples(),
            ({"units": 2, **hard, "return_state": True}, (2, 3, 2)),
            ({"units": 2, "dropout": 0.3, "implementation": 1}, (2, 3, 2)),
        ]
