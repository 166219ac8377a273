"""Further faults of layers as users write them: one for each promise that a check compares."""

import inspect
from typing import ClassVar

import numpy as np

import netlayers as nl
from tests.mutation.layer_faults import Centred, Scale
from tests.user_layers import Embed

FAULTS = []


def fails(check, base, title, **members):
    """Note a class with the given members, and the check that finds it."""
    FAULTS.append((type(title, (base,), {"__module__": __name__, **members}), check, ""))


def around(name, change):
    """Return a method that changes what the base class returns."""

    def method(self, *arguments, **options):
        homes = [c for c in type(self).__mro__ if name in vars(c)]
        base = next(c for c in homes if inspect.unwrap(vars(c)[name]) is not method)
        return change(self, vars(base)[name](self, *arguments, **options), *arguments)

    return method


# Layers -------------------------------------------------------------------------------------------


def late(self, x, training=False):
    return Scale.forward(self, x, training) + np.float32(training)


def drawn(self, x, training=False):
    y = Scale.forward(self, x, training)
    if self.rng is None:
        self.rng = np.random.default_rng(0)
    return y + 0 * self.rng.normal()


fails("can_be_built_and_called", Scale, "Number", forward=lambda self, x, training=False: 1.0)
fails(
    "shapes_and_dtypes", Scale, "NoBatch",
    compute_output_shape=lambda self, shape: (4, *shape[1:]),
)  # fmt: skip
fails(
    "shapes_and_dtypes", Scale, "FixedBatch",
    compute_output_shape=lambda self, shape: (None, *shape[1:]),
)  # fmt: skip
fails(
    "shapes_and_dtypes", Scale, "Longer",
    compute_output_shape=lambda self, shape: (*shape[:-1], shape[-1] + 1),
)  # fmt: skip
fails(
    "shapes_and_dtypes", Scale, "Pair", backward=around("backward", lambda self, dx, *_: (dx, None))
)
fails(
    "shapes_and_dtypes", Scale, "Transposed",
    backward=around("backward", lambda self, dx, *_: dx.T.copy()),
)  # fmt: skip
fails(
    "shapes_and_dtypes", Scale, "WideGradient",
    backward=around("backward", lambda self, dx, *_: dx.astype("float64")),
)  # fmt: skip
fails(
    "batch_is_the_sum_of_its_samples", Scale, "OverTheBatch",
    forward=around("forward", lambda self, y, *_: y - y.mean(axis=0)),
)  # fmt: skip
fails(
    "training_and_inference_agree", Scale, "OtherInTraining",
    same_in_training=True, forward=late,
)  # fmt: skip
fails(
    "awkward_arrays_are_taken", Scale, "NegativeInMemory",
    forward=lambda self, x, training=False: Scale.forward(
        self, -np.asarray(x) if getattr(x, "strides", (1,))[0] < 0 else x, training
    ),
)  # fmt: skip
fails(
    "wrong_gradient_shapes_are_refused", Scale, "Unchecked",
    check_gradient=lambda self, dy, shape: np.resize(dy, shape),
)  # fmt: skip


def unnamed(self, dy, shape):
    if dy.shape != shape:
        raise nl.errors.ShapeError("wrong")
    return dy


def nameless(self, dy, input_gradient=True):
    raise nl.errors.NoForwardError("no forward")


fails("wrong_gradient_shapes_are_refused", Scale, "Unnamed", check_gradient=unnamed)
fails("backward_needs_a_training_forward", Scale, "Nameless", backward=nameless)
fails(
    "gradients_are_derivatives_in_a_model", Scale, "FactorInAModel",
    backward=lambda self, dy, input_gradient=True: Scale.backward(self, dy * 1.1, input_gradient),
)  # fmt: skip
fails("inference_changes_nothing", Scale, "DrawsAlways", random=True, forward=drawn)
fails("randomness_is_declared", Scale, "Declared", random=True)


class Noise(nl.layers.GaussianNoise):
    """Noise, in training alone."""

    @staticmethod
    def examples():
        return [({"stddev": 0.5}, (2, 2))]


class OneStream(Noise):
    """Draws from a generator of its class, which no seed reaches."""

    stream: ClassVar = np.random.default_rng(1)

    def forward(self, x, training=False):
        y = super().forward(x, training)
        return y + type(self).stream.normal(size=y.shape).astype(y.dtype) if training else y


def still(self, x, training=False):
    self.cache.shape = np.shape(x)
    return np.array(x) + 1.0 * training


def same_draws(self, x, training=False):
    y = still(self, x)
    return y + np.random.default_rng(5).normal(size=y.shape).astype(y.dtype) if training else y


