"""Compiled loops in shares, on threads that are still awake: handing over a share takes 1 µs.

To wake a thread that sleeps, and to be woken, takes 60 µs, as long as many layers of a small
network. So a thread that has finished a share waits actively for the next one, some 0.5 ms, and
only then returns to the pool of ``threads.py``, from where it has to be woken. It waits and
computes in compiled code, without Python and its lock; in each turn of waiting it offers its
processor to other programs.

All that the threads have in common is a few integers, the mail::

    TICKET    number of the task; the first share that nobody has taken, and the end of these
    DONE      shares that are finished
    TASK      address of the function that computes a share
    GIVEN     address of its arguments, in the memory of the thread that asks
    FAILED    shares that ended with an exception
    AWAKE + i whether thread i waits or computes

Whoever replaces the ticket by one without a share, in one atomic instruction, has taken the share.
The thread that asks takes shares, too, until none is left, and ends the task when all that were
taken are finished. So a thread that has taken a share finds task and arguments in place, and one
that is late finds nothing to take; if all sleep, the thread that asks computes everything, and
waits for none. It takes shares from the beginning, the others from the end: in one layer after the
other, the same samples are computed by the same thread, and stay in its cache.

Source:
    Spinning for a bounded time before sleeping: A. Karlin et al., "Empirical studies of competitive
    spinning for a shared-memory multiprocessor", SOSP 1991.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels import threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# Turns without a share, of 0.5 µs each, after which a thread goes to sleep.
_TURNS = 1000
_LINE = 8  # integers of a line of the cache: each of these has one of its own
TICKET, DONE, TASK, GIVEN, FAILED, AWAKE = (i * _LINE for i in range(6))
_BITS, _SHARE = 16, 0xFFFF  # of the number of a share in a ticket

# Set by :func:`compiled_workers`.
_load: Any = None
_store: Any = None
_replace: Any = None
_add: Any = None
_address: Any = None
_perform: Any = None
_turn: Any = None


def share_count(parts: int, work: float) -> int:
    """Return the number of shares for a total number of multiplications, a power of two.

    A share has a sixty-fourth of the work of those that Python hands over, about 1 µs. The number
    does not depend on that of the threads, and so neither do sums over shares.
    """
    most = max(1, min(threads._SHARES, parts, int(64 * work) // threads._WORK))
    return 1 << (most.bit_length() - 1)


def gradient_share_count(samples: int, work: float, size: int) -> int:
    """Return the number of shares if each adds up a gradient of so many entries of its own."""
    return share_count(samples, work / (16 + 16384 * size / threads._WORK))


def in_shares(
    loop: Any,
    count: int,
    arguments: Callable[[int], tuple[Any, ...]],
    work: float = math.inf,
) -> None:
    """Call a compiled ``loop(mail, count, args)`` that computes shares by :func:`together`.

    Little work, less than about 40 µs, does not wake threads that sleep.

    Args:
        loop: the compiled function.
        count: number of shares.
        arguments: function that returns the arguments for a number of threads, which may each need
            memory.
        work: number of multiplications.

    Raises:
        RuntimeError: a share ended with an exception.
    """
    known = 1 if count == 1 else vars(threads._own).get("threads")
    if known is None:
        with threads.own_threads():
            in_shares(loop, count, arguments, work)
        return
    needed = min(known, count)
    mail = NOBODY if needed == 1 else _mail_to(known, needed, 2 * work >= threads._WORK)
    if loop(mail, count, arguments(needed)):
        raise RuntimeError(f"{loop.__name__}: a share ended with an exception, or without memory.")


def together(mail: Array, count: int, task: int, args: Any) -> int:
    """Compute all shares of a task in compiled code; return how many failed.

    Args:
        mail: the mail; an empty one for this thread alone.
        count: number of shares.
        task: address of the function, ``task_of(function)(args)``.
        args: its arguments.
    """
    given = _address(args)
    failed = 0
    if not mail.size:
        for share in range(count):
            failed += _perform(task, given, share, 0)
        return failed
    mail[FAILED] = 0
    mail[DONE] = 0
    mail[TASK] = task
    mail[GIVEN] = given
    _store(mail, TICKET, ((mail[TICKET] >> 2 * _BITS) + 1 << 2 * _BITS) + count)
    _compute(mail, 0)
    while _load(mail, DONE) < count:
        _turn()
    return mail[FAILED]


def _compute(mail: Array, thread: int) -> int:
    """Compute shares until none is left; return how many."""
    taken = 0
    while True:
        ticket = _load(mail, TICKET)
        first, end = ticket >> _BITS & _SHARE, ticket & _SHARE
        if first == end:
            return taken
        share = end - 1 if thread else first
        if _replace(mail, TICKET, ticket, ticket - 1 if thread else ticket + _SHARE + 1):
            _add(mail, FAILED, _perform(mail[TASK], mail[GIVEN], share, thread))
            _add(mail, DONE, 1)
            taken += 1


def stand_by(mail: Array, thread: int, turns: int) -> None:
    """Compute the shares of all tasks until there was none for so many turns."""
    idle = 0
    while idle < turns:
        if _compute(mail, thread):
            idle = 0
        else:
            idle += 1
            _turn()
    _store(mail, AWAKE + thread, 0)


NOBODY = np.zeros(0, np.int64)  # the mail to no other thread


def _mail_to(count: int, needed: int, wake: bool) -> Array:
    """Return the mail to the threads; wake ``needed - 1`` of them if they sleep."""
    mail = _mail(count, os.getpid())
    for thread in range(1, needed if wake else 1):
        if not mail[AWAKE + thread]:
            try:
                mail[AWAKE + thread] = 1
                threads.submit(count, stand_by, mail, thread, _TURNS)
            except BaseException:  # such as Ctrl-C: the thread may come or not, and finds nothing
                _mail.cache_clear()
                raise
    return mail


@functools.lru_cache(maxsize=1)
def _mail(count: int, process: int) -> Array:
    """Return the integers of the threads; those of a parent process do not exist in its child."""
    return np.zeros(AWAKE + count, np.int64)


def compiled_workers(compiled: Callable[..., Any]) -> None:
    """Declare the functions for compiled code, and compile what the threads do.

    Args:
        compiled: function that compiles another, see ``compiled_kernels``.
    """
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types
    module = globals()
    module.update(_atomic(), **_calls())
    module["_turn"] = types.ExternalFunction(_declared_turn(), types.int32())
    for loop in (_compute, stand_by):
        module[loop.__name__] = compiled(loop)
    extending.register_jitable(nogil=True)(together)


def _declared_turn() -> str:
    """Declare the system's function that offers the processor to other programs."""
    try:
        turn = ctypes.CDLL(None).sched_yield
    except (AttributeError, TypeError):  # Windows
        turn = ctypes.CDLL("kernel32").SwitchToThread
    name, symbols = "netlayers_turn", importlib.import_module("llvmlite.binding")
    symbols.add_symbol(name, ctypes.cast(turn, ctypes.c_void_p).value)
    return name


