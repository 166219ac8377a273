"""Callbacks: their hooks in fit, evaluate and predict, their arguments and their state."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import io
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.layers import Dense
from netlayers.models import Sequential
from netlayers.optimizers import SGD
from netlayers.registry import same_argument
from netlayers.testing.arguments import BASES
from netlayers.testing.contract import Example, Mismatch, check
from netlayers.testing.values import differ, require, same
from netlayers.training.callback import Callback
from netlayers.training.state import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

BASES[Callback] = "callback"
_HOOKS = [name for name in dir(Callback) if name.startswith("on_")]
_EPOCHS = 5
_RESET = "set everything that a run changes in on_train_begin(), not in __init__()"


def _model() -> Any:
    model = Sequential([Dense(4, "tanh", name="hidden"), Dense(1, name="out")], seed=0)
    model.compile(SGD(0.1), "mse", metrics=["mae"])
    model.build((None, 3))
    return model


def _data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 3)).astype("float32"), rng.normal(size=(12, 1)).astype("float32")


@contextlib.contextmanager
def _in_empty_folder() -> Iterator[Path]:
    """Work in an empty folder, where callbacks may write."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)


def _run(callback: Callback, epochs: int = _EPOCHS) -> list[Any]:
    """Return what is to be seen of a run: logs, weights, printed text, and files."""
    x, y = _data()
    model, printed = _model(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        history = model.fit(
            x, y, epochs=epochs, batch_size=4, validation_data=(x, y), callbacks=[callback],
            verbose=0,
        )  # fmt: skip
        model.evaluate(x, y, batch_size=4, callbacks=[callback], verbose=0)
        model.predict(x, batch_size=4, callbacks=[callback], verbose=0)
    logs = {k: v for k, v in history.history.items() if "time" not in k and "second" not in k}
    seen = [np.array(repr(sorted(logs))), *map(np.array, logs.values()), np.array(history.epoch)]
    seen += [np.array(w) for w in model.weights]
    seen += [np.array(model.optimizer.learning_rate), np.array(_without_digits(printed.getvalue()))]
    return seen


def _overflowing_run(callback: Callback) -> list[Any]:
    """Return what is to be seen of a run whose loss is not finite."""
    x, y = _data()
    model, printed = _model(), io.StringIO()
    model.layers[1].kernel[...] = 1e30
    with (
        np.errstate(all="ignore"),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        try:
            history = model.fit(
                x, y, epochs=2, batch_size=4, validation_data=(x, y), callbacks=[callback],
                verbose=0,
            )  # fmt: skip
        except ArithmeticError as error:
            return [np.array(type(error).__name__)]
    return [np.array(history.epoch), np.array(_without_digits(printed.getvalue()))]


def _files(folder: Path) -> list[str]:
    """Return the names of files with their texts, or their sizes, numbers left out."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = _without_digits(str(path.relative_to(folder)))
        try:
            found.append(f"{name}: {_without_digits(path.read_text())}")
        except UnicodeDecodeError:
            found.append(f"{name}: {path.stat().st_size}")
    return found


def _without_digits(text: str) -> str:
    return re.sub(r"[\d.]+(e-?\d+)?|\S*\r", "0", text)


def _observe(example: Example) -> list[Any]:
    with _in_empty_folder() as folder:
        seen = [*_run(example.make()), *_overflowing_run(example.make())]
        return [*seen, np.array("\n".join(_files(folder)))]


def _defaults(cls: type) -> dict[str, Any]:
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _varied(example: Example) -> list[str]:
    default = _defaults(example.cls)
    return [
        name
        for name, value in example.arguments.items()
        if name in default and not same_argument(value, default[name])
    ]


@check("callback", whole=True)
def hooks_have_known_names(examples: list[Example]) -> None:
    """Check that each method on_... is a hook that something calls."""
    cls = examples[0].cls
    for name in dir(cls):
        if name.startswith("on_") and name not in _HOOKS and callable(getattr(cls, name)):
            close = difflib.get_close_matches(name, _HOOKS, n=1)
            raise Mismatch(
                f"hooks among {', '.join(_HOOKS)}",
                f"{name}(), which nothing calls",
                f"rename it{f' to {close[0]}' if close else ''}, or drop on_ from its name",
            )


@check("callback")
def runs_in_fit_evaluate_and_predict(example: Example) -> None:
    """Check that fit, evaluate and predict run with the callback."""
    _observe(example)


@check("callback")
def a_second_run_is_like_the_first(example: Example) -> None:
    """Check that a callback that is used for two runs does the same in both."""
    with _in_empty_folder():
        callback = example.make()
        first = _run(callback)
    with _in_empty_folder():
        second = _run(callback)
    same(
        second[:-1],
        first[:-1],
        "the same logs, weights and learning rate from a second run with the same callback",
        _RESET,
    )


@check("callback")
def resumes_in_another_process(example: Example) -> None:
    """Check that a new callback that takes get_state() goes on like the old one."""
    if not example.cls.part_of_run:
        return
    for stop in (0, 2):
        with _in_empty_folder(), contextlib.redirect_stdout(io.StringIO()):
            whole = _Recorder(example.make(), keep=stop)
            _fit(_model(), whole, 0)
            if whole.kept is None:  # it had ended before
                return
            plain, arrays = pack(whole.kept)
            state = unpack(json.loads(json.dumps(plain)), arrays)
            rest = _Recorder(example.make(), state=state)
            _fit(_model(), rest, stop + 1)
        if stop + 1 not in whole.seen:  # the run ended there
            return
        for epoch in range(stop + 1, _EPOCHS):
            same(
                rest.seen.get(epoch, []),
                whole.seen.get(epoch, []),
                f"a new callback with the state after epoch {stop} to do in epoch {epoch} what the "
                "old one did",
                "return everything that a run changes from get_state(), and take it in set_state()",
            )


class _Resumed(Callback):
    """Tells the callbacks behind it that the run goes on."""

    def set_params(self, params: dict[str, Any]) -> None:
        params["resumed"] = True


class _Recorder(Callback):
    """Notes what each epoch leaves; keeps the state after one epoch, or starts from it."""

    def __init__(self, callback: Callback, keep: int | None = None, state: Any = None) -> None:
        self.callback, self.keep, self.state = callback, keep, state
        self.kept: Any = None
        self.seen: dict[int, list[Any]] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        if self.state is not None:  # the callback has had its own on_train_begin
            self.model.set_weights(self.state["weights"])
            self.model.optimizer.learning_rate = self.state["rate"]
            self.callback.set_state(self.state["callback"])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        model = self.model
        rate = model.optimizer.learning_rate
        self.seen[epoch] = [*map(np.array, model.weights), np.array([rate, model.stop_training])]
        if epoch == self.keep:
            state = self.callback.get_state()
            self.kept = {"weights": model.get_weights(), "rate": rate, "callback": state}


def _fit(model: Sequential, recorder: _Recorder, start: int) -> None:
    x, y = _data()
    before = [_Resumed()] if start else []
    model.fit(
        x, y, epochs=_EPOCHS, initial_epoch=start, batch_size=4, validation_data=(x, y),
        shuffle=False, callbacks=[*before, recorder.callback, recorder], verbose=0,
    )  # fmt: skip


@check("callback", whole=True)
def every_argument_is_shown_and_has_an_effect(examples: list[Example]) -> None:
    """Check that an example shows each optional argument, and its effect."""
    cls = examples[0].cls
    todo = set(_defaults(cls)) - set(getattr(cls, "arguments_without_effect", ()))
    missing = todo - {name for example in examples for name in _varied(example)}
    require(
        not missing,
        "each optional argument of the constructor to have a value other than its default in one "
        "of the examples",
        f"no example for {', '.join(sorted(missing))}",
        f"add an example to {cls.__name__}.examples()",
    )
    for example in examples:
        names = [name for name in _varied(example) if name in todo]
        acts = _observe(example) if names else []
        for name in names:
            try:
                other = _observe(example.without(name))
            except Exception:  # the other arguments do not go without it
                other = []
            if differ(acts, other):
                todo.discard(name)
    require(
        not todo,
        "each argument to change logs, weights, what is printed, or files in an example",
        f"the same run with and without {', '.join(sorted(todo))}",
        "use the argument; or add an example where it matters; or name it in the class attribute "
        "arguments_without_effect",
    )
