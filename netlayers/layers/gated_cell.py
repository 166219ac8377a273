"""What SimpleRNNCell, LSTMCell and GRUCell share: weights, dropout, products over all steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from netlayers import activations, constraints, initializers, regularizers
from netlayers.activations.sigmoids import Sigmoid, Tanh
from netlayers.checks import check_flag, check_integer, check_number, check_seed
from netlayers.core.building import warn_of_unused
from netlayers.core.shapes import shown_shape
from netlayers.errors import ShapeError
from netlayers.kernels import exact
from netlayers.layers.recurrent_cell import RNNCell
from netlayers.random import PARTS, keep_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array, Identifier, Shape
    from netlayers.kernels.axes import New
    from netlayers.kernels.memory import Workspace

    Masks = tuple[Array | None, Array | None]
    # A kernel, its arguments, and those of them that backward needs, by their names in the cache.
    KernelCall = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Array]]

_BOOL = np.dtype(bool)


class GatedCell(RNNCell):
    """Base class of SimpleRNNCell, LSTMCell and GRUCell.

    They have the weights ``kernel`` (features, gates units), ``recurrent_kernel`` (units, gates
    units) and ``bias``, with the columns of the gates one after the other.

    Args:
        units: number of units.
        activation: name, function of ``netlayers.activations`` or activation object.
        use_bias: whether to add a bias.
        kernel_initializer: fills ``kernel``.
        recurrent_initializer: fills ``recurrent_kernel``.
        bias_initializer: fills ``bias``.
        kernel_regularizer: penalty on ``kernel``.
        recurrent_regularizer: penalty on ``recurrent_kernel``.
        bias_regularizer: penalty on ``bias``.
        kernel_constraint: constraint applied to ``kernel`` after each update.
        recurrent_constraint: constraint applied to ``recurrent_kernel`` after each update.
        bias_constraint: constraint applied to ``bias`` after each update.
        dropout: fraction of the entries of x to drop in training, in [0, 1).
        recurrent_dropout: fraction of the entries of h to drop where it meets
            ``recurrent_kernel``, in [0, 1). As in Keras, each gate then drops entries of its own,
            of x too.
        seed: seed of a random stream for the dropout of this layer alone; by default the stream is
            derived from the model's seed.
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    _gates: ClassVar[int]
    _states: ClassVar[int] = 1
    implementation = 2  # as in Keras: 1 drops other entries for each gate

    def __init__(
        self,
        units: int,
        activation: Identifier = "tanh",
        use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal",
        bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None,
        recurrent_regularizer: Identifier = None,
        bias_regularizer: Identifier = None,
        kernel_constraint: Identifier = None,
        recurrent_constraint: Identifier = None,
        bias_constraint: Identifier = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.units = check_integer(owner, "units", units, minimum=1)
        self.activation = activations.get(activation)
        self.use_bias = check_flag(owner, "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = check_number(owner, "dropout", dropout, minimum=0, below=1)
        self.recurrent_dropout = check_number(
            owner, "recurrent_dropout", recurrent_dropout, minimum=0, below=1
        )
        self.random = bool(self.dropout or self.recurrent_dropout)
        self.same_in_training = not self.random
        self.seed = None if seed is None else check_seed(owner, seed)
        if self.random and seed is not None:
            self.rng = np.random.Generator(np.random.PCG64(self.seed))
        self.state_size: Any = [self.units] * self._states if self._states > 1 else self.units
        self.output_size = self.units
        if not self.use_bias:
            self.bias: Any = None
        self._set_dtype(self._dtype)

    def _bias_shape(self) -> tuple[int, ...]:
        return (self._gates * self.units,)

    def _initial_bias(self) -> Any:
        return self.bias_initializer

    def build(self, input_shape: Shape) -> None:
        """Declare ``kernel``, ``recurrent_kernel`` and ``bias``."""
        step: Any = input_shape[0]
        if len(step) != 2 or step[-1] is None:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): expected steps of shape (batch, features) "
                f"with a known number of features, got {shown_shape(step)}; a layer takes series "
                "of shape (batch, steps, features)."
            )
        columns = self._gates * self.units
        self._declare((step[-1], columns), (self.units, columns))

    def _declare(self, *shapes: tuple[int, ...]) -> None:
        """Declare ``kernel`` and ``recurrent_kernel`` of these shapes, and ``bias``."""
        for (name, short), shape in zip(
            (("kernel", "kernel"), ("recurrent_kernel", "recurrent")), shapes, strict=True
        ):
            self.add_weight(
                name,
                shape,
                getattr(self, f"{short}_initializer"),
                getattr(self, f"{short}_regularizer"),
                constraint=getattr(self, f"{short}_constraint"),
            )
        if self.use_bias:
            self.add_weight(
                "bias",
                self._bias_shape(),
                self._initial_bias(),
                self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        else:
            warn_of_unused(self, "bias", "use_bias", "Zeros")

    def check_input_shape(self, shape: Any) -> None:
        """Raise a ShapeError unless the step has the features, and each state the units."""
        built: Any = self.input_shape
        if built is not None and shape[0][1:] != built[0][1:]:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): expected steps of shape "
                f"{shown_shape(built[0])}, got {shown_shape(shape[0])}."
            )
        if built is not None and [s[1:] for s in shape[1:]] != [s[1:] for s in built[1:]]:
            super().check_input_shape(shape)

    # Dropout ---------------------------------------------------------------------------------

    def _draw_masks(self, count: int, memory: Workspace | None = None) -> Masks:
        """Return the dropout masks of x and h for a sequence: all steps have the same.

        Entries are 0 or ``1 / (1 - rate)``. A mask is (batch, ...), or with recurrent dropout
        (gates, batch, ...).

        Args:
            count: number of samples.
            memory: where the masks lie; by default with the cell.

        Source:
            Y. Gal, Z. Ghahramani, "A theoretically grounded application of dropout in recurrent
            neural networks", NIPS 2016, section 4.2: one mask for all gates where they share a
            product (tied weights), or one for each gate (untied weights).
        """
        memory = self.workspace if memory is None else memory
        gates = (self._gates,) if self._drops_by_gate else ()
        return (
            self._mask("x", self.dropout, (*gates, count, self.kernel.shape[0]), memory),
            self._mask("h", self.recurrent_dropout, (*gates, count, self.units), memory),
        )

    @property
    def _drops_by_gate(self) -> bool:
        """Whether each gate has a dropout mask of its own."""
        by_gate = self.recurrent_dropout or (self.dropout and self.implementation == 1)
        return bool(by_gate) and self._gates > 1 and not self._at_inference

    def _mask(
        self, name: str, rate: float, shape: tuple[int, ...], memory: Workspace
    ) -> Array | None:
        parts = min(round(rate * PARTS), PARTS - 1)
        if not parts or self._at_inference:
            return None
        assert self.rng is not None
        kept = memory(f"kept {name}", shape, _BOOL)
        keep_mask(self.rng, parts, kept)
        mask = memory(f"mask {name}", shape, self._dtype)
        return np.multiply(kept, 1 / (1 - parts / PARTS), out=mask)

    # One step --------------------------------------------------------------------------------

    def _started(
        self, x: Any, training: bool, masks: Masks | None
    ) -> tuple[Array, Array, list[Array]]:
        """Return the step and the first state, with dropout, and the states."""
        x, *states = self.prepare(x)
        h = states[0]
        if training:
            for_x, for_h = self.cache.masks = masks or self._draw_masks(len(x))
            if for_x is not None:
                x = np.multiply(x, for_x, out=self.buffer("dropped x", for_x.shape))
            if for_h is not None:
                h = np.multiply(h, for_h, out=self.buffer("dropped h", for_h.shape))
            self.cache.x, self.cache.h = x, h
        return x, h, states

    def _product(self, name: str, a: Array, weight: Array, training: bool = True) -> Array:
        out = self.buffer(name, (a.shape[-2], weight.shape[1]), training)
        multiply(a, weight, out)
        return out

    def _input_gradient(self, dz: Array) -> Array:
        """Write ``dW = xᵀ dz``, and return ``dx = dz Wᵀ``."""
        if self._trainable:
            weight_gradient(self.cache.x, dz, self.d_kernel)
        return self._back("dx", dz, self.kernel, self.cache.masks[0])

    def _state_gradient(self, dz: Array) -> Array:
        """Write ``dU = hᵀ dz``, and return ``dh = dz Uᵀ``."""
        if self._trainable:
            weight_gradient(self.cache.h, dz, self.d_recurrent_kernel)
        return self._back("dh", dz, self.recurrent_kernel, self.cache.masks[1])

    def _back(self, name: str, dz: Array, weight: Array, mask: Array | None) -> Array:
        """Return ``dz Wᵀ``, times a dropout mask."""
        out = self.buffer(name, (len(dz), len(weight)))
        multiply_back(dz, weight, mask, out, self.buffer(f"{name} of a gate", out.shape))
        return out

    def _summed(self, *gradients: Any) -> Array:
        """Return the sum of gradients with respect to the output and the first state."""
        shape = (self.cache.x.shape[-2], self.units)
        first, second = (self.check_gradient(d, shape) for d in gradients)
        return np.add(first, second, out=self.buffer("dy", shape))

    # All steps -------------------------------------------------------------------------------

    @property
    def _runs_all_steps(self) -> bool:  # type: ignore[override]
        """Whether the activations are those that :meth:`_run_all` computes."""
        gates = getattr(self, "recurrent_activation", None)
        return type(self.activation) is Tanh and (gates is None or type(gates) is Sigmoid)

    def _kernel_call(
        self, x: Array, states: list[Array], absent: Array | None, new: New
    ) -> KernelCall:
        """Return how to compute all steps, see ``kernels/recurrent.py``.

        Args:
            x: the series (steps, batch, features).
            states: each state in front of all steps, (steps + 1, batch, units): the first is given.
            absent: where a step is left out, or ``None``.
            new: returns memory.
        """
        raise NotImplementedError

    def _run_all(
        self,
        layer: Any,
        x: Array,
        states: list[Any],
        absent: Array | None,
        training: bool,
        masks: Masks = (None, None),
    ) -> tuple[Array, list[Array]]:
        """Return the outputs of all steps, and the last states."""

        def new(name: str, shape: tuple[int, ...]) -> Array:
            return layer.buffer(name, shape, training)

        if masks[0] is not None:
            x = np.multiply(x, masks[0], out=new("dropped x", x.shape))
        steps, count, _ = x.shape
        found = [new(f"state {k}", (steps + 1, count, self.units)) for k in range(len(states))]
        for all_steps, state in zip(found, states, strict=True):
            all_steps[0] = state
        kernel, arguments, kept = self._kernel_call(x, found, absent, new)
        kernel(*arguments)
        if training:
            layer.cache.series, layer.cache.steps = x, found
            vars(layer.cache).update(kept)
        return found[0][1:], [h[-1] for h in found]

    def _run_back(
        self, layer: Any, d_states: list[Array | None], input_gradient: bool
    ) -> tuple[list[Array], dict[str, Any]]:
        """Return the gradients of the last states, and where the kernels write the others."""
        shape = layer.cache.steps[0].shape[1:]
        found = [layer.buffer(f"d state {k}", shape) for k in range(len(d_states))]
        for d, given in zip(found, d_states, strict=True):
            np.copyto(d, 0 if given is None else given)
        learns = self._trainable
        return found, {
            "d_w": self.d_kernel if learns else None,
            "d_u": self.d_recurrent_kernel if learns else None,
            "d_b": self.d_bias if learns and self.use_bias else None,
            "dx": layer.buffer("dx first", layer.cache.series.shape) if input_gradient else None,
            "new": layer.buffer,
        }

    def _run_dropped(self, layer: Any, dx: Array | None) -> Array | None:
        """Return dx of the series without dropout."""
        mask = layer.cache.masks[0]
        return dx if dx is None or mask is None else np.multiply(dx, mask, out=dx)


