"""Functions of nl.utils on many arguments, and what they refuse, in a table each."""

import numpy as np

import netlayers as nl
from tests.golden import check_text
from tests.snapshots import numbers, outcome

U = nl.utils
NAN = np.nan


def told(value):
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(told, value))})"
    if isinstance(value, dict):
        return str({name: told(its) for name, its in value.items()})
    if isinstance(value, np.ndarray):
        entries = np.round(value, 5).tolist() if value.dtype.kind == "f" else value.tolist()
        return f"{value.dtype} {value.shape} {entries}"
    return repr(value)


def table(name, function, cases):
    lines = []
    for case in cases:
        data, options = (case[:-1], case[-1]) if isinstance(case[-1], dict) else (case, {})
        found = outcome(lambda d=data, o=options: told(function(*d, **o)))
        lines.append(f"{str(data)[:90]} {options}: {found}".replace("\n", ""))
    check_text(__file__, f"{name}.txt", "\n".join(lines))


def test_normalize():
    x = [[3.0, 4.0], [0.0, 0.0], [-1.0, 1.0]]
    table("normalize", U.normalize, [
        *[(x, {"axis": axis}) for axis in (-1, 0, 1, 2, -3, 0.5)],
        *[(x, {"order": order}) for order in (1, 2, 3, 0, -1, 2.5, "fro")],
        ([1, 2, 2], {}), (3.0, {}), ([], {}), (np.zeros((0, 2)), {}), ([[1e300, 1e300]], {}),
        ([[1e-300, 0.0]], {}), ([[NAN, 1.0]], {}), (["a"], {}), (np.ones((2, 2, 2)), {"axis": 1}),
    ])  # fmt: skip


def test_pad_sequences():
    rows = [[1], [2, 3], [4, 5, 6]]
    kinds = [{"padding": a, "truncating": b} for a in ("pre", "post") for b in ("pre", "post")]
    table("pad_sequences", U.pad_sequences, [
        (rows, {}), *[(rows, {"maxlen": n, **k}) for n in (None, 2, 5, 1) for k in kinds],
        (rows, {"maxlen": 0}), (rows, {"maxlen": -1}), (rows, {"maxlen": 2.0}),
        (rows, {"value": 9}),
        (rows, {"value": 0.5}), (rows, {"value": 0.5, "dtype": "float32"}),
        (rows, {"value": 300, "dtype": "int8"}),
        (rows, {"dtype": "int8"}), ([[1, 300]], {"dtype": "int8"}), ([[-129]], {"dtype": "int8"}),
        ([[127, -128]], {"dtype": "int8"}), ([[128]], {"dtype": "int8"}),
        ([[-1]], {"dtype": "uint8"}),
        ([[NAN]], {}), ([[1.7]], {}), (rows, {"dtype": "str"}), (rows, {"dtype": "bool"}),
        (rows, {"padding": "left"}), (rows, {"truncating": "right"}), ([], {}), ([[]], {}),
        ([[], [1]], {}), ([[], []], {"maxlen": 2}), ("ab", {}), (3, {}), ([1, 2], {}),
        ([["a"]], {}),
        ([[[1, 2]], [[3, 4], [5, 6]]], {}), ([[[1, 2]], [[1]]], {}), (np.eye(2), {}), ([None], {}),
        (({"a": 1},), {}), ([[1, 2], "ab"], {}), ([[1], 2], {"maxlen": 1}), (rows, {"value": NAN}),
        ([np.array([1.0, 2.0])], {"dtype": "float64", "maxlen": 3}),
    ])  # fmt: skip


