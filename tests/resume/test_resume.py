"""A run that was cut anywhere ends with the bits of a run that was not."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import callbacks, layers

HERE = Path(__file__).parent
ROWS = 37
X = np.random.default_rng(1).normal(size=(ROWS, 3))
Y = (X[:, :1] + X[:, 1:2] * X[:, 2:] > 0).astype(float)


class Cut(Exception):
    """Takes the place of a kill: what comes after it never happens."""


class Knife(callbacks.Callback):
    """Raises at the n-th of its hooks, counted from 1; never if n is 0."""

    def __init__(self, n=0, hooks=("on_train_batch_begin", "on_train_batch_end", "on_epoch_end")):
        self.left = n
        for hook in hooks:
            setattr(self, hook, self.count)

    def count(self, *_):
        self.left -= 1
        if self.left == 0:
            raise Cut


class Stateful:
    """An iterable with random numbers of its own; it begins anew after ten batches."""

    def __init__(self):
        self.rng, self.given = np.random.default_rng(7), 0

    def __iter__(self):
        while self.given < 10:
            self.given += 1
            rows = self.rng.integers(0, ROWS, 5)
            yield X[rows], Y[rows]
        self.given = 0

    def get_state(self):
        return {"rng": self.rng.bit_generator.state, "given": self.given}

    def set_state(self, state):
        self.rng.bit_generator.state, self.given = state["rng"], state["given"]


class Sequence:
    def __len__(self):
        return 6

    def __getitem__(self, i):
        return X[i * 6 : i * 6 + 6], Y[i * 6 : i * 6 + 6]


class Shuffled(Sequence):
    """A sequence that changes its own order between epochs, and can be asked for it."""

    def __init__(self):
        self.rng, self.order = np.random.default_rng(3), np.arange(6)

    def __getitem__(self, i):
        return super().__getitem__(self.order[i])

    def on_epoch_begin(self):
        self.order = self.rng.permutation(6)

    def get_state(self):
        return {"rng": self.rng.bit_generator.state, "order": self.order}

    def set_state(self, state):
        self.rng.bit_generator.state, self.order = state["rng"], state["order"]


SOURCES = {"stateful": Stateful, "sequence": Sequence, "shuffled": Shuffled}


def network():
    middle = [layers.BatchNormalization(), layers.Dropout(0.3), layers.GaussianNoise(0.1, seed=2)]
    ends = layers.Dense(4, activation="tanh"), layers.Dense(1, activation="sigmoid")
    return nl.Sequential([ends[0], *middle, ends[1]], seed=0)


def script(folder, knife=(0,), kind="rows", freq=None, size=8, steps=None, epochs=4, ahead=2):
    """What a user's file does, from its first line to its last."""
    model = network()
    rule = nl.optimizers.Adam(0.05, use_ema=True, gradient_accumulation_steps=2)
    model.compile(rule, "crossentropy", metrics=["auc", "accuracy"])
    chosen = [
        callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1),
        Knife(*knife),
    ]
    if freq is not None:
        chosen.append(callbacks.BackupAndRestore(folder, **freq))
    data = {"x": X, "y": Y, "batch_size": size} if kind == "rows" else {"x": SOURCES[kind]()}
    testing = (X[:9], Y[:9]) if kind == "rows" else Sequence()
    model.fit(
        **data,
        epochs=epochs,
        callbacks=chosen,
        steps_per_epoch=steps,
        validation_data=testing,
        validation_steps=None if kind == "rows" else 2,
        read_ahead=ahead,
        verbose=0,
    )
    return model, chosen


