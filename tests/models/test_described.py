"""A model as a table and as a picture, with layers within layers."""

import itertools
import sys

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError


class Counted(nl.layers.Layer):
    def build(self, input_shape):
        self.add_weight("scale", (input_shape[-1],))
        self.add_weight("count", (2,), "zeros", statistic=True)


def dense(name, units, features, **arguments):
    layer = nl.layers.Dense(units, name=name, **arguments)
    layer.build((None, features))
    return layer


def nested():
    plain = nl.layers.Residual(
        [dense("up", 64, 16, activation="relu"), dense("down", 16, 64)], name="plain"
    )
    projected = nl.layers.Residual(
        [dense("other", 32, 16)], projection=dense("project", 32, 16), name="projected"
    )
    inner = nl.layers.Residual([dense("frozen", 32, 32, trainable=False)], name="inner")
    middle = [dense("a", 24, 32, activation="relu"), dense("b", 8, 24)]
    split = nl.layers.Parallel(
        [dense("left", 8, 32, activation="tanh"), nl.Sequential(middle, name="middle"), inner],
        name="split",
    )
    source = nl.layers.Input((16,))
    last = dense("last", 10, 48, activation="softmax")
    return nl.Sequential([source, plain, projected, split, last], name="nested")


def chain(count, **arguments):
    layers = [nl.layers.Input((784,))]
    layers += [nl.layers.Dense(128, activation="relu") for _ in range(count - 1)]
    return nl.Sequential([*layers, nl.layers.Dense(10, **arguments)], seed=0)


def table(model, **arguments):
    lines = []
    model.summary(print_fn=lines.append, **arguments)
    return lines


# The table ------------------------------------------------------------------------------------


def test_table_of_layers():
    layers = [nl.layers.Input((4,)), nl.layers.Dense(8, trainable=False), Counted(name="c")]
    model = nl.Sequential([*layers, nl.layers.Dense(1)], name="net", dtype="float64")
    assert table(model) == [
        'Model: "net"',
        "Layer (type)              Output shape  Parameters  Bytes  Trainable",
        "--------------------------------------------------------------------",
        "input_layer (InputLayer)  (None, 4)              0      0  -",
        "dense (Dense)             (None, 8)             40    320  no",
        "c (Counted)               (None, 8)             10     80  yes",
        "dense_1 (Dense)           (None, 1)              9     72  yes",
        "--------------------------------------------------------------------",
        "Total                                           59    472",
        "Trainable                                       17    136",
        "Not trainable                                   42    336",
    ]


def test_table_counts_the_state_of_the_optimizer():
    model = chain(1)
    model.compile("adam", "mse")
    assert not table(model)[-1].startswith("Optimizer")  # no state before the first update
    model.train_on_batch(np.ones((2, 784)), np.ones((2, 10)))
    assert table(model)[-1].split() == ["Optimizer", "state", "15,700", "62,800"]


def test_table_of_what_is_not_built():
    model = nl.Sequential([nl.layers.Dense(8), nl.layers.Dense(1, trainable=False)])
    lines = table(model)
    assert lines[3].split() == ["dense", "(Dense)", "?", "not", "built", "yes"]
    assert lines[4].split()[-1] == "no"
    assert lines[-1].startswith("Not built yet")


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("later", [False, True])
def test_a_first_layer_that_knows_its_shape_is_enough(nested, later):
    norm, data = nl.layers.Normalization(), np.arange(12.0).reshape(4, 3)

    def make():
        first = nl.Sequential([norm, nl.layers.Dense(4)]) if nested else norm
        return nl.Sequential([first, nl.layers.Dense(2)], seed=0)

    if later:
        model = make()
        norm.adapt(data)
    else:
        norm.adapt(data)
        model = make()
    lines = table(model)
    assert not any("ot built" in line for line in lines)
    assert lines[4].split() == [
        "dense",
        "(Dense)",
        "(None,",
        "2)",
        *(["10", "40"] if nested else ["8", "32"]),
        "yes",
    ]
    assert model.count_params() == 7 + (26 if nested else 8)
    np.testing.assert_allclose(norm.adapt_mean, data.mean(axis=0))


def test_a_layer_that_was_adapted_is_enough_for_the_weights():
    norm = nl.layers.Normalization()
    norm.adapt(np.arange(12.0).reshape(4, 3))
    model = nl.Sequential([norm, nl.layers.Dense(2)], seed=0)
    assert [w.shape for w in model.get_weights()] == [(3,), (3,), (), (3, 2), (2,)]
    with pytest.raises(nl.errors.NotBuiltError):
        nl.Sequential([nl.layers.Dense(2)]).get_weights()


def test_table_of_nested_layers():
    lines = [line.rstrip() for line in table(nested(), expand_nested=True)]
    names = [line.split(" (")[0] for line in lines[3:-4]]
    assert names == [
        "input_layer",
        "plain",
        "  up",
        "  down",
        "projected",
        "  other",
        "  project",
        "split",
        "  left",
        "  middle",
        "    a",
        "    b",
        "  inner",
        "    frozen",
        "last",
    ]
    trainable = dict(zip(names, (line.split()[-1] for line in lines[3:-4]), strict=True))
    assert trainable["input_layer"] == "-"
    assert trainable["    frozen"] == trainable["  inner"] == "no"
    assert trainable["split"] == "partly"
    assert trainable["plain"] == trainable["  up"] == "yes"
    total = sum(w.size for w in nested().weights)
    assert lines[-3].split()[1] == f"{total:,}"
    assert len(table(nested())) == 3 + 5 + 4