def test_split_dataset():
    x = np.arange(5)
    both = [
        {"left_size": a, "right_size": b} for a, b in ((2, 2), (3, 3), (0.4, 0.4), (0.5, 2), (1, 4))
    ]
    table("split_dataset", U.split_dataset, [
        *[(x, {"left_size": n}) for n in (1, 4, 5, 0, 6, -1, 0.6, 0.5, 0.01, 1.0, 0.0, NAN, True)],
        (x, {"left_size": "2"}),
        *[(x, {"right_size": n}) for n in (1, 4, 5, 0.6, 0.1, np.int64(2), np.float32(0.4))],
        *[(x, options) for options in both], (x, {}), ([x, 2 * x], {"left_size": 2}),
        ((x, 2 * x), {"left_size": 2}), ({"a": x, "b": 2 * x}, {"left_size": 2}),
        ((x, x[:3]), {"left_size": 2}), (np.array(3), {"left_size": 1}), ([], {"left_size": 1}),
        (x, {"left_size": 2, "shuffle": True, "seed": 3}), (x, {"left_size": 2, "shuffle": 1}),
        (x, {"left_size": 2, "shuffle": True, "seed": -1}), (np.zeros((0, 2)), {"left_size": 1}),
        ((x, 2 * x), {"right_size": 2, "shuffle": True, "seed": 0}),
    ])  # fmt: skip


def test_windows():
    x, y = np.arange(8.0), np.arange(8) * 10

    def windows(*data, **options):
        its = U.timeseries_dataset_from_array(*data, **options)
        return [len(its), its.num_batches, *its]

    table("windows", windows, [
        (x, y, 3, {}), (x, None, 3, {}), (x, y[:4], 3, {}), (x, y, 1, {}), (x, y, 8, {}),
        (x, y, 9, {}),
        *[(x, y, 3, o) for o in (
            {"sequence_stride": 2}, {"sampling_rate": 2}, {"sampling_rate": 3},
            {"sampling_rate": 4},
            {"batch_size": 2}, {"batch_size": 3}, {"batch_size": None}, {"batch_size": 0},
            {"start_index": 2}, {"end_index": 5}, {"start_index": 2, "end_index": 6},
            {"start_index": 5, "end_index": 5}, {"start_index": 0}, {"end_index": 20},
            {"end_index": 0},
            {"start_index": -1}, {"shuffle": True, "seed": 1},
            {"shuffle": True, "seed": 1, "batch_size": 2},
            {"shuffle": 2}, {"sequence_stride": 0}, {"sampling_rate": 0},
            {"sequence_stride": 4, "batch_size": 1},
        )],
        (x, y, 0, {}), (x, y, 2.0, {}), (3.0, y, 2, {}), (x, 3.0, 2, {}),
        (numbers(5, 2), None, 2, {}),
        (["a"], y, 1, {}), (x, y[:0], 2, {}), (x[:0], None, 1, {}),
    ])  # fmt: skip


def test_to_categorical():
    table("to_categorical", U.to_categorical, [
        ([0, 2, 1], {}), ([[0], [1]], {}), ([[0, 1], [2, 0]], {}), ([0, 1], {"num_classes": 4}),
        ([0, 3], {"num_classes": 3}), ([-1, 0], {}), ([0.5], {}), ([1.0], {}), ([], {}), (2, {}),
        ([True, False], {}), (["a"], {}), ([NAN], {}), ([0], {"num_classes": 0}),
        ([[[0], [1]]], {}),
        ([0], {"num_classes": 1}), ([0, 1], {"num_classes": 2.0}),
    ])  # fmt: skip


def test_batches_by_index():
    class Batches(U.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return index

    class Endless(U.PyDataset):
        num_batches = None

        def __getitem__(self, index):
            return index

    assert list(Batches()) == [0, 1, 2]
    assert Batches().num_batches == 3
    assert U.PyDataset().num_batches is None
    found = iter(Endless(workers=2, use_multiprocessing=True, max_queue_size=3))
    assert [next(found) for _ in range(5)] == [0, 1, 2, 3, 4]
    made = Endless(workers=0, use_multiprocessing=True, max_queue_size=3)
    assert (made.workers, made.use_multiprocessing, made.max_queue_size) == (0, True, 3)
    assert (Batches().on_epoch_begin(), Batches().on_epoch_end()) == (None, None)
    assert "workers must be an integer >= 0" in outcome(lambda: U.PyDataset(workers=-1))
    assert "PyDataset must define __getitem__(index)" in outcome(lambda: U.PyDataset()[0])
