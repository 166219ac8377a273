"""A layer with a state is checked after one batch: a state of 0 hides what is wrong about it."""

import numpy as np

import netlayers as nl
from tests.user_layers import Leaky

X = np.random.default_rng(0).normal(size=(3, 4))


class ForgetsTheState(Leaky):
    """Its gradient of the scale is that of a state of 0."""

    def forward(self, x, training=False):
        y = super().forward(x, training)
        if training:
            self.cache.s = self.prepare(x)
        return y


def test_a_gradient_that_is_right_for_a_state_of_zero_alone():
    assert nl.check_gradients(Leaky(), X).passed
    report = nl.check_gradients(ForgetsTheState(), X)
    assert [row.name for row in report.rows if not report._passes(row)] == [
        "forgets_the_state/scale"
    ]
