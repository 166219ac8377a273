"""The exceptions of netlayers.

Every error the library raises on purpose is a :class:`NetlayersError`. Each is also the built-in
exception that a caller would guess (``ValueError``, ``RuntimeError``), so code that knows nothing
of this module can still catch it.
"""

from __future__ import annotations


class NetlayersError(Exception):
    """Base class of every error that netlayers raises."""


class ConfigurationError(NetlayersError, ValueError):
    """An argument is outside its range, unknown, or contradicts another one."""


class UnknownNameError(ConfigurationError):
    """A name that nothing is registered by."""


class ShapeError(NetlayersError, ValueError):
    """An array has a shape that the layer, loss or metric can not work with."""


class DataError(NetlayersError, ValueError):
    """The data can not be trained on: wrong dtype, empty, not finite, labels out of range."""


class NotBuiltError(NetlayersError, RuntimeError):
    """The shapes are not known yet, so there are no weights."""


class NotCompiledError(NetlayersError, RuntimeError):
    """The model has no loss or optimizer yet."""


class NoForwardError(NetlayersError, RuntimeError):
    """``backward`` was called with no ``forward(..., training=True)`` before it."""


class BusyError(NetlayersError, RuntimeError):
    """Another call trains or tests this model at the moment."""


class NonFiniteError(NetlayersError, ArithmeticError):
    """A loss or a gradient became infinite or NaN.

    Where training finds out in which place that began, the message says it, and these say it too;
    they are ``None`` otherwise.

    Attributes:
        layer: path of the layer that made the first number that is not finite; the name of the
            loss, if that did.
        direction: in what it did: ``"forward"``, ``"loss"``, ``"backward"`` or ``"update"``; or
            what was not finite before the batch: ``"input"`` or ``"weights"``.
        epoch: number of the epoch, from 0.
        batch: number of the batch in it, from 0.
        rows: indices of the rows of the batch.
    """

    layer: str | None = None
    direction: str | None = None
    epoch: int | None = None
    batch: int | None = None
    rows: list[int] | None = None


class FileError(NetlayersError, ValueError):
    """A file can not be trusted, or a model can not be written into one.

    Attributes:
        path: the file.
        place: where in it: ``"header"``, ``"dense/kernel"``, ``"description: optimizer"``.
        expected: what should be there.
        got: what is there.
    """

    def __init__(
        self, path: object, place: str, expected: object, got: object, hint: str = ""
    ) -> None:
        self.path, self.place, self.expected, self.got = str(path), place, expected, got
        self.hint = hint
        message = f"{path}: {place}: expected {expected}, got {str(got).removesuffix('.')}."
        super().__init__(f"{message} {hint}" if hint else message)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.place, self.expected, self.got, self.hint)
