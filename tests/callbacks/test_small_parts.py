"""Parts of callbacks: what a Watch sees, lists of hooks, files that cannot be written, states."""

import collections
import random
import types
import warnings

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks
from netlayers.callbacks import reporting, unsaved
from tests.callbacks.runs import X, Y, make


class Thing:
    def __init__(self, **values):
        self.__dict__.update(values)


def changed(value, change):
    before = unsaved._seen(value, "tests", ())
    value = change(value)
    return unsaved._seen(value, "tests", ()) != before


def edit(function):
    """Return a function that changes a value in place and returns it."""

    def run(value):
        function(value)
        return value

    return run


LONG = 2500  # items: more than are looked at at both ends
CHANGES = {
    "None to 0": (None, lambda v: 0, True), "1 to True": (1, lambda v: True, True),
    "1 to 1.0": (1, lambda v: 1.0, True), "equal": ("a", lambda v: "a", False),
    "bytes": (b"a", lambda v: b"b", True), "complex": (1j, lambda v: 2j, True),
    "NumPy's number": (np.float32(1), lambda v: np.float64(1), None),
    "an entry": (np.zeros(4), edit(lambda v: v.__setitem__(3, 1)), True),
    "an entry of columns": (np.zeros((2, 3)).T, edit(lambda v: v.__setitem__((2, 1), 1)), True),
    "dtype": (np.zeros(4, "f4"), lambda v: np.zeros(4, "i4"), True),
    "shape": (np.zeros((2, 3)), lambda v: v.reshape(3, 2), True),
    "the last entry of many": (np.zeros(1 << 17), edit(lambda v: v.__setitem__(-1, 1)), True),
    "an entry between others": (np.zeros(1 << 18), edit(lambda v: v.__setitem__(1, 1)), False),
    "the second that is seen": (np.zeros(1 << 18), edit(lambda v: v.__setitem__(2, 1)), True),
    "objects": (np.array([1, "a"], object), edit(lambda v: v.__setitem__(1, "b")), True),
    "a generator": (np.random.default_rng(0), edit(lambda v: v.random()), True),
    "an old generator": (np.random.RandomState(0), edit(lambda v: v.rand()), True),
    "Python's generator": (random.Random(0), edit(lambda v: v.random()), True),
    "a set": ({1, 2}, edit(lambda v: v.add(3)), True), "a frozen set": (frozenset("a"),
        lambda v: frozenset("b"), True),
    "a set in another order": ({1, 2}, lambda v: {2, 1}, False),
    "a dict": ({"a": 1}, edit(lambda v: v.update(a=2)), True),
    "a key": ({"a": 1}, lambda v: {"b": 1}, True), "a new key": ({}, lambda v: {"a": None}, True),
    "a list": ([1, [2]], edit(lambda v: v[1].append(3)), True),
    "a tuple": ((1, 2), lambda v: (1, 3), True),
    "a deque": (collections.deque([1]), edit(lambda v: v.append(2)), True),
    "the last item": ([0] * LONG, edit(lambda v: v.__setitem__(-1, 1)), True),
    "item 999": ([0] * LONG, edit(lambda v: v.__setitem__(999, 1)), True),
    "item 1000": ([0] * LONG, edit(lambda v: v.__setitem__(1000, 1)), False),
    "item -1000": ([0] * LONG, edit(lambda v: v.__setitem__(-1000, 1)), True),
    "item -1001": ([0] * LONG, edit(lambda v: v.__setitem__(-1001, 1)), False),
    "item 1000 of 2000": ([0] * 2000, edit(lambda v: v.__setitem__(1000, 1)), True),
    "an object": (Thing(a=1), edit(lambda v: setattr(v, "a", 2)), True),
    "its cache": (Thing(cache=1, workspace=1), edit(lambda v: v.__dict__.update(cache=2)), False),
    "its workspace": (Thing(workspace=1), edit(lambda v: setattr(v, "workspace", 2)), False),
    "another library's": (types.SimpleNamespace(a=1), edit(lambda v: setattr(v, "a", 2)), False),
    "a layer": (nl.layers.Dense(1), edit(lambda v: setattr(v, "units", 2)), False),
    "a callback": (callbacks.Callback(), edit(lambda v: setattr(v, "a", 2)), False),
    "a class": (Thing, edit(lambda v: None), False), "a module": (types, lambda v: np, False),
    "a function": (len, lambda v: max, False),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_changes_that_are_seen(name):
    value, change, expected = CHANGES[name]
    if expected is not None:
        assert changed(value, change) is expected


def test_values_that_hold_themselves():
    its = []
    its.append(its)
    assert unsaved._seen(its, "tests", ()) == (1, [None])
    deep = value = []
    for _ in range(30):
        value.append([])
        value = value[0]
    found, depth = unsaved._seen(deep, "tests", ()), 0
    while found is not None:
        found, depth = found[1][0], depth + 1
    assert depth == 21


class Counter(nl.layers.Layer):
    def __init__(self, units=1, **more):
        super().__init__(**more)
        self.units, self.seen, self.other, self.none = units, 0, [1], None

    def forward(self, x, training=False):
        return self.prepare(x)

    def backward(self, dy):
        return dy


class Told(Counter):
    def get_state(self):
        return {"seen": self.seen}

    def set_state(self, state):
        self.seen = state["seen"]


class Plain:
    def __init__(self):
        self.a = self.b = self.c = self.d = 0


def said_of(things, change):
    watch = unsaved.Watch("Owner", things)
    change(*things)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        watch.warn_of_changes()
        watch.warn_of_changes()  # each is named once
    return [str(warning.message) for warning in caught]


def test_what_a_watch_says():
    layer = Counter()

    def change(layer):
        layer.seen, layer.units, layer.name, layer.none = 3, 2, "x", None
        layer.new = 1
        layer.cache.x = 1

    assert said_of([layer], change) == [
        "Owner: Counter.seen, Counter.new changed in the run without being saved, so a resumed run "
        "may end differently. Define in Counter get_state(), which returns {'seen': self.seen, "
        "'new': self.new}, and set_state(state), which restores it. If nothing depends on it, let "
        "get_state() return {}. What only one step needs belongs in self.cache."
    ]
    plain = Plain()
    (said,) = said_of([plain, Told()], lambda p, t: (p.__dict__.update(a=1, b=1, c=1, d=1),
                                                   setattr(t, "seen", 2)))  # fmt: skip
    assert "returns {'a': self.a, 'b': self.b, 'c': self.c, ...}, and" in said
    assert said.endswith("return {}.")
    dense = nl.layers.Dense(1)
    watch = unsaved.Watch("Owner", [dense, Told()])
    dense.anything = 3
    watch.warn_of_changes()  # not of the package, nor of what says its state itself


def test_hooks_of_a_list():
    seen = []

    class Log(callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(("begin", logs))

        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, logs))

    hooks = callbacks.CallbackList()
    assert list(hooks.callbacks) == []
    hooks.on_epoch_end(0)
    hooks.append(Log())
    hooks.on_train_begin()
    hooks.on_train_begin({"a": 1})
    hooks.on_epoch_end(1)
    hooks.on_epoch_end(2, {"b": 2})
    hooks.append(Log())
    hooks.on_epoch_end(3)
    assert seen == [("begin", {}), ("begin", {"a": 1}), (1, {}), (2, {"b": 2}), (3, {}), (3, {})]
    for name in ("on_nothing", "set_everything", "_hook", "train_begin"):
        with pytest.raises(AttributeError, match=f"CallbackList has no attribute '{name}'"):
            getattr(hooks, name)
    kinds = [type(c).__name__ for c in callbacks.CallbackList([Log()], True, True).callbacks]
    assert kinds == ["Log", "ProgressBar", "History"]


