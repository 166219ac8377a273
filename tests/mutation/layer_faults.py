"""Small layers as users write them, each with one fault that hides, and a twin without it.

``LAYER_FAULTS`` lists the faulty class, the name of the check that must find it, and a word of the
message; the twin is its base class.
"""

from typing import ClassVar

import numpy as np

import netlayers as nl

L = nl.layers


class Scale(L.Layer):
    """``y = factor x scale`` with a weight for each feature, which starts at 1."""

    can_skip_input_gradient = True

    @staticmethod
    def examples():
        return [({}, (4, 3)), ({"factor": 0.5}, (4, 3))]

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.add_weight("scale", (input_shape[-1],), initializer="ones")

    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            self.cache.x = x
        y = self.buffer("y", x.shape, training)
        np.multiply(x, self.scale, out=y)
        return np.multiply(y, self.factor, out=y)

    def backward(self, dy, input_gradient=True):
        x = self.cache.x
        dy = self.check_gradient(dy, x.shape)
        np.multiply(np.einsum("ij,ij->j", dy, x), self.factor, out=self.d_scale)
        return dy * self.scale * self.factor if input_gradient else None


class ForgottenFactor(Scale):
    def backward(self, dy, input_gradient=True):
        super().backward(dy)
        return dy * self.factor  # right while the scale is 1


class AddedGradient(Scale):
    def backward(self, dy, input_gradient=True):
        before = self.d_scale.copy()
        dx = super().backward(dy, input_gradient)
        self.d_scale[...] += before
        return dx


class StaleCache(Scale):
    def forward(self, x, training=False):
        y = super().forward(x, training)
        if training and getattr(self, "first", None) is None:
            self.first = self.cache.x
        if training and self.first.shape == self.cache.x.shape:
            self.cache.x = self.first
        return y


class InferenceInCache(Scale):
    def forward(self, x, training=False):
        y = super().forward(x, training)
        self.cache.x = self.prepare(x)
        return y


class InferenceInOldCache(InferenceInCache):
    """As above, but only once there was a training step, and for batches of one size."""

    def forward(self, x, training=False):
        x = self.prepare(x)
        y = Scale.forward(self, x, training)
        if not training and "x" in vars(self.cache):
            self.cache.x = np.resize(x, self.cache.x.shape)
        return y


class Float32Fault(Scale):
    def backward(self, dy, input_gradient=True):
        dx = super().backward(dy, input_gradient)
        if self.compute_dtype == "float32":
            self.d_scale *= 1.01
        return dx


class RoundedByBatch(Scale):
    exact_rows = True

    def forward(self, x, training=False):
        y = super().forward(x, training)
        return y * (1 + len(x) % 2 * np.finfo(y.dtype).eps)


class SkippedWeights(Scale):
    def backward(self, dy, input_gradient=True):
        dx = super().backward(dy, input_gradient)
        if not input_gradient:
            self.d_scale *= 2
        return dx


class ForwardInPlace(Scale):
    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            self.cache.x = x.copy()
        x *= self.scale * self.factor
        return x


class WrittenInBetween(Scale):
    __module__ = "netlayers.planted"  # so that its arguments are not read-only anyway

    def forward(self, x, training=False):
        x = self.prepare(x)
        np.multiply(x, 2, out=x)
        np.divide(x, 2, out=x)
        return super().forward(x, training)


class BackwardInPlace(Scale):
    def backward(self, dy, input_gradient=True):
        kept = dy.copy()
        dy *= self.scale * self.factor
        super().backward(kept)
        return dy


class SharedBuffer(Scale):
    kept: ClassVar = {}

    def forward(self, x, training=False):
        y = super().forward(x, training)
        if training:
            shared = self.kept.setdefault((y.shape, y.dtype), np.empty_like(y))
            shared[...] = self.cache.x
            self.cache.x = shared
        return y


class OneBufferForAllCalls(Scale):
    def forward(self, x, training=False):
        y = super().forward(x, training)
        if training:
            self.x = self.cache.x
        return y

    def backward(self, dy, input_gradient=True):
        self.cache.x  # noqa: B018  # the error for a backward without a forward
        self.cache.x = self.x
        return super().backward(dy, input_gradient)