def _atomic() -> dict[str, Any]:
    """Return the functions on entries of the mail that are one instruction, for compiled code."""
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types
    make_array: Any = importlib.import_module("numba.np.arrayobj").make_array
    n = types.int64

    def entry(context: Any, builder: Any, signature: Any, mail: Any, i: Any) -> Any:
        data = make_array(signature.args[0])(context, builder, mail).data
        return builder.gep(data, [i])

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def load(context: Any, mail: Any, i: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return builder.load_atomic(entry(context, builder, signature, *given), "acquire", 8)

        return n(mail, n), write

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def store(context: Any, mail: Any, i: Any, value: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            at = entry(context, builder, signature, *given[:2])
            builder.store_atomic(given[2], at, "release", 8)
            return context.get_dummy_value()

        return types.void(mail, n, n), write

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def add(context: Any, mail: Any, i: Any, value: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            at = entry(context, builder, signature, *given[:2])
            return builder.atomic_rmw("add", at, given[2], "acq_rel")

        return n(mail, n, n), write

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def replace(context: Any, mail: Any, i: Any, old: Any, new: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            at = entry(context, builder, signature, *given[:2])
            pair = builder.cmpxchg(at, *given[2:], "acq_rel", "acquire")
            return builder.extract_value(pair, 1)

        return types.boolean(mail, n, n, n), write

    return {"_load": load, "_store": store, "_add": add, "_replace": replace}


def _calls() -> dict[str, Any]:
    """Return the functions that hand over a call by addresses, for compiled code."""
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types
    ir: Any = importlib.import_module("llvmlite.ir")
    tools: Any = importlib.import_module("numba.core.cgutils")
    n = types.int64

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def address(context: Any, args: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return builder.ptrtoint(tools.alloca_once_value(builder, given[0]), ir.IntType(64))

        return n(args), write

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def perform(context: Any, task: Any, at: Any, share: Any, thread: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            kind = _kind(context)
            function = builder.inttoptr(given[0], kind.as_pointer())
            slots = [tools.alloca_once(builder, k.pointee) for k in kind.args[:2]]
            return builder.zext(builder.call(function, [*slots, *given[1:]]), ir.IntType(64))

        return n(n, n, n, n), write

    return {"_address": address, "_perform": perform}


def _kind(context: Any) -> Any:
    """Return the type of a task: a compiled function of an address, a share and a thread."""
    types: Any = importlib.import_module("numba").types
    return context.call_conv.get_function_type(types.none, (types.int64,) * 3)


def task_of(function: Any) -> Any:
    """Return ``task(args)`` for compiled code: an address from which others call the function.

    Args:
        function: a compiled function ``(share, thread, *args)`` without result, which no thread
            computes for two shares at once.
    """
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types
    ir: Any = importlib.import_module("llvmlite.ir")
    tools: Any = importlib.import_module("numba.core.cgutils")

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def task(context: Any, args: Any) -> Any:
        inner = types.int64, types.int64, *args.types
        called = types.Dispatcher(function).get_call_type(context, inner, {})

        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            compiled = function.overloads[called.args]
            context.active_code_library.add_linking_library(compiled.library)
            name = f"{builder.function.name}.task"
            written = ir.Function(builder.module, _kind(context), name)
            written.linkage = "internal"
            inside = ir.IRBuilder(written.append_basic_block())
            at, share, thread = written.args[2:]
            values = inside.load(inside.inttoptr(at, given[0].type.as_pointer()))
            status, _ = context.call_internal_no_propagate(
                inside,
                compiled.fndesc,
                compiled.signature,
                (share, thread, *tools.unpack_tuple(inside, values)),
            )
            inside.ret(inside.zext(status.is_error, ir.IntType(32)))
            return builder.ptrtoint(written, ir.IntType(64))

        return types.int64(args), write

    return task
