"""Building layers: shape checks, thread safety, and building without memory."""

from __future__ import annotations

import functools
import os
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

from netlayers._warn import warn
from netlayers.arrays.spec import FLOAT
from netlayers.checks import check_shape, is_several
from netlayers.core.inputs import check_declared
from netlayers.core.shapes import any_batch, checked_shape
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Shape
    from netlayers.core.protocols import LayerLike

    Build = Callable[[LayerLike, Shape], None]


# Held while a layer is built or its weights are bound, as several threads may be the first to use
# it. One lock for all layers, because a layer with a lock could not be copied or pickled. It is
# acquired before a fork, because the thread that holds it does not exist in the child process.
building = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=building.acquire, after_in_parent=building.release, after_in_child=building.release
    )


def checked_build(build: Build) -> Build:
    """Wrap a ``build`` method: check the shape, start without weights, store the output shape."""

    @functools.wraps(build)
    def checked(self: LayerLike, input_shape: Shape = ()) -> None:
        with building:
            if self.__dict__.get("_building"):  # super().build(...) inside build
                build(self, input_shape)
            else:
                build_once(self, input_shape)

    def build_once(self: LayerLike, input_shape: Shape) -> None:
        if is_several(input_shape):
            shape = any_batch(checked_shape(self.owner, "input_shape", input_shape))
        else:
            shape = check_shape(self.owner, "input_shape", input_shape, minimum=0)
            shape = (None, *shape[1:]) if shape else shape
        shape = shape or getattr(self, "_usual_shape", ())
        if not shape:
            raise ConfigurationError(
                f"{self.owner}: build() needs the input shape, batch first, such as (None, 784)."
            )
        if self.built:
            if self.input_shape != shape and (self.declared_parameters or self._in_model):
                self.check_input_shape(shape)
                return
            if self.input_shape == shape:
                return
        if self.input_spec is not FLOAT or is_several(shape):
            check_declared(self, shape)
        self._building = threading.get_ident()
        self.declared_parameters, self.states = [], {}
        self._set_dtype(self._dtype)
        try:
            build(self, shape)
            if self._adds_penalty:  # a class of the user
                self._check_sublayers()
            output_shape = self.compute_output_shape(shape)
        except BaseException:
            self.declared_parameters, self.states = [], {}
            raise
        finally:
            del self._building
        self.output_shape = tuple(output_shape)
        self.input_shape = shape  # the layer is built from here on
        self._after_build()

    return checked


_abstract: ContextVar[bool] = ContextVar("building_abstractly", default=False)


class abstract_build:
    """Context manager in which ``build`` declares weights without allocating them.

    ``assemble`` makes their vector afterwards.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.core.building import abstract_build
        >>> with abstract_build():
        ...     layer = nl.layers.Dense(10**12)
        ...     layer.build((None, 10**6))
        >>> [p.shape for p in layer.declared_parameters]
        [(1000000, 1000000000000), (1000000000000,)]
    """

    def __enter__(self) -> None:
        self._token = _abstract.set(True)

    def __exit__(self, *_: object) -> None:
        _abstract.reset(self._token)


def building_abstractly() -> bool:
    """Whether weights are declared without being allocated."""
    return _abstract.get()


def set_shape(layer: LayerLike, shape: Shape) -> None:
    """Let a layer that stands alone take another shape than the one it was built for."""
    layer.input_shape = (None, *shape[1:])
    layer.output_shape = layer.compute_output_shape(layer.input_shape)
    layer._row = None  # prepare() then compares with this shape


def warn_of_unused(layer: LayerLike, weight: str, flag: str, usual: str) -> None:
    """Warn about arguments for a weight that the layer does not have.

    Args:
        layer: the layer, with the arguments as its attributes.
        weight: name of the weight, such as ``"bias"``.
        flag: the argument that is False.
        usual: class of the default initializer.
    """
    names = [f"{weight}_{kind}" for kind in ("initializer", "regularizer", "constraint")]
    values = {name: getattr(layer, name) for name in names}
    given = [
        name
        for name, value in values.items()
        if value is not None and type(value).__name__ != usual
    ]
    if given:
        warn(
            f"{layer.owner} ({type(layer).__name__}): {' and '.join(given)} has no effect with "
            f"{flag}=False."
        )
