"""A run that was cut anywhere ends with the bits of an uninterrupted run."""

import os
import subprocess
import sys
import warnings
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import callbacks, layers
from tests.resume.scripts import HERE, SOURCES, Cut, Knife, Sequence, X, Y, network, same, script


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    kind=st.sampled_from(["rows", *SOURCES]),
    freq=st.sampled_from([{"save_freq": n} for n in ("epoch", 1, 2, 3, 7)] + [{"seconds": 1e-9}]),
    size=st.sampled_from([1, 5, 8, 37, 50]),
    steps=st.sampled_from([None, 1, 3, 8, 11]),
    ahead=st.sampled_from([0, 2]),
)
def test_a_cut_run_ends_with_the_same_bits(tmp_path_factory, cuts, kind, freq, size, steps, ahead):
    folder = tmp_path_factory.mktemp("runs") / "backup"
    case = {"kind": kind, "size": size, "steps": steps, "ahead": ahead}
    whole = script(folder, **case)
    for cut in [*cuts, 0]:
        try:
            with mock.patch("os.fsync"):  # a loss of power is not what is tested
                again = script(folder, (cut,), freq=freq, **case)
            break  # the cut would have come after the end
        except Cut:
            pass
    same(whole, again)
    assert not folder.exists()


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_test_batch_end", "on_train_end"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_cut_in_other_hooks(tmp_path, hook, n):
    folder = tmp_path / "backup"
    with pytest.raises(Cut):
        script(folder, (n if hook != "on_train_end" else 1, (hook,)), freq={"save_freq": 2})
    same(script(folder), script(folder, (0, (hook,)), freq={"save_freq": 2}))


def test_a_backup_kept_for_more_epochs(tmp_path):
    freq = {"save_freq": "epoch", "delete_checkpoint": False}
    script(tmp_path, freq=freq, epochs=2)
    more = script(tmp_path, freq=freq, epochs=4)
    same(script(tmp_path, epochs=4), more)
    same(more, script(tmp_path, freq=freq, epochs=4))  # nothing is left to do


def test_a_backup_is_a_model(tmp_path):
    model, _ = script(tmp_path, freq={"delete_checkpoint": False}, epochs=1)
    loaded = nl.load_model(tmp_path / "backup.safetensors")
    np.testing.assert_array_equal(loaded.predict(X).shape, model.predict(X).shape)


def test_no_seed(tmp_path):
    """The streams of a model without a seed are in the backup too."""

    def run(knife=0, backup=True):
        model = nl.Sequential([layers.Dense(3), layers.Dropout(0.5), layers.Dense(1)])
        model.compile("sgd", "mse")
        keep = [callbacks.BackupAndRestore(tmp_path / "b", save_freq=1)] if backup else []
        chosen = [Knife(knife, ["on_train_batch_begin"]), *keep]
        if knife:
            with pytest.raises(Cut):
                model.fit(X, Y, batch_size=8, epochs=3, callbacks=chosen, verbose=0)
        else:
            model.fit(X, Y, batch_size=8, epochs=3, callbacks=chosen, verbose=0)
        return model

    first = run(knife=4)
    cut = nl.load_model(tmp_path / "b" / "backup.safetensors")
    assert cut.optimizer.iterations == 3
    again = run()
    assert again._streams.entropy == first._streams.entropy
    assert again.optimizer.iterations == 15


# What cannot be promised ------------------------------------------------------------------------


def batches():
    for i in range(10):
        yield X[i * 3 : i * 3 + 3], Y[i * 3 : i * 3 + 3]


class Hooked(Sequence):
    def on_epoch_end(self):
        pass


@pytest.mark.parametrize(
    ("make", "steps", "reason"),
    [
        (lambda: batches, None, "function has no get_state"),
        (lambda: batches, 4, "function has no get_state"),
        (batches, 3, "generator has no get_state"),
        (Hooked, None, "Hooked has a hook that runs between epochs"),
    ],
)
def test_sources_without_a_place(tmp_path, make, steps, reason):
    """They are read again and skipped; the same bits, where they give the same batches again."""

    def run(knife, freq=None):
        model = network()
        model.compile("adam", "mse")
        chosen = [Knife(knife, ["on_train_batch_end"])]
        if freq:
            chosen.append(callbacks.BackupAndRestore(tmp_path / "b", save_freq=freq))
        model.fit(make(), epochs=3, steps_per_epoch=steps, callbacks=chosen, verbose=0)
        return model, chosen

    whole = run(0)
    with pytest.raises(Cut), pytest.warns(UserWarning, match=reason):
        run(8, 1)
    with pytest.warns(UserWarning, match="with other bits"):
        again = run(0, 1)
    same(whole, again)


def test_no_warning_where_bits_are_promised(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        script(tmp_path / "a", freq={"save_freq": 2})
        script(tmp_path / "b", kind="stateful", freq={"save_freq": 2})


@pytest.mark.kernels
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX")
def test_kills(tmp_path):
    """The harness in a small size; `python tests/resume/kill.py --kills 500` is the full one."""
    scripts = ["nadam", "adam", "settings", "several"]
    command = [sys.executable, str(HERE / "kill.py"), "--kills", "5", "--scripts", *scripts]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| none |") == len(scripts)
