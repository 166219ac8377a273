"""What recurrent layers do in time: states, masks, dropout, cells of a user."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, ShapeError

L = nl.layers
KINDS = (L.SimpleRNN, L.LSTM, L.GRU)
X = np.random.default_rng(0).normal(size=(3, 6, 2))


def filled(layer, shape=(None, 6, 2)):
    """Return a built layer with weights at random, biases too."""
    layer.build(shape)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    return layer


def listed(y):
    return y if isinstance(y, tuple) else (y,)


# Initial states, and states between batches --------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_series_in_two_parts_is_the_series(kind):
    layer = filled(kind(4, return_sequences=True, return_state=True, dtype="float64"))
    whole, *last = layer(X)
    first, *states = (np.array(a) for a in layer(X[:, :2]))
    rest, *end = layer(X[:, 2:], initial_state=states if len(states) > 1 else states[0])
    np.testing.assert_allclose(np.concatenate([first, rest], axis=1), whole, rtol=1e-13)
    np.testing.assert_allclose(end, last, rtol=1e-13)
    again = layer((X[:, 2:], *states))  # as further inputs
    np.testing.assert_array_equal(again[0], rest)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stateful_layer_goes_on_from_the_last_batch(kind):
    layer = filled(kind(4, return_sequences=True, dtype="float64"))
    stateful = filled(kind(4, return_sequences=True, stateful=True, dtype="float64"))
    whole = layer(X)
    for training in (False, True):
        stateful.reset_states()
        parts = [stateful.forward(X[:, t : t + 2], training).copy() for t in (0, 2, 4)]
        np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-13)
    stateful.reset_state()
    np.testing.assert_allclose(stateful(X[:, :2]), whole[:, :2], rtol=1e-13)
    with pytest.raises(ShapeError, match="batches of 3 samples, got 2"):
        stateful(X[:2])


def stateful_model():
    model = nl.Sequential([L.LSTM(3, stateful=True), L.Dense(1)], seed=0)
    model.compile("adam", "mse")
    return model


def test_states_are_saved_and_resumed_to_the_bit(tmp_path):
    x, y = X.astype("float32"), np.ones((3, 1), "float32")
    model = stateful_model()
    for _ in range(2):
        model.train_on_batch(x, y)
    model.save(tmp_path / "model.safetensors")
    again = nl.models.load_model(tmp_path / "model.safetensors")
    for one in (model, again):
        one.train_on_batch(x, y)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    with pytest.raises(ShapeError, match="drop the last, smaller one"):
        model.fit(np.ones((4, 6, 2)), np.ones((4, 1)), batch_size=3, verbose=0)


def test_an_encoder_and_a_decoder():
    source, target = nl.Input((None, 2)), nl.Input((None, 3))
    _, h, c = L.LSTM(4, return_state=True, name="encoder")(source)
    decoded = L.LSTM(4, return_sequences=True, name="decoder")(target, initial_state=[h, c])
    model = nl.Model([source, target], L.Dense(2)(decoded), seed=0, dtype="float64")
    y = np.random.default_rng(2).normal(size=(3, 4, 3))
    assert model.predict([X, y], verbose=0).shape == (3, 4, 2)
    assert nl.check_gradients(model, (X, y)).passed
    again = nl.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict([X, y]), model.predict([X, y]))
    encoder = model.get_layer("encoder")
    _, *states = encoder(X)
    decoder = model.get_layer("decoder")
    np.testing.assert_allclose(
        decoder(y, initial_state=states) @ model.layers[-1].kernel + model.layers[-1].bias,
        model.predict([X, y]),
        rtol=1e-12,
    )


def test_what_is_refused():
    layer = L.LSTM(4)
    with pytest.raises(DataError, match="2 arrays, one for each state, got 1"):
        layer(X, initial_state=[np.zeros((3, 4))])
    with pytest.raises(ShapeError, match=r"initial_state must have the shapes \(batch, 4\)"):
        layer(X, initial_state=[np.zeros((3, 4)), np.zeros((3, 5))])
    with pytest.raises(ShapeError, match=r"mask must have the shape .* \(3, 6\), got \(3, 5\)"):
        layer(X, mask=np.ones((3, 5), bool))
    with pytest.raises(ShapeError, match=r"at least one step, got \(batch, 0, 2\)"):
        layer(X[:, :0])
    with pytest.raises(ShapeError, match=r"\(batch, steps, features\) with at least one step"):
        L.GRU(4)(X[:, 0])
    with pytest.raises(ConfigurationError, match="ActivityRegularization"):
        L.GRU(4, activity_regularizer="l2")
    with pytest.raises(ConfigurationError, match="state_size"):
        L.RNN(L.Dense(3))
    for cell in (L.LSTM(2), [L.LSTMCell(2), L.GRU(2)], L.Bidirectional(L.GRU(2))):
        with pytest.raises(ConfigurationError, match="is a layer that computes all steps"):
            L.RNN(cell)
    with pytest.raises(ConfigurationError, match="at least one cell"):
        L.RNN([])
    for arguments in (("LSTM",), (L.LSTM(2), "concat", None, "LSTM")):
        with pytest.raises(ConfigurationError, match=r"such as LSTM\(32\).*, got 'LSTM'"):
            L.Bidirectional(*arguments)


# Masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("arguments", [{}, {"return_sequences": True}])
@pytest.mark.parametrize("kind", KINDS)
def test_more_padding_changes_nothing(kind, arguments, zero):
    layer = filled(
        kind(3, return_state=True, zero_output_for_mask=zero, dtype="float64", **arguments)
    )
    mask = np.arange(6) < np.array([6, 3, 4])[:, None]
    rng = np.random.default_rng(3)
    results = []
    for more in (0, 4):
        x = np.concatenate([X, np.full((3, more, 2), np.nan)], axis=1)
        x[np.pad(~mask, ((0, 0), (0, more)), constant_values=True)] = rng.normal() * 100
        padded = np.pad(mask, ((0, 0), (0, more)))
        y, *states = layer.forward(x, training=True, mask=padded)
        y = y[:, :6] if arguments else y
        states = [s.copy() for s in states]
        dy = np.random.default_rng(4).normal(size=(3, 6 + more, 3) if arguments else y.shape)
        if arguments:
            dy[~padded] = 0
        y = y.copy()
        if arguments:
            dy = np.random.default_rng(4).normal(size=(3, 10, 3))[:, : 6 + more]
            dy[~padded] = 0
        if zero and not arguments:
            dy[...] = 0  # the last steps are left out
        dx = layer.backward((dy, *[np.ones((3, 3))] * len(states)))
        assert (dx[~padded] == 0).all()
        assert np.isfinite(dx).all()
        here = y if not zero or arguments else 0 * y  # of the last step alone
        results.append([here, *states, dx[:, :6].copy(), *map(np.array, layer.gradients)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_sample_is_the_shorter_sample(kind):
    layer = filled(kind(3, return_sequences=True, dtype="float64"))
    mask = np.arange(6) < np.array([6, 3, 4])[:, None]
    y = layer(X, mask=mask)
    np.testing.assert_allclose(layer(X[1:2, :3])[0], y[1, :3], rtol=1e-13)
    np.testing.assert_allclose(y[1, 3:], np.broadcast_to(y[1, 2], (3, 3)), rtol=0)


# Dropout -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_the_same_in_all_steps_and_ends_at_inference(kind):
    layer = filled(kind(50, dropout=0.5, recurrent_dropout=0.4, seed=1, dtype="float64"))
    plain = filled(kind(50, dtype="float64"))
    np.testing.assert_array_equal(layer(X), plain(X))
    first, second = (layer.forward(X, training=True).copy() for _ in range(2))
    assert (first != second).all()
    x_mask, h_mask = layer.cache.masks
    assert set(np.unique(x_mask)) <= {0.0, 2.0}
    assert abs((h_mask == 0).mean() - 0.4) < 0.15
    # One mask for x, whatever the step: as if the entries of x were dropped before.
    only_x = filled(kind(50, dropout=0.5, seed=1, dtype="float64"))
    y = only_x.forward(X, training=True)
    np.testing.assert_allclose(y, plain(X * only_x.cache.masks[0][:, None]), rtol=1e-12)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def keras_step(kind, masks, weights, x, states, reset_after=True):
    """A step with one dropout mask for each gate, as ``implementation=1`` of Keras's cells."""
    kernel, recurrent, bias = weights
    (x_masks, h_masks), h = masks, states[0]
    w, u = (np.split(a, len(h_masks), axis=1) for a in (kernel, recurrent))
    b = np.split(bias, len(h_masks), axis=-1)
    zx = [(x * m) @ a for m, a in zip(x_masks, w, strict=True)]
    hs = [h * m for m in h_masks]
    if kind is L.LSTM:
        i, f, g, o = (z + a @ c + d for z, a, c, d in zip(zx, hs, u, b, strict=True))
        c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]
    bx, bh = ([d[0] for d in b], [d[1] for d in b]) if reset_after else (b, [0, 0, 0])
    z, r = (sigmoid(zx[k] + bx[k] + hs[k] @ u[k] + bh[k]) for k in (0, 1))
    inner = r * (hs[2] @ u[2] + bh[2]) if reset_after else (r * hs[2]) @ u[2]
    return [z * h + (1 - z) * np.tanh(zx[2] + bx[2] + inner)]


