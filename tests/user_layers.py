"""Layers as a user writes them from the docstrings: one for each kind of input and output.

An embedding (integers, no gradient), a gate (two inputs), a layer with two outputs and one that
takes both, a layer that makes a mask and one that takes it, and a layer that remembers something
from batch to batch.
"""

import numpy as np

import netlayers as nl

L, InputSpec = nl.layers, nl.InputSpec


class Embed(L.Layer):
    """``y = table[x]``: a row for each index."""

    input_spec = InputSpec(dtype="integer", ndim=2, gradient=False)

    @staticmethod
    def examples():
        return [({"count": 6, "size": 3}, (4, 5))]

    def __init__(self, count, size, **kwargs):
        super().__init__(**kwargs)
        self.count, self.size = count, size

    def build(self, input_shape):
        self.add_weight("table", (self.count, self.size))

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.size)

    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            self.cache.x = x
        return self.table[x]

    def backward(self, dy):
        x = self.cache.x
        dy = self.check_gradient(dy, (*x.shape, self.size))
        self.d_table[...] = 0
        np.add.at(self.d_table, x, dy)


class MaskingEmbed(Embed):
    """An embedding in which 0 stands for a step that is not there."""

    def compute_mask(self, x, mask=None):
        return np.asarray(x) != 0


class Gate(L.Layer):
    """``y = a sigmoid(b)``."""

    input_spec = (InputSpec(name="a"), InputSpec(name="b"))

    @staticmethod
    def examples():
        return [({}, ((4, 3), (4, 3))), ({}, ((2, 5, 3), (2, 5, 3)))]

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def forward(self, x, training=False):
        a, b = self.prepare(x)
        s = 1 / (1 + np.exp(-b))
        if training:
            self.cache.a, self.cache.s = a, s
        return a * s

    def backward(self, dy):
        a, s = self.cache.a, self.cache.s
        dy = self.check_gradient(dy, a.shape)
        return dy * s, dy * a * s * (1 - s)


class Halves(L.Layer):
    """Two outputs: ``y_0 = x W``, ``y_1 = tanh(x)``."""

    def build(self, input_shape):
        self.add_weight("kernel", (input_shape[-1], 3))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 3), input_shape

    def forward(self, x, training=False):
        x = self.prepare(x)
        t = np.tanh(x)
        if training:
            self.cache.x, self.cache.t = x, t
        return x @ self.kernel, t

    def backward(self, dy):
        x, t = self.cache.x, self.cache.t
        du = self.check_gradient(dy[0], (*x.shape[:-1], 3))
        dt = self.check_gradient(dy[1], x.shape)
        np.matmul(x.T, du, out=self.d_kernel)
        return du @ self.kernel.T + dt * (1 - t * t)


class Join(L.Layer):
    """Takes both: ``y = (u, 2 t)`` side by side."""

    input_spec = (InputSpec(ndim=2), InputSpec(ndim=2))

    @staticmethod
    def examples():
        return [({}, ((4, 3), (4, 2)))]

    def compute_output_shape(self, input_shape):
        u, t = input_shape
        return (u[0], u[1] + t[1])

    def forward(self, x, training=False):
        u, t = self.prepare(x)
        if training:
            self.cache.shapes = u.shape, t.shape
        return np.concatenate([u, 2 * t], axis=1)

    def backward(self, dy):
        u, t = self.cache.shapes
        dy = self.check_gradient(dy, (u[0], u[1] + t[1]))
        return dy[:, : u[1]], 2 * dy[:, u[1] :]


class MaskedMean(L.Layer):
    """The mean over the steps that are there."""

    takes_mask = True
    input_spec = InputSpec(ndim=3)

    @staticmethod
    def examples():
        return [({}, (4, 5, 3))]

    def compute_output_shape(self, input_shape):
        return input_shape[0], input_shape[2]

    def forward(self, x, training=False, mask=None):
        x = self.prepare(x)
        there = np.ones(x.shape[:2]) if mask is None else mask
        share = (there / np.maximum(there.sum(axis=1, keepdims=True), 1)).astype(x.real.dtype)
        if training:
            self.cache.share, self.cache.shape = share, x.shape
        return (x * share[:, :, None]).sum(axis=1)

    def backward(self, dy):
        share, shape = self.cache.share, self.cache.shape
        dy = self.check_gradient(dy, (shape[0], shape[2]))
        return dy[:, None, :] * share[:, :, None].astype(dy.dtype)


class Leaky(L.Layer):
    """``s = s / 2 + x``, ``y = s * scale``: s is remembered from batch to batch."""

    def build(self, input_shape):
        self.add_weight("scale", (input_shape[-1],), initializer="ones")
        self.add_state("sum", (input_shape[-1],))

    def forward(self, x, training=False):
        x = self.prepare(x)
        state = self.state("sum", len(x))
        s = state / 2 + x
        state[...] = s
        if training:
            self.cache.s = s
        return s * self.scale

    def backward(self, dy):
        s = self.cache.s
        dy = self.check_gradient(dy, s.shape)
        np.sum(dy * s, axis=0, out=self.d_scale)
        return dy * self.scale
