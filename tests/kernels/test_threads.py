"""Shares of a batch in several threads."""

import os
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import netlayers as nl
from netlayers.kernels import threads
from netlayers.kernels.exact import exactly
from netlayers.kernels.moments import deviation_sums
from netlayers.kernels.reference import Kernels


@pytest.fixture
def two(monkeypatch):
    """A BLAS of two threads; the list of the numbers of threads that were set."""
    now = [2]
    monkeypatch.setattr(threads, "_openblas", lambda: (now.append, lambda: now[-1]))
    return now


def test_results_are_in_order_and_the_number_of_threads_comes_back(two):
    def compute(part):
        assert two[-1] == 1  # each thread multiplies alone
        time.sleep(0.01)
        return part.start, threading.get_ident()

    parts = threads.shares(20, 1e9)
    assert len(parts) == 8
    assert parts[0].start == 0
    assert parts[-1].stop == 20
    found = threads.run(compute, parts)
    assert [start for start, _ in found] == [part.start for part in parts]
    assert len({ident for _, ident in found}) == 2
    assert threading.get_ident() in {ident for _, ident in found}
    assert two == [2, 1, 2]


def test_little_work_is_one_share():
    assert threads.shares(100, 1000) == [slice(0, 100)]
    assert threads.shares(0, 1e12) == [slice(0, 0)]
    assert len(threads.shares(3, 1e12)) == 3


def test_after_an_error_no_thread_goes_on(two):
    running = []

    def compute(part):
        if part.start == 1:
            raise ValueError("the second share")
        running.append(part.start)
        time.sleep(0.01)
        running.remove(part.start)

    with pytest.raises(ValueError, match="the second share"):
        threads.run(compute, threads.shares(8, 1e9))
    assert running == []
    assert two == [2, 1, 2]
    assert threads.run(lambda part: 1, threads.shares(8, 1e9)) == [1] * 8  # the lock is free


