"""One feature, axis, unit or row that is different among others that are not."""

import numpy as np
import pytest
import scipy.sparse as sp

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, ShapeError
from netlayers.layers.recurrent_cell import state_shapes
from netlayers.layers.stacking import Node, _skip_connections

L = nl.layers
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 4)), RNG.normal(size=(8, 1))


def compiled(*layers, loss="mse"):
    model = nl.Sequential(list(layers), seed=0)
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize("place", [0, 1, 3])
def test_one_feature_that_is_too_large_to_adapt_to(place):
    for value in (1e39, -1e39):
        x = X.copy()
        x[:, place] = value
        with pytest.raises(DataError, match="too large for float32"):
            L.Normalization().adapt(x)
    x = X.copy()
    x[::2, place] = 3e19  # the mean is no problem, the variance is one
    with pytest.raises(DataError, match="too large for float32"):
        L.Normalization().adapt(np.concatenate([x, -x]))
    variance = [1.0, 1.0, 1.0, 1.0]
    variance[place] = -1e-9
    with pytest.raises(ConfigurationError, match="not be negative"):
        L.Normalization(mean=[0.0] * 4, variance=variance)


@pytest.mark.parametrize("make", [
    lambda: L.Normalization(axis=(1, 2), mean=np.zeros((3, 2)), variance=np.ones((3, 2))),
    lambda: L.LayerNormalization(axis=(1, 2)),
    lambda: L.BatchNormalization(axis=-1),
    lambda: L.GroupNormalization(1),
])  # fmt: skip
@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 5, 2), (4, 5), (4, 5, 2, 1)])
def test_one_axis_of_another_size(make, shape):
    layer = make()
    layer.build((None, 3, 2))
    x = np.ones(shape, np.float32)
    layer.forward(np.ones((5, 3, 2), np.float32))
    if shape[-1] == 2 and len(shape) == 3 and not isinstance(layer, L.Normalization):
        if isinstance(layer, L.LayerNormalization):
            with pytest.raises(ShapeError):
                layer.forward(x)
        else:
            assert layer.forward(x).shape == shape  # the axis is not among those with weights
        return
    with pytest.raises(ShapeError):
        layer.forward(x)


@pytest.mark.parametrize("shape", [(None, 3, 1), (None, 1, 5), (2, 2, 5), (None, 5), (None, 2, 3)])
def test_one_size_of_a_shape_of_noise_that_does_not_fit(shape):
    layer = L.Dropout(0.5, noise_shape=shape)
    fits = len(shape) == 3 and all(
        n in (None, 1, m) for n, m in zip(shape[1:], (2, 5), strict=True)
    )
    if fits and shape[0] is None:
        layer.build((None, 2, 5))
        assert layer.forward(np.ones((4, 2, 5), np.float32), training=True).shape == (4, 2, 5)
        return
    model = compiled(layer, L.Flatten(), L.Dense(1))
    with pytest.raises(ShapeError, match="noise_shape"):
        model.fit(np.ones((4, 2, 5)), Y[:4], verbose=0)


@pytest.mark.parametrize("place", [0, 2, 3])
def test_one_feature_whose_squares_overflow(place):
    x = X.astype(np.float32)
    x[:, place] *= 1e25
    normalized = L.BatchNormalization()
    normalized.build((None, 4))
    y = normalized.forward(x, training=True)
    plain = L.BatchNormalization()
    plain.build((None, 4))
    expected = plain.forward(X.astype(np.float32), training=True)
    np.testing.assert_allclose(y, expected, rtol=2e-2, atol=1e-3)
    assert np.isfinite(y).all()


@pytest.mark.parametrize("place", [0, 1, 3])
def test_one_feature_far_from_zero_beside_others(place):
    """Columns whose mean is much larger than their deviation are centred again, each of them."""
    x = np.asarray(X, np.float32)
    x[:, place] += 4096
    layer = L.BatchNormalization(epsilon=1e-6)
    layer.build((None, 4))
    exact = x.astype(np.float64)
    expected = (exact - exact.mean(axis=0)) / np.sqrt(exact.var(axis=0) + 1e-6)
    np.testing.assert_allclose(layer.forward(x, training=True), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [([0, 3, 1, 8, 9, 10, 11, 12, 12], range(12))])
def test_one_row_of_a_sparse_matrix_that_goes_back(rows, columns):
    matrix = sp.csr_array((8, 4))
    matrix.data, matrix.indices = np.ones(12), np.arange(12) % 4
    matrix.indptr = np.array(rows)
    with pytest.raises(DataError):
        compiled(L.Dense(1)).fit(matrix, Y, verbose=0)


@pytest.mark.parametrize("place", [0, 4, 7])
def test_one_row_that_is_no_class(place):
    one_hot = np.eye(3)[np.arange(8) % 3]
    model = compiled(L.Dense(3), loss="mse")
    for bad in ([0, 0, 0], [1, 1, 0], [0.5, 0.5, 0], [2, 0, 0], [1, 0, -1e-9]):
        y = one_hot.copy()
        y[place] = bad
        with pytest.raises(DataError, match="not all one-hot"):
            model.fit(X, y, class_weight="balanced", verbose=0)
    single = compiled(L.Dense(1))
    numbers = (np.arange(8) % 2).astype(float)
    numbers[place] = 0.25
    with pytest.raises(DataError, match=r" 0\.25"):
        single.fit(X, numbers, class_weight="balanced", verbose=0)


