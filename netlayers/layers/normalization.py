"""Standardization of a model's input by the mean and variance of the data."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.checks import as_data, check_values
from netlayers.arrays.convert import as_array, check_finite
from netlayers.arrays.spec import FLOAT, InputSpec
from netlayers.checks import check_flag, check_integer
from netlayers.core.building import building, set_shape
from netlayers.core.layer import Layer
from netlayers.core.shapes import shown_shape
from netlayers.data.adapting import batches_for_adapt
from netlayers.data.structure import arrays_by_name
from netlayers.errors import ConfigurationError, DataError, DataTypeError, ShapeError
from netlayers.initializers import Initializer
from netlayers.layers.merged_moments import MergedMoments
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlayers._typing import Array, ArrayLike, Examples, Shape

_FAR = 256  # |mean| / standard deviation above which float32 keeps fewer than 5 digits
_FLOAT64 = np.dtype(np.float64)
_AS_IT_IS = InputSpec(keeps_precision=True)
_PIECE = 1 << 18  # values that adapt() processes at a time


@register("layer")
class Normalization(Layer):
    """Standardize each feature: ``y = (x - mean) / √variance``.

    Mean and variance are given, or computed from data by :meth:`adapt`; otherwise they are 0 and 1.
    The output has unit variance; a constant feature is divided by 1, as in scikit-learn. (Keras
    divides by at least 10⁻⁷.) Training and inference are the same, and no optimizer changes the
    weights of this layer.

    If float32 cannot represent the moments (a mean of many standard deviations, such as a time in
    seconds since 1970, or a variance below 10⁻³⁸), a float32 layer also keeps them in float64. As
    the first layer of a model it then takes unconverted data, and subtracts in float64 before
    rounding. ``model.save`` stores the float64 moments, ``save_weights`` does not.

    Shapes: ``x`` and ``y`` any of two axes or more; the weights ``adapt_mean`` and
    ``adapt_variance``, which exist if ``mean`` is not given, have the sizes of the axes; ``count``
    () is the number of values per mean.

    Args:
        axis: the axis, or axes, with a separate mean and variance for each index; ``None`` for a
            single mean and variance.
        mean: a number or an array that broadcasts to the axes; requires ``variance``.
        variance: variance, of the same shape as ``mean``.
        invert: undo the normalization, ``y = mean + x √variance``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        Y. LeCun et al., "Efficient BackProp", 1998, section 4.3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Normalization(dtype="float64")
        >>> layer.adapt([[0.0, 7.0], [2.0, 9.0]])
        >>> layer.forward(np.array([[3.0, 8.0]])).tolist()
        [[2.0, 0.0]]
    """

    supports_masking = True

    def __init__(
        self,
        axis: Any = -1,
        mean: ArrayLike | None = None,
        variance: ArrayLike | None = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if axis is None:
            self.axis: int | list[int] | None = None
        elif isinstance(axis, (list, tuple)):
            self.axis = [check_integer("Normalization", "each axis", a) for a in axis]
        else:
            self.axis = check_integer("Normalization", "axis", axis)
        if (mean is None) != (variance is None):
            raise ConfigurationError(
                f"Normalization: give both mean and variance, or neither, got mean={mean!r} and "
                f"variance={variance!r}."
            )
        self._mean, self._variance = mean, variance
        if mean is not None:
            self._check_given(mean, variance)
        self.invert = check_flag("Normalization", "invert", invert)
        self._found: tuple[Array, Array, int] | None = None
        self._wide = self._mean is not None and _needs_float64(self._mean, self._variance)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (4, 3)),
            ({"axis": [1, 3], "invert": True}, (2, 3, 2, 4)),
            ({"axis": None}, (2, 3, 2)),
            ({"mean": [1.0, 2.0, -4.0], "variance": [0.25, 1.0, 9.0]}, (4, 2, 3)),
            ({"axis": 1, "mean": 0.5, "variance": 4.0, "invert": True}, (4, 3)),
        ]

    def build(self, input_shape: Shape) -> None:
        """Declare the weights ``adapt_*`` and ``count``, or broadcast the given moments."""
        sizes = self._keep_axes(input_shape)
        if self._mean is None:
            mean, variance, count = self._found or (0.0, 1.0, 0)
            self.add_weight("adapt_mean", sizes, _Given(mean), statistic=True)
            self.add_weight("adapt_variance", sizes, _Given(variance), statistic=True)
            self.add_weight("count", (), _Given(count), statistic=True)
            return
        try:
            self._given = (
                np.broadcast_to(np.asarray(self._mean, np.float64), sizes),
                np.broadcast_to(np.asarray(self._variance, np.float64), sizes),
            )
        except ValueError:
            raise ShapeError(
                f"{self.owner} (Normalization): mean and variance have the shape "
                f"{np.shape(self._mean)}, which does not fit the axes of size {sizes} of an input "
                f"of shape {shown_shape(input_shape)}."
            ) from None

    def _keep_axes(self, input_shape: Shape) -> tuple[int, ...]:
        """Store the axes with moments of their own; return their sizes."""
        ndim = len(input_shape)
        axes = [] if self.axis is None else np.atleast_1d(self.axis).tolist()
        kept = sorted({a % ndim for a in axes if -ndim <= a < ndim})
        sizes = tuple(size for a in kept if (size := input_shape[a]) is not None)
        if len(sizes) < len(axes) or 0 in kept:
            raise ShapeError(
                f"{self.owner} (Normalization): axis={self.axis} must name existing, "
                "different axes of known size, not the batch (axis 0), of an input of shape "
                f"{shown_shape(input_shape)}."
            )
        self._kept = kept
        size_of = dict(zip(kept, sizes, strict=True))
        self._shape = tuple(size_of.get(a, 1) for a in range(ndim))
        return sizes

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the rank differs, or the size of an axis with moments.

        Alone, the layer takes another rank if the moments fit.
        """
        built = self.input_shape
        assert built is not None
        kept, own = [built[a] for a in self._kept], (self._kept, self._shape)
        if len(shape) != len(built):
            if not self._in_model and len(shape) > 1:
                with building, suppress(ShapeError):
                    if list(self._keep_axes(shape)) == kept:
                        set_shape(self, shape)
                        return
                self._kept, self._shape = own
            super().check_input_shape(shape)
        elif [shape[a] for a in self._kept] != kept:
            super().check_input_shape(shape)

    @property
    def _has_moments(self) -> bool:
        """Whether mean and variance are known: given, adapted, or set; true if not yet built."""
        known = self._mean is not None or not self.built or self.count
        return bool(known or np.any(self.adapt_mean) or np.any(self.adapt_variance != 1))

    def adapt(self, data: Any, batch_size: int | None = None) -> None:
        """Compute mean and variance from data, replacing the previous ones.

        Args:
            data: array-like, (samples, ...); a memory map, or a data set of h5py or zarr, is read
                in chunks. Or data in batches, in any form that ``model.fit`` takes, or a list of
                arrays of two axes or more: each batch is x, or ``(x, y)``, whose y is ignored.
            batch_size: samples per chunk; by default as many as take 2 MB in float64. It affects
                the result by rounding only.

        Raises:
            ConfigurationError: mean and variance were given to the constructor.
            DataError: the data are empty or not finite; a DataTypeError if they are one number.
            ShapeError: the data do not have the shape that the layer was built for.

        The moments are computed in float64 and stored in the dtype of the layer or its model, and
        also in float64 where that is not precise enough. Call ``adapt`` before training: weights
        trained with other moments do not fit the new ones.
        """
        owner = f"{self.owner}: adapt()"
        if self._mean is not None:
            raise ConfigurationError(
                f"{owner}: mean and variance were given to the constructor; there is nothing to "
                "adapt. Leave them out there."
            )
        if batch_size is not None:
            batch_size = check_integer(owner, "batch_size", batch_size, minimum=1)
        moments = MergedMoments()
        for batch in batches_for_adapt(owner, data):
            array = self._checked(owner, batch)
            row = math.prod(array.shape[1:])
            rows = batch_size or max(1, _PIECE // max(1, row))
            for start in range(0, len(array) if row else 0, rows):
                moments.add(array[start : start + rows], self._kept)
        if not moments.count:
            raise DataError(f"{owner}: the data are empty; give one sample or more.")
        mean, variance = moments.mean + moments.origin, moments.squares / moments.count
        constant = np.sqrt(variance) <= 10 * np.finfo(np.float64).eps * np.abs(mean)
        variance = np.where(constant, 0.0, variance)  # nothing but rounding
        largest = float(np.finfo(self._dtype).max)
        if not (np.all(np.abs(mean) <= largest) and np.all(variance <= largest)):
            raise DataError(
                f"{owner}: mean or variance of the data is too large for {self.compute_dtype} "
                f"(above {largest:.2g}). Scale the data, or use dtype='float64'."
            )
        self._found = (mean, variance, moments.count)
        self._wide = _needs_float64(mean, variance)
        self._bind_alone()  # its own weights, until the model allocates its vector
        self.adapt_mean[...] = mean
        self.adapt_variance[...] = variance
        self.count[...] = moments.count

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = (x - mean) / deviation``, or ``y = mean + x deviation``."""
        x = self.prepare(x)
        mean, deviation = self._moments()
        y = self.buffer("y", x.shape, training)
        between = y if mean.dtype is y.dtype else self.buffer("z", x.shape, training, mean.dtype)
        if self.invert:
            np.multiply(x, deviation, out=between)
            np.add(between, mean, out=y)
        else:
            np.subtract(x, mean, out=between)
            np.divide(between, deviation, out=y)
        if training:
            self.cache.shape, self.cache.deviation = x.shape, deviation
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy / deviation``, or ``dx = dy deviation``."""
        deviation = self.cache.deviation
        dy = self.check_gradient(dy, self.cache.shape)
        dx = self.workspace("dx", dy.shape, self._dtype)
        return (np.multiply if self.invert else np.divide)(dy, deviation, out=dx)

    @property
    def mean(self) -> Any:
        """The mean, in a shape that broadcasts against the input; as given before ``build``."""
        return self._current()[0].reshape(self._shape) if self.built else self._mean

    @property
    def variance(self) -> Any:
        """The variance, like :attr:`mean`."""
        return self._current()[1].reshape(self._shape) if self.built else self._variance

    def _argument(self, name: str) -> Any:
        """Return the value of a constructor argument."""
        return super()._argument(f"_{name}" if name in ("mean", "variance") else name)

    def _current(self) -> tuple[Array, Array]:
        """Return mean and variance, in the sizes of the axes."""
        if self._mean is not None:
            return self._given
        return self._exact() or (self.adapt_mean, self.adapt_variance)

    def _moments(self) -> tuple[Array, Array]:
        """Return the mean and the deviation, in shapes that broadcast against the input."""
        dtype, shape = self._dtype, self._shape
        mean, variance = self._current()
        if self._wide:
            dtype = _FLOAT64
        deviation = np.sqrt(variance)
        if not deviation.all():
            deviation = np.where(deviation == 0, deviation.dtype.type(1), deviation)
        return (
            mean.astype(dtype, copy=False).reshape(shape),
            deviation.astype(dtype, copy=False).reshape(shape),
        )

    # Digits that float32 has not -----------------------------------------------------------------

    @property
    def input_spec(self) -> InputSpec:  # type: ignore[override]
        """The input spec: unconverted data where float32 would lose digits in the subtraction."""
        return _AS_IT_IS if self._wide and not self.invert else FLOAT

    def _exact(self) -> tuple[Array, Array] | None:
        """Return the float64 moments of ``adapt`` if they are needed and still current."""
        if not self._wide or self._found is None:
            return None
        mean, variance, _ = self._found
        with np.errstate(under="ignore"):
            same = np.array_equal(self.adapt_mean, mean.astype(np.float32)) and np.array_equal(
                self.adapt_variance, variance.astype(np.float32)
            )
        return (mean, variance) if same else None

    def get_assets(self) -> dict[str, list[str] | bytes]:
        """Return the moments in float64, where they are needed."""
        exact = self._exact() if self.built else None
        return {} if exact is None else {"moments": np.stack(exact).astype("<f8").tobytes()}

    def set_assets(self, assets: Mapping[str, list[str] | bytes]) -> None:
        """Restore the ``assets`` that :meth:`get_assets` returned, once the weights exist."""
        self._wide = False
        if not assets:
            return
        data = assets["moments"]
        assert isinstance(data, bytes)
        values = np.frombuffer(data, "<f8").astype(np.float64)
        mean, variance = values.reshape(2, *self.adapt_mean.shape)
        if not np.isfinite(values).all() or (variance < 0).any():
            raise ValueError("moments must be finite, and variances not negative")
        self._found, self._wide = (mean, variance, int(self.count)), True

    def _checked(self, owner: str, data: Any) -> Array:
        """Return the data for ``adapt`` as an array of finite numbers; build the layer for them.

        Data that are not in memory are read in chunks.
        """
        (data,) = arrays_by_name(owner, "data", data, ["x"])
        array: Any = as_data(owner, "data", data)
        if array.ndim == 0:
            raise DataTypeError(
                f"{owner}: data must have the shape (samples, ...), got the single number {array}."
            )
        check_values(owner, "data", array, np.dtype(np.float64))
        if not self.built:
            self.build((None, *array.shape[1:]))
        self.check_input_shape(array.shape)
        return array

    def _check_given(self, mean: Any, variance: Any) -> None:
        """Check the given moments and store them as plain numbers."""
        arrays = [as_array("Normalization", "mean", mean)]
        arrays.append(as_array("Normalization", "variance", variance))
        for name, array in zip(("mean", "variance"), arrays, strict=True):
            check_finite("Normalization", name, array)
        if arrays[0].shape != arrays[1].shape:
            raise ConfigurationError(
                "Normalization: mean and variance must have the same shape, got "
                f"{arrays[0].shape} and {arrays[1].shape}."
            )
        if np.any(arrays[1] < 0):
            raise ConfigurationError(
                f"Normalization: variance must not be negative, got {variance!r}."
            )
        self._mean, self._variance = (array.astype(np.float64).tolist() for array in arrays)


def _needs_float64(mean: Any, variance: Any) -> bool:
    """Whether float32 loses significant digits of ``x - mean``, or the variance."""
    mean, variance = np.abs(np.asarray(mean, np.float64)), np.asarray(variance, np.float64)
    deviation = np.where(variance == 0, 1.0, np.sqrt(variance))
    tiny = (variance > 0) & (variance < np.finfo(np.float32).tiny)
    return bool(np.any(mean > _FAR * deviation) or tiny.any())


class _Given(Initializer):
    """Initializer with the result of :meth:`Normalization.adapt`, for weights built afterwards.

    Args:
        values: a number, or an array of the shape of the weight.
    """

    def __init__(self, values: Any) -> None:
        self.values = values

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Write the values into ``out``."""
        out[...] = self.values
