"""The command line: ``python -m netlayers summary | check | predict FILE``.

The result goes to the standard output, errors and warnings to the standard error, a sentence each.
The exit code is 0; 1 if a file is not what it should be; 2 if the arguments are wrong; 130 after
Ctrl-C. ``NETLAYERS_DEBUG=1`` adds the traceback of an error.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import traceback
import warnings
from typing import IO, TYPE_CHECKING, Any, NoReturn

import numpy as np

from netlayers._printable import printable
from netlayers._version import __version__
from netlayers.errors import DataError, FileError, NetlayersError, UnknownNameError
from netlayers.saving import StoredFile, load_model
from netlayers.saving.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
        except (NetlayersError, MemoryError, OSError) as error:
            return _fail(_sentence(error, chosen.file))
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        message = message.replace("required: command", "required: summary, check or predict")
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
    its.add_argument("--batch-size", type=_count, metavar="N", help="rows computed at a time")
    return parser


def _table(name: str) -> str:
    if not name.lower().endswith(_TABLES):
        raise argparse.ArgumentTypeError(f"the name must end in .npy or .csv, got {name!r}")
    return name


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


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
    kind = "a model" if kind == "model" else kind
    print(
        f"{printable(chosen.file)}: ok, {kind} with {numbers:,} numbers in {count} arrays, all "
        f"finite; file format {version}"
    )


def _predict(chosen: argparse.Namespace) -> None:
    if chosen.output is not None and os.path.realpath(chosen.output) in (
        os.path.realpath(name) for name in (chosen.input, chosen.file)
    ):
        raise DataError(f"predict: --output {chosen.output} would replace a file that is read.")
    model, rows = load_model(chosen.file, compile=False), chosen.batch_size or 1024
    blocks = _read_csv(chosen.input, rows) if _is_csv(chosen.input) else _read(chosen.input, rows)
    outputs = (_one_output(model.predict(x, batch_size=rows, verbose=0)) for x in blocks)
    if chosen.output is None:
        _write_csv(sys.stdout.buffer, outputs)
        return
    with replacing(chosen.output) as file:
        (_write_csv if _is_csv(chosen.output) else _write)(file, outputs)


def _one_output(y: Any) -> Array:
    if isinstance(y, list):
        raise DataError(f"predict: the model has {len(y)} outputs; a table holds one of them.")
    return y


def _is_csv(path: str) -> bool:
    return path.lower().endswith(".csv")


def _read(path: str, rows: int) -> Iterator[Array]:
    """Yield blocks of rows of a ``.npy`` file, which is mapped into memory, not read as a whole.

    Raises:
        DataError: it is not an array of numbers.
    """
    try:
        try:
            array: Array = np.lib.format.open_memmap(path, "r")
        except ValueError:  # of no array, or of one without elements, which cannot be mapped
            with open(path, "rb") as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError):
        raise DataError(
            f"predict: {path} is not a .npy file that holds an array of numbers."
        ) from None
    if not array.ndim:
        raise DataError(f"predict: {path} holds a single number; expected rows of numbers.")
    for begin in range(0, max(len(array), 1), rows):
        yield array[begin : begin + rows]


def _read_csv(path: str, rows: int) -> Iterator[Array]:
    """Yield blocks of rows of a CSV file, whose first line may hold names.

    Raises:
        DataError: a cell is no number, the rows differ in length, or there are none.
    """
    block: list[list[float]] = []
    width = 0
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if not row or (number == 1 and not any(map(_is_number, row))):
                    continue  # an empty line, or the names of the columns
                try:
                    block.append([float(cell) for cell in row])
                except ValueError:
                    column = next(i for i, cell in enumerate(row) if not _is_number(cell))
                    raise DataError(_no_number(path, number, column + 1, row[column])) from None
                width = width or len(row)
                if len(row) != width:
                    raise DataError(
                        f"predict: {path}, line {number}: expected {width} cells, as in the "
                        f"first row, got {len(row)}."
                    )
                if len(block) == rows:
                    yield np.array(block)
                    block = []
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"predict: {path} is not a CSV file: {error}.") from error
    if not width:
        raise DataError(f"predict: {path} has no rows of numbers.")
    if block:
        yield np.array(block)


def _no_number(path: str, line: int, column: int, cell: str) -> str:
    text = f"predict: {path}, line {line}, column {column}: expected a number, got {cell[:40]!r}"
    return text + (": separate cells by commas." if ";" in cell or "\t" in cell else ".")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _write(file: IO[bytes], outputs: Iterator[Array]) -> None:
    """Write blocks as one ``.npy`` array; the header is written again when its length is known."""
    count, header = 0, {"descr": "", "fortran_order": False, "shape": (0,)}
    for y in outputs:
        count += len(y)
        if not header["descr"]:
            header["descr"] = np.lib.format.dtype_to_descr(y.dtype)
            np.lib.format.write_array_header_1_0(file, {**header, "shape": (0, *y.shape[1:])})
        header["shape"] = (count, *y.shape[1:])
        file.write(np.ascontiguousarray(y).data)
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, header)  # as long as before: NumPy leaves room


def _write_csv(file: IO[bytes], outputs: Iterator[Array]) -> None:
    """Write each row with as many digits as identify its numbers."""
    for y in outputs:
        for row in y.reshape(len(y), -1):
            file.write(",".join(map(str, row)).encode() + b"\n")


# Messages --------------------------------------------------------------------------------------


def _sentence(error: Exception, file: str) -> str:
    if isinstance(error.__cause__, UnknownNameError):
        unknown = str(error.__cause__).partition(". ")[0]
        return (
            f"{file}: {unknown}. No class of yours is loaded here, as no code of a file is run: "
            "use nl.load_model(path, custom_objects={...}) in Python."
        )
    if isinstance(error, OSError) and error.strerror:  # and not a FileError
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}."
    return str(error) or "not enough memory"


def _fail(text: str, code: int = 1) -> int:
    if os.environ.get("NETLAYERS_DEBUG"):
        traceback.print_exc()
    print(f"netlayers: error: {printable(text)}", file=sys.stderr)
    return code


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"netlayers: warning: {printable(str(message))}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
