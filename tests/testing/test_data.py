"""The data that checks try classes on, their comparisons, and the order in which they run."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.testing import families, layers, list_checks, targets, values
from netlayers.testing.contract import ContractError, ContractReport, Example, Mismatch, run
from tests.classes import concrete
from tests.golden import check_text
from tests.mutation.contract_faults import Squares, StopsAfter
from tests.mutation.layer_faults import Scale
from tests.snapshots import (
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
    shown,
)
from tests.user_layers import Embed, Gate

L = nl.layers


class Of:
    """A loss or metric with its outputs on an axis."""

    def __init__(self, axis):
        self.axis = axis


def test_draws():
    lines = []
    for kind in targets.TARGETS:
        for shape in ((4, 1), (5, 3), (3, 2, 4)):
            for axis in (-1, 1):
                for outputs in ((), (2,), (2, 3)):
                    example = Example(Squares, {}, (kind, "shares", *outputs))
                    for same_size in (False, True):

                        def draw(e=example, a=axis, s=shape, same=same_size):
                            return targets.draw(e, Of(a), s, "float32", same)

                        title = f"{kind} {shape} axis={axis} {outputs} {same_size}"
                        lines.append(f"{title}: {outcome(draw)}")
    for kind in ("no such", lambda rng, shape: rng.integers(9, 12, shape)):
        found = outcome(
            lambda k=kind: targets.draw(Example(Squares, {}, (k, k)), Of(0), (3, 2), "f8")
        )
        lines.append(found)
    lines += [str(targets.axis_of(thing)) for thing in (Of(1), Of((0, 1)), Of(None), object())]
    check_text(__file__, "draws.txt", "\n".join(lines))


def test_enlarged_inputs():
    """Inputs of 2^18 entries, and layers that are as wide."""
    lines = []
    for cls in [c for c in concrete("layer") if c is not nl.Sequential]:
        for arguments, shape in cls.examples():
            example = Example(cls, arguments, (shape,))
            if not layers.one_float_input(example):
                continue
            layer, sizes = layers.enlarged(example)
            lines.append(f"{cls.__name__} {shape}: {sizes} {layer.dtype} {layer.output_shape}")
            assert np.prod(sizes) > 2**17
    check_text(__file__, "enlarged.txt", "\n".join(lines))


def test_layers_and_inputs():
    lines = []
    for cls, arguments, shape in (
        (Scale, {}, (4, 3)), (L.BatchNormalization, {}, (4, 3)), (L.Dense, {"units": 2}, (2, 3, 4)),
        (Gate, *Gate.examples()[0]), (Embed, *Embed.examples()[0]),
    ):  # fmt: skip
        example = Example(cls, arguments, (shape,))
        for dtype in values.FLOATS:
            for seed in (0, 1):
                layer = values.built(example, dtype, seed)
                x = values.inputs(layer, shape, dtype, seed)
                lines.append(f"{layer.name} {dtype} {seed}: {shown(x)}")
                lines += [f"  {shown(w)}" for w in (*layer.weights, *values.step(layer, x, seed))]
        default = values.inputs(layer, shape)
        lines.append(f"{shown(default)} {shown(values.built(example).weights)}")
        lines.append(f"{shown(values.listed(values.rows_of(default, 1, 2)))}")
        lines.append(
            f"{values.with_rows(shape, 9)} {shown(values.zeros(values.with_rows(shape, 2)))}"
        )
    for name, given in values.awkward(numbers(4, 3).astype("float32")).items():
        a = np.asarray(given)
        lines.append(f"{name} {type(given).__name__} {a.dtype} {a.strides} {a.flags.writeable}")
        lines.append(f"  {shown(a.astype(float))}")
    lines += [shown(values.normal((2, 3))), shown(values.gradient_like(numbers(2, 3)))]
    lines.append(shown(values.gradient_like((numbers(2, 3), numbers(2)))))
    check_text(__file__, "layers.txt", "\n".join(lines))


A = np.array([[1.0, 2.0], [3.0, np.nan]])
COMPARISONS = [
    ([A], [A]), ([A], [A, A]), ([A], [A[:1]]), ([A], [A.astype("float32")]), ([A], [A + 1e-7]),
    ([A], [A + 1e-5]), ([A, A], [A, A + np.eye(2)[::-1]]), ([A], [A * [[1, 1], [1, 0]] + 0]),
    ([np.array("a")], [np.array("a")]), ([np.array("a")], [np.array("b")]), ([], []),
    ([np.array([np.inf])], [np.array([np.inf])]), ([np.array([1, 2])], [np.array([1.0, 2.0])]),
    ([np.array([True])], [np.array([False])]), ([A + 1e-4], [A]), ([1e6 * A], [1e6 * A + 0.5]),
]  # fmt: skip


def test_comparisons():
    lines = []
    for got, wanted in COMPARISONS:
        found, text = [], any(a.dtype.kind == "U" for a in got)
        nearly = [values.close, lambda *a: values.close(*a, 1e-3, 0.0)]
        for compare in (values.same, *(() if text else nearly)):
            try:
                compare(iter(got), iter(wanted), "e", "h")
                found.append("ok")
            except Mismatch as mismatch:
                found.append(f"{mismatch.expected} {mismatch.got} {mismatch.hint}")
        differ = values.differ(iter(got), iter(wanted))
        lines.append(f"{' | '.join(found)} | {differ}")
    check_text(__file__, "comparisons.txt", "\n".join(lines))


@pytest.mark.parametrize("thing", [Scale, Squares, StopsAfter, nl.regularizers.L1, Scale(0.5)])
def test_the_order_of_checks(thing):
    name = getattr(thing, "__name__", "object")
    lines = [
        f"{strict} {case} {case.check.whole} {case.check.strict} {case.check.promise}"
        for strict in (False, True)
        for case in list_checks(thing, strict=strict)
    ]
    check_text(__file__, f"order-{name}.txt", "\n".join(lines))


def test_how_cases_are_reported():
    class Fails(Scale):
        def forward(self, x, training=False):
            raise ValueError("odd")

    cases = list_checks(Fails)[:3] + list_checks(Scale)[:2]
    report = run(cases, "Both", True)
    assert (report.count, len(report.failures), report.passed) == (5, 3, False)
    assert str(report).splitlines()[-1] == "Both: 5 checks, 3 of 5 failed"
    assert str(report).count("got: ValueError: odd") == 3
    with pytest.raises(ContractError, match="odd"):
        run(cases, "Both", False)
    good = run(cases[3:], "Both", False)
    assert (good.count, good.passed, str(good)) == (2, True, "Both: 2 checks, passed")
    assert str(ContractReport("none")) == "none: 0 checks, passed"


@pytest.mark.parametrize(
    "examples",
    [
        [3],
        [{}],
        [({},)],
        [({}, (2, 2), 3)],
        [(3, (2, 2))],
        [[{}, (2, 2)]],
        [({"factor": 2.0}, (4, 3))],
    ],
)
def test_what_is_no_example_of_a_layer(examples):
    text = outcome(lambda: list_checks(Scale, examples=examples)).partition(" object at")[0]
    fits = isinstance(examples[0], (tuple, list)) and len(examples[0]) == 2 and examples[0][0] != 3
    if not fits:
        assert text == (
            "ConfigurationError: Scale: an example must be a pair of constructor arguments and "
            f"input shape, got {examples[0]!r}."
        )
    else:
        assert "Error" not in text


@pytest.mark.parametrize(
    ("cls", "given", "words"),
    [
        (Squares, {}, "constructor arguments, kind of targets, and kind of predictions"),
        (
            Squares,
            ({}, "numbers"),
            "constructor arguments, kind of targets, and kind of predictions",
        ),
        (Squares, ({}, *["numbers"] * 5), "kind of targets, and kind of predictions"),
        (nl.regularizers.L1, ({},), "a dict of constructor arguments"),
        (StopsAfter, 3, "a dict of constructor arguments"),
    ],
)
def test_what_is_no_example(cls, given, words):
    with pytest.raises(nl.errors.ConfigurationError, match=f"must be .*{words}, got"):
        list_checks(cls, examples=[given])


def test_an_object_is_tried_on_the_shape_it_is_built_for():
    for shape, expected in (((None, 5), (4, 5)), ((None, None, 3), (4, 3, 3))):
        layer = L.Dense(2)
        layer.build(shape)
        (example,) = {id(c.examples[0]): c.examples for c in list_checks(layer)}.values()
        assert example[0].data == (expected,)
        assert "dtype" not in example[0].arguments
        assert "name" not in example[0].arguments
    (example,) = {id(c.examples[0]): c.examples for c in list_checks(L.Dense(2))}.values()
    assert example[0].data == (L.Dense.examples()[0][1],)
    gate = Gate()
    gate.build(((None, 3), (None, 3)))
    (example,) = {id(c.examples[0]): c.examples for c in list_checks(gate)}.values()
    assert example[0].data == (((4, 3), (4, 3)),)


@pytest.mark.parametrize("cls", [nl.layers.Dense, nl.layers.BatchNormalization, nl.layers.Dropout])
def test_an_object_is_tried_on_the_data_of_the_first_example(cls):
    arguments, shape, *_ = cls.examples()[0]
    example = families._as_example("layer", cls(**arguments))
    assert example[1] == shape
    assert any(other[1] != shape for other in cls.examples())
