"""Small pieces of a trace, of records made by hand: sizes, wires, times, blocks of text."""

from types import SimpleNamespace

import numpy as np

import netlayers as nl
from netlayers.trace import html, text
from netlayers.trace.boxes import Drawing, _rows, _short, _sizes
from netlayers.trace.convolution_story import patch_of
from netlayers.trace.drawing import Times, drawn_loss, svg
from netlayers.trace.drawing import text as svg_text
from netlayers.trace.layered import _far, layered
from netlayers.trace.records import LayerTrace
from netlayers.trace.steps import Line, Shown, Step, first_number, last_of
from tests.golden import check_text
from tests.snapshots import numbers, shown
from tests.trace.test_convolution import CASES

L = nl.layers
A, B, C, D = (numbers(2, n) for n in (1, 2, 3, 4))


def record(layer, number=0, x=A, y=B, parts=(), **more):
    return LayerTrace(f"net/{layer.name}", layer, 1, number, x, None, y, parts=list(parts), **more)


def dense(number, x=A, y=B, name="d", **more):
    return record(L.Dense(2, "tanh", name=name), number, x, y, **more)


def records():
    """Records by what they are; ``Flatten`` without a number is not drawn."""
    gone = record(L.Flatten(name="gone"), 0)
    block = nl.layers.Residual([L.Dense(2)], name="block")
    branches = nl.layers.Parallel([L.Dense(1), L.Dense(1)], merge="multiply", name="heads")
    chain = nl.Sequential([L.Dense(2)], name="chain")
    graph = nl.layers.graph.Graph([L.Dense(2), L.Dense(2)], [(0, [(0, None)]), (1, [(0, None)])])
    wide = record(nl.Sequential([L.Dense(2)], name="inner"), 0, parts=[dense(4), dense(5, B, C)])
    return {
        "not drawn": gone,
        "box": dense(3),
        "box with a long name": dense(3, name="a_layer_with_a_long_name"),
        "box of a tuple": record(L.Dense(2, name="t"), 2, A, (B, None, C)),
        "chain": record(chain, 0, parts=[dense(1), gone, dense(2, B, C)]),
        "chain with a number": record(block, 3, A, C, [dense(1), dense(2, B, C)]),
        "one part": record(block, 2, A, B, [dense(1)]),
        "nothing in it": record(block, 2, A, B, [gone]),
        "branches": record(branches, 4, A, D, [dense(1), gone, dense(2, A, C), wide]),
        "one branch": record(branches, 2, A, B, [dense(1)]),
        "graph": record(graph, 0, A, C, [dense(1), gone, dense(2, A, C), wide, dense(6, B, D)]),
    }


STEPS = [
    Step("start", "s", lines=[Line(items=[Shown("x", A)])]),
    Step("forward", "f", "d", 1, lines=[Line(items=[Shown("x", A), "+", Shown("y", B)])]),
    Step("forward", "f", "e", 2, lines=[Line()]),
    Step("loss", "l", lines=[Line(items=[Shown("L", C)])]),
    Step("loss", "l"),
    Step("backward", "b", "e", 2),
    Step("backward", "b", "e", 2, lines=[Line(items=[Shown("d", D)])]),
    Step("backward", "b", "d", 1),
    Step("update", "u", "d", 1),
]


def test_times():
    other, times = np.ones(3), Times(STEPS)
    lines = [f"loss {times.loss}, without one {Times(STEPS[:2]).loss} {Times([]).loss}"]
    values = (A, B, C, D, other, None, (A, D), (None, B), (other,))
    lines += [f"of {shown(value)}: {times.of(value)}" for value in values]
    for number in (1, 2, 3):
        for y in (B, other, (A, None)):
            for dz, dy in ((None, None), (D, None), (None, C), (other, D), (other, None)):
                r = dense(number, A, y, dz=dz, dy=dy)
                lines.append(f"{number}: {times.values(r)} {times.gradients(r)}")
    lines.append(f"inputs: {times.values(None)}")
    check_text(__file__, "times.txt", "\n".join(lines))


def test_what_is_drawn_of_a_record():
    lines = []
    for name, r in records().items():
        drawing = Drawing(Times(STEPS))
        drawing.draw(r, 10.0, 100.0)
        ends = [None if r is None else r.number for r in (last_of(r),)]
        lines.append(f"{name}: {drawing.size(r)} {first_number(r)} {ends} {_sizes(r.y)}")
        lines += [f"  {part}" for part in drawing.parts]
    drawing = Drawing(Times(STEPS))
    parts = [records()["box"], records()["not drawn"], records()["chain"], records()["branches"]]
    for width in (None, 0, 200, 236, 235, 330, 470, 640, 700, 900):
        rows = [[r.number for r in row] for row in _rows(parts, drawing, width)]
        lines.append(f"rows of {width}: {rows}")
    lines.append(f"no rows: {_rows([], drawing, 10)}")
    lines += [_short("abcdef", most) for most in (2, 5, 6, 7)]
    lines += [_sizes(v) for v in (A, (A, None, np.ones((2, 3, 4))), np.ones(2), None)]
    view = SimpleNamespace(loss=SimpleNamespace(total=0.12345))
    for down in (False, True):
        lines.append(drawn_loss(50.0, 60.0, [(1.0, 2.0), (3.0, 4.5)], view, Times(STEPS), down))
    lines.append(svg("slim", 10.4, 20.6, 'a "label"', ["x", "y"]))
    lines += [svg_text(1.25, 2.0, "<w>"), svg_text(1.0, 2.0, "w", "kind", 3, "a title")]
    check_text(__file__, "drawn.txt", "\n".join(lines))


