"""What surrounds the update rule: accumulation, averages of weights, memory and arguments."""

import tracemalloc

import numpy as np
import pytest

import netlayers as nl
from netlayers import optimizers as opt
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.optimizers import SGD, Adam, layout
from tests.optimizers.networks import GRADIENTS, each_clone, each_rule, run, two

KERAS = [
    (
        Adam(0.1, gradient_accumulation_steps=2, weight_decay=0.1, global_clipnorm=1.0),
        [0.8515291322, -1.8506729739, 0.2933819423],
        [0.8515291322, -1.8506729739, 0.2933819423],
    ),
    (
        SGD(0.1, momentum=0.9, gradient_accumulation_steps=4, clipvalue=0.1),
        [0.9925, -2.00625, 0.49],
        [0.9925, -2.00625, 0.49],
    ),
    (
        SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3),
        [0.9075, -1.96875, -0.04875],
        [0.9225, -1.96875, 0.15125],
    ),
    (
        SGD(0.1, weight_decay=0.1, use_ema=True, ema_momentum=0.9),
        [0.93306606, -1.94766462, -0.050154295],
        [0.929346666, -1.895129082, 0.2715747755],
    ),
]
each_keras = pytest.mark.parametrize(("optimizer", "weights", "final"), KERAS, ids=repr)


def fresh(optimizer):
    return type(optimizer).from_config(optimizer.get_config())


@each_keras
def test_same_numbers_as_keras(optimizer, weights, final):
    optimizer, parameters = fresh(optimizer), two().parameters
    np.testing.assert_allclose(run(optimizer, parameters, GRADIENTS), weights, rtol=2e-8)
    optimizer.finalize_variable_values(parameters)
    np.testing.assert_allclose(parameters.values, final, rtol=2e-8)


@each_keras
@each_clone
@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_copy_goes_on_at_any_point(optimizer, weights, final, clone, after):
    optimizer, layer = fresh(optimizer), two()
    run(optimizer, layer.parameters, GRADIENTS[:after])
    other, twin = clone((optimizer, layer))
    expected = run(optimizer, layer.parameters, GRADIENTS[after:])
    assert run(other, twin.parameters, GRADIENTS[after:]).tobytes() == expected.tobytes()
    assert (other.iterations, other.accumulated) == (optimizer.iterations, optimizer.accumulated)
    for key, vector in optimizer.state.items():
        assert other.state[key].tobytes() == vector.tobytes()


# Accumulation ---------------------------------------------------------------------------------


def network(seed=3):
    layers = [
        nl.layers.Dense(7, "tanh", kernel_regularizer="l2"),
        nl.layers.Dense(5, "tanh", trainable=False),
        nl.layers.Dense(3, "softmax"),
    ]
    return nl.Sequential(layers, seed=seed, dtype="float64")


def data(n=24):
    rng = np.random.default_rng(5)
    return rng.normal(size=(n, 4)), rng.integers(0, 3, n)


@each_rule
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.1, "global_clipnorm": 0.1},
        {"weight_decay": 0.1, "clipnorm": 0.05},
        {"clipvalue": 0.01, "use_ema": True},
    ],
    ids=str,
)
def test_accumulation_is_the_large_batch(name, options):
    x, y = data()
    models = []
    for size, steps in ((12, None), (4, 3)):
        model = network()
        optimizer = getattr(opt, name)(0.05, gradient_accumulation_steps=steps, **options)
        model.compile(optimizer, "sparse_categorical_crossentropy")
        history = model.fit(x, y, batch_size=size, epochs=4, shuffle=False, verbose=0).history
        assert optimizer.iterations == 8
        models.append((model, history))
    (large, expected), (small, got) = models
    np.testing.assert_allclose(
        small.parameters.values, large.parameters.values, rtol=1e-12, atol=1e-14
    )
    if "grad_norm" in expected:
        np.testing.assert_allclose(got["grad_norm"], expected["grad_norm"], rtol=1e-12)


def test_weights_change_only_with_the_last_of_the_gradients():
    optimizer, parameters = Adam(0.1, gradient_accumulation_steps=3), two().parameters
    before, changed = parameters.values.tobytes(), []
    for g in (GRADIENTS * 2)[:7]:
        parameters.gradients[...] = g
        done = optimizer.step(parameters)
        changed.append(parameters.values.tobytes() != before)
        assert done is changed[-1]
        before = parameters.values.tobytes()
    assert changed == [False, False, True] * 2 + [False]
    assert (optimizer.iterations, optimizer.accumulated) == (2, 1)


def test_accumulation_of_one_is_none():
    one, none = (
        run(Adam(0.1, gradient_accumulation_steps=n), two().parameters, GRADIENTS)
        for n in (1, None)
    )
    assert one.tobytes() == none.tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_gradient_that_is_not_finite_spoils_its_update_alone(bad, place):
    gradients = [np.array(g) for g in GRADIENTS[:3]]
    gradients[place][1] = bad
    gradients[(place + 1) % 3][1] = -bad
    optimizer, parameters = SGD(0.1, gradient_accumulation_steps=3), two().parameters
    before = parameters.values.tobytes()
    with pytest.raises(NonFiniteError, match="'kernel'"):
        run(optimizer, parameters, gradients)
    assert parameters.values.tobytes() == before
    again = run(optimizer, parameters, GRADIENTS[:3])
    assert again.tobytes() == run(fresh(optimizer), two().parameters, GRADIENTS[:3]).tobytes()
    optimizer = SGD(0.1, gradient_accumulation_steps=3, on_nonfinite="skip")
    parameters = two().parameters
    assert run(optimizer, parameters, gradients).tobytes() == before
    assert (optimizer.skipped, optimizer.iterations, optimizer.accumulated) == (1, 0, 0)


