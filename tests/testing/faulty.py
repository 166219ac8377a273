"""Further faults of the other families: one for each promise that a check compares."""

from typing import ClassVar

import numpy as np

import netlayers as nl
from tests.mutation.contract_faults import (
    Alternating,
    AtMostOne,
    Cubes,
    Halving,
    LargestError,
    Momentum,
    Squares,
    StopsAfter,
)
from tests.testing.faulty_layers import FAULTS, fails

# Losses -------------------------------------------------------------------------------------------


class Kept(Squares):
    """Goes back through the last forward of any loss."""

    last: ClassVar = {}

    def forward_samples(self, y_true, y_pred):
        value = super().forward_samples(y_true, y_pred)
        self.last["d"] = self.cache.d
        return value

    def backward_samples(self, dl):
        d = self.last["d"]
        return np.resize(dl * 2 * d / d.shape[-1], self.cache.d.shape)


def written(name):
    def method(self, y_true, y_pred, sample_weight=None):
        value = Squares.forward(self, y_true, y_pred, sample_weight)
        array = {"y_true": y_true, "y_pred": y_pred, "weight": sample_weight}[name]
        if isinstance(array, np.ndarray):
            array += 1
        return value

    return method


def written_back(self, *arguments, **options):
    dy = Squares.backward(self, *arguments, **options)
    self.given += 1
    return dy


def remembered(self, y_true, y_pred, sample_weight=None):
    self.given = y_pred
    return Squares.forward(self, y_true, y_pred, sample_weight)


def doubled(which):
    def method(self, y_true, y_pred, sample_weight=None):
        given = y_true if which == "targets" else y_pred
        value = Squares.forward(self, y_true, y_pred, sample_weight)
        return value + 1 if isinstance(given, list) else value

    return method


def anonymous(self, *arguments, **options):
    if "d" not in vars(self.cache):
        raise nl.errors.NoForwardError("no forward")
    return Squares.backward(self, *arguments, **options)


def always(self, *arguments, **options):
    if "d" not in vars(self.cache):
        return 0
    return Squares.backward(self, *arguments, **options)


fails("two_losses_keep_apart", Kept, "KeptForAll")
fails(
    "gradient_is_that_of_the_value", Squares, "Half",
    backward_samples=lambda self, dl: Squares.backward_samples(self, dl) / 2,
)  # fmt: skip
fails(
    "gradient_is_that_of_the_value", Squares, "OneForAll",
    backward=lambda self, *a, **k: Squares.backward(self, *a, **k).sum(axis=0),
)  # fmt: skip
fails(
    "value_is_numerator_by_denominator", Squares, "MoreThanTheQuotient",
    forward=lambda self, *batch: Squares.forward(self, *batch) + 1,
)  # fmt: skip
fails(
    "value_is_numerator_by_denominator", Squares, "NoDenominator",
    backward=lambda self, denominator=None: Squares.backward(self),
)  # fmt: skip
for word in ("y_true", "y_pred", "weight"):
    fails("given_arrays_stay_unchanged", Squares, f"Writes{word}", forward=written(word))
fails(
    "given_arrays_stay_unchanged", Squares, "WritesLater",
    forward=remembered, backward=written_back,
)  # fmt: skip
fails(
    "dtypes_of_value_and_gradient", Squares, "NumPyValue",
    forward=lambda self, *batch: np.float32(Squares.forward(self, *batch)),
)  # fmt: skip
fails(
    "dtypes_of_value_and_gradient", Squares, "NarrowValue",
    forward_samples=lambda self, y_true, y_pred: Squares.forward_samples(self, y_true, y_pred)
    * (1.001 if y_pred.dtype == "float32" else 1),
)  # fmt: skip
for word in ("targets", "predictions"):
    fails(
        "awkward_targets_and_predictions_are_taken", Squares, f"Lists{word}", forward=doubled(word)
    )
fails("a_copy_has_no_forward", Squares, "Anonymous", backward=anonymous)
fails("a_copy_has_no_forward", Squares, "Always", backward=always)
fails("third_loss_allocates_nothing_large", Squares, "Allocates")


# Metrics ------------------------------------------------------------------------------------------


