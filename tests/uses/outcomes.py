"""What becomes of a use of the library: an error that says what is wrong, a warning, or nothing."""

import contextlib
import io
import os
import re
import signal
import tempfile
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import netlayers as nl
from netlayers.errors import NetlayersError, NonFiniteError

SECONDS = 20  # that a use may take
KINDS = ("works", "documented", "warning", "clear error", "silent", "unclear error")
BAD = KINDS[-2:]
PACKAGE = str(Path(nl.__file__).parent)


class Silent(Exception):
    """Raised by a use that has found that nothing came of what it asked for."""


class TooLong(Exception):
    """Raised when a use takes too long."""


@dataclass(frozen=True)
class Use:
    """A use of the library.

    Attributes:
        group: what the tables count it under.
        name: the call, in short.
        run: does it. It raises ``Silent`` if it sees that there is no effect.
        words: an error must name one of these: the argument, the layer, the class.
        documented: where the documentation says what happens.
    """

    group: str
    name: str
    run: object
    words: tuple = ()
    documented: str = ""


@contextlib.contextmanager
def limited():
    """Raise TooLong after some seconds, where there are such signals."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number, frame):
        raise TooLong(f"took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def somewhere():
    """Work in an empty folder, with nothing printed."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                yield
        finally:
            os.chdir(before)


def outcome(use):
    """Do a use; return the kind of what came of it, and a text."""
    with warnings.catch_warnings(record=True) as warned, somewhere():
        warnings.simplefilter("always")
        try:
            with limited():
                use.run()
        except Silent as found:
            kind, text = "silent", str(found)
        except BaseException as error:
            kind, text = of_error(use, error)
        else:
            kind, text = "works", ""
    said = [w for w in warned if issubclass(w.category, (UserWarning, DeprecationWarning))]
    raw = [w for w in warned if issubclass(w.category, RuntimeWarning)]
    if kind in ("works", "silent") and said:
        kind, text = "warning", str(said[0].message)
    elif kind == "works" and raw:
        kind, text = "silent", f"{raw[0].message} ({place(raw[0].filename)}:{raw[0].lineno})"
    if kind in ("works", "silent") and use.documented:
        kind, text = "documented", use.documented
    return kind, text


def of_error(use, error):
    """Return the kind and the text of an error."""
    notes = " ".join(getattr(error, "__notes__", ()))
    text = f"{type(error).__name__}: {error}" + f" [{notes}]" * bool(notes)
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if f.filename.startswith(PACKAGE)]
    inside = [f for f in inside if "/testing/" not in f.filename]
    known = notes or "has no setter" in text or "settable" in text
    if known or isinstance(error, NonFiniteError):  # says where it began
        return "clear error", text
    if isinstance(error, NetlayersError) or type(error) in (AttributeError, KeyError):
        words = [w for w in use.words if re.search(re.escape(w), text, re.IGNORECASE)]
        ours = isinstance(error, NetlayersError) or (inside and raised_here(inside[-1]))
        missing = isinstance(error, FileNotFoundError) and error.filename in text  # says all
        if ours and (words or not use.words or missing):
            return "clear error", text
        return "unclear error", f"names none of {use.words}: {text}" if ours else text
    python = isinstance(error, TypeError) and re.search(
        r"argument|positional|abstract", str(error)
    )  # of a call that does not fit, or of one that names what it takes
    if python and (not inside or raised_here(inside[-1])):
        return "clear error", text
    if isinstance(error, (MemoryError, OSError)) and inside and raised_here(inside[-1]):
        return "clear error", text
    if isinstance(error, (OSError, ImportError)) and (
        getattr(error, "filename", None) is not None or isinstance(error, ImportError)
    ):
        return "clear error", text
    where = f" ({place(inside[-1].filename)}:{inside[-1].lineno})" if inside else ""
    return "unclear error", text + where


def raised_here(frame):
    """Whether a line of the package raises an error, rather than code that it calls."""
    return "raise" in (frame.line or "")


def place(path):
    return os.path.relpath(path, os.path.dirname(PACKAGE))


def finite(arrays):
    """Raise Silent where a result is not finite."""
    for array in arrays:
        array = np.asarray(array)
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise Silent(f"the result holds {array[~np.isfinite(array)].flat[0]}")
