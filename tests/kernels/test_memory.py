"""Memory that is kept between steps, and the results of NumPy's kernels at their limits."""

import numpy as np
import pytest

from netlayers.kernels import memory, moments, rows
from netlayers.kernels.memory import Pool, Workspace, aligned, constant, row_of_ones, row_starts
from netlayers.kernels.reference import Kernels
from tests.golden import check_text
from tests.snapshots import numbers, outcome, shown

F4, F8 = np.dtype("float32"), np.dtype("float64")


def test_constants_are_shared_and_read_only():
    a = constant(2.5, (3, 2), F4)
    assert (a.tolist(), a.dtype) == ([[2.5, 2.5]] * 3, F4)
    assert constant(2.5, (3, 2), F4) is a
    assert not a.flags.writeable
    starts = row_starts(3, 4)
    assert starts.tolist() == [0, 4, 8]
    assert not starts.flags.writeable
    assert row_starts(3, 4) is starts


@pytest.mark.parametrize(("k", "ones"), [(1, 1), (4, 1), (5, 0), (6, 1), (8192, 1), (8193, 0)])
def test_rows_that_are_summed_by_a_product(k, ones):
    row = row_of_ones(k, F4)
    assert (row is not None) is bool(ones)
    if ones:
        assert row.shape == (k,)
        assert (row == 1).all()
    x = numbers(3, k)
    np.testing.assert_allclose(rows.row_sums(x), x.sum(axis=-1))
    np.testing.assert_allclose(rows.row_means(x[None]), x.mean(axis=-1)[None])


@pytest.mark.parametrize("dtype", [F4, F8, np.dtype(bool), np.dtype("complex128")])
@pytest.mark.parametrize("size", [0, 1, 7, 64, 1000])
def test_memory_starts_at_cache_lines(size, dtype):
    for _ in range(5):
        a = aligned(size, dtype)
        assert (a.shape, a.dtype) == ((size,), dtype)
        assert not a.any()
        assert a.flags.writeable
        assert not size or a.ctypes.data % 64 == 0
        assert a.base is None or a.base.size == size + 64 // dtype.itemsize


def test_workspaces_grow_and_give_the_same_memory():
    workspace = Workspace()
    a = workspace("a", (4, 3), F4)
    assert workspace("a", (4, 3), F4) is a
    small = workspace("a", (2, 3), F4)
    assert np.shares_memory(a, small)
    assert small.ctypes.data == a.ctypes.data
    assert not np.shares_memory(a, workspace("b", (4, 3), F4))
    assert not np.shares_memory(a, workspace("a", (4, 3), F8))
    b, wide = workspace("b", (4, 3), F4), workspace("a", (4, 3), F8)
    large = workspace("a", (5, 3), F4)
    assert not np.shares_memory(a, large)
    assert np.shares_memory(workspace("a", (4, 3), F4), large)
    assert workspace("b", (4, 3), F4) is b
    assert workspace("a", (4, 3), F8) is wide


def test_views_of_a_workspace_are_few():
    workspace = Workspace()
    workspace("a", (1000,), F4)
    for i in range(256):
        workspace("a", (i + 1,), F4)
    assert len(workspace.views) == 257
    workspace("a", (500,), F4)
    assert len(workspace.views) == 1
    workspace("a", (501,), F4)
    assert len(workspace.views) == 2


def test_a_block_is_free_once_nothing_refers_to_it():
    pool = Pool()
    a = pool(1000, F4)
    start, view = a.ctypes.data, a.reshape(10, 100)[2:].T
    assert (a.shape, a.dtype, a.flags.writeable, start % 64) == ((1000,), F4, True, 0)
    del a
    b = pool(1000, F4)  # the view still needs the first block
    assert not np.shares_memory(b, view)
    del view
    c = pool(500, F8)
    assert c.ctypes.data == start
    del b, c
    assert pool(10, F4).ctypes.data


def test_there_are_as_many_blocks_as_are_needed_at_once():
    pool = Pool()
    for size in (100, 50, 200, 400, 300, 1000):  # growing batches: old blocks are given up
        held = [pool(size, F4), pool(size, F4)]
        del held
    assert sorted(block.nbytes for block in pool._free) == [4000, 4000]
    small, large = pool(10, F4), pool(1000, F4)
    del small
    assert pool(1000, F4).size == 1000
    del large
    assert len(pool._free) == 2


def test_large_gradients_of_a_workspace_come_from_its_pool():
    workspace = Workspace()
    workspace.pool = Pool()
    large, small = (128, 128), (4, 3)
    first = workspace("dx", large, F4)
    assert workspace("dx", large, F4) is not first
    assert not np.shares_memory(workspace("dx first", large, F4), first)
    assert workspace("y", large, F4) is workspace("y", large, F4)
    assert workspace("dx", small, F4) is workspace("dx", small, F4)


def arrays(shape, dtype):
    return [numbers(*shape, first=i).astype(dtype) for i in range(5)]


