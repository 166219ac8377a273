"""The exceptions of netlayers.

Every error that the library raises on purpose is a :class:`NetlayersError`. Each class also derives
from the matching built-in exception (``ValueError``, ``RuntimeError``), so ``except ValueError``
works as usual.
"""

from __future__ import annotations

import errno


class NetlayersError(Exception):
    """Base class of every error that netlayers raises."""


class ConfigurationError(NetlayersError, ValueError):
    """An argument is outside its range, unknown, or contradicts another one."""


class ArgumentTypeError(ConfigurationError, TypeError):
    """An argument is of another type than it must be, such as a string for a number."""


class MissingMethodError(ConfigurationError, NotImplementedError):
    """A class lacks a method that it must define to be used."""


class UnknownNameError(ConfigurationError):
    """No class is registered under this name."""


class ShapeError(NetlayersError, ValueError):
    """An array has a shape that the layer, loss or metric does not accept."""


class DataError(NetlayersError, ValueError):
    """The data are invalid: wrong dtype, empty, not finite, or labels out of range."""


class DataTypeError(DataError, TypeError):
    """The data are of a type that holds no samples, such as a single number."""


class NotBuiltError(NetlayersError, RuntimeError):
    """The layer or model is not built yet, so it has no weights."""


class NotCompiledError(NetlayersError, RuntimeError):
    """The model is not compiled: it has no loss or optimizer."""


class NoForwardError(NetlayersError, RuntimeError):
    """``backward`` was called without a preceding ``forward(..., training=True)``."""


class BusyError(NetlayersError, RuntimeError):
    """Another call is training or evaluating this model."""


class NonFiniteError(NetlayersError, ArithmeticError):
    """A loss or a gradient became infinite or NaN.

    When training locates the origin, the message and these attributes state it; otherwise they are
    ``None``.

    Attributes:
        layer: path of the layer, or name of the loss, that produced the first non-finite value.
        direction: the phase that produced it: ``"forward"``, ``"loss"``, ``"backward"`` or
            ``"update"``; ``"input"`` or ``"weights"`` if these were already non-finite.
        epoch: index of the epoch, from 0.
        batch: index of the batch within the epoch, from 0.
        rows: indices of the affected rows of the batch.
    """

    layer: str | None = None
    direction: str | None = None
    epoch: int | None = None
    batch: int | None = None
    rows: list[int] | None = None


class FileError(NetlayersError, ValueError):
    """A file is invalid, or a model cannot be saved to one.

    Attributes:
        path: the file.
        place: the location in it: ``"header"``, ``"dense/kernel"``, ``"description: optimizer"``.
        expected: the expected content.
        got: the actual content.
        hint: what to do.
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


class MissingFileError(FileError, FileNotFoundError):
    """A file that is to be loaded does not exist.

    Attributes:
        path, filename: the file.
    """

    def __init__(self, path: object) -> None:
        super().__init__(path, "file", "a file that save() wrote", "none of this name")
        self.args = (f"{path}: No such file or directory.",)
        self.errno, self.filename = errno.ENOENT, str(path)

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path,)
