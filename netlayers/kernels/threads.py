"""Parts of a batch in several threads, with matrix products of one thread in each.

Convolution copies patches between its products, and BLAS uses its threads in the products alone. So
the samples are cut into shares, and a thread computes a share from beginning to end: NumPy and
compiled kernels release the interpreter lock while they compute. There are as many threads as BLAS
would use, which ``OPENBLAS_NUM_THREADS`` and threadpoolctl set. With another BLAS than OpenBLAS the
shares are computed one after the other. Those of compiled loops, of a few microseconds, are handed
over by ``compiled/workers.py``.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import importlib
import itertools
import math
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.exact import EXACT, is_exact
from netlayers.kernels.memory import aligned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import ThreadPoolExecutor

    from netlayers._typing import Array, Dtype

# A share has at least so many multiplications (about 0.1 ms); a batch has at most so many shares.
_WORK, _SHARES = 1 << 22, 8
# Entries of the parts of arrays of which several are read and written: 1 MiB in float32. With a
# fourth of it a pass takes 1.05 to 1.35 times as long, as two threads wait for the interpreter lock
# between calls of 10 µs. To go through an entry of an array in memory takes as long as this number
# of multiplications.
BLOCK, PASS = 1 << 18, 10
# Entries of a result up to which np.matmul keeps the interpreter lock, whatever it sums up.
_LOCKED = 500
# Names of OpenBLAS's functions in NumPy's wheels, and elsewhere.
_NAMES = (
    "scipy_openblas_{}_num_threads64_",
    "openblas_{}_num_threads64_",
    "openblas_{}_num_threads",
)
_own = threading.local()
# Ctrl-C can leave it to a thread that has gone on, which takes it again.
_busy = threading.RLock()


def scratch(name: str, shape: tuple[int, ...], dtype: Dtype) -> Array:
    """Return an aligned array of this thread to write into; its memory is reused by name."""
    memory: dict[tuple[str, Dtype], Array] = vars(_own).setdefault("memory", {})
    size = math.prod(shape)
    found = memory.get((name, dtype))
    if found is None or found.size < size:
        found = memory[name, dtype] = aligned(size, dtype)
    return found[:size].reshape(shape)


def shares(samples: int, work: float) -> list[slice]:
    """Cut samples into slices, for a total number of multiplications."""
    return _cut(samples, max(1, min(_SHARES, samples, int(work // _WORK))))


def _cut(samples: int, count: int) -> list[slice]:
    ends = [samples * i // count for i in range(count + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(ends)]


def shares_of_rows(x: Array) -> list[slice]:
    """Cut the rows of an array, for a pass over its entries."""
    return shares(len(x), PASS * x.size)


def run(function: Callable[[slice], Any], slices: list[slice]) -> list[Any]:
    """Return ``[function(part) for part in slices]``, computed in several threads if possible.

    This thread is one of them; each takes the next slice until none is left.
    """
    if len(slices) == 1:
        return [function(slices[0])]
    with own_threads() as count:
        threads = 1 if EXACT and is_exact() else min(count, len(slices))
        if threads == 1:
            return [function(part) for part in slices]
        left, found, calls = iter(enumerate(slices)), [None] * len(slices), []

        def compute() -> None:
            for i, part in left:
                found[i] = function(part)

        _own.threads = 1  # for calls inside
        try:
            for _ in range(threads - 1):
                # The warnings that the caller ignores are part of its context.
                context = contextvars.copy_context()
                if (call := submit(count, context.run, compute)) is not None:
                    calls.append(call)
            compute()
            for call in calls:
                call.result()
            return found
        finally:  # after an error or Ctrl-C, none goes on to write
            for _ in left:
                pass
            for call in calls:
                call.exception()
            _own.threads = count


def products(a: Array, b: Array, out: Array) -> None:
    """``out = a b`` for each of several pairs of matrices, without the interpreter lock."""
    if out.size > _LOCKED:
        np.matmul(a, b, out=out)
        return
    for left, right, target in zip(a, b, out, strict=True):
        np.dot(left, right, out=target)


def equal_shares(samples: int, work: float) -> list[slice]:
    """Cut samples into as many slices as there are threads, for :func:`run`.

    For what takes a thread from the first of many steps to the last: :func:`shares` are more, so
    that a thread which is ahead can take another one.
    """
    most = min(samples, int(work // _WORK))
    if most < 2:
        return [slice(0, samples)]
    threads = vars(_own).get("threads") or _openblas()[1]()
    return _cut(samples, min(most, threads))


@contextlib.contextmanager
def own_threads() -> Iterator[int]:
    """Let BLAS compute with one thread inside, and :func:`run` with as many as BLAS had.

    The threads of BLAS wait actively for some 30 ms after a product, in the way of these. So a
    network with layers that compute in threads runs in this context: with a dense layer in it, a
    training step took 22 ms instead of 33.

    Yields:
        The number of threads; 1 where another thread of Python has them.
    """
    known = vars(_own).get("threads")
    if known is not None:
        yield known
        return
    set_threads, get_threads = _openblas()
    before = get_threads()
    alone = before > 1 and _busy.acquire(blocking=False)
    _own.threads = before if alone else 1
    try:
        if alone:
            set_threads(1)
        yield _own.threads
    finally:
        _own.threads = None
        if alone:
            try:
                set_threads(before)
            finally:
                _busy.release()


class _Single:
    """How many calls compute with one thread now, and how many threads BLAS had before."""

    def __init__(self) -> None:
        self.lock, self.users, self.before = threading.Lock(), 0, 1


_single = _Single()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread inside: products and sums then have the same bits everywhere.

    Several threads of Python may be inside; BLAS has its threads again when the last one leaves.
    """
    set_threads, get_threads = _openblas()
    known = vars(_own).get("threads")
    with _single.lock:
        _single.users += 1
        if _single.users == 1:
            _single.before = get_threads()
            set_threads(1)
    _own.threads = 1
    try:
        yield
    finally:
        _own.threads = known
        with _single.lock:
            _single.users -= 1
            if not _single.users:
                set_threads(_single.before)


