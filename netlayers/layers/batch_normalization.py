"""Batch normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import initializers
from netlayers.checks import check_integer, check_number
from netlayers.errors import ConfigurationError, DataError
from netlayers.kernels.select import kernels
from netlayers.layers.normalizing import AFFINE_EXAMPLE, AffineNormalization
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Identifier, Shape


@register("layer")
class BatchNormalization(AffineNormalization):
    """Normalize each feature over the batch: ``y = gamma (x - μ) / √(σ² + epsilon) + beta``.

    In training, μ and σ² are the mean and the (biased) variance of the feature in the batch, and
    update moving averages: ``moving = momentum moving + (1 - momentum) batch``. Inference uses the
    moving averages instead, so an output does not depend on the other samples.

    With ``trainable=False`` the moving averages are used in training too, and do not change; the
    same where the layer is called with ``training=False``, but there gamma and beta are trained.

    Shapes: ``x`` and ``y`` any of two axes or more; ``gamma``, ``beta``, ``moving_mean`` and
    ``moving_variance`` (features,), the size of the axis ``axis``. All other axes are reduced.

    Args:
        axis: feature axis; 1 for images with the channels first.
        momentum: momentum of the moving averages.
        epsilon: added to the variance.
        center: whether to add ``beta``.
        scale: whether to multiply by ``gamma``.
        beta_initializer: fills ``beta``.
        gamma_initializer: fills ``gamma``.
        moving_mean_initializer: fills ``moving_mean``.
        moving_variance_initializer: fills ``moving_variance``.
        beta_regularizer: penalty on ``beta``.
        gamma_regularizer: penalty on ``gamma``.
        beta_constraint: constraint applied to ``beta`` after each update.
        gamma_constraint: constraint applied to ``gamma`` after each update.
        renorm: batch renormalization is refused; ``False`` is accepted, as are the defaults of the
            following.
        renorm_clipping: refused.
        renorm_momentum: refused.
        synchronized: refused: each process normalizes by the rows of a shard.
        kwargs: ``name``, ``trainable``, ``dtype``.

    A feature that is constant in a batch has the variance 0: its output is ``beta``, the gradients
    of ``x`` and ``gamma`` are 0, and the moving variance decreases towards 0, as in Keras. A batch
    with a single number per feature (a last batch of one row) has no variance and does not update
    the moving averages, unlike in Keras; ``fit(drop_last=True)`` skips such a batch. A moving
    variance too large for the dtype is clipped to the largest finite number.

    A large offset does not reduce the accuracy: with a mean of 10⁶ standard deviations, the
    normalized values in float32 are accurate to 2·10⁻⁶ (in training; ``moving_mean`` is rounded to
    float32).

    Source:
        S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
        Internal Covariate Shift" (2015), algorithm 1 and the gradients of section 3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.BatchNormalization(dtype="float64")
        >>> layer.forward(np.array([[1.0], [3.0], [5.0]]), training=True).round(3).tolist()
        [[-1.225], [0.0], [1.225]]
        >>> layer.moving_mean.round(3).tolist()  # 0.99 * 0 + 0.01 * 3
        [0.03]
    """

    same_in_training = False
    _at_inference = False  # set by calls with training=False: see InferenceCall
    _not_stored = (
        *AffineNormalization._not_stored,
        "renorm",
        "renorm_clipping",
        "renorm_momentum",
        "synchronized",
    )
    axis: int

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Identifier = "zeros",
        gamma_initializer: Identifier = "ones",
        moving_mean_initializer: Identifier = "zeros",
        moving_variance_initializer: Identifier = "ones",
        beta_regularizer: Identifier = None,
        gamma_regularizer: Identifier = None,
        beta_constraint: Identifier = None,
        gamma_constraint: Identifier = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        given = {"renorm": renorm, "renorm_clipping": renorm_clipping, "synchronized": synchronized}
        given["renorm_momentum"] = None if renorm_momentum == 0.99 else renorm_momentum
        for name in (name for name, value in given.items() if value):
            raise ConfigurationError(
                f"BatchNormalization: {name}={given[name]!r} is not supported; leave it out. For "
                "small batches use GroupNormalization or LayerNormalization."
            )
        super().__init__(
            check_integer("BatchNormalization", "axis", axis),
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.momentum = check_number(
            "BatchNormalization", "momentum", momentum, minimum=0, maximum=1
        )
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        if moving_variance_initializer is None:  # what stands for None gives negative numbers
            raise ConfigurationError(
                "BatchNormalization: moving_variance_initializer must be an initializer such as "
                "'ones', got None."
            )
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        variance = {"class_name": "Constant", "config": {"value": 2.0}}
        return [
            ({}, (6, 3)),
            ({"axis": 1, "momentum": 0.5, "epsilon": 0.1}, (3, 4, 5)),
            ({"axis": -1, "scale": False, "moving_mean_initializer": "ones"}, (3, 2, 2, 4)),
            (
                {"axis": 1, "center": False, "moving_variance_initializer": variance},
                (3, 2, 2, 2, 3),
            ),
            (AFFINE_EXAMPLE, (4, 3)),
            ({"trainable": False}, (4, 3)),
        ]

    def build(self, input_shape: Shape) -> None:
        """Declare ``gamma``, ``beta``, ``moving_mean`` and ``moving_variance``, (features,)."""
        shape = self._arrange_by(self.axis, input_shape)
        self._add_gamma_and_beta(shape)
        self.add_weight("moving_mean", shape, self.moving_mean_initializer, statistic=True)
        self.add_weight("moving_variance", shape, self.moving_variance_initializer, statistic=True)

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = gamma (x - μ) / √(σ² + epsilon) + beta``."""
        return self._forward(x, training)

    def _forward(self, x: Array, training: bool, rectify: bool = False) -> Array:
        """Return y, or ``max(y, 0)`` for a rectifier that follows; see ``Rectified``."""
        x = self.prepare(x)
        given = self._arranged("x", x, training)
        rows = given.reshape(-1, given.shape[-1])
        y = self.buffer("y", given.shape, training)
        out = y.reshape(rows.shape)
        trained = training and self.trainable
        learning = trained and not self._at_inference
        near, rest, variance = self._moments(rows, learning)
        inverse = 1 / np.sqrt(variance + self.epsilon)  # of the deviation; float64, as is σ²
        factor = inverse.astype(self._dtype)
        if self.scale:
            factor *= self.gamma
        offset = -rest * factor
        if self.center:
            offset += self.beta
        kernels.scale_and_shift(rows, near, factor, offset, out, rectify)
        if training:
            self.cache.shape = x.shape
            # With NumPy, the rectifier's own gradient takes less time than to compute y again.
            again = rectify and kernels.stack_forward is not None
            self.cache.rectified = (offset, out) if again else None
            self.cache.factor = factor
            self.cache.batch = (rows, near, rest, inverse) if trained else None
            self.cache.learning = learning
        return self._arranged_back("output", y, training)

    def backward(self, dy: Array) -> Array:
        """Gradients, with ``x̂ = (x - μ) / √(σ² + epsilon)`` and sums over the batch of n.

        ``dbeta = Σ dy``, ``dgamma = Σ dy x̂``,
        ``dx = gamma / √(σ² + epsilon) (dy - (dbeta + x̂ dgamma) / n)``.

        With moving averages, which are constants: ``dx = gamma / √(σ² + epsilon) dy``, and x̂ has
        them for μ and σ². Of a rectified y: dy is 0 where y is.
        """
        factor, (offset, y) = self.cache.factor, self.cache.rectified or (None, None)
        dy = self._arranged("dy", self.check_gradient(dy, self.cache.shape))
        dx = self.workspace("dx", dy.shape, self._dtype)
        rows, out = dy.reshape(-1, dy.shape[-1]), dx.reshape(-1, dy.shape[-1])
        if self.cache.batch is None:
            self._scaled(rows, factor, y, out)
            return self._arranged_back("input gradient", dx)
        x, near, rest, inverse = self.cache.batch
        d_beta, along = kernels.column_sums(rows, x, near, factor, offset)
        d_gamma = inverse * (along - rest * d_beta)
        if self.center:
            self.d_beta[...] = d_beta
        if self.scale:
            self.d_gamma[...] = d_gamma
        if not self.cache.learning:
            self._scaled(rows, factor, y, out)
            return self._arranged_back("input gradient", dx)
        slope = (inverse * d_gamma / len(rows)).astype(self._dtype)
        mean = (d_beta / len(rows)).astype(self._dtype) - rest * slope
        kernels.batch_gradient(rows, x, near, mean, slope, factor, out, offset)
        return self._arranged_back("input gradient", dx)

    @staticmethod
    def _scaled(dy: Array, factor: Array, y: Array | None, out: Array) -> None:
        """Write ``dx = factor dy``, for constant moments; with y for dy where ``y > 0``."""
        if y is not None:
            kernels.relu_gradient(dy, y, out)
            dy = out
        np.multiply(dy, factor, out=out)

    def _moments(self, rows: Array, learning: bool) -> tuple[Array, Array, Array]:
        """Return μ and σ²: the moving averages, or those of the batch, which update them.

        μ is given in two numbers, as one may not have all of its digits. A single row has no
        variance and does not update the averages.
        """
        if not learning:
            rest = np.zeros_like(self.moving_mean)
            return self.moving_mean, rest, self.moving_variance.astype(np.float64)
        if not len(rows):
            raise DataError(
                f"{self.owner} (BatchNormalization): the batch has no samples, hence no "
                "mean; train on one sample or more."
            )
        near, rest, variance = kernels.column_moments(rows, self.epsilon)
        if len(rows) > 1:
            kernels.move_average(self.moving_mean, near + rest, self.momentum)
            kernels.move_average(self.moving_variance, variance, self.momentum)
        return near, rest.astype(self._dtype), variance
