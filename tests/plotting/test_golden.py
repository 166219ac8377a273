"""What is drawn, and where, is what is kept in ``golden``."""

import numpy as np
import pytest

import netlayers as nl
from tests.golden import check_text, described

# With compiled kernels, tanh rounds to 1 elsewhere: another unit is dead.
from tests.snapshots import numpy_kernels  # noqa: F401

# Letters of older versions have other widths.
pytest.importorskip("matplotlib", minversion="3.10")
from netlayers.errors import ConfigurationError
from netlayers.plotting.activations import plot_activations
from netlayers.plotting.history import plot_history
from netlayers.plotting.layers import plot_layers
from netlayers.plotting.time_steps import plot_time_steps

L = nl.layers


def numbers(*shape):
    count = np.prod(shape)
    return np.sin(2.3 * np.arange(1, count + 1)).reshape(shape)


def lattice(count, step=1.0):
    """Positive numbers over some orders of magnitude."""
    return np.exp(step * numbers(count)).tolist()


def network(**options):
    block = L.Residual([L.LayerNormalization(), L.Dense(4, "relu", name="inner")], name="block")
    halves = L.Parallel([L.Dense(1, "tanh"), nl.Sequential([L.Dense(2), L.ELU()])], name="halves")
    frozen = L.Dense(3, "softmax", name="a_layer_with_a_name_of_some_length", trainable=False)
    layers = [L.Dense(4, "tanh"), L.Dropout(0.25), block, halves, frozen]
    return nl.Sequential(layers, name="net", **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"show_shapes": False},
        {"show_layer_names": False},
        {"expand_nested": False},
        {"show_shapes": False, "show_layer_names": False, "expand_nested": False},
    ],
    ids=lambda o: "-".join(o) or "plain",
)
def test_networks(options, request):
    model = network()
    model.build((None, 6))
    name = request.node.callspec.id
    check_text(__file__, f"network-{name}.txt", described(model.plot(**options)))


def test_networks_that_are_long_or_not_built():
    check_text(__file__, "network-not-built.txt", described(network().plot()))
    for count in (1, 9, 40):
        model = nl.Sequential([L.Dense(3, "relu") for _ in range(count)], name=f"deep {count}")
        model.build((None, 6))
        check_text(__file__, f"network-{count}.txt", described(model.plot()))


def test_how_long_networks_are_cut_into_columns():
    lines = []
    for count in (13, 16, 22, 26, 31, 37, 44):
        layers = [L.Dense(3, "relu" if i % 3 else None, name=f"d{i}") for i in range(count)]
        figure = nl.Sequential(layers, name="net").plot()
        places = [t.get_position() for t in figure.axes[0].texts if t.get_text().startswith("d")]
        columns = len({round(x) for x, _ in places})
        lines.append(f"{count} layers: {columns} columns, {figure.get_size_inches().round(2)}")
    check_text(__file__, "network-columns.txt", "\n".join(lines))


def test_histories():
    history = {"loss": lattice(7), "val_loss": lattice(3), "mae": lattice(7, 2.0)}
    history |= {"learning_rate": lattice(7, 3.0), "f1": [np.ones(2)] * 7, "below": [-1.0] * 7}
    history |= {"dense/mean": lattice(7), "long": lattice(40)}
    epochs = {name: list(range(len(values))) for name, values in history.items()}
    epochs["val_loss"] = [1, 3, 5]
    for name, metrics, log in (("all", None, False), ("log", ["loss", "below"], True)):
        figure = plot_history(history, epochs, metrics, log, None)
        check_text(__file__, f"history-{name}.txt", described(figure))
    check_text(
        __file__, "history-one.txt", described(plot_history(history, epochs, "mae", False, None))
    )


