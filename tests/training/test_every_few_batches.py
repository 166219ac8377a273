"""``steps_per_execution``: hooks of batches are called once for every few of them."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError

X = np.linspace(-1, 1, 20, dtype=np.float32).reshape(10, 2)
Y = X.sum(axis=1, keepdims=True)


class Noted(nl.callbacks.Callback):
    """Notes the hooks of batches: kind, number, and loss or outputs."""

    def __init__(self):
        self.calls = []

    def on_train_batch_begin(self, batch, logs=None):
        self.calls.append(("begin", batch))

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(("end", batch, logs["loss"]))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("epoch", logs["loss"]))

    def on_test_batch_begin(self, batch, logs=None):
        self.calls.append(("test", batch))

    def on_predict_batch_end(self, batch, logs=None):
        self.calls.append(("outputs", batch, logs["outputs"]))


def make(every):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse", steps_per_execution=every)
    return model


@pytest.mark.parametrize("every", [2, 3, 5, 7])
def test_hooks_are_called_for_groups_and_training_is_the_same(every):
    each, some = Noted(), Noted()
    models = make(1), make(every)
    for model, callback in zip(models, (each, some), strict=True):
        model.fit(X, Y, batch_size=2, epochs=2, callbacks=[callback], verbose=0)
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert one.tobytes() == other.tobytes()
    losses = [call[2] for call in each.calls if call[0] == "end"]
    begins = [call[1] for call in some.calls if call[0] == "begin"]
    ends = [call[1:] for call in some.calls if call[0] == "end"]
    groups = range(0, 5, every)
    assert begins == [*groups] * 2
    # The last group is counted as if it were complete, and its loss is that of its last batch.
    expected = [
        (start + every - 1, losses[5 * epoch + min(start + every, 5) - 1])
        for epoch in range(2)
        for start in groups
    ]
    assert ends == expected
    assert [c for c in some.calls if c[0] == "epoch"] == [c for c in each.calls if c[0] == "epoch"]
    # An end comes before the end of the epoch that it belongs to.
    assert [call[0] for call in some.calls] == (["begin", "end"] * len(groups) + ["epoch"]) * 2


def test_evaluations_and_predictions():
    model, noted = make(3), Noted()
    model.evaluate(X, Y, batch_size=2, callbacks=[noted], verbose=0)
    assert noted.calls == [("test", 0), ("test", 3)]
    noted.calls.clear()
    y = model.predict(X, batch_size=2, callbacks=[noted])
    assert [call[1] for call in noted.calls] == [2, 5]
    np.testing.assert_array_equal(np.concatenate([call[2] for call in noted.calls]), y)


def test_functions_take_part_and_callbacks_of_the_package_see_each_batch(tmp_path):
    model, numbers = make(2), []
    function = nl.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: numbers.append(batch))
    files = nl.callbacks.ModelCheckpoint(tmp_path / "{batch}.safetensors", save_freq=1)
    model.fit(X, Y, batch_size=2, callbacks=[function, files], verbose=0)
    assert numbers == [1, 3, 5]
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["1", "2", "3", "4", "5"]


def test_a_stop_ends_the_run_after_its_group():
    class Stop(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    model = make(2)
    model.fit(X, Y, batch_size=2, epochs=3, callbacks=[Stop()], verbose=0)
    assert model.optimizer.iterations == 2


def test_it_is_kept_and_checked(tmp_path):
    model = make(4)
    model.fit(X, Y, verbose=0)
    assert model.steps_per_execution == 4
    model.save(tmp_path / "m.safetensors")
    assert nl.load_model(tmp_path / "m.safetensors").steps_per_execution == 4
    other = nl.models.clone_model(model)
    other.compile_from_config(model.get_compile_config())
    assert other.steps_per_execution == 4
    for wrong in (0, 1.5, "auto"):
        with pytest.raises(ConfigurationError, match="steps_per_execution must be an integer >= 1"):
            make(wrong)
