"""TimeDistributed as the first layer of a model, and the masks that its layer gets."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ShapeError

L = nl.layers
RNG = np.random.default_rng(0)


def test_as_the_first_layer_it_learns():
    x, y = RNG.normal(size=(8, 3, 4)), RNG.normal(size=(8, 3, 2))
    by_step = nl.Sequential([L.TimeDistributed(L.Dense(2))], seed=0, dtype="float64")
    dense = nl.Sequential([L.Dense(2)], seed=0, dtype="float64")
    for model in (by_step, dense):
        model.compile(nl.optimizers.SGD(0.1), "mse")
        model.build((None, 3, 4))
    by_step.set_weights(dense.get_weights())
    for _ in range(2):
        by_step.train_on_batch(x, y)
        dense.train_on_batch(x, y)
    np.testing.assert_allclose(by_step.get_weights()[0], dense.get_weights()[0], rtol=1e-12)


def test_its_layer_gets_the_mask_of_each_step():
    x = RNG.normal(size=(2, 3, 5, 4))  # texts, sentences, words, features
    words = np.arange(5) < np.array([[5, 2, 1], [4, 0, 0]])[..., None]
    inner = L.GRU(6)
    layer = L.TimeDistributed(inner, dtype="float64")
    y = np.array(layer(x, mask=words))
    for text, sentence in np.ndindex(2, 3):
        its = x[text, sentence, words[text, sentence]][None]
        alone = inner(its)[0] if its.size else np.zeros(6)
        np.testing.assert_allclose(y[text, sentence], alone, rtol=1e-12)
    # A sentence without words is a step that is left out.
    np.testing.assert_array_equal(layer.compute_mask(x, words), words.any(axis=-1))
    assert layer.compute_mask(x) is None


def test_masks_in_a_model():
    tokens = np.array([[[3, 1, 0], [2, 0, 0]], [[1, 1, 2], [0, 0, 0]]])
    layers = [L.Embedding(4, 3, mask_zero=True), L.TimeDistributed(L.GRU(3)), L.GRU(2)]
    model = nl.Sequential(layers, seed=0, dtype="float64")
    y = model.predict(tokens)
    more = np.pad(tokens, ((0, 0), (0, 2), (0, 4)))  # more sentences and words
    np.testing.assert_allclose(model.predict(more), y, rtol=1e-12)
    steps = nl.Sequential([*layers[:1], L.TimeDistributed(L.Dense(2))])
    np.testing.assert_array_equal(steps.compute_mask(tokens), tokens != 0)
    pairs = nl.Sequential([L.Masking(), L.TimeDistributed(L.Dense(2))])
    np.testing.assert_array_equal(pairs.compute_mask(np.eye(3)[None, :, :2]), [[1, 1, 0]])


@pytest.mark.parametrize("shape", [(2,), (2, 4), (3, 3, 5)])
def test_a_mask_of_another_shape_is_refused(shape):
    layer = L.TimeDistributed(L.Dense(2))
    with pytest.raises(ShapeError, match=r"\(batch, time, \.\.\.\) = \(2, 3, \.\.\.\), got"):
        layer(np.ones((2, 3, 5)), mask=np.ones(shape, bool))


def test_a_wrapper_of_the_user_gets_the_mask_of_each_step():
    class Masked(L.Wrapper):
        def forward(self, x, training=False, mask=None, mask_out=None):
            y = super().forward(x, training, mask, mask_out)
            return y if mask is None else y * mask[:, None]

    layer = L.TimeDistributed(Masked(L.Dense(1, use_bias=False, kernel_initializer="ones")))
    mask = np.array([[True, False, True], [False, True, True]])
    y = layer(np.ones((2, 3, 4)), mask=mask)
    np.testing.assert_array_equal(y[..., 0], 4.0 * mask)