def multiply(a: Array, weight: Array, out: Array) -> None:
    """Write ``a weight``, with exact=True row by row.

    Of a (gates, rows, ...), which has dropout by gate, each is multiplied by the columns of its
    gate.
    """
    if a.ndim == 3:
        np.matmul(a, gates_of(weight, len(a)), out=gates_of(out, len(a)))
    else:
        exact.multiply(a, weight, out)


def weight_gradient(a: Array, dz: Array, out: Array) -> None:
    """Write ``aᵀ dz``, the gradient of the weight in ``z = a weight``; see :func:`multiply`."""
    if a.ndim == 3:
        np.matmul(a.swapaxes(1, 2), gates_of(dz, len(a)), out=gates_of(out, len(a)))
    else:
        np.matmul(a.T, dz, out=out)


def multiply_back(
    dz: Array, weight: Array, mask: Array | None, out: Array, of_a_gate: Array
) -> None:
    """Write ``dz weightᵀ`` times a dropout mask, with dropout by gate the sum over the gates.

    It is the gradient of a in ``z = (a mask) weight``; ``of_a_gate`` is memory like ``out``.
    """
    if mask is None or mask.ndim == 2:
        np.matmul(dz, weight.T, out=out)
        if mask is not None:
            np.multiply(out, mask, out=out)
        return
    columns = dz.shape[-1] // len(mask)
    out.fill(0)
    for gate, its in enumerate(mask):
        own = slice(gate * columns, (gate + 1) * columns)
        np.matmul(dz[..., own], weight[:, own].T, out=of_a_gate)
        np.add(out, np.multiply(of_a_gate, its, out=of_a_gate), out=out)


def gates_of(a: Array, gates: int) -> Array:
    """View the columns of several gates, (rows, gates units), as (gates, rows, units)."""
    return a.reshape(len(a), gates, a.shape[1] // gates).swapaxes(0, 1)


def of_gate(a: Array, gate: int | slice) -> Array:
    """Return a[gate] of an array with dropout by gate, (gates, rows, ...), or the array."""
    return a[gate] if a.ndim == 3 else a
