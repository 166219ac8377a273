"""Structures, batches, class weights and rows held out, in tables."""

import copy

import numpy as np

import netlayers as nl
from netlayers.data import batch, class_weights, packing, streams, structure
from netlayers.data.batch import Batch
from tests.golden import check_text
from tests.snapshots import numbers, outcome

A, B = numbers(4, 2), numbers(4, 3)
ROWS = [[1.0, 2.0], [3.0, 4.0]]


class Getter:
    def __getitem__(self, i):
        if i > 2:
            raise IndexError
        return A, B


class Lazy(Getter):
    shape, dtype = (4, 2), np.dtype("f8")

    def __len__(self):
        return 4


VALUES = {
    "array": A, "list": [1, 2], "rows": ROWS, "empty": [], "arrays": [A, B], "tuple": (A, B),
    "nested": (A, [B, (A,)]), "dict": {"a": A, "b": B}, "reversed dict": {"b": B, "a": A},
    "dict of lists": {"a": [1], "b": [2]}, "dict of tuples": {"a": (A,), "b": (A, B)},
    "one in a dict": {"a": A}, "more": {"a": A, "b": B, "c": A}, "other": {"x": A, "y": B},
    "eleven": {str(i): A for i in range(12)}, "dict in a list": [{"a": A}, {"b": B}],
    "batches": [(A, B), (A, B)], "batches of dicts": [({"a": A}, B)], "of one": [(A,), (A,)],
    "of four": [(A, B, A, B)], "of none": [()], "mixed": [(A, B), [A, B]], "of lists": [[A, B]],
    "inputs and targets": ((A, B), B), "of numbers": [(1, 2), (3, 4)], "none": None, "word": "ab",
    "number": 3, "generator": (v for v in ()), "function": lambda: iter([]), "class": Getter,
    "getter": Getter(), "lazy": Lazy(), "iterator": iter([]), "map": map(str, []),
    "zip": zip([], [], strict=True), "range": range(3), "set": {1, 2}, "scalar": np.float64(1),
    "0-d": np.array(1.0), "memory": memoryview(A), "three": [A, B, A], "single": [A],
    "rows of two": [[A, B], [A, B]], "bytes": b"ab", "dict of dicts": {"a": {"c": A}, "b": B},
    "x alone": (A,), "x and y": (A, B), "x, y and weights": (A, B, A[:, 0]), "four": (A, B, A, B),
    "list of x and y": [A, B], "list of numbers": [1.0, 2.0], "a dict and y": ({"a": A}, B),
}  # fmt: skip


