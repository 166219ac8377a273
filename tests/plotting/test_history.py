"""The curves of a run."""

import sys

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import LambdaCallback, LearningRateScheduler
from netlayers.errors import ConfigurationError

X = np.random.default_rng(0).normal(size=(24, 3))


@pytest.fixture
def history():
    pytest.importorskip("matplotlib")
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse", metrics=["mae"])
    more = LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(matrix=np.eye(2), text="a", below=-1.0)
    )
    rate = LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    return model.fit(
        X,
        X[:, :1],
        epochs=7,
        validation_split=0.25,
        validation_freq=3,
        callbacks=[more, rate],
        verbose=0,
    )


def lines(axes):
    return {line.get_label(): (line.get_xdata(), line.get_ydata()) for line in axes.lines}


def test_the_curves_are_the_history(history):
    figure = history.plot()
    figure.canvas.draw()
    axes = {a.get_title(loc="left"): a for a in figure.axes}
    assert list(axes) == ["loss", "mae", "below", "learning rate"]
    for name in ("loss", "mae"):
        found = lines(axes[name])
        best = 3 * np.argmin(history.history["val_loss"]) + 3
        label = f"epoch {best}, the lowest val_loss"
        assert list(found) == ["train", "validation", label]
        assert list(found[label][0]) == [best, best]
        np.testing.assert_array_equal(found["train"][0], range(1, 8))
        np.testing.assert_array_equal(found["train"][1], history.history[name])
        np.testing.assert_array_equal(found["validation"][0], [3, 6])  # as they were validated
        np.testing.assert_array_equal(found["validation"][1], history.history[f"val_{name}"])
        assert axes[name].get_yscale() == "linear"
        assert axes[name].get_xlabel() == "epoch"
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == list(found)
    assert axes["learning rate"].get_yscale() == "log"
    np.testing.assert_allclose(lines(axes["learning rate"])["train"][1], 0.1 / np.arange(1, 8))


def test_log_scale_files_and_names(history, tmp_path):
    path = tmp_path / "curves.svg"
    figure = history.plot(path, ["mae", "below"], log_scale=True)
    mae, below = figure.axes
    assert mae.get_yscale() == "log"
    assert below.get_yscale() == "linear"  # it has values below zero
    assert "epoch" in path.read_text()
    assert len(history.plot(metrics="loss").axes) == 1
    assert figure.canvas.manager is None  # no window of pyplot


def test_values_that_are_not_finite_and_constant_rates(tmp_path):
    pytest.importorskip("matplotlib")
    history = nl.callbacks.History()
    for epoch, loss in enumerate([3.0, np.nan, np.inf, 1.0]):
        history.on_epoch_end(epoch, {"loss": loss, "learning_rate": 0.1})
    loss, rate = history.plot(log_scale=True, to_file=tmp_path / "a.png").axes
    assert loss.get_yscale() == "log"
    assert rate.get_yscale() == "linear"  # one value needs no decades around it
    one = nl.callbacks.History()
    one.on_epoch_end(0, {"loss": np.nan, "learning_rate": 0.0})
    one.plot(log_scale=True, to_file=tmp_path / "b.png")


def test_log_axes_have_labels():
    """Also where the values lie close together, between 2 and 5."""
    pytest.importorskip("matplotlib")
    for low, high in ((0.3, 2.0), (0.31, 0.33), (1e-5, 1.0), (3.0, 3.001)):
        history = nl.callbacks.History()
        for epoch, loss in enumerate((high, low)):
            history.on_epoch_end(epoch, {"loss": loss})
        figure = history.plot(log_scale=True)
        figure.canvas.draw()
        (axes,) = figure.axes
        low, high = axes.get_ylim()
        ticks = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        assert len([t for place, t in ticks if low <= place <= high and t.get_text()]) >= 2


def test_what_can_not_be_drawn(history, monkeypatch):
    with pytest.raises(ConfigurationError, match=r"no curve 'matrix'; use one of loss"):
        history.plot(metrics=["matrix"])
    with pytest.raises(ConfigurationError, match="nothing to plot"):
        nl.callbacks.History().plot()
    with pytest.raises(ConfigurationError, match="log_scale"):
        history.plot(log_scale="yes")
    for name in list(sys.modules):
        if name.split(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigurationError, match="pip install matplotlib"):
        history.plot()