class InferenceIntoBuffer(Scale):
    def forward(self, x, training=False):
        y = super().forward(x, training)
        if not training:
            out = self.buffer("out", y.shape)
            out[...] = y
            return out
        return y


class IgnoredArgument(Scale):
    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            self.cache.x = x
        return x * self.scale * 2

    def backward(self, dy, input_gradient=True):
        self.d_scale[...] = 2 * np.sum(dy * self.cache.x, axis=0)
        return 2 * dy * self.scale


class ForgottenInConfig(Scale):
    def get_config(self):
        config = super().get_config()
        del config["factor"]
        return config


class DefaultInConfig(Scale):
    def get_config(self):
        return {**super().get_config(), "factor": 2.0}


class IgnoredByFromConfig(Scale):
    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "factor": 2.0})


class SwallowedArguments(Scale):
    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, factor=2.0, *, name=None, dtype=None, **kwargs):
        super().__init__(factor, name=name, dtype=dtype)


class NoExample(Scale):
    @staticmethod
    def examples():
        return [({}, (4, 3))]


class WideOutput(Scale):
    def forward(self, x, training=False):
        return super().forward(x, training).astype("float64")


class Centred(L.Layer):
    """``y = x - mean``, with a running mean at inference."""

    same_in_training = False

    def build(self, input_shape):
        self.add_weight("mean", (input_shape[-1],), "zeros", statistic=True)

    def update(self, x):
        self.mean[...] = 0.9 * self.mean + 0.1 * x.mean(axis=0)

    def forward(self, x, training=False):
        x = self.prepare(x)
        if not training:
            return x - self.mean
        self.cache.shape = x.shape
        if self.trainable:
            self.update(x)
        return x - x.mean(axis=0)

    def backward(self, dy):
        dy = self.check_gradient(dy, self.cache.shape)
        return dy - dy.mean(axis=0)


class UpdatedAtInference(Centred):
    def forward(self, x, training=False):
        y = super().forward(x, training)
        if not training:
            self.update(self.prepare(x))
        return y


LAYER_FAULTS = [
    (ForgottenFactor, "gradients_are_derivatives", "input"),
    (AddedGradient, "batches_do_not_depend_on_earlier_ones", "not +="),
    (StaleCache, "batches_do_not_depend_on_earlier_ones", "new layer"),
    (InferenceInCache, "backward_needs_a_training_forward", "training=True alone"),
    (InferenceInOldCache, "inference_between_forward_and_backward", "self.cache"),
    (Float32Fault, "float32_agrees_with_float64", "rounding"),
    (RoundedByBatch, "rows_are_exact", "exact_rows"),
    (SkippedWeights, "input_gradient_can_be_left_out", "input_gradient=False"),
    (SkippedWeights, "gradients_are_derivatives_in_a_model", "first in a model"),
    (ForwardInPlace, "given_arrays_are_unchanged", "read-only"),
    (WrittenInBetween, "given_arrays_are_unchanged", "read-only"),
    (BackwardInPlace, "given_arrays_are_unchanged", "read-only"),
    (SharedBuffer, "two_layers_keep_apart", "attributes of the class"),
    (OneBufferForAllCalls, "two_calls_keep_apart", "two calls"),
    (InferenceIntoBuffer, "inference_output_is_the_callers", "new array at inference"),
    (UpdatedAtInference, "inference_changes_nothing", "running statistics"),
    (IgnoredArgument, "every_argument_has_an_effect", "factor"),
    (ForgottenInConfig, "config_holds_every_argument", "no factor"),
    (DefaultInConfig, "config_holds_every_argument", "self.factor = factor"),
    (IgnoredByFromConfig, "config_round_trip", "from_config"),
    (SwallowedArguments, "unknown_arguments_are_refused", "kwargs"),
    (NoExample, "examples_show_every_argument", "no example for factor"),
    (WideOutput, "shapes_and_dtypes", "float64"),
]
