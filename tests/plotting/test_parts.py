"""The parts of pictures that a few figures do not show: scales, levels, columns, and refusals."""

from types import SimpleNamespace

import numpy as np
import pytest

import netlayers as nl
from tests.golden import check_text, described
from tests.snapshots import numbers, outcome, shown

pytest.importorskip("matplotlib", minversion="3.10")
from netlayers.plotting import network
from netlayers.plotting.activations import plot_activations
from netlayers.plotting.figures import clean_axes, new_figure, save
from netlayers.plotting.history import _log_axis, best_epoch, plot_history
from netlayers.plotting.layers import _edges, _plain, _smoothed, plot_layers
from netlayers.plotting.lr_finder import plot_rates
from netlayers.plotting.surface import _finer_loss, _levels, finer, plot_surface

L = nl.layers


@pytest.mark.parametrize(
    ("values", "scale", "ticks"),
    [
        ([1.0, 2.0], "log", "few"),
        ([1.0, 99.0], "log", "few"),
        ([1.0, 100.0], "log", "powers"),
        ([0.0, 2.0], "linear", None),
        ([-1.0, 2.0], "linear", None),
        ([2.0, 2.0], "linear", None),
        ([np.nan, 2.0], "linear", None),
        ([np.nan, 2.0, 3.0], "log", "few"),
        ([np.inf, 2.0, 3.0], "log", "few"),
        ([np.nan], "linear", None),
    ],
)
def test_logarithmic_axes(values, scale, ticks):
    axes = new_figure(2, 2).add_subplot()
    axes.plot(range(len(values)), values)
    _log_axis(axes)
    assert axes.get_yscale() == scale
    if ticks:
        plain = type(axes.yaxis.get_major_formatter()).__name__ == "StrMethodFormatter"
        assert plain is (ticks == "few")


@pytest.mark.parametrize("count", [30, 31])
def test_markers_of_short_curves(count):
    figure = plot_history({"loss": [1.0] * count}, {"loss": range(count)}, None, False, None)
    assert figure.axes[0].lines[0].get_marker() == ("o" if count == 30 else "")


def test_which_curves_are_drawn():
    history = {"val_loss": [1.0], "b": [1], "learning_rate": [0.1], "loss": [2.0], "a": [True]}
    history |= {"text": ["x"], "empty": [], "array": [np.ones(2)], "a/b": [1.0]}
    epochs = {name: range(len(values)) for name, values in history.items()}
    titles = lambda *metrics: [  # noqa: E731
        a.get_title("left") for a in plot_history(history, epochs, *metrics, False, None).axes
    ]
    assert titles(None) == ["loss", "b", "a", "learning rate"]
    assert titles("a/b") == ["a/b"]
    assert titles(["learning_rate", "b", "loss"]) == ["loss", "b", "learning rate"]
    for count, size in {1: (5.44, 3), 2: (8, 3), 3: (8, 3), 4: (8, 6)}.items():
        names = ["b", "a", "loss", "learning_rate"][:count]
        figure = plot_history(history, epochs, names, False, None)
        assert [round(v, 2) for v in figure.get_size_inches()] == [*size]
        assert len(figure.axes) == count


def test_the_best_epoch():
    """The lowest validation loss, or loss; NaN is not the lowest; one epoch is not marked."""
    when = {"loss": [0, 1, 2], "val_loss": [1, 2]}
    assert best_epoch({"loss": [3.0, np.nan, 1.0]}, when) == ("loss", 2, 1.0)
    assert best_epoch({"loss": [1.0, 2.0, 3.0], "val_loss": [4.0, 5.0]}, when)[:2] == (
        "val_loss",
        1,
    )
    assert best_epoch({"loss": [np.nan]}, when) is None
    assert best_epoch({"accuracy": [1.0]}, when) is None
    for losses, marks in (([1.0], 0), ([2.0, 1.0], 1)):
        when = {"loss": range(len(losses))}
        figure = plot_history({"loss": losses}, when, None, False, None)
        assert [line.get_linestyle() for line in figure.axes[0].lines[1:]] == [":"] * marks


def test_smooth_curves_are_means_of_neighbours():
    row = np.array([[1.0, 10.0, np.nan, 1000.0, 10.0]])
    found = _smoothed(row, 3, logarithmic=True)
    np.testing.assert_allclose(found, [[10**0.5, 10**0.5, np.nan, 100, 100]])
    np.testing.assert_allclose(_smoothed(row, 3, False), [[5.5, 5.5, np.nan, 505, 505]])
    for count, window in ((19, 1), (20, 3), (100, 11)):
        figure = plot_layers(range(count), {"a": [1.0] * count}, "dead")
        assert ("means of" in figure.axes[0].get_title("left")) is (window > 1)
        assert len(figure.axes[0].lines) == (1 if window == 1 else 2)
    table = {str(i): [1.0] * 30 for i in range(11)}
    figure = plot_layers(range(30), table, "dead")
    assert figure.axes[0].get_title("left") == "dead units, %, means of 3 values"
    assert len(figure.axes[0].lines) == 11  # the values of many layers are in the map alone