@pytest.mark.parametrize("by_step", [False, True])
@pytest.mark.parametrize(
    ("kind", "arguments"), [(L.LSTM, {}), (L.GRU, {}), (L.GRU, {"reset_after": False})]
)
def test_with_recurrent_dropout_each_gate_drops_its_own(kind, arguments, by_step, monkeypatch):
    if by_step:
        monkeypatch.setattr(kind._cell_class, "_runs_all_steps", False)
    arguments = {**arguments, "seed": 1, "dtype": "float64"}
    layer = filled(kind(4, dropout=0.5, recurrent_dropout=0.4, **arguments))
    assert nl.check_gradients(layer, X).passed
    drawn = []
    draw = layer.cell._draw_masks
    monkeypatch.setattr(
        layer.cell, "_draw_masks", lambda *a: drawn.append(draw(*a)) or drawn[-1], raising=False
    )
    y = layer.forward(X, training=True)
    gates, after = 4 if kind is L.LSTM else 3, arguments.get("reset_after", True)
    assert [m.shape for m in drawn[0]] == [(gates, 3, 2), (gates, 3, 4)]
    assert all((m[0] != m[1]).any() for m in drawn[0])
    states = [np.zeros((3, 4))] * 2
    for t in range(6):
        states = keras_step(kind, drawn[0], layer.get_weights(), X[:, t], states, after)
    np.testing.assert_allclose(y, states[0], rtol=1e-12)


