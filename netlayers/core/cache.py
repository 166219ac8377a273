"""The cache: what the forward pass stores for the backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.errors import NoForwardError


class Cache:
    """What ``forward`` stores for ``backward``, as plain attributes.

    Reading an attribute that was never set raises an error that says what to call first.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner

    if TYPE_CHECKING:  # any attribute may be set; at run time the default is fastest

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NoForwardError(
            f"{self._owner}: backward() needs a forward() before it"
            + (
                "."
                if self._owner.startswith("loss")
                else " with training=True, which stores what the gradient is computed from."
            )
        )
