"""The command line: ``python -m netlayers summary | check | predict FILE``.

The result goes to the standard output, errors and warnings to the standard error, a sentence each.
The exit code is 0; 1 if a file is not what it should be; 2 if the arguments are wrong; 130 after
Ctrl-C. ``NETLAYERS_DEBUG=1`` adds the traceback of an error.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from typing import IO, TYPE_CHECKING, Any, NoReturn

import numpy as np

from netlayers._version import __version__
from netlayers.errors import DataError, FileError, NetlayersError
from netlayers.saving import StoredFile, load_model
from netlayers.saving.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array

_TABLES = (".npy", ".csv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code.

    Args:
        arguments: of the command line, by default those of the process.

    Raises:
        SystemExit: with the code 2, the arguments are wrong; with the code 0, after ``--help`` or
            ``--version``.
    """
    chosen = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            chosen.run(chosen)
            sys.stdout.flush()
        except BrokenPipeError:  # as of `... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except KeyboardInterrupt:
            return _fail("interrupted", 130)
        except (NetlayersError, MemoryError) as error:
            return _fail(str(error) or "not enough memory")
        except OSError as error:
            return _fail(f"{error.filename}: {error.strerror}." if error.strerror else str(error))
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"netlayers: error: {message}; see {self.prog} --help\n")


def _parser() -> _Parser:
    parser = _Parser("python -m netlayers", description="Show, check and use files of models.")
    parser.add_argument("--version", action="version", version=f"netlayers {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        its = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        its.set_defaults(run=run)
        its.add_argument("file", metavar="FILE", help="file that model.save wrote")
        return its

    its = command("summary", _summary, "print the table of the layers of a model")
    its.add_argument("--expand-nested", action="store_true", help="show layers within layers too")
    command("check", _check, "check that a file is undamaged and all its numbers are finite")
    its = command("predict", _predict, "write the outputs of a model for the rows of a table")
    kinds = ".npy, or .csv with a row for each sample"
    its.add_argument("--input", required=True, type=_table, metavar="X", help=kinds)
    its.add_argument(
        "--output", type=_table, metavar="Y", help=".npy or .csv; by default CSV to the terminal"
    )
    its.add_argument("--batch-size", type=int, metavar="N", help="rows computed at a time")
    return parser


def _table(name: str) -> str:
    if not name.endswith(_TABLES):
        raise argparse.ArgumentTypeError(f"the name must end in .npy or .csv, got {name!r}")
    return name


# Commands --------------------------------------------------------------------------------------


def _summary(chosen: argparse.Namespace) -> None:
    load_model(chosen.file).summary(expand_nested=chosen.expand_nested)


def _check(chosen: argparse.Namespace) -> None:
    with StoredFile(chosen.file) as file:
        kind, count = file.section.text("kind"), len(file.entries)
        numbers = sum(int(np.prod(entry.shape)) for entry in file.entries.values())
        bad = []
        for name, entry in file.entries.items():
            array = file.read(name)
            if entry.dtype.kind == "f" and not np.isfinite(array).all():
                bad.append(name)
        version = file.version
    if kind == "model":
        load_model(chosen.file)  # its layers, optimizer and settings can be made
    if bad:
        raise FileError(chosen.file, bad[0], "finite numbers", "NaN or infinite ones")
    print(
        f"{chosen.file}: ok, {'a model' if kind == 'model' else kind} with {numbers:,} numbers in "
        f"{count} arrays, all finite; file format {version}"
    )


def _predict(chosen: argparse.Namespace) -> None:
    model, x = load_model(chosen.file, compile=False), _read(chosen.input)
    y = model.predict(x, batch_size=chosen.batch_size, verbose=0)
    if isinstance(y, list):
        raise DataError(f"predict: the model has {len(y)} outputs; a table holds one of them.")
    if chosen.output is None:
        _write_csv(sys.stdout.buffer, y)
        return
    with replacing(chosen.output) as file:
        if chosen.output.endswith(".npy"):
            np.save(file, y)
        else:
            _write_csv(file, y)


def _read(path: str) -> Array:
    """Return the array of a file.

    Raises:
        DataError: it is not one of numbers.
    """
    try:
        if path.endswith(".npy"):
            return np.load(path, allow_pickle=False)
        with open(path, encoding="utf-8-sig") as file:
            first = file.readline()
        return np.loadtxt(
            path, delimiter=",", ndmin=2, skiprows=int(_is_header(first)), encoding="utf-8-sig"
        )
    except (ValueError, EOFError) as error:
        raise DataError(f"predict: {path} is not a table of numbers: {error}") from error


def _is_header(line: str) -> bool:
    try:
        [float(cell) for cell in line.split(",")]
    except ValueError:
        return True
    return False


def _write_csv(file: IO[bytes], y: Array) -> None:
    """Write each row with as many digits as identify its numbers."""
    for row in y.reshape(len(y), -1):
        file.write(",".join(map(str, row)).encode() + b"\n")


# Messages --------------------------------------------------------------------------------------


def _fail(text: str, code: int = 1) -> int:
    if os.environ.get("NETLAYERS_DEBUG"):
        traceback.print_exc()
    print(f"netlayers: error: {_printable(text)}", file=sys.stderr)
    return code


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"netlayers: warning: {_printable(str(message))}", file=sys.stderr)


def _printable(text: str) -> str:
    """Return a text of which no name of a file can move the cursor of a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


if __name__ == "__main__":
    sys.exit(main())
