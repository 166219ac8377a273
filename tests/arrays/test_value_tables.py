"""What each function that takes a user's values makes of each value, in tables."""

import numpy as np
import pytest
import scipy.sparse

from netlayers.arrays import categories, checks, convert, foreign, frames, several, sparse
from netlayers.arrays.spec import InputSpec
from tests.golden import check_text
from tests.snapshots import numbers, outcome

F32, F64 = np.dtype("float32"), np.dtype("float64")
NAN, INF = np.nan, np.inf
WIDE = numbers(3, 4)
VALUES = {
    "float64": WIDE, "float32": WIDE.astype("f4"), "float16": WIDE.astype("f2"),
    "int8": np.array([1, -2], "i1"),
    "uint64": np.array([2**64 - 1, 0], "u8"), "int64": np.array([[1, 2], [3, 4]]),
    "bool": np.array([True, False]), "complex": np.array([1j]), "text": np.array(["a", "1"]),
    "bytes": np.array([b"a"]), "objects": np.array([1, 2.5, None], object),
    "words": np.array(["a", None, "b"], object), "mixed": np.array(["a", 1], object),
    "none": np.array([None], object), "nan among objects": np.array([NAN, "a"], object),
    "integers among objects": np.array([1, 2, None], object), "dates": np.array(["2020"], "M8[D]"),
    "booleans among objects": np.array([True, None], object),
    "nested": np.array([[1], [2]], object),
    "big endian": WIDE.astype(">f8"), "big integers": np.array([1, 2], ">i4"),
    "fortran": np.asfortranarray(WIDE), "strided": WIDE[:, ::2], "transposed": WIDE.T,
    "reversed": WIDE[::-1], "scalar": np.array(2.0), "number": 3, "word": "a", "nothing": None,
    "empty": np.zeros((0, 3)), "no columns": np.zeros((3, 0)), "empty list": [], "list": [1, 2, 3],
    "rows": [[1.0, 2.0], [3.0, 4.0]], "ragged": [[1], [2, 3]], "tuple": (1.5, 2.5),
    "list of arrays": [WIDE[0], WIDE[1]], "dict": {"a": [1]}, "set": {1}, "range": range(3),
    "nan": np.array([1.0, NAN]), "inf": np.array([[1.0, -INF], [2.0, 3.0]]),
    "huge": np.array([1e39]),
    "nan32": np.array([[0.0], [NAN]], "f4"), "whole": np.array([1.0, -3.0]), "flags": [0.0, 1.0],
    "masked": np.ma.array([1.0, 2.0], mask=[0, 1]), "unmasked": np.ma.array([1.0, 2.0]),
    "matrix": np.array([[1.0, 2.0]]).view(np.matrix), "csr": scipy.sparse.csr_array(np.eye(3)),
    "coo": scipy.sparse.coo_matrix(np.eye(2)), "memory": memoryview(np.ones(3)),
    "generator": (i for i in range(2)), "record": np.zeros(2, [("a", "f8")]), "class": int,
    "2**63": np.array([2.0**63]), "below": np.array([2.0**63 - 1024]), "0 or 2": np.array([0, 2]),
    "big text": np.array(["ab"], ">U2"), "0-d object": np.array(None, object), "float": 0.5,
}  # fmt: skip


def told(value):
    """Return an array with its dtype, layout and entries; other values as they are."""
    if isinstance(value, tuple):
        return f"({', '.join(map(told, value))})"
    if isinstance(value, np.ndarray):
        order = "C" if value.flags.c_contiguous else "F" if value.flags.f_contiguous else "-"
        entries = value.tolist() if value.dtype.kind not in "fc" else np.round(value, 4).tolist()
        return f"{type(value).__name__} {value.dtype.str} {value.shape} {order} {entries}"
    return type(value).__name__ if hasattr(value, "toarray") else repr(value)


def table(name, function):
    lines = []
    for title, value in VALUES.items():
        given = (i for i in range(2)) if title == "generator" else value
        with np.printoptions(legacy=False):
            said = outcome(lambda v=given: told(function(v)))
        if hasattr(value, "toarray"):  # SciPy's texts differ by version
            said = said.replace(repr(value), "<sparse>").replace(str(value), "<sparse>")
        if isinstance(given, np.ndarray) and said.startswith("'"):
            same = function(given)
            said += " the same" * (same is given)
            shared = isinstance(same, np.ndarray) and np.may_share_memory(same, given)
            said += " shared" * (shared and same is not given)
        lines.append(f"{title}: {said}".replace("generator object <genexpr> at", "generator"))
    check_text(__file__, f"of {name}.txt", "\n".join(line.split(" 0x")[0] for line in lines))