@pytest.mark.parametrize("measure", ["gradient_norm", "saturated", "activation_mean", "nonfinite"])
@pytest.mark.parametrize("count", [1, 3, 26])
def test_measures_of_layers(measure, count):
    values = {f"layer_{i}": (numbers(5) * 10.0 ** (i % 4)).tolist() for i in range(count)}
    if measure == "gradient_norm":
        values = {name: np.abs(its).tolist() for name, its in values.items()}
        values["layer_0"][1] = 0.0
    if measure == "saturated":
        values = {name: (np.abs(numbers(5)) * 0.9).tolist() for name in values}
    figure = plot_layers([0, 5, 10, 20, 40], values, measure)
    check_text(__file__, f"layers-{measure}-{count}.txt", described(figure))


def test_time_steps():
    steps = [np.array(lattice(6, 3.0)) * k for k in (1.0, 2.0)]
    figure = plot_time_steps([0, 5, 9], [*steps, steps[0][:4]], "lstm")
    check_text(__file__, "time-steps.txt", described(figure))
    with pytest.raises(ConfigurationError, match="no time steps of 'lstm'"):
        plot_time_steps([], [], "lstm")


def test_a_loss_surface():
    model = nl.Sequential([L.Dense(2, "tanh"), L.Dense(1)], seed=0, dtype="float64")
    model.compile("sgd", "mse")
    model.build((None, 3))
    x = numbers(8, 3)
    start = model.parameters.values.copy()
    path = [start + 0.1 * i * numbers(start.size) + 0.05 * i**2 for i in range(4)]
    surface = model.loss_surface(x, x[:, :1], size=5)
    surface.loss[0, 0] = np.nan
    check_text(__file__, "surface.txt", described(surface.plot()))
    check_text(__file__, "surface-3d.txt", described(surface.plot(three_dimensional=True)))
    surface = model.loss_surface(x, x[:, :1], size=5, trajectory=path)
    check_text(__file__, "surface-path.txt", described(surface.plot()))


def test_activations():
    model = nl.Sequential(
        [L.Dense(4, "relu"), L.Dense(3, "tanh"), L.Dense(3, "sigmoid"), L.Dense(2)], seed=0
    )
    model.build((None, 3))
    model.layers[0].bias[:2] = -1e3
    model.layers[1].bias[...] = [9, -9, 0]
    found = model.activation_histograms(numbers(16, 3), bins=5)
    check_text(__file__, "activations.txt", described(found.plot()))
    check_text(__file__, "activations-table.txt", str(found))
    check_text(__file__, "activations-one.txt", described(plot_activations(found.layers[:1], None)))


def test_learning_rates():
    for name, suggestion, diverged in (("found", 3e-2, None), ("none", None, 5.0)):
        rates = np.geomspace(1e-5, 10, 30)
        losses = np.where(rates < 1, 2 - np.log10(rates * 1e5) * 0.3, 50.0) + 0.1 * numbers(30)
        smoothed = np.where(rates < 1, 2 - np.log10(rates * 1e5) * 0.3, 40.0)
        curve = nl.LearningRateCurve(rates, losses, smoothed, suggestion, diverged, "a reason")
        check_text(__file__, f"rates-{name}.txt", described(curve.plot()))


def test_how_fine_pictures_are_saved(monkeypatch):
    """All with the same number of dots per inch, but a network for which another is given."""
    from matplotlib.figure import Figure

    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **how: saved.append((path, how)))
    model = nl.Sequential([L.Dense(2, "relu"), L.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    x = numbers(8, 3)
    model.fit(x, x[:, :1], verbose=0)
    rates = np.geomspace(1e-5, 10, 30)
    curve = nl.LearningRateCurve(rates, rates, rates, None, None, "a reason")
    model.activation_histograms(x).plot("a.png")
    plot_history({"loss": [1.0, 2.0]}, {"loss": [0, 1]}, None, False, "b.png")
    plot_layers([0, 1], {"d": [1.0, 2.0]}, "gradient_norm", "c.png")
    curve.plot("d.png")
    model.loss_surface(x, x[:, :1], size=3).plot("e.png")
    model.plot("f.png")
    assert saved == [(f"{name}.png", {"dpi": "figure"}) for name in "abcdef"]
    assert curve.plot().dpi == 200
    assert model.plot(None).dpi == 200
    assert model.plot(None, dpi=50).dpi == 50