def test_table_arguments(capsys):
    wide = table(chain(2), line_length=100)
    assert wide[2] == "-" * 100
    assert table(chain(2), line_length=5) == table(chain(2))
    assert "Trainable" not in table(chain(2), show_trainable=False)[1]
    assert chain(2).summary() is None
    assert 'Model: "sequential"' in capsys.readouterr().out
    for wrong in ({"line_length": 0}, {"expand_nested": "yes"}, {"show_trainable": 2}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            table(chain(2), **wrong)


# The picture ----------------------------------------------------------------------------------


@pytest.fixture
def agg():
    pytest.importorskip("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return lambda figure: FigureCanvasAgg(figure).get_renderer()


def texts(figure):
    return [t.get_text() for t in figure.axes[0].texts]


MODELS = {
    "one": lambda: chain(1),
    "two": lambda: chain(2, activation="softmax"),
    "twelve": lambda: chain(12),
    "sixty": lambda: chain(60),
    "nested": nested,
    "long names": lambda: nl.Sequential(
        [nl.layers.Dense(2, name="a_very_long_name_" * 5), nl.layers.Dense(1, name="$x_1^2$")]
    ),
    "a long title": lambda: nl.Sequential([nl.layers.Dense(2)], name="title " * 20),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shown", [True, False])
def test_no_text_overlaps_another_or_is_cut(agg, name, shown):
    figure = MODELS[name]().plot(show_shapes=shown, show_layer_names=shown)
    renderer = agg(figure)
    boxes = [t.get_window_extent(renderer) for t in figure.axes[0].texts if t.get_text()]
    frame = figure.bbox
    for box in boxes:
        assert frame.x0 < box.x0 < box.x1 < frame.x1
        assert frame.y0 < box.y0 < box.y1 < frame.y1
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    assert not any(t.get_parse_math() for t in figure.axes[0].texts)  # a name may have a $


@pytest.mark.parametrize("name", MODELS)
def test_no_line_crosses_a_text(agg, name):
    figure = MODELS[name]().plot()
    renderer, axes = agg(figure), figure.axes[0]
    boxes = [t.get_window_extent(renderer) for t in axes.texts]
    for line in axes.lines:
        points = axes.transData.transform(np.array(line.get_data()).T)
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            for box in boxes:
                beside = max(x0, x1) < box.x0 or min(x0, x1) > box.x1
                assert beside or max(y0, y1) < box.y0 or min(y0, y1) > box.y1


@pytest.mark.parametrize("name", MODELS)
def test_every_text_of_a_layer_is_inside_its_box(agg, name):
    figure = MODELS[name]().plot()
    renderer = agg(figure)
    patches = [p.get_window_extent(renderer) for p in figure.axes[0].patches]
    for text in figure.axes[0].texts[2:]:  # after the title
        box = text.get_window_extent(renderer)
        edges = [
            p
            for p in patches
            if p.x0 < box.x0 and box.x1 < p.x1 and p.y0 < box.y0 and box.y1 < p.y1
        ]
        assert edges, text.get_text()


def test_what_the_picture_says(agg):
    model = chain(3, activation="softmax")
    model.layers[0].trainable = False
    found = texts(model.plot())
    for expected in (
        "sequential",
        "118,282 parameters",
        "input_layer",
        "InputLayer",
        "dense_1",
        "Dense · ReLU",
        "Dense · Softmax",
        "(None, 128)",
        "100,480 parameters, frozen",
        "1,290 parameters",
    ):
        assert expected in found
    assert not any("None" in t for t in texts(model.plot(show_shapes=False)))
    assert "dense_1" not in texts(model.plot(show_layer_names=False))
    unbuilt = nl.Sequential([nl.layers.Dense(3)])
    assert {"shape not known", "not built"} <= set(texts(unbuilt.plot()))


def test_nested_layers_are_framed_or_closed(agg):
    found = texts(nested().plot())
    for expected in ("plain · Residual", "middle · Sequential", "concat", "project", "frozen"):
        assert expected in found
    closed = nested().plot(expand_nested=False)
    assert "up" not in texts(closed)
    assert {"plain", "Residual", "split"} <= set(texts(closed))
    # Each branch, the ways around both sums, and the rest: arrow heads are triangles.
    figure = nested().plot()
    heads = [p for p in figure.axes[0].patches if type(p).__name__ == "Polygon"]
    assert len(heads) > 15


def test_a_long_chain_is_laid_in_columns(agg):
    def places(figure):
        cards = [p for p in figure.axes[0].patches if type(p).__name__ == "FancyBboxPatch"]
        return {round(c.get_x()) for c in cards if c.get_width() > 50}

    assert len(places(chain(12).plot())) == 1
    sixty = chain(60).plot()
    assert len(places(sixty)) == 5
    width, height = sixty.get_size_inches()
    assert 0.8 < width / height < 1.6


def test_picture_files(tmp_path):
    pytest.importorskip("matplotlib")
    for ending in ("png", "svg", "pdf"):
        path = tmp_path / f"net.{ending}"
        figure = chain(2).plot(path, dpi=50)
        assert path.stat().st_size > 1000
    assert figure.dpi == 50
    assert figure.canvas.manager is None  # no window of pyplot


def test_picture_refuses(monkeypatch):
    with pytest.raises(ConfigurationError, match="no layers to draw"):
        nl.Sequential(name="empty").plot()
    for wrong in ({"show_shapes": "no"}, {"dpi": 0}, {"expand_nested": 1}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            chain(2).plot(**wrong)
    for name in list(sys.modules):
        if name.split(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigurationError, match="pip install matplotlib"):
        chain(2).plot()
