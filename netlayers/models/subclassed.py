"""Models that a user writes as a class with ``forward`` and ``backward``."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import each, one, shapes_of
from netlayers.checks import is_foreign
from netlayers.core.building import abstract_build
from netlayers.core.calls import Call
from netlayers.core.hooks import observed
from netlayers.core.inputs import specs_of
from netlayers.core.layer import Layer
from netlayers.core.shapes import any_batch, listed_shapes
from netlayers.errors import ConfigurationError
from netlayers.models.layered import LayeredModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlayers._typing import Shape

_DTYPES = {"integer": np.int64, "boolean": bool, "string": "U1"}


class SubclassedModel(LayeredModel):
    """What a class derived from ``Model`` needs besides its ``forward`` and ``backward``.

    The layers are the attributes that are layers, and those in attributes that are lists, tuples or
    dicts. The first data build them: ``forward`` runs on one sample of zeros, for the shapes.
    """

    _output: Any = None  # its shape
    activation: Any = None  # forward says how the output is computed

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith("netlayers."):
            for name, guard in (("forward", _guarded_forward), ("backward", _guarded_backward)):
                if name in vars(cls):
                    setattr(cls, name, guard(vars(cls)[name]))

    def build(self, input_shape: Shape) -> None:
        """Find the layers, and build them by running ``forward`` on one sample of zeros.

        Args:
            input_shape: input shape with the batch first, such as ``(None, 784)``.

        Raises:
            ConfigurationError: ``forward`` calls a layer twice or not at all, or there is none.
        """
        for layer in self._layers_in_attributes():
            if layer not in self.layers:
                self._add_sublayer(layer)
        if not self.layers:
            raise ConfigurationError(
                f"{self.owner}: it has no layers; set them as attributes in __init__()."
            )
        counts = {id(layer): 0 for layer in self.layers}

        def count(layer: Layer, method: str, given: Any, run: Callable[[], Any]) -> Any:
            if method == "forward" and id(layer) in counts and not isinstance(layer, Call):
                counts[id(layer)] += 1
            return run()

        shapes = zip(listed_shapes(input_shape), specs_of(self), strict=True)
        x = one(
            [
                np.zeros([size or 1 for size in shape], _DTYPES.get(spec.dtype, self._dtype))
                for shape, spec in shapes
            ]
        )
        before = [layer for layer in self.layers if layer.built]
        try:
            with abstract_build(), observed(self, count):
                y = self.forward(x)
            self._check_calls(counts)
        except BaseException:
            self._built_here = [layer for layer in self.layers if layer not in before]
            self._unbuild()
            raise
        self._output = any_batch(shapes_of(y))
        self._collect_parameters()

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of what ``forward`` returned for one sample."""
        shape: Shape = self._output
        return shape

    def _check_calls(self, counts: dict[int, int]) -> None:
        for layer in self.layers:
            count = counts[id(layer)]
            if count == 1 or (count == 0 and not is_foreign(layer) and not layer.trainable):
                continue
            if count == 0:
                raise ConfigurationError(
                    f"{self.owner}: forward() does not call forward of its layer {layer.name!r}; "
                    "call it, or remove the attribute."
                )
            raise ConfigurationError(
                f"{self.owner}: forward() calls the layer {layer.name!r} {count} times, and each "
                "call overwrites what backward() needs. Write nl.Model(inputs, outputs), which "
                "adds up the gradients of several calls, or make another layer."
            )

    def _layers_in_attributes(self) -> Iterator[Layer]:
        own = ("layers", "calls", "_built_here")
        for name, value in vars(self).items():
            if name in own:
                continue
            if isinstance(value, dict):
                value = list(value.values())
            for item in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(item, Layer):
                    yield item

    def _call_layers(self) -> tuple[list[Any], list[Any]]:
        raise ConfigurationError(
            f"{self.owner}: a model of a class of your own has no symbolic inputs and outputs."
        )


def _guarded_forward(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a user's ``forward``: its input is checked, and the model built for it."""

    @functools.wraps(forward)
    def guarded(self: SubclassedModel, x: Any, training: bool = False, **options: Any) -> Any:
        if "_building" not in vars(self):
            x = self.prepare(x)
        y = forward(self, x, training, **options)
        for part in each(y):
            if not isinstance(part, np.ndarray):
                raise ConfigurationError(
                    f"{self.owner} ({type(self).__name__}): forward() must return an array, or a "
                    f"tuple of arrays, got {type(part).__name__}."
                )
        return y

    return guarded


def _guarded_backward(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a user's ``backward``: it need not know that dL/dx is not always needed."""

    @functools.wraps(backward)
    def guarded(self: SubclassedModel, dy: Any, input_gradient: bool = True) -> Any:
        return backward(self, dy)

    return guarded
