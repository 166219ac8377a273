"""Copies of statistics and states, random streams of layers, and dtypes of parts."""

import numpy as np

import netlayers as nl
from netlayers import layers
from netlayers.core.buffers import BufferCopies, states_of
from netlayers.core.building import abstract_build
from netlayers.core.calls import Call, calls_of, generators_of
from netlayers.core.gradients import RowGradient
from netlayers.core.hooks import call_name, used_by
from netlayers.random import Streams


class Counts(layers.Layer):
    """Has a statistic, one of integers, and a state."""

    def build(self, input_shape):
        self.add_weight("mean", (2,), "zeros", statistic=True)
        self.add_weight("count", (1,), "zeros", statistic=True, dtype="int64")
        self.add_state("last", (2,))

    def forward(self, x, training=False):
        x = self.prepare(x)
        self.state("last", len(x))[...] = x
        return x


def test_buffers_of_statistics_and_states():
    layer, x = Counts(name="c"), np.ones((3, 2), np.float32)
    layer.build((None, 2))
    copies = BufferCopies(layer)
    assert copies.empty is False
    assert list(states_of(layer)) == ["c/last"]
    copies.restore()  # of nothing
    copies.take()
    layer.forward(x)
    layer.mean[...], layer.count[...] = 5, 6
    copies.restore()
    assert layer.states["last"].value is None
    assert (layer.mean.tolist(), layer.count.tolist()) == ([0, 0], [0])
    layer.forward(x)
    copies.take()
    kept = copies.copies
    layer.forward(2 * x)
    copies.restore()
    assert layer.states["last"].value.tolist() == x.tolist()
    copies.take()
    assert copies.copies is kept  # the same memory again
    layer.reset_states()
    copies.restore()
    assert layer.states["last"].value.tolist() == x.tolist()
    layer.reset_states()
    layer.forward(x[:2])
    copies.restore()
    assert layer.states["last"].value.shape == (3, 2)
    layer.reset_states()
    layer.forward(x[:2])
    copies.take()
    assert copies.copies is not kept
    other = Counts(name="c")
    other.build((None, 2))
    layer.mean[...] = 9
    copies.take()
    copies.restore(other)
    assert other.mean.tolist() == [9, 9]
    assert other.states["last"].value.tolist() == x[:2].tolist()
    plain = layers.Dense(2)
    plain.build((None, 2))
    assert BufferCopies(plain).empty is True


def test_streams_of_a_module():
    drop = layers.Dropout(0.5, name="drop")
    drop._use_streams(Streams(1), keep=True)
    first = drop.rng
    assert first.random() == Streams(1).get("layer/drop").random()
    drop._use_streams(Streams(2), keep=True)
    assert drop.rng is first
    drop._use_streams(Streams(2))
    assert drop.rng is not first
    own = layers.Dropout(0.5, seed=3)
    mine = own.rng
    own._use_streams(Streams(1))
    assert own.rng is mine
    first = drop.rng
    drop.build((None, 2))
    drop._bind_alone()
    assert drop.rng is first
    dense = layers.Dense(1)
    dense._use_streams(Streams(1))
    assert dense.rng is None
    shared = layers.Dropout(0.5, name="shared")
    one = nl.Sequential([shared], seed=0)
    one.build((None, 2))
    first = shared.rng
    assert shared._is_shared is False
    two = nl.Sequential([shared], seed=1)
    two.build((None, 2))
    assert shared._is_shared is True
    assert shared.rng is first


def test_building_parts_in_the_dtype_of_the_whole():
    class Outer(layers.Layer):
        def __init__(self, **more):
            super().__init__(**more)
            self.inner = layers.Dense(2)

        def build(self, input_shape):
            self.inner.build(input_shape)
            self.declared_parameters += self.inner.declared_parameters

        def forward(self, x, training=False):
            return self.inner.forward(self.prepare(x), training)

    outer = Outer(dtype="float64")
    assert outer.forward(np.ones((1, 3))).dtype == "f8"
    assert outer.inner.compute_dtype == "float64"
    assert (outer.dtype, outer.inner.dtype) == ("float64", "float64")
    assert (outer.get_config()["dtype"], outer.inner.get_config()["dtype"]) == ("float64", None)
    assert layers.Conv2D(2, 3).dtype == "float32"  # as in Keras
    assert outer.inner.kernel.dtype == "f8"


def test_calls_and_generators_of_a_layer():
    drop = layers.Dropout(0.5, name="drop")
    drop._use_streams(Streams(0))
    again = drop.new_call()
    again._use_streams(Streams(0))
    holder = layers.Dense(1)
    holder.more = [again]
    assert list(calls_of(holder)) == [again]
    assert again.number == 2
    assert repr(again) == f"Call({drop!r}, 2)"
    assert again.name == "drop"
    assert list(generators_of(drop)) == ["0.rng"]
    assert [call_name("a", n) for n in (1, 2)] == ["a", "a (call 2)"]
    its = nl.Sequential([layers.Dense(1), drop])
    assert used_by(its) == its.layers
    assert isinstance(again, Call)


def test_gradients_of_rows():
    gradient = RowGradient((5, 2, 3), np.dtype("f4"))
    assert gradient.values.shape == (0, 2, 3)
    ones = np.ones((3, 2, 3))
    gradient.set([3, 1, 3], ones * [[[1]], [[2]], [[4]]])
    assert gradient.rows.tolist() == [1, 3]
    assert gradient.values[:, 0, 0].tolist() == [2, 5]
    gradient.add([1, 0], ones[:2])
    assert (gradient.rows.tolist(), gradient.values[:, 1, 2].tolist()) == ([0, 1, 3], [1, 3, 5])
    dense = gradient.dense()
    assert (dense.shape, dense.dtype, dense[2].sum(), dense[3].sum()) == ((5, 2, 3), "f4", 0, 30)
    assert np.asarray(gradient, "f8").dtype == "f8"
    assert np.asarray(gradient).dtype == "f4"
    gradient.clear()
    gradient.add([4], ones[:1])
    assert gradient.rows.tolist() == [4]
    table = np.arange(30.0).reshape(5, 2, 3)
    gradient.set_dense(table)
    assert gradient.rows.tolist() == [0, 1, 2, 3, 4]
    assert gradient.values.dtype == "f4"
    assert (np.asarray(gradient) == table).all()


def test_weights_that_are_declared_alone():
    with abstract_build():
        layer = layers.Dense(2)
        layer.build((None, 3))
        assert (layer.kernel.shape, layer.kernel.dtype) == ((3, 2), "f4")
        assert layer.kernel.max() == layer.kernel.min() == 0
    assert layer.kernel.max() > 0


def test_a_parameter_has_no_gradient_before_there_is_a_vector():
    class Weighted(nl.layers.Layer):
        def build(self, input_shape):
            self.add_weight("w", (3,))
            self.add_weight("s", (3,), "zeros", statistic=True)
            self.before = [p.gradient for p in self.declared_parameters]

        def forward(self, x, training=False):
            return self.prepare(x) * self.w

    layer = Weighted()
    layer(np.ones((2, 3)))
    assert layer.before == [None, None]
    now = [p.gradient for p in layer.declared_parameters]
    assert now[0].shape == (3,)
    assert now[1] is None
