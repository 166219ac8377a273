"""A chain of layers at inference, prepared once, so that small batches take a short path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from netlayers.activations.rectifiers import ReLU
from netlayers.core.changes import LAST_CHANGE
from netlayers.kernels.exact import EXACT
from netlayers.kernels.select import kernels
from netlayers.layers.convolution import Conv1D, Conv2D, Conv3D
from netlayers.layers.dense_stack import DenseStack
from netlayers.layers.dropout import Dropout
from netlayers.layers.input import InputLayer
from netlayers.layers.pooling import MaxPooling1D, MaxPooling2D, MaxPooling3D
from netlayers.layers.rectified import Rectified
from netlayers.layers.reshaping import Flatten, Reshape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlayers._typing import Array
    from netlayers.layers.wiring import Callee

    Step = Callable[[Any], Any]

# What is prepared for each network: beside it, since inference writes to nothing in a layer.
_PREPARED: WeakKeyDictionary[Any, Prediction] = WeakKeyDictionary()


def predicted(network: Any, x: Any) -> Any:
    """Return the output of a chain at inference if it is prepared for inputs like x, or ``None``.

    To check every input and to find out what to compute takes longer than the products of a small
    batch. So that is prepared when a second input of the same shape comes, and kept until a layer
    or the kernels change. The numbers are those of the layers one by one. Steps write to nothing
    but new arrays, so that several threads can predict.

    Args:
        network: the network, without branches and masks.
        x: its input.
    """
    known = _PREPARED.get(network)
    if known is not None and known.fits(x):
        return known(network._stages(), x)
    if type(x) is np.ndarray and x.dtype is network._dtype and x.shape[1:] == network._row:
        _PREPARED[network] = Prediction(x)
    return None


class Prediction:
    """The steps of a chain, for inputs of one shape, as long as kernels and layers are these.

    Args:
        x: such an input.
    """

    def __init__(self, x: Array) -> None:
        self._shape, self._dtype = x.shape, x.dtype
        self._change, self._kernels = LAST_CHANGE[0], vars(kernels)
        self._stages: Sequence[Callee] | None = None
        self._steps: list[Step] = []

    def fits(self, x: Any) -> bool:
        """Return whether the steps compute the output for x."""
        return (
            type(x) is np.ndarray
            and x.shape == self._shape
            and x.dtype is self._dtype
            and LAST_CHANGE[0] is self._change
            and vars(kernels) is self._kernels
            and x.flags.c_contiguous
            and x.size > 0
            and not EXACT
        )

    def __call__(self, stages: Sequence[Callee], x: Any) -> Any:
        """Return the output for x, with the steps of these stages."""
        if stages is self._stages:
            for step in self._steps:
                x = step(x)
            return x
        steps: list[Step] = []
        known = True  # whether the next input has the same shape every time
        for call in stages:
            found = step_of(call, x)
            if found is None:
                known = False
                steps.append(forward_of(call))
            else:
                steps.append(found if known else if_alike(found, call, x))
            x = steps[-1](x)
        self._steps, self._stages = steps, stages  # in this order: another thread may look
        return x


def forward_of(call: Callee) -> Step:
    """Return ``call.forward`` at inference, the method that it has when it is called."""

    def compute(x: Any) -> Any:
        return call.forward(x)

    return compute


def if_alike(step: Step, call: Callee, x: Array) -> Step:
    """Return a step for arrays like x, and ``call.forward`` for others."""
    shape, dtype = x.shape, x.dtype

    def compute(x: Any) -> Any:
        alike = type(x) is np.ndarray and x.shape == shape and x.dtype is dtype
        return step(x) if alike and x.flags.c_contiguous else call.forward(x)

    return compute


# What a call computes for arrays like x --------------------------------------------------------


def step_of(call: Any, x: Any) -> Step | None:
    """Return a function that computes a call for arrays like x, if it is prepared here.

    By the exact class: a subclass may compute something else.
    """
    find = _STEPS.get(type(call))
    plain = type(x) is np.ndarray and x.dtype.kind == "f" and x.flags.c_contiguous and x.size
    if find is None or not plain or _replaced(call) or _replaced(getattr(call, "activation", None)):
        return None
    return find(call, x)


def _replaced(thing: Any) -> bool:
    """Return whether a method of an object was replaced, as by a hook."""
    return thing is not None and not vars(thing).keys().isdisjoint(("forward", "_forward_logits"))


def _convolution(layer: Any, x: Array, rectify: bool = False) -> Step | None:
    if layer._order is not None:
        return None
    windows, activation = layer._windows(x.shape[1:-1]), layer.activation
    own = type(activation) is ReLU and activation._plain
    shape, dtype = (len(x), *windows.counts, layer.filters), x.dtype
    z = np.empty(shape, dtype)
    weights = layer.kernel, windows, z, layer.groups, layer.bias
    convolve = kernels.prepared_convolve(x, *weights, rectify or own)
    if convolve is None:
        return None

    def compute(x: Array) -> Array:
        z = np.empty(shape, dtype)
        convolve(x, z)
        return z if own else activation.forward(z, inplace=True)

    return compute


def _rectified(call: Rectified, x: Array) -> Step | None:
    layer = call._call
    if type(layer) not in _CONVOLUTIONS or not call._is_one():
        return None
    return _convolution(layer, x, rectify=True)


def _pooling(layer: Any, x: Array) -> Step | None:
    if layer._order is not None:
        return None
    windows, dtype = layer._windows(x.shape[1:-1]), x.dtype
    shape = len(x), *windows.counts, x.shape[-1]
    pool = kernels.prepared_max_pool(x, windows)
    if pool is None:
        return None

    def compute(x: Array) -> Array:
        y = np.empty(shape, dtype)
        pool(x, y)
        return y

    return compute


def _identity(layer: Any, x: Array) -> Step | None:
    return (lambda x: x) if layer.forward(x) is x else None


def _reshaping(layer: Any, x: Array) -> Step | None:
    shape = layer.compute_output_shape(x.shape)
    return None if getattr(layer, "_moves", False) else lambda x: x.reshape(shape)


_CONVOLUTIONS: tuple[Any, ...] = (Conv1D, Conv2D, Conv3D)
_STEPS: dict[type, Callable[[Any, Array], Step | None]] = {
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    **dict.fromkeys((MaxPooling1D, MaxPooling2D, MaxPooling3D), _pooling),
    **dict.fromkeys((Flatten, Reshape), _reshaping),
    **dict.fromkeys((InputLayer, Dropout), _identity),
    DenseStack: DenseStack.step_for,
    Rectified: _rectified,
}