class MeanError(LargestError):
    """The mean absolute error."""

    weights_are_counts = True

    def update_state(self, y_true, y_pred, sample_weight=None):
        errors = np.abs(np.asarray(y_true, float) - np.asarray(y_pred, float)).mean(axis=-1)
        weight = np.ones(len(errors)) if sample_weight is None else np.asarray(sample_weight)
        self.total += float(errors @ weight)
        self.count += float(weight.sum())

    def result(self):
        return self.total / self.count if self.count else 0.0

    def reset_state(self):
        self.total = self.count = 0.0

    def get_state(self):
        return {"total": self.total, "count": self.count}

    def set_state(self, state):
        self.total, self.count = state["total"], state["count"]


def unweighted(self, y_true, y_pred, sample_weight=None):
    MeanError.update_state(self, y_true, y_pred)


def adds(name):
    def method(self, y_true, y_pred, sample_weight=None):
        MeanError.update_state(self, y_true, y_pred, sample_weight)
        array = {"y_true": y_true, "y_pred": y_pred}[name]
        if isinstance(array, np.ndarray):
            array += 1

    return method


def lists(self, y_true, y_pred, sample_weight=None):
    MeanError.update_state(self, y_true, y_pred, sample_weight)
    self.total += isinstance(y_pred, list)


class ArrayResult(MeanError):
    """Returns its own array."""

    def result(self):
        self.kept = getattr(self, "kept", np.zeros(1))
        self.kept[0] = super().result()
        return self.kept

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_true, y_pred, sample_weight)
        self.result()


class SharedSums(MeanError):
    """Keeps its sums for all metrics of the class."""

    sums: ClassVar = [0.0, 0.0]
    total = property(lambda self: self.sums[0], lambda self, v: self.sums.__setitem__(0, v))
    count = property(lambda self: self.sums[1], lambda self, v: self.sums.__setitem__(1, v))


def asked(self):
    self.total += 1
    return self.total / self.count if self.count else 0.0


def half(self, state):
    self.total, self.count = state["total"], state["count"] / 2


class OnlyResult(MeanError):
    """Resumes with the same result and other sums."""

    def set_state(self, state):
        self.total, self.count = state["total"] / 2, state["count"] / 2


class FirstNotNew(MeanError):
    """A second metric starts elsewhere than the first."""

    made = 0

    def __init__(self, name=None):
        super().__init__(name)
        type(self).made += 1
        self.total, self.count = float(self.made), 1.0


class ForgetsHalf(MeanError):
    """Forgets its sum alone."""

    def reset_state(self):
        self.total = 0.0
        self.count = getattr(self, "count", 0.0)


fails("weights_count_samples", MeanError, "Unweighted", update_state=unweighted)
for word in ("y_true", "y_pred"):
    fails(
        "targets_and_predictions_stay_unchanged", MeanError, f"Adds{word}", update_state=adds(word)
    )
fails("awkward_values_are_taken", MeanError, "ListsOfPredictions", update_state=lists)
fails("results_are_numbers", MeanError, "Word", result=lambda self: "0.5")
fails("resumes_in_another_process", MeanError, "HalfOfTheState", set_state=half)
fails("two_metrics_keep_apart", MeanError, "Asked", result=asked)
FAULTS += [
    (ArrayResult, "results_are_numbers", ""),
    (SharedSums, "two_metrics_keep_apart", ""),
    (OnlyResult, "resumes_in_another_process", ""),
    (FirstNotNew, "reset_forgets_everything", ""),
    (ForgetsHalf, "reset_forgets_everything", ""),
]


# Optimizers and schedules -------------------------------------------------------------------------


class WritesBeside(Momentum):
    """Writes to all weights, gradients and states."""

    what = "values"

    def step(self, parameters, *arguments, **options):
        done = super().step(parameters, *arguments, **options)
        array = self.state["velocity"] if self.what == "state" else getattr(parameters, self.what)
        array += 1
        return done


class OtherState(Momentum):
    """A copy starts with another state."""

    what = "velocity"
    kept: ClassVar = {}

    def step(self, parameters, *arguments, **options):
        done = super().step(parameters, *arguments, **options)
        self.kept.setdefault("velocity", self.state["velocity"])
        return done

    def __setstate__(self, state):
        super().__setstate__(state)
        if self.what == "iterations":
            self.iterations += 1
        elif self.what == "shared":
            self.state["velocity"] = self.kept["velocity"]
        elif self.what == "beta":
            self.beta /= 2
        else:
            self.state["velocity"] += 1


