"""Calls that compute a layer as at inference, in training too."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netlayers.checks import is_foreign
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers.core.calls import Call
    from netlayers.core.layer import Layer
    from netlayers.core.parameters import Parameter


class InferenceCall:
    """A call that computes a layer as at inference, in training too, with its gradient.

    Dropout and noise are the identity, and ``BatchNormalization`` uses its moving averages, which
    it does not change; their derivatives are those of these formulas. The weights are trained
    unless they are frozen.

    Args:
        layer: the layer.
        call: the layer, or an additional call of it.
    """

    def __init__(self, layer: Layer, call: Layer | Call) -> None:
        self.layer, self.call = layer, call

    @property
    def can_skip_input_gradient(self) -> bool:
        """Whether ``backward`` takes ``input_gradient``."""
        return self.call.can_skip_input_gradient

    @property
    def declared_parameters(self) -> Sequence[Parameter]:
        """The weights of the layer."""
        return self.layer.declared_parameters

    @property
    def _has_trainable_weights(self) -> bool:
        return self.layer._has_trainable_weights

    def forward(self, x: Any, training: bool = False, **options: Any) -> Any:
        """Return the layer's output at inference."""
        with self._at_inference(training) as caches:
            return self.call.forward(x, caches, **options)

    def backward(self, dy: Any, **options: Any) -> Any:
        """Return dL/dx.

        Raises:
            ConfigurationError: a class of the user computes something else in training.
        """
        return self._backward("backward", dy, options)

    def _forward_logits(self, x: Any, training: bool = False, **options: Any) -> Any:
        """Return the layer's logits at inference."""
        with self._at_inference(training) as caches:
            return self.call._forward_logits(x, caches, **options)

    def _backward_logits(self, dz: Any, **options: Any) -> Any:
        """Return dL/dx from the gradient with respect to the logits."""
        return self._backward("_backward_logits", dz, options)

    def _backward(self, method: str, dy: Any, options: dict[str, Any]) -> Any:
        with self._at_inference(True) as caches:
            if caches:
                return getattr(self.call, method)(dy, **options)
        (part, *_) = self._others()
        raise ConfigurationError(
            f"{self.layer.owner}: it is called with training=False, and the gradient of "
            f"{part.owner} ({type(part).__name__}) at inference is not known, because it has "
            "same_in_training = False. Freeze it and what lies before it, or leave training=False "
            "out."
        )

    def _others(self) -> list[Layer]:
        """Return the sublayers of the user that compute something else in training."""
        parts = self.layer._flatten_layers()
        return [p for p in parts if not p.same_in_training and is_foreign(type(p))]

    @contextmanager
    def _at_inference(self, training: bool) -> Iterator[bool]:
        """Switch the sublayers; yield whether they keep what ``backward`` needs."""
        if not training or self._others():
            yield False
            return
        parts: list[Any] = [p for p in self.layer._flatten_layers() if not p.same_in_training]
        before = [part._at_inference for part in parts]
        for part in parts:
            part._at_inference = True
        try:
            yield True
        finally:
            for part, old in zip(parts, before, strict=True):
                part._at_inference = old