def test_a_log_that_cannot_be_written():
    log = reporting.LogFile("Owner")
    said = []
    for end, fails in ((False, False), (False, True), (False, True), (True, True), (True, False)):
        with warnings.catch_warnings(record=True) as caught, log.writing("a.txt", end):
            warnings.simplefilter("always")
            if fails:
                raise OSError("full")
        said.append([str(w.message) for w in caught])
    start = "Owner: 'a.txt' cannot be written: full. Training continues; "
    again, lost = f"{start}it is tried again later.", f"{start}its last lines are missing."
    assert said == [[], [again], [], [lost], []]
    with pytest.raises(KeyError), log.writing("a.txt"):
        raise KeyError


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("notebook", [False, True])
def test_what_is_said_on_a_terminal(monkeypatch, capsys, terminal, notebook):
    tqdm = pytest.importorskip("tqdm").tqdm
    written = []
    monkeypatch.setattr(tqdm, "write", written.append)
    monkeypatch.setattr(reporting.sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setattr(reporting, "in_notebook", lambda: notebook)
    reporting.say("words")
    beside = terminal or notebook
    assert written == (["words"] if beside else [])
    assert capsys.readouterr().out == ("" if beside else "words\n")


def test_a_log_of_a_resumed_run(tmp_path):
    """Lines after the backup are found again; without columns, the first of them has the names."""
    path = tmp_path / "log.csv"
    log = callbacks.CSVLogger(path)
    log.params = {}
    log.on_train_begin()
    before = log.get_state()
    assert before == {"length": 0, "columns": None}
    for epoch in range(2):
        log.on_epoch_end(epoch, {"loss": epoch + 0.5})
    log.on_train_end()
    whole = path.read_bytes()
    for state in (before, {"length": whole.index(b"1,"), "columns": ["epoch", "loss", "val_loss"]}):
        again = callbacks.CSVLogger(path)
        again.params = {"resumed": True}
        again.on_train_begin()
        again.set_state(state)
        first = 0 if state is before else 1
        for epoch in range(first, 3):
            again.on_epoch_end(epoch, {"loss": epoch + 0.5})
        again.on_train_end()
        assert path.read_bytes() == whole + b"2,2.5,NA\r\n"
        path.write_bytes(whole)
    log.on_train_begin()
    log.on_train_begin()  # closes the file that is open
    log.on_train_end()


def test_a_log_that_is_used_first_in_a_later_epoch(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old")
    make().fit(X, Y, epochs=2, initial_epoch=1, callbacks=[callbacks.CSVLogger(path)], verbose=0)
    assert path.read_text().startswith("epoch,loss,val_loss\n1,")


def test_the_rest_of_a_state_of_averages():
    model = make(nl.optimizers.SGD(use_ema=True))
    model.fit(X, Y, verbose=0)
    swap = callbacks.SwapEMAWeights()
    swap.set_model(model)
    good = model.parameters.values
    swap.set_state({"weights": good.copy()})
    for wrong in (good.astype("f8"), good[:-1]):
        with pytest.raises(ValueError, match="SwapEMAWeights: not the weights of this model"):
            swap.set_state({"weights": wrong})
