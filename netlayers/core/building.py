"""What happens around the ``build`` of a layer."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from netlayers.checks import check_shape
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Shape
    from netlayers.core.layer import Layer

    Build = Callable[[Layer, Shape], None]


def checked_build(build: Build) -> Build:
    """Wrap a ``build`` method: check the shape, start from no weights, note the output shape."""

    @functools.wraps(build)
    def checked(self: Layer, input_shape: Shape = ()) -> None:
        if self.__dict__.get("_building"):  # super().build(...) within a build
            build(self, input_shape)
            return
        shape = check_shape(self.owner, "input_shape", input_shape)
        if not shape:
            raise ConfigurationError(
                f"{self.owner}: build() needs the input shape, batch first, such as (None, 784)."
            )
        shape = (None, *shape[1:])
        if self.built:
            if self.input_shape != shape and (self.slots or self._in_model):
                self.check_input_shape(shape)
                return
            if self.input_shape == shape:
                return
        self._building = True
        self.slots = []
        self.compute_in(self._dtype)
        try:
            build(self, shape)
            output_shape = self.compute_output_shape(shape)
        except BaseException:
            self.slots = []
            raise
        finally:
            del self._building
        self.input_shape = shape
        self.output_shape = tuple(output_shape)
        self.after_build()

    return checked