def test_points_between_lie_on_the_curve():
    x = np.arange(6.0)
    line = np.linspace(0, 5, 21)
    np.testing.assert_allclose(finer(x), line)
    np.testing.assert_allclose(
        finer(np.array([0.0, 0, 1, 0, 0]))[6::2], [9 / 16, 1, 9 / 16, 0, -1 / 16, 0]
    )
    inside = slice(4, -4)  # at the ends there is a neighbour less
    np.testing.assert_allclose(finer(x**2)[inside], line[inside] ** 2)
    values = numbers(6, 2)
    np.testing.assert_array_equal(finer(values)[::4], values)


def test_the_surface_between_the_points_keeps_its_limits_and_holes():
    loss = 1 + numbers(5, 5) ** 2
    loss[0, 0] = np.inf
    axes = plot_surface(
        SimpleNamespace(a=np.arange(5.0), b=np.arange(5.0), loss=loss, path=None, explained=None),
        None,
        False,
    ).axes[0]
    shown = _finer_loss(loss, _levels(loss[np.isfinite(loss)])[1])
    assert shown.shape == (17, 17)
    assert np.flatnonzero(shown.mask).tolist() == [0, 1, 2, 17, 18, 19, 34, 35, 36]
    good = loss[np.isfinite(loss)]
    assert (shown.min(), shown.max()) == (good.min(), good.max())
    assert axes.get_xlabel() == "random direction 1"


def test_what_is_refused(tmp_path):
    flat = SimpleNamespace(loss=np.full((2, 2), np.nan))
    one = {"loss": [1.0]}
    calls = {
        "no epoch": lambda: plot_history({}, {}, None, False, None),
        "no curve": lambda: plot_history(one, {"loss": [0]}, ["acc"], False, None),
        "no flag": lambda: plot_history(one, {"loss": [0]}, None, 1, None),
        "no measures": lambda: plot_layers([], {}, "dead"),
        "no layers": lambda: plot_activations([], None),
        "one rate": lambda: plot_rates(np.ones(1), np.ones(1), np.ones(1), None, None),
        "nothing finite": lambda: plot_surface(flat, None, False),
        "three dimensions": lambda: plot_surface(flat, None, "yes"),
        "empty model": lambda: nl.Sequential(name="empty").plot(),
        "shapes": lambda: nl.Sequential([L.Dense(1)]).plot(show_shapes=1),
        "names": lambda: nl.Sequential([L.Dense(1)]).plot(show_layer_names="no"),
        "nested": lambda: nl.Sequential([L.Dense(1)]).plot(expand_nested=None),
        "dpi": lambda: nl.Sequential([L.Dense(1)]).plot(dpi=9),
        "file": lambda: save(new_figure(1, 1), 3),
    }
    lines = [f"{title}: {outcome(call)}" for title, call in calls.items()]
    check_text(__file__, "refused.txt", "\n".join(lines))
    assert nl.Sequential([L.Dense(1)]).plot(dpi=10).dpi == 10


def test_files_have_the_resolution_of_their_kind(tmp_path):
    sizes = {}
    for name, settings in (("own", {}), ("given", {"dpi": 50})):
        figure = new_figure(2, 1, **settings)
        assert save(figure, tmp_path / f"{name}.png") is figure
        header = (tmp_path / f"{name}.png").read_bytes()[16:24]
        sizes[name] = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")
    assert sizes == {"own": (400, 200), "given": (100, 50)}


def test_axes_are_clean():
    axes = clean_axes(new_figure(1, 1).add_subplot())
    assert [side for side, spine in axes.spines.items() if spine.get_visible()] == [
        "left",
        "bottom",
    ]


def blocks(*heights):
    return [SimpleNamespace(height=float(h), width=100.0, port=50.0, pen=None) for h in heights]


def test_columns_are_filled_up_to_a_height():
    gap = network.GAP
    filled = lambda limit, *heights: [  # noqa: E731
        len(column) for column in network._fill(blocks(*heights), limit)
    ]
    assert filled(2 * (30 + gap), 30, 30, 30, 30, 30) == [2, 2, 1]
    assert filled(2 * (30 + gap) - 0.25, 30, 30, 30) == [1, 1, 1]
    assert filled(0, 30, 30) == [1, 1]
    assert filled(1e9, 30, 30) == [2]
    split = lambda count, *heights: [  # noqa: E731
        [b.height for b in column] for column in network._split(blocks(*heights), count)
    ]
    assert split(2, 10, 20, 30, 40, 50) == [[10, 20, 30], [40, 50]]
    assert split(3, 10, 20, 30, 40, 50) == [[10, 20], [30, 40], [50]]
    assert split(5, 10, 20, 30) == [[10], [20], [30]]
    assert split(1, 10, 20, 30) == [[10, 20, 30]]