def moves_on(self, x, training=False):
    self.rng.normal()
    return Noise.forward(self, x, training)


fails("draws_in_each_step_and_never_at_inference", Noise, "Still", forward=still)
fails("draws_in_each_step_and_never_at_inference", Noise, "MovesOn", forward=moves_on)
fails("follows_the_seed_of_its_model", Noise, "NoSeed", forward=same_draws)
fails("follows_a_seed_of_its_own", Noise, "NoOwnSeed", forward=same_draws)
fails("layers_of_a_model_draw_different_numbers", Noise, "SameDraws", forward=same_draws)
FAULTS += [
    (OneStream, "follows_the_seed_of_its_model", ""),
    (OneStream, "follows_a_seed_of_its_own", ""),
    (OneStream, "a_copy_continues_with_the_same_numbers", ""),
    (OneStream, "draws_do_not_depend_on_other_layers", ""),
]


# Copies, pickles and files ------------------------------------------------------------------------


def shared(self, memo):
    return self


def other_weights(self, memo):
    again = type(self)(self.factor, name=self.name, dtype=self.dtype)
    if self.built:
        again.build((None, 3))
    return again


def replaced(self, x, training=False):
    y = Scale.forward(self, x, training)
    self.scale = self.scale.copy()
    return y


def more_gradients(self):
    return [*nl.layers.Layer.gradients.fget(self), np.zeros(3)]


fails("freezing_is_obeyed", Scale, "MoreGradients", gradients=property(more_gradients))
fails("shapes_and_dtypes", Scale, "OtherGradients", gradients=property(more_gradients))
fails("shapes_and_dtypes", Embed, "GradientOfIndices", backward=lambda self, dy: 0 * dy)


class Counts(Scale):
    """Multiplies by a number that no copy, configuration or file keeps."""

    made = 0

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(factor, **kwargs)
        type(self).made += 1
        self.number = type(self).made % 7

    def __setstate__(self, state):
        super().__setstate__(state)
        self.number += 2

    def forward(self, x, training=False):
        return super().forward(x, training) * np.float32(self.number)


fails("copies_stand_alone", Scale, "SharedCopy", __deepcopy__=shared)
fails("copies_stand_alone", Scale, "OtherWeights", __deepcopy__=other_weights)
fails("copies_stand_alone", Scale, "Replaced", forward=replaced)
fails(
    "freezing_is_obeyed", Scale, "NeverLearns",
    backward=around("backward", lambda self, dx, *_: self.d_scale.fill(0) or dx),
)  # fmt: skip
fails(
    "freezing_is_obeyed", Scale, "LearnsAlways",
    forward=around(
        "forward", lambda self, y, x, training=False: np.add(
            self.scale, 0.1 * training, out=self.scale
        ) is None or y,
    ),
)  # fmt: skip
fails(
    "freezing_is_obeyed", Centred, "UpdatedWhenFrozen",
    forward=around(
        "forward", lambda self, y, x, training=False: (self.update(x) if training else None) or y
    ),
)  # fmt: skip
FAULTS += [
    (Counts, name, "")
    for name in (
        "copies_stand_alone", "copies_of_a_model_stand_alone", "a_saved_model_comes_back",
        "config_round_trip", "copies_and_pickles",
    )
]  # fmt: skip
fails(
    "config_holds_every_argument", Scale, "ObjectInConfig",
    get_config=lambda self: {**Scale.get_config(self), "factor": {1, 2}},
)  # fmt: skip


# Activations --------------------------------------------------------------------------------------


class Plus(nl.activations.ActivationLayer):
    """``y = x + 1``."""

    needs_input = False

    @staticmethod
    def examples():
        return [({}, (4, 3))]

    def forward(self, x, training=False, inplace=False):
        x, y = self.start_forward(x, training, inplace)
        return np.add(x, 1, out=y)

    def backward(self, dy):
        return self.check_gradient(dy, self.cache.y.shape).copy()


def twice_in_place(self, x, training=False, inplace=False):
    y = Plus.forward(self, x, training, inplace)
    return np.add(y, 1, out=y) if inplace else y


def never_in_place(self, x, training=False, inplace=False):
    return Plus.forward(self, x, training, False)


def spoils(self, x, training=False, inplace=False):
    y = Plus.forward(self, x, training, inplace)
    if inplace and training:
        x += 1
    return y


fails("inplace_gives_the_same_bits", Plus, "TwiceInPlace", forward=twice_in_place)
fails("inplace_gives_the_same_bits", Plus, "NeverInPlace", forward=never_in_place)
fails("inplace_gives_the_same_bits", Plus, "Spoils", forward=spoils, needs_input=True)
