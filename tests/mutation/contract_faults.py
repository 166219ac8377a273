"""Small classes of the other families, each with one fault that hides, and a twin without it.

``FAULTS`` lists the faulty class, the name of the check that must find it, and a word of the
message, those of layers included; the twin is its base class.
"""

from typing import ClassVar

import numpy as np

import netlayers as nl
from tests.mutation.layer_faults import LAYER_FAULTS

# Other families -----------------------------------------------------------------------------------


class Squares(nl.losses.Loss):
    """The mean of squared differences."""

    def forward_samples(self, y_true, y_pred):
        self.cache.d = y_pred - y_true
        return np.mean(self.cache.d**2, axis=-1)

    def backward_samples(self, dl):
        return dl * 2 * self.cache.d / self.cache.d.shape[-1]


class AddingLoss(Squares):
    def forward_samples(self, y_true, y_pred):
        self.total = getattr(self, "total", 0.0) + super().forward_samples(y_true, y_pred).mean()
        return super().forward_samples(y_true, y_pred) + self.total - self.total % 1e-3


class AddingGradient(Squares):
    def backward_samples(self, dl):
        dy = super().backward_samples(dl)
        before = getattr(self, "dy", None)
        if before is not None and before.shape == dy.shape:
            dy = dy + before
        self.dy = dy
        return dy


class LossOfThree(Squares):
    def backward_samples(self, dl):
        return super().backward_samples(dl) * (1.0 if self.cache.d.dtype == "float64" else 1.01)


class Quartic(nl.losses.ElementwiseLoss):
    """The mean of fourth powers of differences."""

    def forward_samples(self, y_true, y_pred):
        self.cache.d = y_pred - y_true
        return self.mean_outputs(self.cache.d**4)

    def backward_samples(self, dl):
        return dl * 4 * self.cache.d**3 / self.cache.d.shape[-1]


class KnowsNoWeights(Quartic):
    def forward_samples(self, y_true, y_pred):
        self.cache.d = y_pred - y_true
        return np.mean(self.cache.d**4, axis=-1)


class LargestError(nl.metrics.Metric):
    """The largest absolute error."""

    weights_are_counts = False

    def __init__(self, name=None):
        super().__init__(name)
        self.reset_state()

    def update_state(self, y_true, y_pred, sample_weight=None):
        errors = np.abs(np.asarray(y_true, float) - np.asarray(y_pred, float))
        self.largest = max(self.largest, float(errors.max()))

    def result(self):
        return self.largest

    def reset_state(self):
        self.largest = 0.0


class MeanOfBatches(LargestError):
    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest = 0.5 * self.largest + float(np.mean(np.abs(y_true - np.asarray(y_pred))))


class NeverReset(LargestError):
    def __init__(self, name=None):
        self.largest = 0.0
        super().__init__(name)

    def reset_state(self):
        pass