def test_one_mask_for_all_gates_or_one_for_each():
    for implementation, shape in ((2, (3, 2)), (0, (3, 2)), (1, (4, 3, 2))):
        layer = filled(L.LSTM(4, dropout=0.5, implementation=implementation, dtype="float64"))
        layer.forward(X, training=True)
        assert layer.cache.masks[0].shape == shape


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_follows_the_seeds(kind):
    def outputs(model_seed, **arguments):
        model = nl.Sequential([kind(4, recurrent_dropout=0.5, **arguments)], seed=model_seed)
        filled(model)
        found = [model.forward(X, training=True).copy() for _ in range(2)]
        twin = copy.deepcopy(model)
        np.testing.assert_array_equal(twin.forward(X, training=True), model.forward(X, True))
        return np.array(found)

    np.testing.assert_array_equal(outputs(1), outputs(1))
    assert (outputs(1) != outputs(2)).any()
    np.testing.assert_array_equal(outputs(1, seed=3), outputs(2, seed=3))


# Cells ---------------------------------------------------------------------------------------


class Fading(L.RNNCell):
    """``h = decay h + x``."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.add_weight("decay", (self.units,), initializer="ones")

    def forward(self, x, training=False):
        x, h = self.prepare(x)
        if training:
            self.cache.h = h
        y = x + self.decay * h
        return 2 * y, y

    def backward(self, dy):
        dy = 2 * dy[0] + dy[1]
        np.sum(dy * self.cache.h, axis=0, out=self.d_decay)
        return dy, dy * self.decay


@pytest.mark.parametrize("masked", [False, True])
def test_a_cell_of_the_user(masked):
    layer = L.RNN(Fading(2), return_sequences=True, return_state=True, dtype="float64")
    layer.build((None, 6, 2))
    layer.cell.decay[...] = [0.5, 0.9]
    mask = np.array([[1, 0, 1, 1, 0, 1]] * 3, bool) if masked else None
    y, h = layer.forward(X, training=True, mask=mask)
    state, out = np.zeros((3, 2)), np.zeros((3, 2))
    for t in range(6):
        if not masked or mask[0, t]:
            state = X[:, t] + np.array([0.5, 0.9]) * state
            out = 2 * state
        np.testing.assert_allclose(y[:, t], out)
    np.testing.assert_allclose(h, state)
    assert nl.check_gradients(layer, X).passed
    assert nl.check_gradients(nl.Sequential([layer]), X).passed


def test_a_cell_alone_is_a_step_of_its_layer():
    for kind, cell in ((L.SimpleRNN, L.SimpleRNNCell), (L.LSTM, L.LSTMCell), (L.GRU, L.GRUCell)):
        layer = filled(kind(4, return_state=True, dtype="float64"))
        one = cell(4, dtype="float64")
        y, *states = layer(X[:, :1])
        zeros = [np.zeros((3, 4))] * len(states)
        one.build(((None, 2), *[(None, 4)] * len(states)))
        one.set_weights(layer.get_weights())
        out, new = one(X[:, 0], zeros)
        for a, b in zip((y, *states), (out, *new), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)


def test_one_layer_called_twice():
    x = nl.Input((6, 2))
    layer = L.GRU(2, return_sequences=True, recurrent_dropout=0.3, seed=2)
    model = nl.Model(x, layer(layer(x)), seed=0, dtype="float64")
    assert nl.check_gradients(model, X).passed


def test_no_fused_loss_with_the_activation_of_a_recurrent_layer():
    model = nl.Sequential([L.GRU(1, activation="sigmoid")], seed=0, dtype="float64")
    model.compile("sgd", "binary_crossentropy")
    x, y = X, np.array([[0.0], [1.0], [1.0]])
    model.train_on_batch(x, y)
    assert nl.check_gradients(model, x, y).passed


class Twice(L.RNNCell):
    """A cell with nested states: a is x, (b, c) sum up x and its square."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.state_size = units, [units, [units, (1, units)]]

    def forward(self, x, training=False):
        x, _, b, c = self.prepare(x)
        if training:
            self.cache.x = x
        return b + x, x, b + x, c + x[:, None] ** 2

    def backward(self, dy):
        dy, da, db, dc = dy
        return dy + da + db + 2 * self.cache.x * dc[:, 0], np.zeros_like(da), dy + db, dc


