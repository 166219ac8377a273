"""TensorBoard reads back what was written."""

import sys

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import LambdaCallback, TensorBoard
from netlayers.errors import ConfigurationError
from tests.callbacks.runs import X, Y, make


def events(folder):
    """Return what TensorBoard itself reads from a folder."""
    pytest.importorskip("tensorboardX")
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = reader.EventAccumulator(str(folder), size_guidance={"histograms": 0})
    accumulator.Reload()
    return accumulator


@pytest.fixture
def tensorboard_installed():
    pytest.importorskip("tensorboardX")
    pytest.importorskip("tensorboard")


def values(accumulator, tag):
    return [(e.step, e.value) for e in accumulator.Scalars(tag)]


@pytest.mark.usefixtures("tensorboard_installed")
def test_tensorboard_reads_back_what_was_written(tmp_path):
    model = make(nl.optimizers.SGD(0.1), metrics=["mae"])
    gradients, weights = [], []

    def note(epoch, logs):
        gradients.append(model.layers[0].d_kernel.copy())
        weights.append(model.layers[0].kernel.copy())

    board = TensorBoard(tmp_path, histogram_freq=2, update_freq=2, write_steps_per_second=True)
    history = model.fit(
        X,
        Y,
        batch_size=2,
        epochs=3,
        validation_data=(X, Y),
        callbacks=[board, LambdaCallback(on_epoch_end=note)],
        verbose=0,
    ).history
    train, test = events(tmp_path / "train"), events(tmp_path / "validation")
    for name in ("loss", "mae"):
        got = values(train, f"epoch_{name}")
        assert [step for step, _ in got] == [0, 1, 2]
        np.testing.assert_allclose([v for _, v in got], history[name], rtol=1e-6)
        got = values(test, f"epoch_{name}")
        np.testing.assert_allclose([v for _, v in got], history[f"val_{name}"], rtol=1e-6)
        got = values(test, f"evaluation_{name}_vs_iterations")
        assert [step for step, _ in got] == [3, 6, 9]
        assert [step for step, _ in values(train, f"batch_{name}")] == [2, 4, 6, 8]
    assert [v for _, v in values(train, "epoch_learning_rate")] == pytest.approx([0.1] * 3)
    assert all(v > 0 for _, v in values(train, "epoch_steps_per_second"))
    tags = {"last/kernel", "last/bias"}
    assert set(train.Tags()["histograms"]) == {
        f"{tag}/{kind}" for tag in tags for kind in ("histogram", "gradient")
    }
    for kind, arrays in (("histogram", weights), ("gradient", gradients)):
        found = train.Histograms(f"last/kernel/{kind}")
        assert [e.step for e in found] == [0, 2]
        for event in found:
            array = arrays[event.step].astype(float)
            summary = event.histogram_value
            assert summary.num == array.size
            assert (summary.min, summary.max) == pytest.approx((array.min(), array.max()))
            assert summary.sum == pytest.approx(array.sum())
    text = train.Tensors("model/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "last (Dense)" in text


@pytest.mark.usefixtures("tensorboard_installed")
def test_tensorboard_by_epoch_alone_and_twice(tmp_path):
    model, board = make(), TensorBoard(tmp_path, write_graph=False)
    model.layers[0].trainable = True
    model.fit(X, Y, epochs=2, callbacks=[board], verbose=0)
    model.fit(X, Y, epochs=3, initial_epoch=2, callbacks=[board], verbose=0)
    assert not (tmp_path / "validation").exists()
    tags = events(tmp_path / "train").Tags()
    assert set(tags["scalars"]) == {"epoch_loss", "epoch_learning_rate"}
    assert not tags["histograms"]
    model.evaluate(X, Y, callbacks=[board], verbose=0)
    assert events(tmp_path / "validation").Tags()["scalars"] == ["evaluation_loss_vs_iterations"]
    assert not board._writers


@pytest.mark.usefixtures("tensorboard_installed")
def test_tensorboard_and_what_it_can_not_show(tmp_path):
    board = TensorBoard(tmp_path, histogram_freq=1)
    model = make(nl.optimizers.SGD(0.1, on_nonfinite="skip"))
    board.set_model(model)
    model.build((None, 2))
    model.layers[0].trainable = False
    model.parameters.values[:] = [np.nan, 1, np.inf]
    board.on_train_begin()
    board.on_epoch_begin(0)
    board.on_epoch_end(0, {"loss": np.nan, "matrix": np.eye(2), "note": "text"})
    board.on_train_end()
    train = events(tmp_path / "train")
    assert np.isnan(train.Scalars("epoch_loss")[0].value)
    assert train.Tags()["histograms"] == ["last/kernel/histogram"]  # the bias has nothing to show
    assert train.Histograms("last/kernel/histogram")[0].histogram_value.num == 1


def test_tensorboard_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ConfigurationError, match="pip install tensorboardX"):
        TensorBoard(tmp_path)


@pytest.mark.usefixtures("tensorboard_installed")
def test_tensorboard_refuses(tmp_path):
    for wrong in ("step", 0, 1.5, True):
        with pytest.raises(ConfigurationError, match="update_freq"):
            TensorBoard(tmp_path, update_freq=wrong)
