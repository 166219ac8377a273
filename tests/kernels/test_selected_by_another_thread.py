"""Kernels that another thread selects meanwhile change nothing of a call that has begun."""

import numpy as np
import pytest

import netlayers as nl


@pytest.fixture
def compiled():
    pytest.importorskip("numba")
    before = nl.kernels_in_use()
    nl.use_kernels("numba")
    yield
    nl.use_kernels(before)


@pytest.mark.usefixtures("compiled")
def test_a_stack_that_was_begun_with_compiled_kernels():
    model = nl.Sequential([nl.layers.Dense(8, "tanh"), nl.layers.Dense(1)], seed=0)
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    y = model.forward(x, training=True)
    dx = model.backward(np.ones_like(y)).copy()
    gradients = model.parameters.gradients.copy()
    (stack,) = model._stages()
    nl.use_kernels("numpy")  # as between choosing the stack and calling it
    np.testing.assert_array_equal(stack.forward(x), y)
    np.testing.assert_array_equal(stack.forward(x, training=True), y)
    np.testing.assert_array_equal(stack.backward(np.ones_like(y)), dx)
    np.testing.assert_array_equal(model.parameters.gradients, gradients)


@pytest.mark.usefixtures("compiled")
def test_kernels_are_replaced_at_once():
    """No thread sees the kernels of one kind under the name of the other."""
    kernels = nl.kernels.select.kernels
    before = vars(kernels)
    nl.use_kernels("numpy")
    assert vars(kernels) is not before
    assert before["name"] == "numba"
    assert vars(kernels) == {"name": "numpy"}
