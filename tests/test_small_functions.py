"""What the private functions of the package return and raise, each case a line."""

import functools
import types
import warnings

import numpy as np
import pytest

import netlayers as nl
from netlayers import _html, _optional, _printable, _read_only, _serializers, _tables
from netlayers._defined import check_method_arguments
from netlayers._deprecated import moved
from netlayers._refused import REFUSED_ARGUMENTS, refused_argument
from tests.golden import check_text
from tests.snapshots import outcome

read_only, call = _read_only.read_only, _read_only.call_read_only


def table(name, cases):
    check_text(__file__, name, "\n".join(f"{title}: {outcome(f)}" for title, f in cases.items()))


# Read-only arguments ---------------------------------------------------------------------------


def flags(value):
    """Which arrays of a value can be written to."""
    if isinstance(value, np.ndarray):
        return value.flags.writeable
    if hasattr(value, "indptr"):
        return [getattr(value, part).flags.writeable for part in ("data", "indices", "indptr")]
    return [flags(v) for v in value] if isinstance(value, (tuple, list)) else value


def test_what_becomes_read_only():
    sparse = pytest.importorskip("scipy.sparse").csr_matrix(np.eye(3))
    a, b, locked = np.zeros(2), np.zeros(3), np.zeros(4)
    locked.flags.writeable = False
    for value, expected in (
        (a, False), (locked, False), ((a, locked, (b, "x")), [False, False, [False, "x"]]),
        ([a], [True]), (3, 3), (None, None), (sparse, [False] * 3),
    ):  # fmt: skip
        assert flags(read_only(value)) == expected
    assert flags([a, b, locked, sparse]) == [True, True, False, [True] * 3]
    assert read_only(locked) is locked
    assert read_only(sparse) is not sparse


def test_what_a_call_gives_back():
    """Of arguments, their parts and views of them, as without the views; of others, as they are."""
    a, b, locked = np.arange(6.0).reshape(2, 3), np.arange(3.0), np.arange(2.0)
    locked.flags.writeable = False
    own = np.zeros(3)
    own.flags.writeable = False
    assert call("f", lambda x: x, a) is a
    assert call("f", lambda x, y: y, a, b) is b
    assert call("f", lambda x, y: x, a, b) is a
    assert call("f", lambda x: x[1], (a, b)) is b
    assert call("f", lambda x, y: y[0], locked, (b, a)) is b
    pair = call("f", lambda x: (x, x.T, 3, (x[0],)), a)
    assert pair[0] is a
    assert [pair[1].flags.writeable, pair[2], pair[3][0].flags.writeable] == [True, 3, True]
    assert all(np.may_share_memory(v, a) for v in (pair[1], pair[3][0]))
    assert call("f", lambda x: x, locked) is locked
    assert not call("f", lambda x: x[:1], locked).flags.writeable
    assert not call("f", lambda x: own, a).flags.writeable
    assert not call("f", lambda x: own[:1], a).flags.writeable
    assert not call("f", lambda x: own[:1], locked).flags.writeable
    assert call("f", lambda x: [x], a)[0] is not a  # of tuples alone
    assert not call("f", lambda *, y: y, y=a).flags.writeable  # not known by its place
    assert call("f", lambda x: x + 1, a).flags.writeable
    assert call("f", lambda x: pair[1], b) is pair[1]  # not a view of it


def test_notes_on_errors():
    def write(x):
        x[...] = 1

    def other(x):
        raise ValueError("no")

    def nested(x):
        call("inner", write, x)

    found = []
    for function in (write, other, nested, lambda x: write(x[0]), lambda x: call("f", write, x=x)):
        with pytest.raises(ValueError, match=r"read-only|no") as caught:
            call("outer", function, np.zeros((2, 2)))
        found.append(f"{caught.value}: {getattr(caught.value, '__notes__', None)}")
    check_text(__file__, "notes.txt", "\n".join(found))


