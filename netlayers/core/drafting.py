"""Models that are declared and take no memory, so that a file's claims can be checked first."""

from __future__ import annotations

from contextvars import ContextVar

_drafting: ContextVar[bool] = ContextVar("drafting", default=False)


class draft:
    """Within this context, ``build`` declares the weights of layers and makes no arrays.

    The layers are complete but for their vector; ``assemble`` makes it afterwards.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.core.drafting import draft
        >>> with draft():
        ...     layer = nl.layers.Dense(10**12)
        ...     layer.build((None, 10**6))
        >>> [p.shape for p in layer.slots]
        [(1000000, 1000000000000), (1000000000000,)]
    """

    def __enter__(self) -> None:
        self._token = _drafting.set(True)

    def __exit__(self, *_: object) -> None:
        _drafting.reset(self._token)


def drafting() -> bool:
    """Whether arrays are left out for now."""
    return _drafting.get()