class Momentum(nl.optimizers.Optimizer):
    """SGD with momentum."""

    state_names = ("velocity",)

    @staticmethod
    def examples():
        return [{}, {"beta": 0.5}]

    def __init__(self, learning_rate=0.01, beta=0.9, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.beta = beta

    def update(self, w, g, lr, state, scratch):
        (v,) = state
        v *= self.beta
        v += g
        np.multiply(v, lr, out=scratch)
        w -= scratch


class Uphill(Momentum):
    def update(self, w, g, lr, state, scratch):
        (v,) = state
        v *= self.beta
        v += g
        w += lr * v


class StateBeside(Momentum):
    kept: ClassVar = {}

    def update(self, w, g, lr, state, scratch):
        v = self.kept.setdefault(w.shape, np.zeros_like(w))
        v *= self.beta
        v += g
        w -= lr * v


class Ignored(Momentum):
    def update(self, w, g, lr, state, scratch):
        w -= lr * g


class Alternating(nl.initializers.Initializer):
    """``± value``, by the toss of a coin."""

    @staticmethod
    def examples():
        return [{}, {"value": 0.5}]

    def __init__(self, value=1.0):
        self.value = value

    def fill(self, out, rng=None):
        rng = np.random.default_rng() if rng is None else rng
        out[...] = self.value * rng.choice([-1.0, 1.0], out.shape)


class Rebinding(Alternating):
    def fill(self, out, rng=None):
        out = np.ones_like(out)


class OwnGenerator(Alternating):
    def fill(self, out, rng=None):
        super().fill(out, None)


class Cubes(nl.regularizers.Regularizer):
    """``Σ |w|³``."""

    def __call__(self, w):
        return float(np.sum(np.abs(w) ** 3))

    def add_gradient(self, w, dw, scratch):
        dw += 3 * w * np.abs(w)


class OverwritingPenalty(Cubes):
    def add_gradient(self, w, dw, scratch):
        dw[...] = 3 * w * np.abs(w)


class AtMostOne(nl.constraints.Constraint):
    """Weights within ±1."""

    def apply(self, w):
        np.clip(w, -1, 1, out=w)


class ReturnsACopy(AtMostOne):
    def apply(self, w):
        return np.clip(w, -1, 1)


class Halving(nl.optimizers.schedules.LearningRateSchedule):
    """``0.1 / 2^step``."""

    def __call__(self, step):
        return 0.1 / 2 ** float(step)


class CountsItsCalls(Halving):
    calls = 0

    def __call__(self, step):
        self.calls += 1
        return 0.1 / 2**self.calls


class StopsAfter(nl.callbacks.Callback):
    """Ends a run after some epochs in which the loss fell."""

    @staticmethod
    def examples():
        return [{}, {"epochs": 3}]

    def __init__(self, epochs=2):
        self.epochs = epochs

    def on_train_begin(self, logs=None):
        self.seen = 0

    def get_state(self):
        return {"seen": self.seen}

    def set_state(self, state):
        self.seen = state["seen"]

    def on_epoch_end(self, epoch, logs=None):
        self.seen += 1
        self.model.stop_training = self.seen >= self.epochs


class SetInInit(StopsAfter):
    def __init__(self, epochs=2):
        super().__init__(epochs)
        self.seen = 0

    def on_train_begin(self, logs=None):
        pass


class ForgetsItsState(StopsAfter):
    def get_state(self):
        return {}

    def set_state(self, state):
        pass


class MisspelledHook(StopsAfter):
    def on_epoch_ends(self, epoch, logs=None):
        pass


class CallbackArgument(StopsAfter):
    def on_epoch_end(self, epoch, logs=None):
        self.seen += 1
        self.model.stop_training = self.seen >= 2


# The faulty class, the check that must find it, and what its message must hold.
FAULTS = [
    *LAYER_FAULTS,
    (AddingLoss, "calls_do_not_depend_on_earlier_ones", "new loss"),
    (AddingGradient, "calls_do_not_depend_on_earlier_ones", "new loss"),
    (LossOfThree, "dtypes_of_value_and_gradient", "float32"),
    (KnowsNoWeights, "unknown_targets_and_weights_of_outputs", "mean_outputs(e)"),
    (MeanOfBatches, "batches_add_up_to_the_whole", "batches of 3, 1 and 4"),
    (NeverReset, "reset_forgets_everything", "reset_state()"),
    (Uphill, "goes_downhill", "sign of the update"),
    (StateBeside, "two_optimizers_keep_apart", "state_names"),
    (Ignored, "every_argument_has_an_effect", "beta"),
    (Rebinding, "fills_the_array_it_is_given", "out[...] = values"),
    (OwnGenerator, "numbers_follow_from_the_generator", "rng alone"),
    (OverwritingPenalty, "penalty_has_its_gradient", "dw += ..."),
    (ReturnsACopy, "weights_change_in_place", "to return None"),
    (CountsItsCalls, "rates_follow_from_the_step_alone", "from call to call"),
    (SetInInit, "a_second_run_is_like_the_first", "on_train_begin()"),
    (ForgetsItsState, "resumes_in_another_process", "get_state()"),
    (MisspelledHook, "hooks_have_known_names", "rename it to on_epoch_end"),
    (CallbackArgument, "every_argument_is_shown_and_has_an_effect", "epochs"),
]
