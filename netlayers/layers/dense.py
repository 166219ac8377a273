"""The fully connected layer, and what it shares with the convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import activations, constraints, initializers, regularizers
from netlayers.arrays import sparse
from netlayers.checks import check_flag, check_integer
from netlayers.core.building import warn_of_unused
from netlayers.core.layer import Layer
from netlayers.core.shapes import shape_hint, shown_shape
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.kernels.exact import EXACT, is_exact, product
from netlayers.kernels.memory import constant
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Identifier, Shape


class AffineLayer(Layer):
    """Base class of Dense and the convolutions: an activation of a linear function and a bias.

    Subclasses define ``_forward_logits`` and ``_backward_logits``, so that a loss can be computed
    together with the last activation, and ``_logits_shape``.

    Args:
        activation: name, function of ``netlayers.activations`` or activation object; ``None`` for
            none.
        use_bias: whether to add a bias.
        bias_initializer: fills the bias.
        bias_regularizer: penalty on the bias.
        activity_regularizer: must be ``None``.
        bias_constraint: constraint applied to the bias after each update.
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    supports_masking = True

    can_skip_input_gradient = True
    arguments_without_effect = ("activity_regularizer",)  # refused, with what to use instead

    def __init__(
        self,
        activation: Identifier = None,
        use_bias: bool = True,
        bias_initializer: Identifier = "zeros",
        bias_regularizer: Identifier = None,
        activity_regularizer: None = None,
        bias_constraint: Identifier = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.activation = activation
        self.use_bias = check_flag(owner, "use_bias", use_bias)
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        if activity_regularizer is not None:
            raise ConfigurationError(
                f"{owner}: activity_regularizer={activity_regularizer!r} is not taken; put "
                "layers.ActivityRegularization(l1, l2) behind the layer."
            )
        self.activity_regularizer = None
        self.bias_constraint = constraints.get(bias_constraint)
        if not self.use_bias:
            self.bias: Any = None
        self._set_dtype(self._dtype)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "activation":
            value = activations.get(value)
            if "activation" in vars(self):
                self._check_activation(value)
        super().__setattr__(name, value)

    def _check_activation(self, activation: Any) -> None:
        """Prepare a new activation of a layer that exists already.

        Raises:
            ConfigurationError: its output has another shape than that of the activation before.
        """
        activation._set_dtype(self._dtype)
        activation.cache._owner = self.cache._owner
        shape = self.output_shape
        if shape is not None:
            assert self.input_shape is not None
            if activation.compute_output_shape(self._logits_shape(self.input_shape)) != shape:
                raise ConfigurationError(
                    f"{self.owner}: {activation!r} returns another shape than {self.activation!r}, "
                    "and the layers behind are built for that. Make a new layer."
                )
        todo = list(self._containers)  # a loss may be fused with the last activation
        for container in todo:
            todo += container._containers
            if "_steps" in vars(container):
                container._steps = None

    def _logits_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the input of the activation."""
        raise NotImplementedError

    def _add_kernel(self, name: str, shape: tuple[int, ...]) -> None:
        """Declare a kernel with the arguments ``<name>_initializer`` and so on."""
        self.add_weight(
            name,
            shape,
            getattr(self, f"{name}_initializer"),
            getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
        )

    def _add_bias(self, units: int) -> None:
        """Declare ``bias`` (units,), if there is one."""
        if self.use_bias:
            self.add_weight(
                "bias",
                (units,),
                self.bias_initializer,
                self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        else:
            warn_of_unused(self, "bias", "use_bias", "Zeros")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the output shape of the activation."""
        return self.activation.compute_output_shape(self._logits_shape(input_shape))

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = activation(z)``, with z as :meth:`_forward_logits` computes it."""
        z = self._forward_logits(x, training)
        return self.activation.forward(z, training, inplace=True)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array:
        """``dz = dy activation'(z)``, then as :meth:`_backward_logits`."""
        return self._backward_logits(self.activation.backward(dy), input_gradient)

    def _forward_logits(self, x: Array, training: bool = False) -> Array:
        """Return z."""
        raise NotImplementedError

    def _backward_logits(self, dz: Array, input_gradient: bool = True) -> Array:
        """Return dL/dx from dL/dz, and write the gradients of the kernel and the bias."""
        raise NotImplementedError


@register("layer")
class Dense(AffineLayer):
    """Fully connected layer: ``y = activation(x W + b)``.

    Shapes: ``x`` (batch, ..., features), ``W`` = ``kernel`` (features, units), ``b`` = ``bias``
    (units,), ``y`` (batch, ..., units), or the output shape of the activation (half the units with
    GLU).

    Args:
        units: number of outputs.
        activation: name, function of ``netlayers.activations`` or activation object; ``None`` for
            none. It can be replaced later, ``layer.activation = "relu"``.
        use_bias: whether to add ``b``.
        kernel_initializer: fills ``W``.
        bias_initializer: fills ``b``.
        kernel_regularizer: penalty on ``W``.
        bias_regularizer: penalty on ``b``.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        kernel_constraint: constraint applied to ``W`` after each update, such as ``"max_norm"``.
        bias_constraint: constraint applied to ``b`` after each update.
        kwargs: ``name``, ``trainable``, ``dtype``.

    x may be a SciPy sparse matrix; formats other than CSR are converted. The products x W and xᵀ dz
    then take time proportional to the stored entries; dx, if required, is dense.

    Source:
        The backward equations are (BP1) to (BP4) of M. Nielsen, "Neural Networks and Deep
        Learning" (2015), chapter 2, for a whole batch at once.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(3, activation="relu")
        >>> layer.forward(np.ones((2, 5)), training=True).shape
        (2, 3)
        >>> layer.backward(np.ones((2, 3))).shape, layer.d_kernel.shape
        ((2, 5), (5, 3))
    """

    takes_sparse = True

    def __init__(
        self,
        units: int,
        activation: Identifier = None,
        use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None,
        bias_regularizer: Identifier = None,
        activity_regularizer: None = None,
        kernel_constraint: Identifier = None,
        bias_constraint: Identifier = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            activity_regularizer,
            bias_constraint,
            **kwargs,
        )
        self.units = check_integer("Dense", "units", units, minimum=1)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        plain = (4, 3)
        return [
            ({"units": 2}, plain),
            ({"units": 3, "activation": "tanh", "use_bias": False}, plain),
            ({"units": 3, "activation": "relu", "kernel_initializer": "he_normal"}, (2, 5, 3)),
            ({"units": 4, "activation": "softmax", "bias_initializer": "ones"}, (3, 2, 2, 5)),
            ({"units": 4, "activation": "glu"}, plain),
            ({"units": 2, "kernel_regularizer": "l2", "bias_regularizer": "l1"}, plain),
            ({"units": 2, "kernel_constraint": "max_norm", "bias_constraint": "non_neg"}, plain),
        ]

    def build(self, input_shape: Shape) -> None:
        """Declare ``kernel`` (features, units) and ``bias`` (units,)."""
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ShapeError(
                f"{self.owner} (Dense): expected an input of shape (batch, features) with "
                f"a known number of features, got {shown_shape(input_shape)}. "
                f"{shape_hint((None, None), input_shape)}"
            )
        self._add_kernel("kernel", (input_shape[-1], self.units))
        self._add_bias(self.units)

    def _logits_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, ..., units)."""
        return (*input_shape[:-1], self.units)

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError unless ``shape`` is (batch, ..., features) with the built features."""
        if len(shape) < 2 or shape[-1] != self.kernel.shape[0]:
            super().check_input_shape(shape)

    def _forward_logits(self, x: Array, training: bool = False) -> Array:
        """``z = x W + b``."""
        x = self.prepare(x)
        z = self.buffer("z", (*x.shape[:-1], self.units), training)
        rows, out = (x, z) if x.ndim == 2 else (_rows(x), _rows(z))
        if not isinstance(x, np.ndarray):
            sparse.dot(x, self.kernel, out=z)
        elif EXACT and is_exact():
            product(rows, self.kernel, out)
        elif self.units > 1:
            rows.dot(self.kernel, out=out)
        else:  # with a vector, NumPy may warn though the result is right: see row_sums
            with np.errstate(invalid="ignore"):
                rows.dot(self.kernel, out=out)
        if self.use_bias:
            np.add(z, self.bias, out=z)
        if training:
            self.cache.x = x
            self.cache.z_shape = z.shape
        return z

    def _backward_logits(self, dz: Array, input_gradient: bool = True) -> Array:
        """``dW = xᵀ dz``, ``db = Σ dz`` over the batch, ``dx = dz Wᵀ``."""
        x = self.cache.x
        dz = self.check_gradient(dz, self.cache.z_shape)
        rows = dz if dz.ndim == 2 else _rows(dz)
        if self._trainable:
            if isinstance(x, np.ndarray):
                (x if x.ndim == 2 else _rows(x)).T.dot(rows, out=self.d_kernel)
            else:
                sparse.dot_transposed(x, rows, out=self.d_kernel)
            if self.use_bias:  # a product with ones: BLAS sums columns 2 to 4 times faster
                constant(1, rows.shape[:1], self._dtype).dot(rows, out=self.d_bias)
        if not input_gradient:
            return dz
        dx = self.buffer("dx", x.shape)
        rows.dot(self.kernel.T, out=dx if dx.ndim == 2 else _rows(dx))
        return dx


def _rows(x: Array) -> Array:
    """View (batch, ..., features) as (samples, features)."""
    return x.reshape(-1, x.shape[-1])