@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize("shape", [(4, 3), (2, 5), (1, 1), (2, 3, 4)])
def test_results(shape, dtype):
    k, (a, b, c, d, out) = Kernels, arrays(shape, dtype)
    p, one = np.abs(a), np.abs(b[..., :1])
    classes = (np.arange(int(np.prod(shape[:-1]))) % shape[-1]).reshape(shape[:-1])
    mass = np.empty(shape[:-1], dtype)
    column = np.abs(numbers(shape[-1])).astype(dtype)
    calls = {
        "sigmoid": lambda: (k.sigmoid(a, out), out)[1],
        "tanh": lambda: (k.tanh(a, out), out)[1],
        "sigmoid_gradient": lambda: (k.sigmoid_gradient(a, b, out), out)[1],
        "tanh_gradient": lambda: (k.tanh_gradient(a, b, out), out)[1],
        "softmax": lambda: (k.softmax(9 * a, c, out), c, out),
        "scale_and_shift": lambda: (k.scale_and_shift(a, column, 2 * column, column, out), out)[1],
        "batch_gradient": lambda: (
            k.batch_gradient(a, b, column, column, 2 * column, 3 * column, out), out)[1],
        "scale_and_shift, rectified": lambda: (
            k.scale_and_shift(a, column, 2 * column, column, out, True), out)[1],
        "batch_gradient, rectified": lambda: (
            k.batch_gradient(a, b, column, column, 2 * column, 3 * column, out, -column), out)[1],
        "relu": lambda: (k.relu(a, out), out)[1],
        "add": lambda: (k.add(a, b, out), out)[1],
        "add, rectified": lambda: (k.add(a, b, out, True), out)[1],
        "relu_gradient": lambda: (k.relu_gradient(a, b, out), out)[1],
        "move_average": lambda: (k.move_average(d, a, 0.75), d)[1],
        "apply_mask": lambda: (k.apply_mask(a, b > 0, 1.5, out), out)[1],
        "gradient_step": lambda: (k.gradient_step(d, a, 0.5, out), d)[1],
        "momentum_step": lambda: (k.momentum_step(d, a, c, 0.5, 0.25, out), d, c)[1:],
        "update_moments": lambda: (k.update_moments(a, c, d, 0.5, 0.25, out), c, d)[1:],
        "adaptive_step": lambda: (k.adaptive_step(c, a, p, 0.5, 0.25, out), c)[1],
        "adam": lambda: (k.adam(c, a, d, p, 0.5, 0.25, 0.1, 0.01, out), c, d, p)[1:],
        "total": lambda: np.float64(k.total(a)),
        "total of a slice": lambda: np.float64(k.total(a[..., ::2])),
        "sum_of_squares": lambda: np.float64(k.sum_of_squares(a.ravel())),
        "all_below": lambda: [k.all_below(classes, n) for n in (0, 1, shape[-1] - 1, shape[-1])],
        "all_below, negative": lambda: [k.all_below(classes - 1, shape[-1])],
        "all_within": lambda: [
            k.all_within(x, low, high)
            for x in (a, a.T, np.full(2, np.nan, dtype))
            for low, high in ((-1, 1), (float(a.min()), float(a.max())), (0, 1), (-1, 0))
        ],
        "squared_error": lambda: (k.squared_error(a, b, out), out),
        "scale": lambda: (k.scale(a, 1.5, out), out)[1],
        "scale by rows": lambda: (k.scale(a, one, out), out)[1],
        "scaled_difference": lambda: (k.scaled_difference(a, b, 1.5, out), out)[1],
        "scaled_difference by rows": lambda: (k.scaled_difference(a, b, one, out), out)[1],
        "binary_crossentropy": lambda: (k.binary_crossentropy(50 * a, p, out, c, d), out, c),
        "crossentropy": lambda: (k.crossentropy(9 * a, p, out, mass), out, mass),
        "crossentropy_gradient": lambda: (k.crossentropy_gradient(a, p, mass, 1.5, out), out)[1],
        "crossentropy_gradient by rows": lambda: (
            k.crossentropy_gradient(a, p, mass, one, out), out)[1],
        "sparse_crossentropy": lambda: (k.sparse_crossentropy(9 * a, classes, out), out),
        "sparse_crossentropy_gradient": lambda: (
            k.sparse_crossentropy_gradient(a, classes, 1.5, out), out)[1],
        "sparse_crossentropy_gradient by rows": lambda: (
            k.sparse_crossentropy_gradient(a, classes, one, out), out)[1],
    }  # fmt: skip
    if len(shape) == 2:
        calls["column_moments"] = lambda: k.column_moments(a, 1e-3)
        calls["column_sums"] = lambda: k.column_sums(a, b, column)
        calls["column_sums, rectified"] = lambda: k.column_sums(a, b, column, column, column)
    lines = []
    for name, call in calls.items():
        a, b, c, d, out = arrays(shape, dtype)
        p, out[...] = np.abs(a), 0
        mass[...] = 0.5
        lines.append(f"{name}: {outcome(call)}")
    name = f"kernels-{dtype.name}-{'x'.join(map(str, shape))}.txt"
    check_text(__file__, name, "\n".join(lines))


@pytest.mark.parametrize("size", [4096, 4097])
def test_totals_of_large_arrays_are_those_of_float64(size):
    x = np.full(size, 1 / 3, F4)
    x[0] = 1e8
    assert Kernels.total(x) == pytest.approx(float(x.astype(F8).sum()), rel=1e-14)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("length", [1, 255, 256, 257, 8192, 8193, 20000])
def test_sums_do_not_depend_on_blocks(axis, length):
    x = numbers(length, 2).astype(F4) if axis == 0 else numbers(2, length).astype(F4)
    wide = x.astype(F8)
    np.testing.assert_allclose(moments.sums(x, 2.0, axis), 2 * wide.sum(axis), rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(moments.sums(x, x, axis), (wide**2).sum(axis), rtol=1e-5)
    rows = x if axis == 1 else x.T
    np.testing.assert_allclose(moments.mean_square(rows), (wide**2).mean(axis), rtol=1e-5)
    assert np.isfinite(moments.mean_square(1e25 * rows)).all()
    assert shown(memory.constant(1, (2,), F4)) == "float32[2] 2 2.41421 2"
