"""Activations, usable as functions (``relu(x)``), as ``activation=`` of a layer, and as layers.

Each is one class with ``forward`` and ``backward``. The lower-case names here are callable and
create an object of the class for each layer that uses them.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._serializers import same_settings, serializers
from netlayers.activations.base import ActivationLayer, AxisActivation
from netlayers.activations.clipped import HardSigmoid, HardTanh, ReLU6, SparseSigmoid
from netlayers.activations.function import FunctionActivation
from netlayers.activations.gated import GELU, GLU, HardSiLU, Mish, SiLU
from netlayers.activations.rectifiers import CELU, ELU, SELU, LeakyReLU, Linear, ReLU
from netlayers.activations.shrinkage import HardShrink, SoftShrink, TanhShrink, Threshold
from netlayers.activations.sigmoids import Exponential, Sigmoid, Softsign, Tanh
from netlayers.activations.softmaxes import LogSoftmax, Softmax, Sparsemax
from netlayers.activations.softpluses import LogSigmoid, Softplus, SparsePlus, Squareplus
from netlayers.arrays.convert import as_array
from netlayers.core.layer import Layer
from netlayers.errors import ConfigurationError
from netlayers.registry import check_defined, lookup, own_function, register_name, resolve

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Identifier

__all__ = [
    "ActivationFunction",
    "ActivationLayer",
    "AxisActivation",
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]


class ActivationFunction:
    """An activation as a function of an array, and a factory for its layer.

    Args:
        name: name of the function.
        layer: the class that implements it.
        order: names of the positional arguments after ``x``, as in Keras's function.
        defaults: arguments whose defaults differ from the layer's.
        aliases: additional names.
    """

    def __init__(
        self,
        name: str,
        layer: type[ActivationLayer],
        *,
        order: tuple[str, ...] = (),
        defaults: dict[str, Any] | None = None,
        aliases: tuple[str, ...] = (),
    ) -> None:
        self.__name__ = name
        self.__doc__ = layer.__doc__
        self._layer = layer
        self._order = order
        self._defaults = defaults or {}
        for alias in (name, *aliases):
            register_name("activation", alias, self.make)
        register_name("activation", layer.__name__, layer)

    def make(self, **options: Any) -> ActivationLayer:
        """Return a new object of the layer class, with ``options`` as its arguments."""
        return self._layer(**{**self._defaults, **options})

    def __call__(self, x: ArrayLike, *args: Any, **kwargs: Any) -> Array:
        """Return f(x) as a new array: float64 for float64 input, float32 otherwise."""
        if len(args) > len(self._order):
            raise TypeError(f"{self.__name__}() takes x and {self._order}, got {len(args)} more")
        given = dict(zip(self._order, args, strict=False))
        if twice := given.keys() & kwargs:
            raise TypeError(f"{self.__name__}() got {', '.join(twice)} twice")
        values = as_array(self.__name__, "x", x)
        wide = values.dtype.kind == "f" and values.dtype.itemsize == 8
        y = self.make(dtype="float64" if wide else "float32", **given, **kwargs).forward(values)
        return y.copy() if np.may_share_memory(y, values) else y

    def __eq__(self, other: object) -> bool:
        """Whether ``other`` is this function, or an object that ``get`` returns for its name."""
        return other is self or same_settings(self.make(), other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<activation {self.__name__}>"


linear = ActivationFunction("linear", Linear)
relu = ActivationFunction("relu", ReLU, order=("negative_slope", "max_value", "threshold"))
leaky_relu = ActivationFunction(
    "leaky_relu", LeakyReLU, order=("negative_slope",), defaults={"negative_slope": 0.2}
)
elu = ActivationFunction("elu", ELU, order=("alpha",))
selu = ActivationFunction("selu", SELU)
sigmoid = ActivationFunction("sigmoid", Sigmoid)
hard_sigmoid = ActivationFunction("hard_sigmoid", HardSigmoid)
tanh = ActivationFunction("tanh", Tanh)
softplus = ActivationFunction("softplus", Softplus)
softsign = ActivationFunction("softsign", Softsign)
exponential = ActivationFunction("exponential", Exponential, aliases=("exp",))
softmax = ActivationFunction("softmax", Softmax, order=("axis",))
log_softmax = ActivationFunction("log_softmax", LogSoftmax, order=("axis",))
gelu = ActivationFunction("gelu", GELU, order=("approximate",))
silu = swish = ActivationFunction("silu", SiLU, aliases=("swish",))
mish = ActivationFunction("mish", Mish)
relu6 = ActivationFunction("relu6", ReLU6)
celu = ActivationFunction("celu", CELU, order=("alpha",))
glu = ActivationFunction("glu", GLU, order=("axis",))
hard_silu = hard_swish = ActivationFunction("hard_silu", HardSiLU, aliases=("hard_swish",))
hard_tanh = ActivationFunction("hard_tanh", HardTanh)
log_sigmoid = ActivationFunction("log_sigmoid", LogSigmoid)
hard_shrink = ActivationFunction("hard_shrink", HardShrink, order=("threshold",))
soft_shrink = ActivationFunction("soft_shrink", SoftShrink, order=("threshold",))
tanh_shrink = ActivationFunction("tanh_shrink", TanhShrink)
threshold = ActivationFunction("threshold", Threshold, order=("threshold", "default_value"))
sparsemax = ActivationFunction("sparsemax", Sparsemax, order=("axis",))
sparse_plus = ActivationFunction("sparse_plus", SparsePlus)
sparse_sigmoid = ActivationFunction("sparse_sigmoid", SparseSigmoid)
squareplus = ActivationFunction("squareplus", Squareplus, order=("b",))


def get(identifier: Identifier) -> ActivationLayer:
    """Return a new activation object from a name, a function of this module, or an object.

    Args:
        identifier: ``"relu"``, ``activations.relu``, ``ReLU()`` (copied, so that one object
            may be passed to many layers), a configuration, a function of an array (with a numerical
            derivative), or ``None`` for no activation.

    Raises:
        ConfigurationError: the name is unknown, the activation needs arguments, or the identifier
            is a layer of another kind.

    Example:
        >>> from netlayers import activations
        >>> activations.get("leaky_relu")
        LeakyReLU(negative_slope=0.2)
    """
    if identifier is None:
        return Linear()
    if isinstance(identifier, ActivationLayer):
        check_defined("activation", type(identifier))
        _check_inplace(type(identifier))
        return copy.deepcopy(identifier)
    identifier = own_function("activation", identifier) or identifier
    if isinstance(identifier, (str, ActivationFunction)):
        make = lookup("activation", identifier) if isinstance(identifier, str) else identifier.make
        try:
            activation: ActivationLayer = make()
        except TypeError as error:
            raise ConfigurationError(
                f"activation {identifier!r}: it needs arguments ({error}); pass an object, such as "
                "netlayers.layers.Threshold(threshold=0.0, default_value=0.0)."
            ) from None
        return activation
    if isinstance(identifier, Layer):
        raise ConfigurationError(
            f"activation: {identifier!r} is a layer. Write a subclass of "
            "netlayers.activations.ActivationLayer with forward and backward, and pass an object "
            "of it."
        )
    if callable(identifier) and not isinstance(identifier, type):
        return FunctionActivation(identifier)
    if isinstance(identifier, dict) and identifier.get("class_name") == "FunctionActivation":
        return FunctionActivation(**identifier["config"])
    result: ActivationLayer = resolve("activation", identifier, ActivationLayer)
    _check_inplace(type(result))
    return result


def _require_inplace(cls: type) -> None:
    """Check that ``forward`` takes ``inplace``, which a layer passes to its activation."""
    taken = inspect.signature(cls.forward).parameters.values()  # type: ignore[attr-defined]
    if not any(p.name == "inplace" or p.kind is p.VAR_KEYWORD for p in taken):
        raise ConfigurationError(
            f"activation: {cls.__name__}.forward must take the argument inplace, as in "
            "forward(self, x, training=False, inplace=False), to be the activation of another "
            "layer; where it is True, x may be overwritten. Or add the activation as a layer of "
            "its own."
        )


_check_inplace: Callable[[type], None] = functools.cache(_require_inplace)

serialize, deserialize = serializers(get)
