"""Pictures of networks that are graphs."""

import itertools

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError
from netlayers.plotting.layout import Layout, Node, connect, increasing
from tests.golden import check_text, described

pytest.importorskip("matplotlib", minversion="3.10")
L = nl.layers


def residual(blocks):
    x = nl.Input((16,), name="x")
    h = L.Dense(32, "relu", name="stem")(x)
    for i in range(blocks):
        y = L.Dense(32, "relu", name=f"a_{i}")(L.LayerNormalization(name=f"norm_{i}")(h))
        h = L.Add(name=f"add_{i}")([h, L.Dense(32, name=f"b_{i}")(y)])
    return nl.Model(x, L.Dense(10, "softmax", name="classes")(h), name="residual", seed=0)


def towers():
    a, b = nl.Input((32,), name="user"), nl.Input((24,), name="item")
    u = L.Dense(16, name="user_2")(L.Dense(64, "relu", name="user_1")(a))
    v = L.Dense(16, name="item_2")(L.Dense(64, "relu", name="item_1")(b))
    score = L.Dot(axes=1, name="score")([u, v])
    joined = L.Concatenate(name="joined")([u, v, score])
    click = L.Dense(1, "sigmoid", name="click")(L.Dense(8, name="last")(joined))
    return nl.Model([a, b], [score, click], name="two towers", seed=0)


def siamese():
    left, right = nl.Input((8, 8), name="left"), nl.Input((8, 8), name="right")
    tower = nl.Sequential([L.Flatten(), L.Dense(32, "relu"), L.Dense(8)], name="tower")
    both = [tower(left), tower(right)]
    return nl.Model([left, right], L.Dot(axes=1)(both), name="siamese", seed=0)


def nested():
    p = nl.Input((8,), name="p")
    q = L.Dense(8, "relu", name="q")(p)
    inner = nl.Model(p, [L.Add()([p, q]), L.Dense(2, name="r")(q)], name="inner", seed=0)
    x = nl.Input((8,), name="x")
    u, v = inner(x)
    u = L.Residual([L.Dense(8, "relu"), L.Dense(8)], name="block")(u)
    u = L.Parallel([L.Dense(2), nl.Sequential([L.Dense(4), L.Dense(3)])], name="heads")(u)
    return nl.Model(x, [L.Dense(1, name="y")(L.Concatenate()([u, v])), v], name="nested", seed=0)


@pytest.mark.parametrize("model", [towers, siamese, nested], ids=lambda f: f.__name__)
def test_graphs(model):
    check_text(__file__, f"graph-{model.__name__}.txt", described(model().plot()))


def texts(figure):
    return {t.get_text(): t.get_position() for t in figure.axes[0].texts}


def test_a_long_network_is_cut_into_rows_that_fit_a_page():
    figure = residual(12).plot()
    width, height = figure.get_size_inches()
    assert 1.2 < width / height < 2.6
    places = texts(figure)
    rows = {}
    for i in range(12):  # a block is in one row, and in line with the others of it
        assert len({round(places[f"{name}_{i}"][1], 1) for name in ("norm", "a", "b")}) == 1
        rows.setdefault(round(places[f"a_{i}"][1]), []).append(places[f"a_{i}"][0])
    assert len(rows) > 2
    assert all(list(row) == sorted(row) for row in rows.values())


def test_a_graph_begins_with_its_inputs_and_ends_in_its_outputs():
    places = texts(towers().plot())
    assert places["user"][0] < places["user_1"][0] < places["score"][0]
    furthest = max(places, key=lambda name: places[name][0])
    assert furthest == "click"


@pytest.mark.parametrize(("rankdir", "axis"), [("TB", 1), ("LR", 0), (None, 0)])
def test_directions(rankdir, axis):
    places = texts(residual(1).plot(rankdir=rankdir))
    assert places["norm_0"][axis] < places["a_0"][axis] < places["b_0"][axis]
    assert abs(places["norm_0"][1 - axis] - places["a_0"][1 - axis]) < 1


def test_a_chain_to_the_right():
    model = nl.Sequential([L.Dense(3, name=f"d{i}") for i in range(4)])
    model.build((None, 2))
    places = texts(model.plot(rankdir="LR"))
    assert [places[f"d{i}"][0] for i in range(4)] == sorted(places[f"d{i}"][0] for i in range(4))
    with pytest.raises(ConfigurationError, match="rankdir"):
        model.plot(rankdir="RL")


def test_a_second_call_has_a_box_that_says_so():
    places = texts(siamese().plot())
    assert {"tower · Sequential", "tower (call 2)", "the same weights"} <= set(places)


def test_many_inputs_stand_below_each_other():
    inputs = [nl.Input((1,), name=f"f{i}") for i in range(9)]
    model = nl.Model(inputs, L.Dense(1)(L.Concatenate()(inputs)))
    places = texts(model.plot())
    assert len({places[f"f{i}"][0] for i in range(9)}) == 1


def test_options():
    figure = nested().plot(show_shapes=False, show_layer_names=False, expand_nested=False)
    words = " ".join(texts(figure))
    assert "None" not in words
    assert "Functional" in words


# Layout ----------------------------------------------------------------------------------------


def random_graph(rng, count):
    nodes = [Node(rng.uniform(5, 50), *rng.uniform(3, 20, 2)) for _ in range(count)]
    for i in range(1, count):
        for j in rng.choice(i, size=min(i, rng.integers(1, 3)), replace=False):
            connect(nodes[j], nodes[i])
    return nodes


@pytest.mark.parametrize("seed", range(8))
def test_no_two_blocks_overlap_and_edges_go_forward(seed):
    rng = np.random.default_rng(seed)
    layout = Layout(random_graph(rng, 25), 10.0, 4.0, 200.0)
    for node in layout.nodes:
        assert all(after.rank == node.rank + 1 for after in node.after)
        assert all(before.rank == node.rank - 1 for before in node.before)
    for a, b in itertools.combinations(layout.nodes, 2):
        if a.rank == b.rank:
            low, high = sorted([a, b], key=lambda node: node.across)
            assert low.across + low.high <= high.across - high.low + 1e-6
    assert [first for first, _ in layout.rows] == [0, *(last + 1 for _, last in layout.rows[:-1])]


def test_edges_that_need_not_cross_do_not():
    nodes = [Node(1.0, 1.0, 1.0) for _ in range(6)]
    for first, second in [(0, 5), (1, 4), (2, 3)]:
        connect(nodes[first], nodes[second])
    layout = Layout(nodes, 1.0, 1.0, 100.0)
    assert layout._crossings() == 0


def test_the_nearest_increasing_numbers():
    assert increasing([3.0, 1.0, 2.0], [1.0, 1.0, 1.0]) == [2.0, 2.0, 2.0]
    assert increasing([3.0, 1.0], [3.0, 1.0]) == [2.5, 2.5]
    assert increasing([1.0, 2.0], [1.0, 1.0]) == [1.0, 2.0]