for word in ("values", "gradients", "state"):
    fails("only_trainable_weights_change", WritesBeside, f"WritesBeside{word}", what=word)
for word in ("velocity", "iterations", "shared", "beta"):
    fails("copies_keep_the_state", OtherState, f"OtherState{word}", what=word, kept={})
fails(
    "follows_schedules", Momentum, "ConfigWithoutRate",
    get_config=lambda self: {**Momentum.get_config(self), "learning_rate": 0.5},
)  # fmt: skip
fails("rates_follow_from_the_step_alone", Halving, "Integer", __call__=lambda self, step: 1)
fails(
    "rates_follow_from_the_step_alone", Halving, "Falls", __call__=lambda self, step: -float(step)
)
fails(
    "rates_follow_from_the_step_alone", Halving, "Infinite",
    __call__=lambda self, step: float("inf"),
)  # fmt: skip


# Initializers, regularizers, constraints ----------------------------------------------------------


class Global(Alternating):
    """Draws from NumPy's global state."""

    def fill(self, out, rng=None):
        np.random.random()
        super().fill(out, rng)


class Everywhere(Alternating):
    """Writes to the whole vector."""

    part = slice(None)

    def fill(self, out, rng=None):
        super().fill(out, rng)
        if out.base is not None:
            out.base.reshape(-1)[self.part] = 1


class Narrow(Alternating):
    """Draws in the dtype of the array."""

    def fill(self, out, rng=None):
        out[...] = rng.random(out.shape, out.dtype)


class SeedBeside(Alternating):
    """Has a seed that it does not use."""

    seed = 3


fails("fills_the_array_it_is_given", Everywhere, "EverywhereBefore", part=slice(0, 1))
fails("fills_the_array_it_is_given", Everywhere, "EverywhereAfter", part=slice(-1, None))
fails(
    "fills_the_array_it_is_given", Alternating, "Returns",
    fill=lambda self, out, rng=None: Alternating.fill(self, out, rng) or out.size,
)  # fmt: skip
FAULTS += [
    (Global, "numbers_follow_from_the_generator", ""),
    (Narrow, "float32_starts_like_float64", ""),
    (SeedBeside, "seeds_are_obeyed", ""),
]
fails(
    "penalty_has_its_gradient", Cubes, "NumPyPenalty",
    __call__=lambda self, w: np.float32(Cubes.__call__(self, w)),
)  # fmt: skip
fails(
    "penalty_has_its_gradient", Cubes, "ChangesWeights",
    add_gradient=lambda self, w, dw, scratch: Cubes.add_gradient(self, w, dw, scratch)
    or np.add(w, 1, out=w),
)  # fmt: skip
fails(
    "penalty_has_its_gradient",
    Cubes,
    "NudgesWeights",
    add_gradient=lambda self, w, dw, scratch: (
        Cubes.add_gradient(self, w, dw, scratch) or np.add(w, 1e-9, out=w)
    ),
)


def beside_the_weights(part):
    def apply(self, w):
        AtMostOne.apply(self, w)
        if w.base is not None:
            w.base.reshape(-1)[part] = 1

    return apply


fails("weights_change_in_place", AtMostOne, "Before", apply=beside_the_weights(slice(0, 1)))
fails("weights_change_in_place", AtMostOne, "After", apply=beside_the_weights(slice(-1, None)))
fails("weights_change_in_place", AtMostOne, "NotFinite", apply=lambda self, w: w.fill(np.nan))
fails(
    "weights_change_in_place", AtMostOne, "ByDtype",
    apply=lambda self, w: np.clip(w, -1, 1 if w.dtype == "float64" else 0.5, out=w) is None,
)  # fmt: skip
fails(
    "weights_change_in_place", AtMostOne, "OtherInFloat32",
    apply=lambda self, w: None if w.dtype == "float32" else AtMostOne.apply(self, w),
)  # fmt: skip


# Callbacks ----------------------------------------------------------------------------------------

fails(
    "every_argument_is_shown_and_has_an_effect", StopsAfter, "NoCallbackExample",
    examples=staticmethod(lambda: [{}]),
)  # fmt: skip
fails(
    "runs_in_fit_evaluate_and_predict", StopsAfter, "Fails", on_test_begin=lambda self, logs: 1 / 0
)