def test_warnings_are_those_of_the_caller(two):
    def compute(part):
        return np.float32(3e38) * np.float32(part.start + 10)

    parts = threads.shares(8, 1e9)
    with np.errstate(over="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert threads.run(compute, parts) == [np.inf] * 8
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        threads.run(compute, parts)


def test_calls_inside_and_exact_ones_stay_in_their_thread(two):
    parts = threads.shares(8, 1e9)

    def idents(part):
        return {threading.get_ident()} | set(
            threads.run(lambda inner: threading.get_ident(), parts)
        )

    assert all(len(found) == 1 for found in threads.run(idents, parts))
    alone = exactly(lambda: threads.run(lambda part: threading.get_ident(), parts))()
    assert set(alone) == {threading.get_ident()}


def test_passes_use_the_threads_around_them_with_the_bits_of_one_call(two, monkeypatch):
    monkeypatch.setattr(threads, "BLOCK", 1000)
    monkeypatch.setattr(threads, "_WORK", 1000)
    seen, kernels = set(), Kernels()

    def compute(x, y):
        seen.add(threading.get_ident())
        time.sleep(0.001)
        np.tanh(x, out=y)

    x, dy = np.random.default_rng(0).normal(size=(2, 70, 53)).astype(np.float32)
    y, dx, parts = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    threads.by_rows(compute, x, y)
    assert seen == {threading.get_ident()}  # those of BLAS may still wait for a product
    with threads.own_threads():
        threads.by_rows(compute, x, parts)
    assert len(seen) == 2
    np.testing.assert_array_equal(parts, y)
    for name in ("tanh", "sigmoid", "tanh_gradient", "sigmoid_gradient"):
        arrays = (dy, y) if "gradient" in name else (x,)
        with threads.own_threads():
            getattr(kernels, name)(*arrays, parts)
        with monkeypatch.context() as patch:
            patch.setattr(threads, "BLOCK", x.size)
            getattr(kernels, name)(*arrays, dx)
        np.testing.assert_array_equal(parts, dx)


@pytest.mark.parametrize("shape", [(8200, 40), (40_001, 3), (300, 1300), (9, 2)])
def test_sums_of_deviations_are_those_of_float64_in_any_number_of_threads(two, monkeypatch, shape):
    monkeypatch.setattr(threads, "_WORK", 1 << 18)
    x, dy = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    x += 5
    x[:, 0] *= np.float32(1e25)  # x² overflows, and sums of these do
    dy[:, 0] *= np.float32(1e37)
    near = x.mean(axis=0)
    wide, deviation = dy.astype(np.float64), x.astype(np.float64) - near
    for found, other in (
        (deviation_sums(x, near), deviation),
        (deviation_sums(x, near, dy), wide),
        (deviation_sums(np.asfortranarray(x), near, dy), wide),
    ):
        size = np.abs([other, other * deviation]).sum(axis=1)
        expected = np.array([other, other * deviation]).sum(axis=1)
        assert (np.abs(found - expected) <= 1e-6 * size).all()
    with threads.own_threads():
        together = deviation_sums(x, near, dy)
    with threads.one_thread():
        np.testing.assert_array_equal(deviation_sums(x, near, dy), together)
    x[1, 1] = np.nan
    lost = np.isnan(deviation_sums(x, near, dy))
    np.testing.assert_array_equal(lost, [[False] * shape[1], np.arange(shape[1]) == 1])


def test_scratch_memory_belongs_to_a_thread_and_grows():
    dtype = np.dtype(np.float32)
    small = threads.scratch("test", (2, 3), dtype)
    assert small.shape == (2, 3)
    assert np.shares_memory(small, threads.scratch("test", (6,), dtype))
    large = threads.scratch("test", (4, 5), dtype)
    assert np.shares_memory(large, threads.scratch("test", (2, 3), dtype))
    assert not np.shares_memory(large, threads.scratch("test", (2, 3), np.dtype(np.float64)))
    others = []
    thread = threading.Thread(target=lambda: others.append(threads.scratch("test", (2,), dtype)))
    thread.start()
    thread.join()
    assert not np.shares_memory(large, others[0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_has_threads_of_its_own(two):
    parts = threads.shares(8, 1e9)
    threads.run(len, [])
    threads.run(lambda part: part.start, parts)
    child = os.fork()
    if not child:
        os._exit(0 if threads.run(lambda part: 1, parts) == [1] * 8 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_this_thread_computes_alone_where_there_are_no_others_any_more(two, monkeypatch):
    """As one that goes on after the end of the main thread."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    monkeypatch.setattr(threads, "_pool", lambda *args: pool)
    slices = [slice(i, i + 1) for i in range(4)]
    assert threads.run(lambda part: part.start, slices) == [0, 1, 2, 3]


def test_after_an_interrupt_there_are_as_many_threads_as_before(two, monkeypatch):
    def interrupted(count):
        two.append(count)
        if count == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threads, "_openblas", lambda: (interrupted, lambda: two[-1]))
        with pytest.raises(KeyboardInterrupt), threads.own_threads():
            pass
    found = []

    def note():
        with threads.own_threads() as count:
            found.append(count)

    other = threading.Thread(target=note)  # no other thread has them
    other.start()
    other.join()
    threads._busy.acquire()  # as if it was interrupted just then
    try:
        note()
    finally:
        threads._busy.release()
    assert found == [2, 2]


def test_the_blas_of_numpy_is_found_where_it_is_openblas():
    config = np.show_config(mode="dicts")
    if "openblas" not in config["Build Dependencies"]["blas"]["name"]:
        pytest.skip("another BLAS")
    set_threads, get_threads = threads._openblas()
    before = get_threads()
    try:
        set_threads(2)
        assert get_threads() == 2
        set_threads(1)
        assert get_threads() == 1
    finally:
        set_threads(before)


@pytest.mark.parametrize(("name", "arguments"), [
    ("Conv2D", {"filters": 5, "kernel_size": 3, "padding": "same"}),
    ("Conv2D", {"filters": 8, "kernel_size": 2, "strides": 2}),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2}),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3}),
    ("MaxPooling2D", {"pool_size": 2}),
    ("AveragePooling2D", {"pool_size": 3, "strides": 1, "padding": "same"}),
])  # fmt: skip
def test_layers_compute_the_same_bits_in_threads(two, monkeypatch, name, arguments):
    monkeypatch.setattr(threads, "_WORK", 1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 12, 11, 6))
    layer = getattr(nl.layers, name)(**arguments, dtype="float64")

    def results():
        y = layer.forward(x, training=True)
        dx = layer.backward(np.cos(np.arange(y.size)).reshape(y.shape))
        return [a.copy() for a in (y, dx, *(p.gradient for p in layer.declared_parameters))]

    inside = results()
    assert two[-2:] == [1, 2]  # threads were used
    two.append(1)
    for a, b in zip(inside, results(), strict=True):
        np.testing.assert_array_equal(a, b)