@pytest.mark.parametrize("count", [19, 20, 21])
def test_a_chain_is_cut_where_it_is_too_high(count):
    pen = network.Pen()
    cards = [network.Card(pen, [("a", "b")], "red", False) for _ in range(count)]
    height = sum(c.height for c in cards) + network.GAP * (count - 1)
    columns = network._columns(cards)
    assert (len(columns) == 1) is (height <= network.MAX_HEIGHT)
    assert sum(len(c.blocks) for c in columns) == count


@pytest.mark.parametrize(
    ("loss", "kind", "levels"),
    [
        ([1.0, 10.0], "Normalize", range(1, 11)),
        ([1.0, 10.5], "LogNorm", [1, 1.5, 2, 3, 5, 7, 10, 15]),
        ([0.02, 3.0], "LogNorm", [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]),
        ([2e-4, 30.0], "LogNorm", [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3, 10, 30]),
        ([2e-9, 1e3], "LogNorm", 10.0 ** np.arange(-9, 4)),
        ([0.0, 10.5], "Normalize", range(12)),
        ([-1.0, 10.5], "Normalize", range(-1, 12)),
        ([2.0, 2.0], "Normalize", np.arange(1.5, 2.55, 0.1)),
    ],
)
def test_levels_of_a_surface(loss, kind, levels):
    """Round, and from the lowest loss or below it to the highest or above it."""
    found, norm = _levels(np.array(loss))
    assert type(norm).__name__ == kind
    np.testing.assert_allclose(found, levels, rtol=1e-12)
    assert (norm.vmin, norm.vmax) == (found[0], found[-1])
    assert found[0] <= min(loss)
    assert found[-1] >= max(loss)


def test_small_parts():
    assert _edges(np.array([3.0])).tolist() == [2.5, 3.5]
    assert _edges(np.array([1.0, 2.0, 6.0])).tolist() == [0.5, 1.5, 4.0, 8.0]
    assert _plain("a" * 26) == "a" * 26
    assert _plain("b" + "a" * 26) == "…" + "a" * 25
    assert _plain("$x$") == r"\$x\$"


@pytest.mark.parametrize("count", [1, 3, 4, 12, 13])
def test_the_grid_of_histograms(count):
    layer = SimpleNamespace(
        layer="l" * 29, kind="K", counts=np.array([1, 3]), edges=np.array([0.0, 1, 2]),
        mean=1.25, deviation=0.5, dead=0.005, saturated=0.75,
    )  # fmt: skip
    figure = plot_activations([layer] * count, None)
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == {1: (1, 1), 3: (3, 1), 4: (2, 2), 12: (6, 2), 13: (5, 3)}[
        count
    ]
    if count == 1:
        check_text(__file__, "histogram.txt", described(figure))


@pytest.mark.parametrize(
    ("dead", "saturated", "warned"),
    [
        (None, None, False),
        (0.5, None, False),
        (0.51, None, True),
        (0.0, 0.5, False),
        (0.0, 0.51, True),
        (0.01, None, False),
    ],
)
def test_histograms_of_ill_layers(dead, saturated, warned):
    layer = SimpleNamespace(
        layer="l" * 28, kind="K", counts=np.zeros(2), edges=np.array([0.0, 1, 2]),
        mean=1.25, deviation=0.5, dead=dead, saturated=saturated,
    )  # fmt: skip
    (axes,) = plot_activations([layer], None).axes
    assert (axes.texts[0].get_color() == "#D55E00") is warned
    assert axes.get_title("left") == "l" * 28 + " · K"
    text = axes.texts[0].get_text()
    assert ("dead" in text) is bool(dead)
    assert ("dead 1%" in text) is (dead == 0.01)


def test_limits_of_a_curve_of_rates():
    rates = np.geomspace(1e-4, 1, 9)
    lines = []
    for losses in (np.ones(9), np.linspace(2, 1, 9), 5 + numbers(9), np.r_[np.ones(8), 1e6]):
        for suggestion in (None, 3e-3):
            axes = plot_rates(rates, losses + 0.1 * numbers(9), losses, suggestion, None).axes[0]
            lines.append(
                f"{shown(np.array(axes.get_ylim()))} {[x.get_label() for x in axes.lines]}"
            )
            lines += [shown(np.asarray(x.get_ydata(), float)) for x in axes.lines]
    check_text(__file__, "rates-limits.txt", "\n".join(lines))