def same(one, other):
    (a, ca), (b, cb) = one, other
    for name in ("values", "statistics"):
        np.testing.assert_array_equal(getattr(a.parameters, name), getattr(b.parameters, name))
    for name, vector in a.optimizer.state.items():
        np.testing.assert_array_equal(vector, b.optimizer.state[name], err_msg=name)
    assert a.optimizer.iterations == b.optimizer.iterations
    assert a.optimizer.accumulated == b.optimizer.accumulated
    assert a.optimizer.learning_rate == b.optimizer.learning_rate
    assert a.history.epoch == b.history.epoch
    np.testing.assert_equal(a.history.history, b.history.history)
    for name in ("best", "wait", "best_epoch", "stopped_epoch", "cooldown_counter"):
        for one, other in zip(ca, cb, strict=False):
            np.testing.assert_equal(getattr(one, name, 0), getattr(other, name, 0), name)
    streams = [
        {k: g.bit_generator.state for k, g in m._streams._generators.items()} for m in (a, b)
    ]
    assert streams[0] == streams[1]
    for part, other in zip(a._flatten_layers(), b._flatten_layers(), strict=True):
        if part.rng is not None:
            assert part.rng.bit_generator.state == other.rng.bit_generator.state


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


# What can not be promised ------------------------------------------------------------------------


def batches():
    for i in range(10):
        yield X[i * 3 : i * 3 + 3], Y[i * 3 : i * 3 + 3]


class Hooked(Sequence):
    def on_epoch_end(self):
        pass


@pytest.mark.parametrize(
    ("make", "steps", "reason"),
    [
        (lambda: batches, None, "function does not say where it stands"),
        (lambda: batches, 4, "function does not say where it stands"),
        (batches, 3, "generator does not say where it stands"),
        (Hooked, None, "Hooked does something of its own between epochs"),
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


# Another script ----------------------------------------------------------------------------------


def fit(
    folder, units=3, rate=0.1, loss="mse", rows=ROWS, size=8, more=(), seed=0, x=X, y=Y, **arguments
):
    model = nl.Sequential([layers.Dense(units, name="first"), layers.Dense(1)], seed=seed)
    model.compile(nl.optimizers.SGD(rate), loss)
    keep = callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    model.fit(x[:rows], y[:rows], batch_size=size, callbacks=[*more, keep], verbose=0, **arguments)
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": 4}, r"model: config: layers\[0\]: config: units: 3 there, 4 here"),
        ({"seed": 1}, r"model: config: seed: 0 there, 1 here"),
        ({"rate": 0.2}, r"compile: optimizer: config: learning_rate: 0.1 there, 0.2 here"),
        ({"loss": "mae"}, r"compile: loss: .*there"),
        ({"x": X + 1}, r"data: checksum: x: '\w{8}' there, '\w{8}' here"),
        ({"y": 1 - Y}, r"data: checksum: y: '\w{8}' there, '\w{8}' here"),
        ({"rows": 36}, r"data: rows: 37 there, 36 here"),
        ({"size": 9}, r"data: batch_size: 8 there, 9 here"),
        ({"shuffle": False}, r"data: shuffle: True there, False here"),
        ({"steps_per_epoch": 2}, r"data: steps: 5 there, 2 here"),
        ({"sample_weight": np.ones(ROWS)}, r"data: columns\[2\]: None there"),
        ({"validation_data": (X, Y)}, r"validation: None there"),
        ({"more": [callbacks.TerminateOnNaN()]}, r"callbacks: .*TerminateOnNaN.* here"),
    ],
)
def test_another_script_is_refused(tmp_path, change, message):
    fit(tmp_path)
    with pytest.raises(nl.errors.ConfigurationError, match=message) as raised:
        fit(tmp_path, **change)
    assert "delete the folder" in str(raised.value)
    assert fit(tmp_path).history.epoch == [0]  # it is still there