def forms(value):
    """Return the shapes of arrays in any structure."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(forms, value))
    if isinstance(value, dict):
        return {key: forms(its) for key, its in value.items()}
    return f"<{value.shape}>" if isinstance(value, np.ndarray) else type(value).__name__


def test_structures():
    lines = []
    for title, value in VALUES.items():
        lines.append(title)
        asked = structure.is_array, structure.holds_arrays, streams.is_stream, streams.is_one_shot
        lines.append(f"  {[f(value) for f in asked]}")
        lines.append(f"  {forms(structure.flatten(value))}")
        for names in (["a"], ["a", "b"], ["a", "b", "c"]):
            found = outcome(
                lambda v=value, n=names: repr(forms(structure.arrays_by_name("fit", "x", v, n)))
            )
            lines.append(f"  {len(names)} {found}")
        for targets in (True, False):
            found = outcome(
                lambda v=value, t=targets: repr(forms(structure.unpack_batch("fit", v, t)))
            )
            lines.append(f"  {targets} {found}")
        lines.append(f"  {outcome(lambda v=value: streams.refuse_stream('fit', v))}")
        found = outcome(lambda v=value: repr(forms(packing.unpack_x_y_sample_weight(v))))
        lines.append(f"  {found}")
        lines.append(f"  {forms(packing.pack_x_y_sample_weight(value))}")
        lines.append(f"  {forms(packing.pack_x_y_sample_weight(value, B))}")
        lines.append(f"  {forms(packing.pack_x_y_sample_weight(value, B, A))}")
    lines += [structure.label("x", "a", names) for names in (["a"], ["a", "b"])]
    for name in ("y", "validation_split", "drop_last", "batch_size", "stratify"):
        for value in (None, False, 0, 0.0, 1, True, 0.5):
            said = outcome(lambda n=name, v=value: streams.refuse_arguments("fit", **{n: v}))
            lines.append(f"{name}={value}: {said}")
    check_text(__file__, "of every value.txt", "\n".join(lines))


def batches():
    pair = Batch((A, B), B, None, 4)
    plain, weighted = Batch(A, B, None, 4), Batch(A + 1, B + 1, np.arange(4.0), 4)
    outputs = Batch(A, B, np.ones((4, 3), "f4"), 4)
    return {
        "plain": [plain], "two": [plain, plain], "weighted": [weighted, weighted],
        "second weighted": [plain, weighted], "first weighted": [weighted, plain],
        "by output": [plain, outputs], "pairs": [pair, pair], "no targets": [
            Batch(A, None, None, 4), plain
        ], "other rows": [plain, Batch(B, B, None, 4)], "short": [
            plain, Batch(A[:1], B[:1], None, 1), plain
        ], "many": [Batch(A[i : i + 1] + i, B[:1], None, 1) for i in range(3)] * 3,
        "nothing": [],
    }  # fmt: skip


def shown(found):
    parts = []
    for value in found[:3]:
        its = value if isinstance(value, tuple) else (value,)
        parts.append([v if v is None else (v.shape, v.dtype.name, round(v.sum(), 4)) for v in its])
    return f"{parts} {found.size}"


def test_batches():
    lines = []
    for title, its in batches().items():
        if its:
            lines.append(f"{title}: {outcome(lambda b=its: shown(batch.join_batches(b)))}")
        for rows in (1, 3, 4, 5, 8, 100):
            found = outcome(
                lambda b=its, r=rows: repr([shown(one) for one in batch.batches_of(r, iter(b))])
            )
            lines.append(f"  {rows} {found}")
    check_text(__file__, "of batches.txt", "\n".join(lines))
    whole = batches()["weighted"][0]
    copied = batch.copy_batch(whole)
    for mine, other in zip(copied[:3], whole[:3], strict=True):
        np.testing.assert_array_equal(mine, other)
        assert not np.shares_memory(mine, other)
    assert next(batch.batches_of(4, iter([whole]))) is whole


LABELS = {
    "two": np.array([0, 1, 1, 0, 1]), "column": np.array([[0], [1], [1]]),
    "three": np.arange(6) % 3,
    "one hot": np.eye(3)[[0, 2, 2, 1]], "signs": np.array([-1, 1, 1, -1, 1]),
    "floats": np.array([0.0, 1.0, 1.0]), "halves": np.array([0.5, 1.0]),
    "nan": np.array([0, 1, np.nan, 1]),
    "multi": np.array([[1, 1, 0], [0, 0, 1]]), "none of them": np.array([[0, 0], [0, 1]]),
    "single": np.array([0, 0, 1]), "all": np.array([2, 2, 2]), "each": np.arange(4),
    "sequence": np.zeros((2, 3, 1)), "empty": np.zeros(0), "many": np.arange(23) % 5 % 3,
    "twos": np.array([[0, 2], [2, 0]]), "shares": np.array([[0.5, 0.5], [1, 0]]),
    "minus": np.array([[1, -1], [0, 1.0]]), "scalar": np.array(1),
}  # fmt: skip


def test_class_weights():
    lines = []
    weights = [
        "balanced", {}, {0: 2.0}, {0: 0.5, 1: 3}, {2: 1.5}, {-1: 1.0}, {0.0: 1.0}, {True: 2.0},
        {0: -1.0}, {0: np.nan}, {0: np.inf}, {0: "a"}, {"a": 1.0}, [1.0, 2.0], "even", None,
        {0: 0.0, 1: 0.0, 2: 0}, {np.int64(1): np.float32(2)}, {0: True}, {5: 1.0},
    ]  # fmt: skip
    for title, y in LABELS.items():
        lines.append(title)
        for given in weights:
            for classes, ignored in ((None, None), (3, None), (None, 1), (2, -1)):
                found = outcome(
                    lambda g=given, y=y, c=classes, i=ignored: repr(
                        class_weights.class_weights("fit", g, y, c, i).round(4).tolist()
                    )
                )
                lines.append(f"  {given} {classes} {ignored}: {found}")
        for share in (0.2, 0.5, 0.7, 0.99, 0.01):
            found = outcome(
                lambda y=y, s=share: repr(
                    [rows.tolist() for rows in class_weights.stratified_rows("fit", y, s)]
                )
            )
            lines.append(f"  {share}: {found}")
    y = np.array([0, 1, 1])
    for given in (None, [1.0, 2.0, 3.0], np.ones((3, 2)), np.ones((3, 1))):
        found = class_weights.times_class_weights("fit", {1: 2.0}, y, given)
        lines.append(f"times {found.shape} {found.tolist()}")
    check_text(__file__, "of classes.txt", "\n".join(lines))


def test_data_that_need_no_conversion():
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2), "f4"), np.ones((4, 1), "f4")
    assert batch.ready_batch(model, x, y) is None
    model.train_on_batch(x, y)
    assert batch.ready_batch(model, x, y)._replace(inputs=0, targets=0) == Batch(0, 0, None, 4)
    assert batch.ready_batch(model, x, np.ones(4, int)).size == 4
    assert batch.ready_batch(model, x, np.ones((4, 1), bool)).size == 4
    bad, few = x.copy(), y[:3]
    bad[1, 1] = np.nan
    for other, target in (
        (x.astype("f8"), y), (x.tolist(), y), (x, y.tolist()), (bad, y), (x, y * np.inf), (x, few),
        (x[:, :1], y), (np.asfortranarray(x), y), (x, np.ones((4, 2), "f4", "F")), (x[:0], y[:0]),
        (x, y.astype("f8")), (x, np.array(1.0, "f4")), (x, y.astype(str)), (x * 1e30, y),
        (x[None], y), (x, np.ones((4, 1), "c8")),
    ):  # fmt: skip
        assert batch.ready_batch(model, other, target) is None
        if target is y:
            assert not batch.is_ready_input(model, other)
    assert batch.ready_batch(model, x, y, np.ones(4)) is None
    assert batch.ready_batch(model, x, y, None, {0: 1.0}) is None
    assert batch.is_ready_input(model, x)
    again = copy.deepcopy(model)
    assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
