"""Every optimizer goes on where there is nothing to learn, or little of it."""

import numpy as np
import pytest

import netlayers as nl
from tests.optimizers.networks import RULES

pytestmark = pytest.mark.filterwarnings("ignore:.* has no trainable weights:UserWarning")
L = nl.layers
X, Y = np.ones((4, 3)), np.ones((4, 3))
OPTIONS = [
    {},
    {"weight_decay": 0.1, "global_clipnorm": 1.0},
    {"clipnorm": 1.0, "use_ema": True, "ema_overwrite_frequency": 1},
    {"clipvalue": 0.5, "gradient_accumulation_steps": 2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o) or "plain")
@pytest.mark.parametrize("name", RULES)
def test_no_weights_and_frozen_ones(name, options):
    for layers in ([L.Activation("relu")], [L.Dense(3, trainable=False)]):
        model = nl.Sequential(layers, seed=0)
        model.compile(getattr(nl.optimizers, name)(0.1, **options), "mse", metrics=["mae"])
        model.build((None, 3))
        before = model.parameters.values.copy()
        history = model.fit(X, Y, epochs=2, batch_size=2, verbose=0).history
        assert history["loss"][0] == history["loss"][1]
        np.testing.assert_array_equal(model.parameters.values, before)


@pytest.mark.parametrize("name", RULES)
def test_one_number_to_learn(name):
    model = nl.Sequential([L.Dense(3, trainable=False), L.Dense(1, use_bias=False)], seed=0)
    # The first update of Ftrl forgets the initial weight.
    model.compile(getattr(nl.optimizers, name)(1.0 if name == "Ftrl" else 0.01), "mse")
    model.build((None, 1))
    frozen = model.layers[0].kernel.copy()
    history = model.fit(X[:, :1], Y[:, :1], epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    np.testing.assert_array_equal(model.layers[0].kernel, frozen)
