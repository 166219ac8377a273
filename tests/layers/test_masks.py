"""A mask reaches the layer that takes it through every kind of container, and what it means."""

import numpy as np
import pytest

import netlayers as nl
from tests.user_layers import MaskedMean, MaskingEmbed

L = nl.layers
RNG = np.random.default_rng(0)
WORDS = np.array([[1, 2, 0, 0, 3], [4, 0, 0, 0, 0], [5, 5, 1, 2, 3], [0, 2, 4, 0, 1]])
Y = RNG.normal(size=(4, 2))


class Passing(L.Layer):
    """Takes a mask, notes it, and hands it on."""

    supports_masking = True
    takes_mask = True

    def forward(self, x, training=False, mask=None):
        self.seen = mask
        return self.prepare(x)

    def backward(self, dy):
        return dy


def inner():
    return [L.Rescaling(2.0), Passing(name="passing"), MaskedMean(), L.Dense(2, name="last")]


FORMS = {
    "flat": inner,
    "nested": lambda: [nl.Sequential(inner())],
    "twice": lambda: [nl.Sequential([nl.Sequential(inner()[:3]), inner()[3]])],
    "in front": lambda: [nl.Sequential(inner()[:2]), *inner()[2:]],
    "residual": lambda: [L.Residual([Passing(name="passing")]), *inner()[2:]],
}


def model(form):
    made = nl.Sequential([MaskingEmbed(6, 3), *FORMS[form]()], seed=0, dtype="float64")
    made.compile(nl.optimizers.SGD(0.1), "mse")
    made.build((None, 5))
    for p in made.parameters.all:
        p.value[...] = np.sin(np.arange(1, p.size + 1)).reshape(p.shape)
    return made


def passing(layer):
    """Return the layer that notes its mask."""
    if isinstance(layer, Passing):
        return layer
    parts = getattr(layer, "layers", ())
    return next((found for found in map(passing, parts) if found is not None), None)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_mask_reaches_the_layer_that_takes_it(form, training):
    made = model(form)
    out = made.forward(WORDS, training)
    np.testing.assert_array_equal(passing(made).seen, WORDS != 0)
    table, last = made.layers[0].table, made.parameters.all[-2:]
    there = (WORDS != 0)[..., None]
    mean = (2 * table[WORDS] * there).sum(axis=1) / there.sum(axis=1)
    weights = {p.name: p.value for p in last}
    np.testing.assert_allclose(out, mean @ weights["kernel"] + weights["bias"], rtol=1e-12)


def test_every_form_learns_the_same():
    ends = []
    for form in FORMS:
        made = model(form)
        made.fit(WORDS, Y, batch_size=2, epochs=3, shuffle=False, verbose=0)
        ends.append(made.parameters.values.copy())
        assert nl.check_gradients(made, WORDS, Y).passed
    for other in ends[1:]:
        np.testing.assert_allclose(other, ends[0], rtol=1e-9)


@pytest.mark.parametrize("form", ["flat", "nested", "twice"])
def test_a_mask_that_is_given(form):
    made = nl.Sequential(FORMS[form](), seed=0, dtype="float64")
    made.build((None, 5, 3))
    x = RNG.normal(size=(4, 5, 3))
    mask = np.array(WORDS != 0)
    masked, plain = made(x, mask=mask), made(x)
    np.testing.assert_array_equal(passing(made).seen, None)
    assert not np.allclose(masked, plain)
    only = x.copy()
    only[~mask] = 77.0  # what is not there does not matter
    np.testing.assert_array_equal(made(only, mask=mask), masked)
    np.testing.assert_array_equal(made(x, mask=np.ones((4, 5), bool)), plain)


@pytest.mark.parametrize(
    "layer", [L.GRU(2), L.TimeDistributed(L.Dense(2)), L.GlobalAveragePooling1D()]
)
def test_a_mask_with_nan_is_refused(layer):
    mask = np.ones((2, 3))
    np.testing.assert_array_equal(layer(np.ones((2, 3, 4)), mask=mask), layer(np.ones((2, 3, 4))))
    mask[1, 2] = np.nan
    with pytest.raises(nl.errors.DataError, match="mask holds NaN; it must be True for"):
        layer(np.ones((2, 3, 4)), mask=mask)


def test_a_mask_ends_at_a_layer_that_does_not_hand_it_on():
    made = nl.Sequential([MaskingEmbed(6, 3), MaskedMean(), L.Dense(2)])
    made.build((None, 5))
    assert made.compute_mask(WORDS) is None
    front = nl.Sequential([MaskingEmbed(6, 3), Passing()])
    front.build((None, 5))
    np.testing.assert_array_equal(front.compute_mask(WORDS), WORDS != 0)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([L.Dense(2)], False),
        ([nl.Sequential([L.Dense(2)])], False),
        ([L.Residual([L.Dense(3)])], False),
        ([MaskingEmbed(6, 3)], True),
        ([Passing()], True),
        ([nl.Sequential([Passing()])], True),
        ([nl.Sequential([nl.Sequential([MaskingEmbed(6, 3)])])], True),
    ],
)
def test_a_network_takes_masks_if_a_layer_makes_or_takes_one(layers, expected):
    made = nl.Sequential(layers)
    made.build((None, 3))
    assert made.takes_mask == expected
