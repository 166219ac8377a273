"""A convolution, normalization or sum with the rectifier behind it, in one pass over memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.activations.rectifiers import Linear, ReLU
from netlayers.layers.activation import Activation
from netlayers.layers.batch_normalization import BatchNormalization
from netlayers.layers.convolution import Conv1D, Conv2D, Conv3D
from netlayers.layers.merge_layers import Add

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter
    from netlayers.layers.wiring import Callee


def can_rectify(call: Any) -> bool:
    """Return whether a call can rectify its output; by the exact class, as :func:`is_plain`."""
    if type(call) in (Conv1D, Conv2D, Conv3D):
        return type(call.activation) is Linear
    return type(call) in (BatchNormalization, Add)


def is_plain(call: Any) -> bool:
    """Return whether a call is ``y = max(x, 0)``; a subclass may compute something else."""
    if type(call) not in (ReLU, Activation):
        return False
    return type(call.activation) is ReLU and call.activation._plain


class Rectified:
    """Computes ``y = max(f(x), 0)``, or f and the rectifier one by one while a hook observes them.

    Both ways give the same numbers, and the array f(x) is not needed: backward is that of f for dy
    where ``y > 0``. It replaces the two calls while a network computes with compiled kernels, as
    :class:`DenseStack` does, or in the threads of NumPy's.

    Args:
        call: f, for which :func:`can_rectify` is true.
        rectifier: the call that follows.
    """

    def __init__(self, call: Any, rectifier: Any) -> None:
        self._call, self._rectifier = call, rectifier
        self._activation = rectifier.activation
        self._linear = getattr(call, "activation", None)  # that of a convolution
        parts = (call, self._linear, rectifier, rectifier.activation)
        # Where hooks replace methods.
        self._watched = [vars(part) for part in parts if part is not None]

    def __len__(self) -> int:
        """Return the number of calls that it replaces."""
        return 2

    @property
    def can_skip_input_gradient(self) -> bool:
        """Whether ``backward`` takes ``input_gradient``."""
        can: bool = self._call.can_skip_input_gradient
        return can

    @property
    def _has_trainable_weights(self) -> bool:
        has: bool = self._call._has_trainable_weights
        return has

    @property
    def declared_parameters(self) -> Sequence[Parameter]:
        """The weights of f."""
        its: Sequence[Parameter] = self._call.declared_parameters
        return its

    def forward(self, x: Any, training: bool = False) -> Array:
        """``y = max(f(x), 0)``."""
        if not self._is_one():
            y: Array = self._rectifier.forward(self._call.forward(x, training), training)
            return y
        y = self._call._forward(x, training, rectify=True)
        if training:
            self._activation.cache.y = y
        return y

    def backward(self, dy: Array, **options: Any) -> Any:
        """``dx = f'(dy)`` for dy where ``y > 0``."""
        if not self._call.cache.rectified or not self._is_one():
            dy = self._rectifier.backward(dy)
        return self._call.backward(dy, **options)

    def _is_one(self) -> bool:
        """Return whether both are built and as they were, without a method that was replaced."""
        return (
            getattr(self._call, "activation", None) is self._linear
            and self._call.built
            and self._rectifier.built
            and self._rectifier.activation is self._activation
            and self._call._dtype is self._activation._dtype
            and not any("forward" in its or "backward" in its for its in self._watched)
        )


def rectified(calls: Sequence[Callee]) -> list[Callee]:
    """Return calls with each rectifier behind a call that can take it as one with that."""
    found: list[Callee] = []
    for call in calls:
        if found and is_plain(call) and can_rectify(found[-1]):
            found[-1] = Rectified(found[-1], call)
        else:
            found.append(call)
    return found