def test_logs_of_hooks():
    a, b, kept = np.zeros(2), np.zeros(2), []

    def hook(batch, logs=None):
        kept.append((batch, flags([logs["a"], logs["b"]])))
        logs["b"], logs["new"] = 3, np.ones(1)
        if batch:
            raise KeyError("x")

    guarded = _read_only.with_read_only_logs(nl.callbacks.Callback(), "on_batch_end", hook)
    logs = {"a": a, "b": b, "n": 1}
    assert guarded(0, logs) is None
    assert logs["a"] is a
    assert (logs["b"], logs["n"], logs["new"].flags.writeable) == (3, 1, True)
    logs = {"a": a, "b": b}
    with pytest.raises(KeyError):
        guarded(1, logs)
    assert logs["a"] is a
    assert kept == [(0, [False, False]), (1, [False, False])]
    seen = []
    _read_only.with_read_only_logs(
        nl.callbacks.Callback(), "on_end", lambda *args: seen.append(args)
    )()
    _read_only.with_read_only_logs(nl.callbacks.Callback(), "on_end", seen.append)(None)
    assert seen == [(), None]


def test_which_methods_are_guarded():
    class Base:
        def one(self, x, y=None, inplace=False):
            return flags([x, y])

        def two(self, x, y):
            return flags([x, y])

        three = None

        @staticmethod
        def four(x):
            return flags(x)

    class Child(Base):
        def two(self, x, y):
            return flags([x, y])

    a, b = np.zeros(2), np.zeros(2)
    places = {"one": None, "two": (1,), "three": None, "four": None, "none": None}
    assert Child().one(a, b) == [True, True]
    _read_only.guard_methods(Child, places)  # of its own methods alone
    assert [Child().one(a, b), Child().two(a, b)] == [[True, True], [True, False]]
    _read_only.guard_methods(Child, places, base=dict)  # of a mixin too
    it = Child()
    assert it.one(a, b) == [False, False]
    assert it.one(a, y=b) == [False, False]
    assert it.two(a, b) == [True, False]
    assert it.one(a, b, True) == it.one(a, b, inplace=True) == [True, True]
    assert it.one(a, b, 1) == it.one(a, b, inplace=False) == [False, False]
    assert it.four(a) is True
    assert "one" in vars(Child)
    assert Base().one(a, b) == [True, True]
    once = Child.two
    _read_only.guard_methods(Child, places)
    assert Child.two is once
    assert (Child.two.__name__, Child.one.__qualname__.rpartition(".")[2]) == ("two", "one")

    class Late(Base):
        pass

    _read_only.guard_methods(Late, places, base=Base)  # Base is guarded itself, or will be
    assert "one" not in vars(Late)
    _read_only.guard_methods(nl.layers.Dense, {"forward": None})
    assert not hasattr(nl.layers.Dense.forward, "_read_only")


# Names, texts and tables -----------------------------------------------------------------------


class Odd:
    name = 3

    def __call__(self, x):
        return x


class Named(Odd):
    name = "a name"


def test_names_of_functions_and_settings():
    named, dense = _serializers.function_name, nl.layers.Dense
    same = _serializers.same_settings
    cases = {
        "function": lambda: named(np.mean),
        "lambda": lambda: named(lambda x: x),
        "partial": lambda: named(functools.partial(len)),
        "partial of a partial": lambda: named(functools.partial(functools.partial(len))),
        "class": lambda: named(Odd),
        "object": lambda: named(Odd()),
        "object with a name": lambda: named(Named()),
        "object of the package": lambda: named(nl.losses.MeanSquaredError(name="m")),
        "same": lambda: same(dense(2, name="a"), dense(2, name="b")),
        "other": lambda: same(dense(2), dense(3)),
        "other class": lambda: same(nl.regularizers.L1(0.1), nl.regularizers.L2(0.1)),
        "no object": lambda: same(nl.regularizers.L1(0.1), "l1"),
        "subclass": lambda: same(nl.optimizers.Adam(), nl.optimizers.AdamW()),
        "serialize": lambda: nl.regularizers.serialize(nl.regularizers.L1(0.1)),
        "serialize a function": lambda: nl.activations.serialize(np.tanh),
        "serialize a text": lambda: nl.losses.serialize("mse"),
        "deserialize": lambda: nl.regularizers.deserialize(
            {"class_name": "L1", "config": {"l1": 0.25}}
        ).get_config(),
        "deserialize a name": lambda: type(nl.regularizers.deserialize("l2")).__name__,
        "unknown": lambda: nl.regularizers.deserialize("nothing"),
        "custom": lambda: type(nl.losses.deserialize("Own", {"Own": Own})).__name__,
        "custom gone": lambda: nl.losses.deserialize("Own"),
        "custom of another type": lambda: nl.losses.deserialize("mse", [Own]),
        "home": lambda: (nl.losses.deserialize.__module__, nl.losses.serialize.__qualname__),
    }
    table("names of functions.txt", cases)


