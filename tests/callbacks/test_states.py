"""What each callback makes of its own state, and of one with a wrong entry, within a run."""

import copy

import numpy as np

import netlayers as nl
from netlayers import callbacks
from tests.callbacks.test_transcripts import Logs, X, Y, model, script  # noqa: F401
from tests.golden import check_text

MISSING = object()
WRONG = {"missing": MISSING, "None": None, "-1": -1, "0": 0, "'a'": "a", "[0, 1]": [0, 1]}
ATTRIBUTES = [
    "best", "best_epoch", "stopped_epoch", "wait", "cooldown_counter", "files",
    "stopped", "steps", "epochs", "learning_rate", "_skipped", "_seen_batches",
    "_sign", "_seen", "_step", "_first", "_epoch", "_batch",
]  # fmt: skip


def cases():
    ema = nl.optimizers.SGD(0.25, use_ema=True, ema_momentum=0.5)
    return {
        "EarlyStopping": callbacks.EarlyStopping("m", 0, 5, mode="min", restore_best_weights=True),
        "ReduceLROnPlateau": callbacks.ReduceLROnPlateau("m", 0.5, 2, mode="min", cooldown=1),
        "ModelCheckpoint": callbacks.ModelCheckpoint(
            "c-{epoch}.safetensors", "m", mode="min", save_best_only=True
        ),
        "ModelCheckpoint by batch": callbacks.ModelCheckpoint("b-{epoch}-{batch}", save_freq=2),
        "LearningRateScheduler": callbacks.LearningRateScheduler(lambda epoch: 0.5 / (1 + epoch)),
        "TerminateOnNaN": callbacks.TerminateOnNaN(),
        "TimeBudget": callbacks.TimeBudget(hours=1),
        "GradientMonitor": callbacks.GradientMonitor(2, ["last"], ["gradient_norm"], csv="g.csv"),
        "CSVLogger": callbacks.CSVLogger("log.csv"),
        "SwapEMAWeights": (callbacks.SwapEMAWeights(), model_with(ema)),
    }


def model_with(optimizer):
    its = nl.Sequential([nl.layers.Dense(1, kernel_initializer="zeros", name="last")], seed=0)
    its.compile(optimizer, "mse")
    return its


def told(value):
    if isinstance(value, np.ndarray):
        return f"array {value.round(4).tolist()}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {told(its)}" for key, its in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(told, value))}]"
    return repr(round(value, 4) if isinstance(value, float) else value)


def attributes(thing):
    return {name: getattr(thing, name) for name in ATTRIBUTES if hasattr(thing, name)}


class Meddler(callbacks.Callback):
    """Gives a callback changed states at the end of the second epoch, and then its own."""

    part_of_run = False

    def __init__(self, other, lines):
        self.other, self.lines = other, lines

    def on_epoch_end(self, epoch, logs=None):
        if epoch != 1:
            return
        state = self.other.get_state()
        self.lines.append(f"  {told(state)}")
        for name in state:
            found = {}
            for word, wrong in WRONG.items():
                changed = copy.deepcopy(state)
                if wrong is MISSING:
                    del changed[name]
                else:
                    changed[name] = copy.deepcopy(wrong)
                found.setdefault(self.said(changed), []).append(word)
                self.other.set_state(copy.deepcopy(state))
            self.lines += [f"  {name} = {', '.join(its)}: {said}" for said, its in found.items()]
        again = self.other.get_state()
        again["seconds"] = state.setdefault("seconds", None)  # of which some passed
        assert told(again) == told(state)

    def said(self, state):
        before = attributes(self.other)
        try:
            self.other.set_state(state)
        except Exception as error:
            own = str(error).startswith(type(self.other).__name__)
            return f"{type(error).__name__}{f': {error}' if own else ''}"
        now = attributes(self.other)
        return told({n: v for n, v in now.items() if v is not before[n] and v != before[n]})


def test_states_of_callbacks(script):  # noqa: F811
    lines = script.lines
    for title, its in cases().items():
        its, net = its if isinstance(its, tuple) else (its, model())
        lines.append(title)
        values = [3.0, 2.0, 2.5, 1.0]
        net.fit(X, Y, 2, epochs=4, shuffle=False, verbose=0,
                callbacks=[Logs("m", values), its, Meddler(its, lines)])  # fmt: skip
        lines.append(f"  in the end {told(attributes(its))}")
    check_text(__file__, "states.txt", "\n".join(lines))
