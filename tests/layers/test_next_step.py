"""The next step of a stream: a prepared step of a stateful layer gives what any step gives."""

import numpy as np
import pytest

import netlayers as nl

KINDS = ["SimpleRNN", "LSTM", "GRU"]


def stream(kind, count=2, **arguments):
    x = nl.Input((1, 3), batch_size=count)
    y = getattr(nl.layers, kind)(4, stateful=True, bias_initializer="ones", **arguments)(x)
    return nl.Model(x, y, seed=0, name="stream")


def prepared(model):
    return vars(model.layers[-1].workspace).get("next_step")


@pytest.fixture(params=["numpy", "numba"])
def kernels(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    before = nl.kernels_in_use()
    nl.use_kernels(request.param)
    yield request.param
    nl.use_kernels(before)


def observations(steps=6, count=2):
    return np.random.default_rng(0).normal(size=(steps, count, 1, 3)).astype("float32")


def whole(model, x):
    """Return the outputs of all steps, as the layer computes them for a series."""
    layer = model.layers[-1]
    arguments = layer.get_config() | {"stateful": False, "return_sequences": True}
    same = type(layer).from_config(arguments)
    same.build((None, None, 3))
    same.set_weights(layer.get_weights())
    return same(np.concatenate(x, axis=1)).swapaxes(0, 1)


def start_again(layer):
    """Set the states to 0 where they are; ``reset_states`` would make new arrays."""
    for state in layer.states.values():
        state.value.fill(0)


@pytest.mark.parametrize("kind", [*KINDS, "GRU before"])
def test_a_stream_is_the_series(kind, kernels):
    arguments = {"reset_after": False} if kind.endswith("before") else {}
    model, x = stream(kind.split()[0], **arguments), observations()
    outputs = [model.predict_on_batch(one) for one in x]
    assert prepared(model) is not None
    np.testing.assert_allclose(outputs, whole(model, x), atol=1e-6)
    assert not any(np.shares_memory(a, b) for a in outputs for b in outputs if a is not b)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prepared_step_follows_what_changes(kind, kernels):
    """Weights, states and kernels; each changed model goes on as one that starts from there."""
    model, x = stream(kind), observations()
    layer = model.layers[-1]
    for one in x[:3]:
        model.predict(one)
    model.set_weights([0.5 * w for w in model.get_weights()])
    model.reset_states()
    after = [model.predict(one) for one in x]
    np.testing.assert_allclose(after, whole(model, x), atol=1e-6)
    nl.use_kernels("numpy")
    start_again(layer)
    np.testing.assert_allclose([model.predict(one) for one in x], after, atol=1e-6)
    assert "compiled" not in prepared(model).compute.__module__
    another = nl.Sequential([layer, nl.layers.Dense(1)])  # moves the weights
    another.build((2, 1, 3))
    layer.kernel[...] += 0.1
    start_again(layer)
    np.testing.assert_allclose([model.predict(one) for one in x], whole(model, x), atol=1e-6)
    model.reset_states()
    assert model.predict(x[0, :1]).shape == (1, 4)  # a batch of another size
    with pytest.raises(nl.errors.ShapeError, match="belongs to batches of 1"):
        model.predict(x[0])


def test_only_a_plain_observation_is_taken_by_the_prepared_step():
    model, x = stream("GRU", return_sequences=True), observations()
    layer, same = model.layers[-1], stream("GRU", return_sequences=True)
    for one in x[:3]:
        assert model.predict(one).shape == (2, 1, 4)
    same.predict(np.concatenate(x[:3], axis=1))
    h = np.full((2, 4), 0.5, "float32")
    mask = np.array([[True], [False]])
    for each in (layer, same.layers[-1]):
        each(x[3].tolist())  # converted
        each(x[4], mask=mask)
        each(x[5].astype("float64"))
    np.testing.assert_allclose(layer(x[0]), same.layers[-1](x[0]), atol=1e-6)
    given = layer(x[1], initial_state=h)
    np.testing.assert_allclose(given, same.layers[-1](x[1], initial_state=h), atol=1e-6)
    assert layer(x[2]).shape == (2, 1, 4)
    assert layer._given_states is False
    states = stream("LSTM", return_state=True)
    assert [a.shape for a in states.predict(x[0])] == [(2, 4)] * 3
    states.predict(x[1])
    assert prepared(states) is None
