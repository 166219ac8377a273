"""Networks and runs that several test files share."""

import copy
import pickle

import pytest

import netlayers as nl
from netlayers import optimizers as opt

# MultiOptimizer has no rule of its own.
RULES = sorted(
    name
    for name in set(opt.__all__) - {"Optimizer", "MultiOptimizer"}
    if isinstance(getattr(opt, name), type) and issubclass(getattr(opt, name), opt.Optimizer)
)
each_rule = pytest.mark.parametrize("name", RULES)
each_clone = pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"]
)

# Weights [1, -2] and [0.5] after four calls with GRADIENTS, by keras.optimizers of Keras 3.15.1
# (JAX backend, float64), and after finalize_variable_values.
GRADIENTS = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-2.0, 1.0, 0.1], [0.3, 0.0, 4.0]]


class Two(nl.layers.Layer):
    """Two weights, of shapes (2,) and (1,), named as Keras's."""

    def build(self, input_shape):
        self.add_weight("kernel", (2,), "zeros")
        self.add_weight("bias", (1,), "zeros")


def two():
    layer = Two(dtype="float64")
    layer.build((None, 1))
    layer.set_weights([[1.0, -2.0], [0.5]])
    return layer


def run(optimizer, parameters, gradients):
    for g in gradients:
        parameters.gradients[...] = g
        optimizer.step(parameters)
    return parameters.values