def test_states_of_a_cell_of_the_user_can_be_nested():
    layer = L.RNN(Twice(2), return_state=True, dtype="float64")
    y, a, (b, c) = layer(X)
    np.testing.assert_allclose(y, X.sum(axis=1))
    np.testing.assert_allclose(c[:, 0], (X**2).sum(axis=1))
    np.testing.assert_array_equal((a, b), (X[:, -1], y))
    assert nl.check_gradients(layer, X).passed
    _, *states = layer(X[:, :3])
    assert np.allclose(layer(X[:, 3:], initial_state=states)[2][1], c)
    step = layer.cell(X[:, 0], [a, (b, c)])
    np.testing.assert_allclose(step[1][1][1][:, 0], c[:, 0] + X[:, 0] ** 2)


def test_states_of_stacked_cells_are_nested_as_in_keras():
    layer = L.RNN([L.LSTMCell(3), L.GRUCell(2)], return_state=True, dtype="float64")
    y, (h, c), g = layer(X)
    assert [s.shape for s in (h, c, g)] == [(3, 3), (3, 3), (3, 2)]
    np.testing.assert_array_equal(y, g)
    _, *states = layer(X[:, :3])
    np.testing.assert_allclose(layer(X[:, 3:], initial_state=states)[0], y, rtol=1e-12)
    source, target = nl.Input((6, 2)), nl.Input((6, 2))
    _, *symbolic = layer(source)
    again = L.RNN([L.LSTMCell(3), L.GRUCell(2)])(target, initial_state=symbolic)
    assert nl.Model([source, target], again).predict([X, X]).shape == (3, 2)
    cells = [L.LSTMCell(3, dropout=0.5) for _ in range(3)]
    assert L.RNN(cells).forward(X, training=True).shape == (3, 3)
    _, h, c = L.RNN([L.LSTMCell(3)], return_state=True)(X)  # of one cell they are not
    assert h.shape == c.shape == (3, 3)
