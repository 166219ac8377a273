"""Shares of compiled loops on threads that wait actively."""

import importlib.util
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from netlayers.kernels import threads

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="needs numba")


def note(share, thread, out, fails):
    if share == fails:
        raise ValueError("this share")
    angle = 0.0
    for i in range(20_000):  # long enough that the other thread gets a share
        angle = np.sin(angle + i)
    out[share] += 1 + thread + (angle > 1)


@pytest.fixture
def workers(monkeypatch):
    """Two threads of BLAS, and a compiled loop that notes in which thread a share was computed."""
    import numba

    from netlayers.kernels.compiled import compiled_kernels, workers

    compiled_kernels()
    now = [2]
    monkeypatch.setattr(threads, "_openblas", lambda: (now.append, lambda: now[-1]))
    task = workers.task_of(numba.njit(nogil=True)(note))
    together = workers.together

    @numba.njit(nogil=True)
    def loop(mail, count, args):
        return together(mail, count, task(args), args)

    workers.loop = loop
    yield workers
    del workers.loop


def computed(workers, count=8, fails=-1):
    """Return 1 for each share of this thread, 2 for one of the other."""
    out = np.zeros(count, np.int64)
    workers.in_shares(workers.loop, count, lambda threads: (out, fails))
    return out


def asleep(workers):
    return not workers._mail(2, os.getpid())[workers.AWAKE + 1]


def wait_until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited for ten seconds")


def test_every_share_is_computed_once_by_threads_that_sleep_when_nothing_comes(workers):
    seen = set()

    def both():
        out = computed(workers)
        assert set(out) <= {1, 2}
        seen.update(out)
        return len(seen) == 2

    wait_until(both)
    wait_until(lambda: asleep(workers))
    assert set(computed(workers)) <= {1, 2}  # and are woken again
    assert set(computed(workers, count=1)) == {1}


def test_little_work_does_not_wake_a_thread(workers):
    computed(workers)
    wait_until(lambda: asleep(workers))
    out = np.zeros(8, np.int64)
    workers.in_shares(workers.loop, 8, lambda threads: (out, -1), work=1000)
    assert list(out) == [1] * 8
    assert asleep(workers)


def test_an_exception_of_a_share_is_one_of_the_caller(workers):
    with pytest.raises(RuntimeError, match="loop: a share ended with an exception"):
        computed(workers, fails=3)
    with threads.one_thread(), pytest.raises(RuntimeError, match="a share"):
        computed(workers, fails=0)
    assert set(computed(workers)) <= {1, 2}


def test_where_another_thread_has_the_threads_all_shares_are_of_the_caller(workers):
    found = []
    with threads.own_threads():
        other = threading.Thread(target=lambda: found.extend(computed(workers)))
        other.start()
        other.join()
    with threads.one_thread():
        found.extend(computed(workers))
    assert found == [1] * 16


def test_the_number_of_shares_is_a_power_of_two_and_none_is_small(workers):
    least = threads._WORK // 64
    counts = [workers.share_count(100, least * n) for n in (0, 1, 3, 4, 7, 8, 100)]
    assert counts == [1, 1, 2, 4, 4, 8, 8]
    assert workers.share_count(3, 1e12) == 2
    assert workers.gradient_share_count(100, 1e12, 10) == 8
    assert workers.gradient_share_count(100, 256 * least, 64 * least) == 1


def test_an_interrupt_while_a_thread_is_woken_leaves_no_two_threads_with_the_same_memory(
    workers, monkeypatch
):
    submit = threads.submit

    def interrupted(*args):
        submit(*args)  # it comes all the same
        raise KeyboardInterrupt

    workers._mail.cache_clear()  # all sleep
    mail = workers._mail(2, os.getpid())
    with monkeypatch.context() as patch:
        patch.setattr(threads, "submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            computed(workers)
    assert workers._mail(2, os.getpid()) is not mail
    assert asleep(workers)
    assert set(computed(workers)) <= {1, 2}


def test_this_thread_computes_alone_where_there_are_no_others_any_more(workers, monkeypatch):
    """As one that goes on after the end of the main thread."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    monkeypatch.setattr(threads, "_pool", lambda *args: pool)
    workers._mail.cache_clear()  # all sleep
    try:
        assert list(computed(workers)) == [1] * 8
    finally:
        workers._mail.cache_clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_has_threads_of_its_own(workers):
    computed(workers)
    child = os.fork()
    if not child:
        right = set(computed(workers)) <= {1, 2}
        wait_until(lambda: asleep(workers))
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0
