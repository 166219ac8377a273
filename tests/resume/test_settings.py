"""Settings that a callback changes in a run are those of the run that is resumed."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks
from netlayers.errors import ConfigurationError
from netlayers.training.state import pack, unpack
from tests.resume.scripts import Cut, Knife, X, Y


def frozen(model):
    model.layers[1].trainable = False


def unfrozen(model):
    model.layers[0].trainable = True


def noisier(model):
    model.layers[2].stddev = 0.5


def faster(model):
    model.layers[1].layers[0].learning_rate_multiplier = 3.0


def heavier(model):
    model.optimizer.momentum = 0.5


def decayed(model):
    model.optimizer.weight_decay = 0.1


def clipped(model):
    model.optimizer.global_clipnorm = 1e-3


def smoother(model):
    model.loss.delta = 0.05


def run(folder, change, knife=0):
    layers = [
        nl.layers.Dense(4, "tanh", trainable=False),
        nl.layers.Residual([nl.layers.Dense(4, "tanh")]),
        nl.layers.GaussianNoise(0.1),
        nl.layers.Dense(1),
    ]
    model = nl.Sequential(layers, seed=0)
    model.compile(nl.optimizers.SGD(0.1, momentum=0.9), nl.losses.Huber())

    def at_the_third(epoch, logs):
        if epoch == 2:
            change(model)

    chosen = [
        callbacks.LambdaCallback(on_epoch_begin=at_the_third),
        Knife(knife, ["on_train_batch_end"]),
        callbacks.BackupAndRestore(folder, save_freq=1),
    ]
    model.fit(X, Y, batch_size=10, epochs=6, callbacks=chosen, verbose=0)
    return model


@pytest.mark.parametrize(
    "change", [frozen, unfrozen, noisier, faster, heavier, decayed, clipped, smoother]
)
def test_a_setting_is_restored(tmp_path, change):
    whole, other = run(tmp_path / "a", change), run(tmp_path / "b", lambda _: None)
    steps = -(-len(X) // 10)
    with pytest.raises(Cut):
        run(tmp_path / "c", change, knife=4 * steps + 2)  # in the fifth epoch
    again = run(tmp_path / "c", change)
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)
    assert not np.array_equal(other.parameters.values, whole.parameters.values)
    assert again.get_config() == whole.get_config()
    assert again.optimizer.get_config() == whole.optimizer.get_config()


def test_a_setting_that_is_an_object_is_refused(tmp_path):
    def penalized(model):
        model.layers[3].kernel_regularizer = nl.regularizers.L2(0.1)

    with pytest.raises(Cut):
        run(tmp_path / "c", penalized, knife=4 * -(-len(X) // 10) + 2)
    message = r"layers\[3\]: config: kernel_regularizer had changed to .*'L2'.*, and is None here"
    with pytest.raises(ConfigurationError, match=message):
        run(tmp_path / "c", penalized)


# How states are packed ----------------------------------------------------------------------------


def test_names_with_slashes_are_kept_apart():
    state = {
        "a/b": np.zeros(2),
        "a": {"b": np.ones(3)},
        "a~1b": np.arange(4),
        "~": {"/": np.ones(1)},
    }
    plain, arrays = pack(state)
    assert len(arrays) == 4
    again = unpack(plain, arrays)
    np.testing.assert_equal(again, state)


def test_masked_arrays_are_refused():
    with pytest.raises(ConfigurationError, match="cannot be kept: best is masked_array"):
        pack({"best": np.ma.masked_array([1.0, 2.0], [True, False])})


def test_updates_that_were_skipped_before_the_run_are_not_those_of_the_run():
    """TerminateOnNaN counts those of the optimizer since the run began, in another process too."""
    watch = callbacks.TerminateOnNaN()
    watch.set_model(nl.Sequential([nl.layers.Dense(1)], seed=0))
    watch.model.compile("sgd", "mse")
    watch.model.fit(X[:, :2], X[:, 0], verbose=0)
    watch.model.optimizer.skipped = 7
    watch.on_train_begin()
    assert watch.get_state() == {"skipped": 7}
    watch.set_state({"skipped": 3})
    assert watch.get_state() == {"skipped": 3}
