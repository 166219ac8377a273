"""Memory that a layer uses again in every step, and what its backward pass remembers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from netlayers.errors import NoForwardError
from netlayers.kernels.memory import aligned

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype


class Workspace:
    """Named buffers that are allocated once.

    A buffer grows when a larger one is asked for and never shrinks; a smaller one, such as that of
    a last and smaller batch, is the leading slice of the same memory.
    """

    def __init__(self) -> None:
        self._memory: dict[tuple[str, Dtype], Array] = {}
        self.views: dict[tuple[str, tuple[int, ...], Dtype], Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the buffer ``name`` in the given shape; it holds whatever was there before."""
        view = self.views.get((name, shape, dtype))
        return self._make(name, shape, dtype) if view is None else view

    def _make(self, name: str, shape: tuple[int, ...], dtype: Dtype) -> Array:
        size = math.prod(shape)
        memory = self._memory.get((name, dtype))
        if memory is None or memory.size < size:
            memory = self._memory[name, dtype] = aligned(size, dtype)
            self.views = {k: v for k, v in self.views.items() if (k[0], k[2]) != (name, dtype)}
        if len(self.views) > 256:  # batches of ever new sizes must not fill the memory with views
            self.views.clear()
        view = self.views[name, shape, dtype] = memory[:size].reshape(shape)
        return view


class Cache:
    """What ``forward`` leaves for ``backward``: plain attributes, set in one and read in the other.

    Reading one that was never set is an error that says what to call first.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner

    if TYPE_CHECKING:  # any attribute may be set; at run time the plain way is the fast one

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NoForwardError(
            f"{self._owner}: backward() needs a forward() before it"
            + (
                "."
                if self._owner.startswith("loss")
                else " with training=True, which remembers what the gradient is computed from."
            )
        )