def test_other_kernels_are_refused(tmp_path, monkeypatch):
    """They round differently, so the bits would not be those of one run."""
    here = nl.kernels_in_use()
    fit(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("netlayers.callbacks.backup.kernels_in_use", lambda: "others")
        with pytest.raises(
            nl.errors.ConfigurationError, match=rf"kernels: '{here}' there, 'others' here"
        ):
            fit(tmp_path, epochs=2)
    assert fit(tmp_path, epochs=2).history.epoch == [0, 1]


def test_backups_of_earlier_versions(tmp_path, monkeypatch):
    """They hold no checksums of the data, and no kernels, and go on."""
    described = nl.data.arrays.ArrayData.fingerprint
    testing = (X[:9], Y[:9])
    with monkeypatch.context() as patch:
        patch.setattr(
            "netlayers.data.arrays.ArrayData.fingerprint",
            lambda data: {k: v for k, v in described(data).items() if k != "checksum"},
        )
        whole = callbacks.BackupAndRestore._describe
        patch.setattr(
            callbacks.BackupAndRestore,
            "_describe",
            lambda keep, run: {k: v for k, v in whole(keep, run).items() if k != "kernels"},
        )
        fit(tmp_path, validation_data=testing)
    assert fit(tmp_path, validation_data=testing, epochs=2).history.epoch == [0, 1]
    with pytest.raises(nl.errors.ConfigurationError, match="validation: checksum: x"):
        fit(tmp_path, validation_data=(X[1:10], Y[:9]), epochs=3)


def test_fit_again_in_the_same_process(tmp_path):
    """After an error in a notebook: the rate that a callback changed is no other script."""
    model = network()
    model.compile(nl.optimizers.SGD(0.1), "mse")
    halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    keep = callbacks.BackupAndRestore(tmp_path / "b")
    arguments = {"x": X, "y": Y, "epochs": 3, "verbose": 0}
    with pytest.raises(Cut):
        model.fit(**arguments, callbacks=[halve, Knife(2, ["on_epoch_end"]), keep])
    model.fit(**arguments, callbacks=[halve, Knife(), keep])
    np.testing.assert_allclose(model.history.history["learning_rate"], [0.05, 0.025, 0.0125])


def test_damaged_backups(tmp_path):
    freq = {"save_freq": 1, "double_checkpoint": True}
    with pytest.raises(Cut):
        script(tmp_path / "b", (9,), freq=freq)
    last, before = tmp_path / "b" / "backup.safetensors", tmp_path / "b" / "previous.safetensors"
    whole, earlier = last.read_bytes(), before.read_bytes()
    last.write_bytes(whole[:-100])
    before.write_bytes(earlier[:-100])
    with pytest.raises(nl.errors.FileError) as raised:
        script(tmp_path / "b", freq=freq)
    assert "Delete the folder" in "".join(raised.value.__notes__)
    before.write_bytes(earlier)
    with pytest.warns(UserWarning, match="goes on from the backup before"):
        again = script(tmp_path / "b", freq=freq)
    same(script(tmp_path), again)


def test_full_disk(tmp_path, monkeypatch):
    whole = script(tmp_path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("netlayers.callbacks.backup.save_model", full)
    with pytest.warns(UserWarning, match="No space left"):
        cut = script(tmp_path / "b", freq={"save_freq": 3})
    same(whole, cut)


def test_what_can_not_be_kept(tmp_path):
    class Mine(callbacks.Callback):
        def get_state(self):
            return {"of mine": [1, {2, 3}]}

    train = Knife(1, ["on_epoch_begin"])  # it is known before anything can be lost
    with pytest.raises(nl.errors.ConfigurationError, match=r"callbacks/1/of mine/1 is \{2, 3\}"):
        fit(tmp_path, more=[train, Mine()])


def test_what_can_not_be_kept_any_more(tmp_path):
    """A state that turns bad within the run costs its backup, not the run."""

    class Mine(callbacks.Callback):
        seen = None

        def on_epoch_end(self, epoch, logs=None):
            self.seen = {epoch} if epoch == 1 else None

        def get_state(self):
            return {"seen": self.seen}

    with pytest.warns(UserWarning, match=r"no backup was written after epoch 2.*seen is \{1\}"):
        model = fit(tmp_path, more=[Mine()], epochs=3)
    assert model.history.epoch == [0, 1, 2]


@pytest.mark.parametrize("freq", ["epoch", 7])  # 5 batches an epoch: the last backup is within one
def test_fewer_epochs_than_in_the_backup(tmp_path, freq):
    """Nothing is trained, and nothing is deleted."""

    def run(epochs, knife=0):
        chosen = [Knife(knife, ["on_epoch_end"]), callbacks.BackupAndRestore(tmp_path / "b", freq)]
        model = small()
        model.fit(X[:, :1], Y, batch_size=8, epochs=epochs, callbacks=chosen, verbose=0)
        return model

    with pytest.raises(Cut):
        run(9, 6)
    path = tmp_path / "b" / "backup.safetensors"
    before = path.read_bytes()
    with pytest.warns(UserWarning, match="nothing was trained. It is kept"):
        run(3)
    assert path.read_bytes() == before
    assert run(9).history.epoch == list(range(9))
    assert not path.parent.exists()


def test_arguments(tmp_path):
    for wrong in [
        {"backup_dir": ""},
        {"save_freq": 0},
        {"save_freq": "batch"},
        {"seconds": 0},
        {"seconds": 1, "save_freq": 2},
        {"delete_checkpoint": 1},
    ]:
        with pytest.raises(nl.errors.ConfigurationError):
            callbacks.BackupAndRestore(**{"backup_dir": tmp_path, **wrong})
    keep = callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(nl.errors.ConfigurationError, match="there are two"):
        fit(tmp_path, more=[keep])
    model = network()
    model.compile("adam", "mse")
    with pytest.raises(nl.errors.ConfigurationError, match="BackupAndRestore is for fit"):
        model.fit_lbfgs(X, Y, callbacks=[keep])


# Callbacks that need more than a counter ---------------------------------------------------------


def test_table(tmp_path):
    def run(folder, knife):
        model = network()
        model.compile("sgd", "mse")
        chosen = [
            callbacks.CSVLogger(folder / "table.csv"),
            Knife(knife, ["on_epoch_end"]),
            callbacks.BackupAndRestore(folder / "b"),
        ]
        model.fit(X, Y, epochs=4, callbacks=chosen, verbose=0)

    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    run(tmp_path / "one", 0)
    with pytest.raises(Cut):
        run(tmp_path / "other", 3)  # the line of the third epoch is written, its backup is not
    run(tmp_path / "other", 0)
    texts = [(tmp_path / name / "table.csv").read_text() for name in ("one", "other")]
    assert texts[0] == texts[1]
    assert len(texts[0].splitlines()) == 5

    with pytest.raises(Cut):
        run(tmp_path / "other", 3)
    (tmp_path / "other" / "table.csv").unlink()
    with pytest.warns(UserWarning, match="lines are missing"):
        run(tmp_path / "other", 0)
    assert len((tmp_path / "other" / "table.csv").read_text().splitlines()) == 3


def test_time_budget(tmp_path, monkeypatch):
    """The time before the cut counts; a larger budget goes on."""
    clock = [100.0]
    monkeypatch.setattr(
        "netlayers.callbacks.limits.time", SimpleNamespace(monotonic=lambda: clock[0])
    )

    def tick(*_):
        clock[0] += 1

    def run(seconds, knife=0):
        model = network()
        model.compile("sgd", "mse")
        budget = callbacks.TimeBudget(seconds, verbose=0)
        keep = callbacks.BackupAndRestore(tmp_path / "b", 1, delete_checkpoint=False)
        wait = callbacks.LambdaCallback(on_train_batch_begin=tick)
        chosen = [budget, wait, Knife(knife, ["on_train_batch_begin"]), keep]
        model.fit(X, Y, batch_size=37, epochs=50, callbacks=chosen, verbose=0)
        return len(model.history.epoch), budget

    with pytest.raises(Cut):
        run(20, knife=10)
    clock[0] += 1000  # between the processes
    count, budget = run(20)
    assert (count, budget.stopped) == (20, True)
    assert run(20)[0] == 20
    assert run(25)[0] == 25


def test_tensorboard_counts_on(tmp_path):
    pytest.importorskip("tensorboardX")

    def run(folder, knife):
        model = network()
        model.compile("sgd", "mse")
        board = callbacks.TensorBoard(folder / "logs", update_freq=1)
        chosen = [board, Knife(knife, ["on_train_batch_begin"])]
        chosen.append(callbacks.BackupAndRestore(folder / "b", save_freq=1))
        try:
            model.fit(X, Y, batch_size=10, epochs=3, callbacks=chosen, verbose=0)
        except Cut:
            return 0
        return board.get_state()

    assert run(tmp_path, 7) == 0
    assert run(tmp_path, 0) == {"batch": 12}


def test_it_says_where_it_goes_on(tmp_path, capsys):
    for knife in (9, 0):
        model = network()
        model.compile("sgd", "mse")
        keep = callbacks.BackupAndRestore(tmp_path / "b", save_freq=1)
        chosen = [Knife(knife, ["on_train_batch_begin"]), keep]
        try:
            model.fit(X, Y, batch_size=10, epochs=3, callbacks=chosen, verbose=2)
        except Cut:
            assert "goes on" not in capsys.readouterr().out
    text = capsys.readouterr().out
    assert f"The run in {str(tmp_path / 'b')!r} goes on in epoch 2 after 4 batches\n" in text


def test_resumed_is_known_to_callbacks(tmp_path):
    seen = []

    class Look(callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.params.get("resumed", False))

        def on_epoch_begin(self, epoch, logs=None):
            seen.append(epoch)

        def on_epoch_end(self, epoch, logs=None):
            seen.append(-epoch)

    for knife in (6, 0):
        model = network()
        model.compile("sgd", "mse")
        chosen = [Look(), Knife(knife, ["on_train_batch_end"])]
        chosen.append(callbacks.BackupAndRestore(tmp_path / "b", save_freq=1))
        try:
            model.fit(X, Y, batch_size=10, epochs=3, callbacks=chosen, verbose=0)
        except Cut:
            assert seen == [False, 0, 0, 1]
    assert seen[4:] == [True, 1, -1, 2, -2]


# Signals -----------------------------------------------------------------------------------------


class Press(callbacks.Callback):
    """Sends signals from within a hook."""

    def __init__(self, hook, at, *numbers):
        self.at, self.numbers, self.after = at, numbers, 0
        setattr(self, hook, self.press)

    def press(self, *_):
        self.at -= 1
        if self.at == 0:
            for number in self.numbers:
                signal.raise_signal(number)
            self.after += 1


def interrupted(folder, press, **arguments):
    model = network()
    model.compile(nl.optimizers.Adam(0.05), "mse", metrics=["auc"])
    halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    keep = callbacks.BackupAndRestore(folder, save_freq=10**6)
    chosen = [halve, press, callbacks.Callback(), keep]
    if not arguments:
        arguments = {"x": X, "y": Y, "batch_size": 8}
    model.fit(epochs=3, callbacks=chosen, validation_data=(X, Y), verbose=0, **arguments)
    return model, chosen


@pytest.mark.parametrize(
    ("hook", "at"),
    [
        ("on_train_batch_begin", 7),
        ("on_train_batch_end", 7),
        ("on_train_batch_end", 5),
        ("on_epoch_begin", 2),
        ("on_epoch_end", 2),
        ("on_test_batch_begin", 2),
        ("on_test_end", 2),
    ],
)
def test_ctrl_c_writes_a_backup(tmp_path, hook, at):
    folder, press = tmp_path / "b", Press(hook, at, signal.SIGINT)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        interrupted(folder, press)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    iterations = nl.load_model(folder / "backup.safetensors").optimizer.iterations
    done = {"on_train_batch_begin": 7, "on_train_batch_end": at, "on_epoch_begin": 5}
    assert iterations == done.get(hook, 10)
    assert press.after == ("test" not in hook)  # but within a test it acts at once
    never = Press(hook, 0)
    same(interrupted(tmp_path / "c", never), interrupted(folder, never))


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("steps", [None, 4])
@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_epoch_end", "on_test_batch_begin"])
def test_ctrl_c_with_data_that_come_in_batches(tmp_path, kind, steps, hook):
    def run(folder, at):
        arguments = {"x": SOURCES[kind](), "steps_per_epoch": steps}
        return interrupted(folder, Press(hook, at, signal.SIGINT), **arguments)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", 2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", 1)
    same(run(tmp_path / "c", 0), run(tmp_path / "b", 0))


def test_ctrl_c_while_a_source_is_waited_for(tmp_path):
    """It acts at once; the batches before are in the backup, and those to come are read again."""

    class Slow(Stateful):
        def __iter__(self):
            for number, batch in enumerate(super().__iter__()):
                if number == self.press:
                    signal.raise_signal(signal.SIGINT)
                yield batch

    def run(folder, press):
        source = Slow()
        source.press = press
        return interrupted(folder, Press("on_epoch_end", 0), x=source, read_ahead=0)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", 5)
    assert nl.load_model(tmp_path / "b" / "backup.safetensors").optimizer.iterations == 5
    same(run(tmp_path / "c", -1), run(tmp_path / "b", -1))


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    press = Press("on_train_batch_end", 7, signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "b", press)
    assert press.after == 0
    assert not (tmp_path / "b").exists()  # the step was not finished


def test_sigterm_with_a_handler(tmp_path):
    """The handler that was there is called, after the step."""

    def leave(number, frame):
        sys.exit(9)

    old = signal.signal(signal.SIGTERM, leave)
    try:
        press = Press("on_train_batch_begin", 3, signal.SIGTERM)
        with pytest.raises(SystemExit):
            interrupted(tmp_path / "b", press)
        assert signal.getsignal(signal.SIGTERM) is leave
    finally:
        signal.signal(signal.SIGTERM, old)
    assert nl.load_model(tmp_path / "b" / "backup.safetensors").optimizer.iterations == 3


def test_a_handler_that_does_not_end_the_run(tmp_path):
    calls = []
    old = signal.signal(signal.SIGTERM, lambda *_: calls.append(1))
    try:
        model, _ = interrupted(tmp_path / "b", Press("on_train_batch_begin", 3, signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, old)
    assert calls == [1]
    assert model.history.epoch == [0, 1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_within_a_callback(tmp_path, number):
    """Both end: the inner one after its step, with a backup; the outer one keeps the one it had."""
    ended = []

    def leave(number, frame):
        raise KeyboardInterrupt

    def inner(batch, logs):
        if batch == 3:
            press = Press("on_train_batch_begin", 7, number)
            try:
                interrupted(tmp_path / "inner", press)
            finally:
                ended.append(press.after)

    model = network()
    model.compile("sgd", "mse")
    hook = callbacks.LambdaCallback(on_train_batch_end=inner)
    keep = callbacks.BackupAndRestore(tmp_path / "outer", save_freq=1)
    old = signal.signal(number, leave)
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y, batch_size=8, epochs=3, callbacks=[hook, keep], verbose=0)
        assert signal.getsignal(number) is leave
    finally:
        signal.signal(number, old)
    assert ended == [1]
    done = [
        nl.load_model(tmp_path / name / "backup.safetensors").optimizer.iterations
        for name in ("inner", "outer")
    ]
    assert done == [7, 3]


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_sigterm_ends_both_runs():
    """Without a handler of the user's, as Python would have ended."""
    program = """
import signal, numpy as np, netlayers as nl
def fit(hook):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    press = nl.callbacks.LambdaCallback(on_train_batch_begin=hook)
    model.fit(np.ones((8, 1)), np.ones(8), epochs=3, callbacks=[press], verbose=0)
    print("went on", flush=True)
fit(lambda *_: fit(lambda *_: signal.raise_signal(signal.SIGTERM)))
"""
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "", "")


def start(folder, *options):
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    return subprocess.Popen(
        [sys.executable, str(HERE / "training.py"), "sgd", str(folder), *options],
        env=environment | {"OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -15), (signal.SIGINT, -2)])
def test_a_process_ends_as_python_does(tmp_path, number, code):
    process = start(tmp_path, "--backup")
    assert process.stdout.readline() == "training\n"
    time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    assert "Terminated" not in errors
    assert [path.name for path in (tmp_path / "backup").iterdir()] == ["backup.safetensors"]


@pytest.mark.parametrize("where", ["callback", "source"])
def test_an_error_leaves_a_consistent_model(where):
    """The weights are those of the last whole update, and the model trains on."""

    def source():
        yield from [(X[i : i + 8], Y[i : i + 8]) for i in (0, 8, 16)]
        raise Cut

    def run(data, chosen):
        model = network()
        model.compile("adam", "mse")
        try:
            model.fit(**data, callbacks=chosen, verbose=0)
        except Cut:
            return model
        return model

    plain = run({"x": [(X[i : i + 8], Y[i : i + 8]) for i in (0, 8, 16)], "shuffle": False}, [])
    if where == "source":
        model = run({"x": source}, [])
    else:
        data = {"x": [(X[i : i + 8], Y[i : i + 8]) for i in (0, 8, 16, 24)], "shuffle": False}
        model = run(data, [Knife(4, ["on_train_batch_begin"])])
    np.testing.assert_array_equal(model.parameters.values, plain.parameters.values)
    assert model.optimizer.iterations == 3
    model.fit(X, Y, verbose=0)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX")
def test_kills(tmp_path):
    """The harness in a small size; `python tests/resume/kill.py --kills 25` is the full one."""
    command = [sys.executable, str(HERE / "kill.py"), "--kills", "3", "--cases", "nadam", "adam"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| none |") == 2


def small(**options):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile(nl.optimizers.SGD(0.01, **options), "mse")
    return model


SMALL = np.linspace(-1, 1, 16)[:, None]


def test_a_model_in_the_place_of_a_backup_is_refused(tmp_path):
    model = small()
    model.build((None, 1))
    model.save(tmp_path / "backup.safetensors")
    before = model.parameters.values.tobytes()
    backup = nl.callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(nl.errors.FileError, match="holds a model alone"):
        model.fit(SMALL, SMALL, callbacks=backup, verbose=0)
    assert model.parameters.values.tobytes() == before


def test_a_time_budget_keeps_the_backup(tmp_path):
    def callbacks(seconds):
        budget = nl.callbacks.TimeBudget(seconds=seconds, verbose=0)
        return [budget, nl.callbacks.BackupAndRestore(tmp_path / "b")]

    small().fit(SMALL, SMALL, epochs=3, callbacks=callbacks(0), verbose=0)
    assert (tmp_path / "b" / "backup.safetensors").exists()
    history = small().fit(SMALL, SMALL, epochs=3, callbacks=callbacks(60), verbose=0)
    assert len(history.epoch) == 3
    assert not (tmp_path / "b").exists()


def test_weights_that_are_not_finite_do_not_replace_a_good_backup(tmp_path):
    class Spoil(nl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.parameters.values[...] = np.nan

    backup = nl.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    with pytest.warns(UserWarning, match="no backup was written after epoch 2"):
        small(on_nonfinite="ignore").fit(
            SMALL, SMALL, epochs=2, callbacks=[Spoil(), backup], verbose=0
        )
    assert np.isfinite(nl.load_model(tmp_path / "backup.safetensors").parameters.values).all()


def test_a_backup_that_can_not_be_deleted_is_a_warning(tmp_path, monkeypatch):
    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "refused")

    backup = nl.callbacks.BackupAndRestore(tmp_path)
    model = small()
    monkeypatch.setattr("netlayers.callbacks.backup.os.unlink", refuse)
    with pytest.warns(UserWarning, match="could not be deleted"):
        model.fit(SMALL, SMALL, callbacks=backup, verbose=0)


def test_a_backup_names_no_files_that_a_checkpoint_deletes(tmp_path):
    victim = tmp_path / "elsewhere" / "victim.safetensors"
    keep = nl.callbacks.ModelCheckpoint(tmp_path / "{epoch}.safetensors", keep_last=1)
    keep.on_train_begin()
    state = keep.get_state() | {
        "files": [str(victim), str(tmp_path / "1.safetensors"), 3],
        "filepath": "other",
    }
    keep.set_state(state)
    assert keep.files == [str(tmp_path / "1.safetensors")]
    assert str(keep.filepath).startswith(str(tmp_path))