def test_graphs_in_layers():
    """With wires that pass a level, several inputs, and outputs at two places."""
    first, second = dense(1, A, B, "one"), dense(2, B, C, "two")
    beside, last = dense(3, A, D, "beside"), dense(4, (C, D, A), np.ones((2, 1)), "last")
    far = record(L.Dense(2, name="far"), 5, (B, C), np.ones((2, 5)))
    lines = []
    for name, parts, inputs, made in (
        ("chain", [first, second], A, C),
        ("skip", [first, second, far], A, far.y),
        ("wide", [first, beside, second, last], A, (last.y, D)),
        ("two inputs", [first, record(L.Dense(2, name="own"), 6, D, np.ones((2, 2)))], (A, D), B),
        ("no outputs", [first], A, None),
    ):
        model = SimpleNamespace(parts=parts, y=made, x=inputs)
        loss = SimpleNamespace(total=2.0, parts={}, y_pred=None)
        view = SimpleNamespace(name="net", model=model, loss=loss)
        for down in (False, True):
            lines.append(f"{name} {down}")
            lines += layered(view, Times(STEPS), inputs, down).replace("><", ">\n  <").splitlines()
    check_text(__file__, "layered.txt", "\n".join(lines))
    depth = {id(r): i for i, r in enumerate([first, second, far], 1)}
    for near, expected in (([], True), ([first], True), ([second], False), ([first, second], True)):
        assert _far(far, {id(far): near}, depth) is expected
    assert not _far(first, {id(first): []}, depth)


def test_which_edges_carry_something():
    """Also of a layer that gives back what it takes, and of one that another contains."""
    one, same = dense(1, A, B, "one"), dense(2, B, B, "same")
    inside = dense(3, B, C, "inside")
    block = record(nl.layers.Residual([L.Dense(2)], name="r"), 4, B, D, [inside])
    end = dense(5, (None, D), A, "end")
    story = SimpleNamespace(numbered=[one, same, inside, block, end])
    lines = [f"{r.number}: {html._takers(r, story)}" for r in story.numbered]
    steps = [
        Step(phase, title, number=number)
        for number in range(6)
        for phase in ("start", "forward", "loss", "backward", "update")
        for title in ("Back through tanh", "Gradients")
    ]
    for outputs in (1, 2):
        loss = SimpleNamespace(by_output=dict.fromkeys(range(outputs)))
        view = SimpleNamespace(steps=steps, loss=loss)
        for step, said in zip(steps, html._carriers(view, story), strict=True):
            lines.append(f"{outputs} {step.number} {step.phase} {step.title}: {said}")
    check_text(__file__, "carriers.txt", "\n".join(lines))


def test_arrays_of_a_page_and_of_a_text():
    view = SimpleNamespace(rows=3, columns=3, digits=4)
    lines = []
    for value in (
        A, -B, np.array(2.5), np.array(-3), np.array([0, -1, 7]), np.array([True, False]),
        np.array([np.nan, np.inf, -2.0]), np.zeros((2, 2)), numbers(5, 4), numbers(2, 2, 2),
        np.array(["a", "b"]), np.array([3, 2], np.uint8), np.empty((0, 2)),
    ):  # fmt: skip
        lines += [html._array(Shown(r"\delta_{1}", value, a), view) for a in (False, True)]
        lines += text._block(Shown("W", value), view) if value.size else []
    line = Line(r"a = b", [Shown("x", A), "+", "-", Shown("y", B), "="], "code <", "a note")
    lines += [html._line(line, view), html._line(Line(), view), html._line(Line(note="n"), view)]
    check_text(__file__, "arrays.txt", "\n".join(lines))


def test_blocks_beside_each_other():
    room = text.WIDTH - 4
    gap = len(text.BETWEEN)
    lines = []
    for widths in (
        [room], [room + 1], [room - gap - 1, 1], [room - gap, 1], [room - gap - 1, 2], [1, 2, 3],
        [40, 40, 40], [room, room], [],
    ):  # fmt: skip
        blocks = [["x" * w, "y"] if i % 2 else ["x" * w] for i, w in enumerate(widths)]
        found = text._beside(blocks)
        lines.append(f"{widths}: {[len(line) for line in found]}")
        lines += found if widths == [1, 2, 3] else []
    lines += text._wrapped("a word-with-hyphens " * 9 + "x" * 120)
    check_text(__file__, "beside.txt", "\n".join(lines))


def test_patches():
    """Of convolutions of every kind, with and without gradients, frozen and in another call."""
    lines = []
    for name, (cls, arguments, shape) in CASES.items():
        layer = cls(**arguments, name="c")
        layer.build((None, *shape))
        for i, w in enumerate(layer.weights):
            w[...] = numbers(*w.shape, first=float(i))
        x = numbers(2, *shape)
        z = layer.forward(x.astype("float32"), training=True).astype(float)
        dz = numbers(*z.shape, first=2.0)
        weights = {
            p.name: SimpleNamespace(before=p.value.astype(float), parts={1: p.value * 2.0})
            for p in layer.declared_parameters
        }
        for given in (None, dz, 0 * dz):
            for call in (1, 2):
                r = LayerTrace("c", layer, call, 1, x, z, z, dz=given, weights=weights)
                r.dx = None if call == 2 else 3 * x
                lines.append(f"{name} {call} {shown(patch_of(r)._asdict()['at'])}")
                lines += [f"  {k} {shown(v)}" for k, v in patch_of(r)._asdict().items()]
    assert patch_of(LayerTrace("c", L.Conv1DTranspose(1, 1), 1, 1, A, B, B)) is None
    check_text(__file__, "patches.txt", "\n".join(lines))