def test_skipped_updates_are_in_no_mean_of_norms():
    model = nl.Sequential([nl.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(SGD(0.0, global_clipnorm=1.0, on_nonfinite="skip"), "mse")
    x = np.ones((4, 2), np.float32)
    y = np.array([100.0, 100, 3e38, 3e38], np.float32)
    with np.errstate(all="ignore"):
        history = model.fit(x, y, batch_size=2, epochs=1, shuffle=False, verbose=0).history
    assert model.optimizer.skipped == 1
    assert history["grad_norm"] == pytest.approx([200 * 3**0.5])


# Averages -------------------------------------------------------------------------------------


def test_fit_ends_with_the_averages():
    """Also a plain computation of them, from the weights after each update."""
    x, y = data()
    seen, at_end = [], []

    class Watch(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.parameters.values.copy())

        def on_train_end(self, logs=None):
            at_end.append(self.model.parameters.values.copy())

    model = network()
    model.compile(SGD(0.5, use_ema=True, ema_momentum=0.75), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=4, epochs=2, callbacks=[Watch()], verbose=0)
    average = seen[0]
    for values in seen[1:]:
        average = 0.75 * average + 0.25 * values
    np.testing.assert_allclose(model.parameters.values, average, rtol=1e-12)
    assert abs(average - seen[-1]).max() > 1e-3
    assert at_end[0].tobytes() == model.parameters.values.tobytes()
    changed = model.parameters.values.copy()
    changed += 1
    model.parameters.values[...] = changed
    model.fit(x, y, epochs=0, verbose=0)
    assert model.parameters.values.tobytes() == changed.tobytes()


def test_no_averages_when_a_run_is_broken_off():
    x, y = data()

    class Break(nl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.kept = self.model.parameters.values.copy()
            raise KeyboardInterrupt

    model, callback = network(), Break()
    model.compile(SGD(0.5, use_ema=True), "sparse_categorical_crossentropy")
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=4, callbacks=[callback], verbose=0)
    assert model.parameters.values.tobytes() == callback.kept.tobytes()


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_extreme_momenta_of_the_average(momentum):
    optimizer, parameters = SGD(0.1, use_ema=True, ema_momentum=momentum), two().parameters
    first = run(optimizer, parameters, GRADIENTS[:1]).copy()
    last = run(optimizer, parameters, GRADIENTS[1:]).copy()
    expected = first if momentum else last
    np.testing.assert_allclose(optimizer.state["average"], expected, rtol=1e-14)


def test_the_average_in_blocks(monkeypatch):
    whole = fresh(KERAS[3][0])
    run(whole, two().parameters, GRADIENTS)
    monkeypatch.setattr(layout, "BLOCK", 2)
    cut = fresh(whole)
    run(cut, two().parameters, GRADIENTS)
    assert cut.state["average"].tobytes() == whole.state["average"].tobytes()


def test_a_layer_that_is_thawed_later_is_averaged_from_its_weights():
    x, y = data()
    model = network()
    model.compile(SGD(0.1, use_ema=True), "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    before = model.layers[1].get_weights()
    model.layers[1].trainable = True
    model.fit(x, y, verbose=0)
    for old, new in zip(before, model.layers[1].get_weights(), strict=True):
        assert 0 < abs(new - old).max() < 0.01  # a hundredth of one step


# Memory, arguments ----------------------------------------------------------------------------


@each_rule
def test_the_third_step_allocates_nothing_large(name):
    model = nl.Sequential([nl.layers.Dense(512), nl.layers.Dense(512)])
    model.build((None, 512))
    optimizer = getattr(opt, name)(
        0.01, use_ema=True, ema_overwrite_frequency=1, clipnorm=1.0, weight_decay=0.1,
        gradient_accumulation_steps=2,
    )  # fmt: skip
    parameters = model.parameters
    run(optimizer, parameters, [0.5] * 4)
    tracemalloc.start()
    try:
        for _ in range(2):
            optimizer.step(parameters)
        # Adafactor takes means in float64, for which an older NumPy has buffers of a constant size.
        buffers = 65536 if name == "Adafactor" else 0
        assert tracemalloc.get_traced_memory()[1] < parameters.values.nbytes / 20 + buffers
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "wrong",
    [
        {"use_ema": 1},
        {"ema_momentum": 1.5},
        {"ema_momentum": -0.1},
        {"ema_overwrite_frequency": 0},
        {"ema_overwrite_frequency": 2.0},
        {"gradient_accumulation_steps": 0},
        {"gradient_accumulation_steps": True},
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused(wrong):
    (argument,) = wrong
    with pytest.raises(ConfigurationError, match=f"SGD: {argument} must be"):
        SGD(0.1, **wrong)
