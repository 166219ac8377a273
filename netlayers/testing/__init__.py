"""Contract checks for user-defined layers, losses, optimizers and other classes.

``check_layer(MyLayer)`` runs the checks that netlayers runs on its own layers. ``examples()`` of
the class returns the arguments and inputs to use.

>>> import numpy as np, netlayers as nl
>>> from netlayers.testing import check_layer
>>> class Scale(nl.layers.Layer):
...     def build(self, input_shape):
...         self.add_weight("scale", (input_shape[-1],), initializer="ones")
...     def forward(self, x, training=False):
...         x = self.prepare(x)
...         if training:
...             self.cache.x = x
...         return x * self.scale
...     def backward(self, dy):
...         np.sum(dy * self.cache.x, axis=0, out=self.d_scale)
...         return dy * self.scale
>>> check_layer(Scale).passed
True
"""

from __future__ import annotations

from netlayers.testing.contract import Case, ContractError, ContractReport
from netlayers.testing.families import (
    check_activation,
    check_callback,
    check_constraint,
    check_initializer,
    check_layer,
    check_loss,
    check_metric,
    check_optimizer,
    check_regularizer,
    check_schedule,
    list_checks,
)

__all__ = [
    "Case",
    "ContractError",
    "ContractReport",
    "check_activation",
    "check_callback",
    "check_constraint",
    "check_initializer",
    "check_layer",
    "check_loss",
    "check_metric",
    "check_optimizer",
    "check_regularizer",
    "check_schedule",
    "list_checks",
]