KINDS = {
    "float": InputSpec(), "kept": InputSpec(keeps_precision=True),
    "integer": InputSpec(dtype="integer"), "boolean": InputSpec(dtype="boolean"),
    "string": InputSpec(dtype="string"), "category": InputSpec(dtype="category", missing=True),
    "missing integer": InputSpec(dtype="integer", missing=True),
    "missing string": InputSpec(dtype="string", missing=True),
}  # fmt: skip
FUNCTIONS = {
    "as_array": lambda v: convert.as_array("fit", "x", v),
    "as_float32": lambda v: convert.as_float("fit", "x", v, F32),
    "as_float64": lambda v: convert.as_float("fit", "x", v, F64),
    **{
        f"as_kind {name}": lambda v, s=spec: convert.as_kind("fit", "x", v, s, F32)
        for name, spec in KINDS.items()
    },
    "kind_dtype": lambda v: tuple(
        convert.kind_dtype(v.dtype, spec, F32).str for spec in KINDS.values()
    ),
    "as_text": lambda v: categories.as_text("fit", "x", v),
    "as_data": lambda v: checks.as_data("fit", "x", v),
    "checked_input": lambda v: checks.checked_input("fit", "x", v, InputSpec(), F32),
    "checked_integers": lambda v: checks.checked_input(
        "fit", "x", v, InputSpec(dtype="integer", ndim=2), F32
    ),
    "check_values": lambda v: checks.check_values("fit", "x", np.asarray(v), F32),
    "check_masked": lambda v: checks.check_values("fit", "x", np.asarray(v), F32, True),
    "check_unmasked": lambda v: checks.check_values("fit", "x", np.asarray(v), F32, False),
    "in_order": convert.in_order,
    "all_finite": lambda v: (
        convert.all_finite(v), convert.first_non_finite_row(v),
        convert.first_non_finite_row(v, False)
    ),
    "each": lambda v: (convert.each(v), convert.shapes_of(v)),
    "several": lambda v: (
        several.finite(v), several.first_bad(v)[0], several.float_numbers(v), several.row_of(v, 1)
    ),
    "is": lambda v: (
        frames.is_frame(v), sparse.is_sparse(v), foreign.is_lazy(v), frames.column_names(v),
        categories.is_missing(v),
    ),
    "numpy_of": foreign.numpy_of,
    "numpy_dtype": foreign.numpy_dtype,
    "blocks": lambda v: tuple((i, b.shape) for i, b in foreign.blocks(v)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name):
    def function(value):
        try:
            return FUNCTIONS[name](value)
        except AttributeError:  # what only arrays are given
            return "needs an array"

    table(name, function)


@pytest.mark.parametrize("kind", ["string", "integer", "category"])
def test_categories(kind):
    table(f"as_categories {kind}", lambda v: categories.as_categories("fit", "x", v, kind))


def test_several_values():
    a, b, c = np.ones(3), np.full((3, 2), NAN), np.arange(3)
    lines = []
    for value in ((a, b), (b, a), (a, c), (c, c), (None, a), (a, None, b), (a,), a, None):
        found = [
            outcome(lambda v=value, f=f: told(f(v)))
            for f in (
                several.listed,
                several.finite,
                several.first_bad,
                several.float_numbers,
                lambda v: several.row_of(v, 2),
                lambda v: several.first_of(v if v is not None else a),
                convert.each,
            )
        ]
        lines.append(" | ".join(found))
    lines.append(f"{told(convert.one([a]))} {len(convert.one([a, b]))} {convert.one(())}")
    check_text(__file__, "several values.txt", "\n".join(lines))


def test_missing_values():
    class NAType:
        pass

    for value, expected in (
        (None, True), (NAN, True), (np.float64("nan"), True), (0.0, False), ("", False),
        (NAType(), True), (np.float32("nan"), False), (0, False), (INF, False), (False, False),
    ):  # fmt: skip
        assert categories.is_missing(value) == expected, value
