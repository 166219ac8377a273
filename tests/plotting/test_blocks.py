"""What each element of a diagram draws, and where, noted by a pen that draws nothing."""

import numpy as np
import pytest

from tests.golden import check_text
from tests.plotting.test_graphs import random_graph

pytest.importorskip("matplotlib", minversion="3.10")
from netlayers.plotting.blocks import Block, Branches, Card, Chain, Frame, Pen, Skip
from netlayers.plotting.figures import new_figure
from netlayers.plotting.graphs import GraphBlock, GraphFrame, Pill, Point, Sign
from netlayers.plotting.layout import Layout


class Notes:
    """Notes what is drawn; every letter has the same width."""

    def __init__(self):
        self.lines = []

    def width(self, text, size, bold=False):
        return (0.6 + 0.1 * bold) * size * len(text)

    def __getattr__(self, method):
        def note(*args, **kwargs):
            said = [*map(shown, args), *(f"{k}={shown(v)}" for k, v in kwargs.items())]
            self.lines.append(f"  {method} {' '.join(said)}")

        return note


def shown(value):
    if isinstance(value, (tuple, list)):
        return "(" + " ".join(map(shown, value)) + ")"
    return f"{value:#.6g}" if isinstance(value, (int, float)) and value is not True else str(value)


class Plain(Block):
    """A block of a given size, whose port is not in its middle."""

    def __init__(self, pen, width, height, port=None):
        super().__init__(pen)
        self.width, self.height, self.port = width, height, port or 0.4 * width

    def draw(self, x, y):
        self.pen.block(x, y, self.width, self.height)


def drawn(title, make, x=3.0, y=7.0):
    pen = Notes()
    block = make(pen)
    block.draw(x, y)
    sizes = [getattr(block, n, None) for n in ("width", "height", "port", "enter", "leave")]
    return [f"{title}: {shown(sizes)}", *pen.lines]


def test_blocks():
    small, large = (60.0, 30.0), (110.0, 85.0)
    cases = {
        "card": lambda p: Card(p, [("a name", "a class"), ("left", "")], "red", False),
        "dashed card": lambda p: Card(p, [("a", "b"), ("", "a long text right")], "red", True),
        "one line": lambda p: Card(p, [("a", "")], "red", False),
        "chain": lambda p: Chain(p, [Plain(p, *small), Plain(p, *large), Plain(p, 20.0, 9.0, 3.0)]),
        "chain of one": lambda p: Chain(p, [Plain(p, *small)]),
        "skip": lambda p: Skip(p, Plain(p, *small), None),
        "skip, small projection": lambda p: Skip(p, Plain(p, *large), Plain(p, *small)),
        "skip, large projection": lambda p: Skip(p, Plain(p, *small), Plain(p, *large)),
        "branches": lambda p: Branches(p, [Plain(p, *small), Plain(p, *large)], "concat"),
        "branches below a wide word": lambda p: Branches(p, [Plain(p, 9.0, 9.0)], "a wide word"),
        "sign": lambda p: Sign(p, "+"),
        "pill": lambda p: Pill(p, ["concatenate", "(None, 3)"], "white"),
        "bold pill": lambda p: Pill(p, ["out", "second"], "red", bold=True),
        "point": Point,
    }
    for depth in (0, 2, 5):
        cases[f"frame at {depth}"] = lambda p, d=depth: Frame(
            p, Plain(p, *large), [("name", "class"), ("", "a fact")], d
        )
    cases["frame of a chain"] = lambda p: Frame(
        p, Chain(p, [Plain(p, *small)]), [("a long name, and a class", "")], 1
    )
    lines = [line for title, make in cases.items() for line in drawn(title, make)]
    check_text(__file__, "blocks.txt", "\n".join(lines))


EDGES = {
    "chain": [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)],
    "skips": [(0, 1), (1, 2), (0, 3), (2, 3), (3, 4), (0, 5), (4, 5)],
    "towers": [(0, 2), (1, 3), (2, 4), (3, 4), (2, 5), (3, 5)],
}


def graph(pen, edges, down, limit=float("inf"), inner=None):
    blocks = [Plain(pen, 40.0 + 9 * i, 20.0 + 4 * (i % 3)) for i in range(6)]
    blocks[0] = blocks[-1] = Point(pen)
    if inner is not None:
        blocks[2] = inner
    blocks[-1] = Point(pen)
    return GraphBlock(pen, blocks, edges, down, limit)


@pytest.mark.parametrize("down", [True, False])
def test_graphs_of_blocks(down):
    lines = []
    for name, edges in EDGES.items():
        for limit in (float("inf"), 150.0):
            lines += drawn(f"{name} {limit}", lambda p, e=edges, m=limit: graph(p, e, down, m))
    for depth, heading in ((0, ["a"]), (4, ["a long heading that is wide", "and more"])):

        def framed(pen, depth=depth, heading=heading):
            inner = graph(pen, EDGES["skips"], down)
            frame = GraphFrame(pen, inner, heading * (1 if depth else 3), depth, down)
            return graph(pen, EDGES["towers"], down, inner=frame)

        lines += drawn(f"frame at {depth}", framed)
    check_text(__file__, f"blocks-of-graphs-{'down' if down else 'right'}.txt", "\n".join(lines))


def test_places_of_random_graphs():
    lines = []
    for seed, limit in ((0, 1e9), (1, 200.0), (2, 90.0), (3, 400.0)):
        layout = Layout(random_graph(np.random.default_rng(seed), 14), 10.0, 4.0, limit)
        lines.append(f"{seed}: rows {layout.rows}, sizes {shown(layout.sizes)}")
        for n in layout.nodes:
            places = shown([n.start, *n.place, n.across])
            lines.append(f"  rank {n.rank} row {n.row} {places}{' edge' if n.is_edge else ''}")
    check_text(__file__, "layouts.txt", "\n".join(lines))


def test_what_a_pen_draws():
    pen, figure = Pen(), new_figure(2, 2)
    pen.axes = figure.add_axes((0, 0, 1, 1))
    lines = [f"{t} {s} {b} {pen.width(t, s, b):.2g}" for t in ("a", "wide") for s in (7, 9)
             for b in (False, True)]  # fmt: skip
    points = [(1.0, 2.0), (5.0, 2.0), (9.0, 12.0)]
    for arrow in (False, True):
        pen.line(points, arrow)
        for down in (True, False):
            pen.curve([*points, (9.0, 40.0), (22.0, 47.0)], down, arrow)
    pen.line(points)
    pen.curve(points, True)
    pen.dot(3.0, 4.0)
    pen.plus(5.0, 6.0, 7.0)
    pen.box(1.0, 2.0, 30.0, 20.0, "red", "blue")
    for patch in pen.axes.patches:
        path = patch.get_path()
        lines.append(f"{type(patch).__name__} {patch.get_edgecolor()} {patch.get_facecolor()}")
        if type(patch).__name__ in ("PathPatch", "Polygon"):
            codes = None if path.codes is None else path.codes.tolist()
            lines.append(f"  {shown(path.vertices.tolist())} {codes}")
    lines += [f"line {shown(its.get_xydata().tolist())}" for its in pen.axes.lines]
    check_text(__file__, "pen.txt", "\n".join(lines))