class Own(nl.losses.MeanSquaredError):
    pass


def test_texts():
    rows = [["name", "a", "b"], ["x\x1b", "-1", "22 "], [" indented <b>", "", "$x$"]]
    cases = {
        "numbers": lambda: [
            _tables.shown_number(v)
            for v in (0, 0.0, 1e-3, -1e-3, 9.99e-4, -5e-4, 1234.56789, np.nan, np.inf, -np.inf)
        ],
        "table": lambda: _tables.text_table(rows),
        "table, two columns to the left": lambda: _tables.text_table(rows, 2),
        "table, none": lambda: _tables.text_table(rows, 0),
        "a longer row": lambda: _tables.text_table([["a"], ["b", "c"]]),
        "html": lambda: _html.html_table(rows),
        "html with rules": lambda: _html.html_table(rows, 2, [2]),
        "paragraph": lambda: _html.paragraph("a <b> & \x1b'"),
        "picture": lambda: _html.picture(
            b"\x89PNG" + bytes(12) + (640).to_bytes(4, "big"), 'a "b"'
        ),
        "no picture": lambda: _html.picture(None, "a"),
        "printable": lambda: [
            _printable.printable(t) for t in ("a b", "é", "a\n\t", "\x00b", "\u200b", "")
        ],
        "cells": lambda: [
            _printable.cells(t) for t in ("ab", "損失", "é", "e\u0301", "ｱ", "Ａ", "")
        ],
    }
    table("texts.txt", cases)


def test_refused_arguments():
    lines = []
    for cls in (nl.optimizers.SGD, nl.optimizers.Optimizer, nl.layers.Dense, object):
        for _, name in [*REFUSED_ARGUMENTS, ("", "other")]:
            lines.append(f"{cls.__name__} {name}: {refused_argument(cls, name, 0.5)}")
    check_text(__file__, "refused arguments.txt", "\n".join(lines))


def test_optional_packages(monkeypatch):
    assert _optional.scipy("x", "special").__name__ == "scipy.special"

    def missing(name):
        raise ImportError(f"no {name}")

    monkeypatch.setattr(_optional.importlib, "import_module", missing)
    table("optional.txt", {
        "scipy": lambda: _optional.scipy("gelu", "special"),
        "pillow": lambda: _optional.pillow("load_img"),
    })  # fmt: skip


def test_names_that_moved():
    find = moved("old", "netlayers.losses", "netlayers.metrics", removed_in="9.9")
    assert find.removed_in == "9.9"
    found = []
    for name in ("Huber", "AUC", "Nothing", "_huber"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found.append(find(name).__name__)
            except AttributeError as error:
                found.append(str(error))
        found += [f"  {w.category.__name__} {w.message}" for w in caught]
        assert all(w.filename == __file__ for w in caught)
    check_text(__file__, "moved.txt", "\n".join(found))


def test_methods_of_a_class_that_take_other_arguments():
    def made(base, **methods):
        cls = types.new_class("Made", (base,), {}, lambda space: space.update(methods))
        cls.__module__ = __name__
        check_method_arguments(cls)
        return cls

    loss, metric, schedule = nl.losses.Loss, nl.metrics.MeanMetric, nl.optimizers.schedules
    schedule = schedule.LearningRateSchedule
    table("methods.txt", {
        "right": lambda: made(loss, forward_samples=lambda self, y_true, y_pred: 0),
        "one more": lambda: made(loss, forward_samples=lambda self, y_true, y_pred, z: 0),
        "one more with a default": lambda: made(loss, forward_samples=lambda self, t, y, z=1: 0),
        "any": lambda: made(loss, forward_samples=lambda *args: 0),
        "one less": lambda: made(loss, forward_samples=lambda self, y: 0),
        "backward": lambda: made(loss, backward_samples=lambda self: 0),
        "metric": lambda: made(metric, values=lambda self, y: 0),
        "schedule": lambda: made(schedule, __call__=lambda self: 0),
        "of the package": lambda: check_method_arguments(nl.losses.Huber),
        "layer": lambda: made(nl.layers.Layer, forward=lambda self: 0),
        "initializer": lambda: made(nl.initializers.Initializer, fill=lambda self: 0),
        "of a parent": lambda: made(made(loss, forward_samples=lambda *args: 0),
                                    forward_samples=lambda self: 0),
    })  # fmt: skip