@pytest.mark.parametrize(
    "boundaries", [[3, 2, 5, 9], [1, 2, 5, 5], [1, 5, 2, 9], [2, 2, 5, 9], [1, 2, 9, 5]]
)
def test_one_boundary_that_is_not_above_the_last(boundaries):
    with pytest.raises(ConfigurationError, match="boundaries"):
        nl.optimizers.schedules.PiecewiseConstantDecay(boundaries, [1.0, 0.5, 0.2, 0.1, 0.05])


@pytest.mark.parametrize("place", [0, 2, 5])
def test_one_unit_that_is_not_like_the_others_is_enough(place):
    model = compiled(L.Dense(6, "tanh", kernel_initializer="ones"), L.Dense(1))
    model.build((None, 4))
    model.layers[1].kernel[...] = 0.5

    def illnesses():
        return [f.illness for f in model.diagnose(X, Y, verbose=0).findings]

    assert "symmetry" in illnesses()
    model.layers[0].kernel[1, place] = 0.3
    assert "symmetry" not in illnesses()


@pytest.mark.parametrize("name", ["kernel", "d_kernel", "a b", "1a", "build", "gradients", "class"])
def test_a_name_that_a_weight_can_not_have(name):
    class Named(L.Layer):
        def build(self, input_shape):
            self.add_weight("kernel", (2,))
            self.add_weight(name, (2,))
            super().build(input_shape)

        def forward(self, x, training=False):
            return x

    if name == "class":  # a word of Python is an identifier by its form
        Named().build((None, 2))
        return
    with pytest.raises(ConfigurationError, match=f"cannot be named {name!r}"):
        Named().build((None, 2))


def test_lists_of_batches_and_lists_of_inputs():
    """Batches are tuples, all of them; else a list is one of rows, or of inputs."""
    batches = [(X[:4], Y[:4]), (X[4:], Y[4:])]
    one, other = compiled(L.Dense(1)), compiled(L.Dense(1))
    one.fit(batches, epochs=2, verbose=0)
    other.fit(X, Y, batch_size=4, shuffle=False, epochs=2, verbose=0)
    np.testing.assert_array_equal(one.parameters.values, other.parameters.values)
    with pytest.raises(nl.errors.NetlayersError):
        compiled(L.Dense(1)).fit([batches[0], list(batches[1])], verbose=0)


CROPPED = [(L.Cropping1D, 1), (L.Cropping2D, 2), (L.Cropping3D, 3)]


@pytest.mark.parametrize(("cls", "rank"), CROPPED)
@pytest.mark.parametrize("axis", range(3))
def test_one_axis_of_which_nothing_is_left(cls, rank, axis):
    for data_format, first in (("channels_last", 1), ("channels_first", 2)):
        shape = [None] + [4] * (rank + 1)
        shape[first + axis % rank] = 3
        layer = cls((1, 2) if rank == 1 else ((1, 2),) * rank, data_format)
        for build in (layer.build, layer.compute_output_shape):
            with pytest.raises(nl.errors.ShapeError, match="3 - 1 - 2 leaves"):
                build(tuple(shape))
        layer.build((None, *[4] * (rank + 1)))
        assert layer.built


@pytest.mark.parametrize(
    ("sources", "uses", "found"),
    [
        ((0, 2), [2, 1, 1], {2: (2, 0)}),
        ((2, 0), [2, 1, 1], {2: (2, 1)}),  # f(h) + h
        ((1, 2), [1, 2, 1], {2: (1, 0)}),
        ((0, 1), [2, 2, 1], {}),  # not the output before
        ((0, 2), [3, 1, 1], {}),  # something else takes h
        ((0, 2), [2, 2, 1], {}),  # or a value within
    ],
)
def test_which_sums_end_a_residual_block(sources, uses, found):
    one, two = L.Dense(3, "relu"), L.Dense(3)
    for layer in (one, two):
        layer.build((None, 3))
    add = L.Add()
    nodes = [Node(one, ((0, None),)), Node(two, ((1, None),))]
    nodes.append(Node(add, tuple((its, None) for its in sources)))
    skips = _skip_connections(nodes, uses)
    assert {n: (skip.depth, skip.order) for n, skip in skips.items()} == found
    assert all(skip.add is add for skip in skips.values())


@pytest.mark.parametrize(
    ("size", "shapes"),
    [
        (1, [(1,)]),
        ([2, (3, 1)], [(2,), (3, 1)]),
        (0, None),
        ([2, 0], None),
        ((3, 0), None),
        (-1, None),
        ((3, -1), None),
        (2.5, None),
    ],
)
def test_one_size_of_a_state_that_is_not_positive(size, shapes):
    class Cell(L.Layer):
        state_size = size

    if shapes is None:
        with pytest.raises(ConfigurationError, match="state_size"):
            state_shapes(Cell())
    else:
        assert list(state_shapes(Cell())) == shapes
