"""LambdaCallback."""

import pytest

from netlayers.callbacks import Callback, CallbackList, LambdaCallback
from netlayers.errors import ConfigurationError
from tests.callbacks.runs import X, Y, make


def test_every_hook_can_be_a_function():
    calls = []

    def note(name):
        return lambda *args: calls.append((name, *args[:-1]))

    hooks = [name for name in dir(Callback) if name.startswith("on_")]
    callback = LambdaCallback(**{name: note(name) for name in hooks})
    model = make()
    model.fit(X, Y, validation_data=(X, Y), callbacks=[callback], verbose=0)
    model.predict(X, callbacks=[callback])
    assert {c[0] for c in calls} == set(hooks) - {"on_batch_begin", "on_batch_end"}  # other names
    assert ("on_epoch_end", 0) in calls
    assert ("on_train_begin",) in calls


def test_short_names_of_the_hooks_of_batches():
    calls = []
    short = LambdaCallback(
        on_batch_begin=lambda batch, logs: calls.append(("begin", batch)),
        on_batch_end=lambda batch, logs: calls.append(("end", batch, *logs)),
    )
    make().fit(X, Y, batch_size=len(X), callbacks=[short], verbose=0)
    assert calls == [("begin", 0), ("end", 0, "loss")]


def test_other_values_become_attributes():
    assert LambdaCallback(note=3).note == 3


def test_lambda_callback_refuses_and_names_itself_in_errors():
    with pytest.raises(ConfigurationError, match=r"'on_epoch_stop'.*Did you mean"):
        LambdaCallback(on_epoch_stop=print)
    with pytest.raises(ConfigurationError, match="on_epoch_end must be a function"):
        LambdaCallback(on_epoch_end=3)
    with pytest.raises(ZeroDivisionError) as raised:
        make().fit(X, Y, callbacks=[LambdaCallback(on_epoch_end=lambda e, logs: 1 / 0)], verbose=0)
    assert "LambdaCallback, hook on_epoch_end in epoch 0" in raised.value.__notes__[-1]


def test_a_list_of_callbacks_for_a_loop_of_the_user(capsys):
    seen = []
    own = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, logs)))
    hooks = CallbackList([own], add_history=True, add_progbar=True, model=make(), epochs=1)
    assert hooks.callbacks[0].params["epochs"] == 1
    assert [type(c).__name__ for c in hooks.callbacks[1:]] == ["ProgressBar", "History"]
    hooks.callbacks.pop(1)
    hooks.on_train_begin()
    hooks.on_epoch_end(0, {"loss": 0.5})
    assert seen == [(0, {"loss": 0.5})]
    assert hooks.callbacks[1].history == {"loss": [0.5]}