def has_own_threads() -> bool:
    """Return whether this is called inside of :func:`own_threads`."""
    return vars(_own).get("threads") is not None


def by_rows(function: Callable[..., Any], *arrays: Array) -> None:
    """Call ``function(*parts)`` for parts of the rows of arrays, which it fills or reads.

    The parts stay in the cache of the processor, so that several passes over them take little
    longer than one. They are computed in the threads of :func:`own_threads` around, if any: where
    BLAS has them they wait actively for the next product, and this thread alone is faster.
    """
    x = arrays[0]
    if x.size <= BLOCK:
        function(*arrays)
        return
    step = max(1, BLOCK * len(x) // x.size)

    def compute(rows: slice) -> None:
        for start in range(rows.start, rows.stop, step):
            part = slice(start, min(start + step, rows.stop))
            function(*(array[part] for array in arrays))

    run(compute, shares_of_rows(x) if has_own_threads() else [slice(0, len(x))])


def submit(count: int, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in one of ``count`` threads; return the future.

    Returns:
        ``None`` if there are no threads any more, as the main thread of Python has ended. Another
        one that still computes goes on alone.
    """
    try:
        return _pool(count, os.getpid()).submit(function, *args)
    except RuntimeError as error:
        if "cannot schedule" not in str(error):  # a thread could not be started
            raise
        return None


@functools.lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Return the threads; those of a parent process do not exist in its child."""
    futures = importlib.import_module("concurrent.futures")
    pool: ThreadPoolExecutor = futures.ThreadPoolExecutor(threads, "netlayers")
    return pool


@functools.cache
def _openblas() -> tuple[Callable[[int], None], Callable[[], int]]:
    """Return OpenBLAS's functions that set and get the number of threads."""
    for library in numpy_libraries():
        for name in _NAMES:
            functions = [getattr(library, name.format(verb), None) for verb in ("set", "get")]
            if None not in functions:
                return functions[0], functions[1]  # type: ignore[return-value]
    return (lambda count: None), (lambda: 1)


def numpy_libraries() -> Iterator[ctypes.CDLL]:
    """Yield the libraries in which the functions of NumPy's BLAS are found."""
    module = importlib.import_module("numpy._core._multiarray_umath")
    folder = Path(np.__file__).parent.parent / "numpy.libs"  # used on Windows
    for path in (module.__file__, *sorted(folder.glob("*openblas*.dll"))):
        try:
            yield ctypes.CDLL(str(path))
        except OSError:
            continue
