"""``fit``, ``evaluate``, ``predict`` and the methods for one batch."""

import threading
import tracemalloc
from itertools import chain

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError
from netlayers.metrics import Mean

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 5)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(int)


def make(seed=0, last="softmax", loss="sparse_categorical_crossentropy", **options):
    layers = [nl.layers.Dense(8, activation="tanh"), nl.layers.Dense(2, activation=last)]
    model = nl.Sequential(layers, seed=seed, **options)
    model.compile(nl.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_seed_same_bits(dtype):
    runs = [make(seed, dtype=dtype) for seed in (3, 3, 4)]
    histories = [m.fit(X, Y, epochs=3, validation_split=0.2, verbose=0).history for m in runs]
    first, second, other = (m.parameters.values.tobytes() for m in runs)
    assert first == second != other
    assert histories[0] == histories[1] != histories[2]


def test_history_has_what_keras_has():
    model = make()
    history = model.fit(X, Y, epochs=5, initial_epoch=2, validation_data=(X, Y), verbose=0)
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history.epoch == [2, 3, 4]
    assert history is model.history
    keras = {"epochs": 5, "steps": 4, "verbose": 0}
    assert history.params == {**keras, "validation_freq": 1}


def test_the_loop_by_hand_gives_the_bits_of_fit():
    fitted, model = make(), make(last=None)
    fitted.fit(X, Y, batch_size=32, epochs=2, shuffle=False, verbose=0)
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = nl.optimizers.Adam(0.01)
    for _ in range(2):
        for start in range(0, 100, 32):
            logits = model.forward(X[start : start + 32], training=True)
            loss.forward(Y[start : start + 32], logits)
            model.backward(loss.backward())
            optimizer.step(model.parameters)
    assert model.parameters.values.tobytes() == fitted.parameters.values.tobytes()


@pytest.mark.parametrize(
    ("last", "loss", "logits", "y"),
    [
        ("softmax", nl.losses.SparseCategoricalCrossentropy, True, Y),
        ("softmax", nl.losses.CategoricalCrossentropy, True, np.eye(2)[Y]),
        ("sigmoid", nl.losses.BinaryCrossentropy, True, np.eye(2)[Y]),
        ("softmax", nl.losses.CategoricalFocalCrossentropy, True, np.eye(2)[Y]),
        ("sigmoid", nl.losses.BinaryFocalCrossentropy, True, np.eye(2)[Y]),
    ],
)
def test_an_activation_and_its_loss_are_computed_together(last, loss, logits, y):
    fused, plain = make(last=last, loss=loss()), make(last=None, loss=loss(from_logits=logits))
    for model in (fused, plain):
        model.fit(X, y, epochs=2, verbose=0)
    assert fused.parameters.values.tobytes() == plain.parameters.values.tobytes()
    assert fused.evaluate(X, y, verbose=0)[0] == plain.evaluate(X, y, verbose=0)[0]
    p = fused.predict(X)
    assert ((p >= 0) & (p <= 1)).all()
    if last == "softmax":
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
        assert fused.evaluate(X, y, verbose=0)[1] == np.mean(p.argmax(1) == Y)
    # The true derivative of the two written out one after the other.
    assert nl.check_gradients(fused, X[:8], y[:8], loss()).passed
    fused.parameters.values[...] *= 1e4  # where probabilities round to 0 and 1
    assert np.isfinite(fused.train_on_batch(X, y)[0])


def test_reported_numbers_are_means_over_all_samples():
    model = make(last=None, loss="mse")
    y = RNG.normal(size=(100, 2))
    loss, _ = model.evaluate(X, y, batch_size=7, verbose=0)
    assert loss == pytest.approx(np.mean((model.predict(X) - y) ** 2), rel=1e-6)
    model.optimizer.learning_rate = 0.0
    assert model.fit(X, y, batch_size=7, verbose=0).history["loss"][0] == pytest.approx(loss)


def test_running_means_count_beyond_float32():
    mean = Mean("loss")
    mean.add(1.0, 2**24)
    for _ in range(3):
        mean.add(5.0, 1)
    assert mean.result() == (2**24 + 15) / (2**24 + 3)


def test_class_weight_is_a_sample_weight():
    a, b = make(), make()
    a.fit(X, Y, class_weight={1: 3.0}, verbose=0)
    b.fit(X, Y, sample_weight=np.where(Y == 1, 3.0, 1.0), verbose=0)
    assert a.parameters.values.tobytes() == b.parameters.values.tobytes()


def test_class_weights_and_sample_weights_are_multiplied():
    weights = np.linspace(0.5, 2.0, 100)
    a, b = make(), make()
    a.fit(X, Y, class_weight={1: 3.0}, sample_weight=weights, verbose=0)
    b.fit(X, Y, sample_weight=np.where(Y == 1, 3.0, 1.0) * weights, verbose=0)
    assert a.parameters.values.tobytes() == b.parameters.values.tobytes()
    for model, options in (
        (a, {"class_weight": {1: 3.0}, "sample_weight": weights}),
        (b, {"sample_weight": np.where(Y == 1, 3.0, 1.0) * weights}),
    ):
        model.train_on_batch(X, Y, **options)
    assert a.parameters.values.tobytes() == b.parameters.values.tobytes()


@pytest.mark.parametrize(
    ("loss", "y", "weights", "match"),
    [
        ("binary_crossentropy", np.array([[1, 1, 0], [0, 1, 0]] * 4), {0: 2.0}, "not all one-hot"),
        ("mse", np.linspace(0, 1, 24).reshape(8, 3), {0: 2.0}, "not all one-hot"),
        ("sparse_categorical_crossentropy", np.arange(8) % 3, {3: 2.0}, "key 3, .* from 0 to 2"),
        ("categorical_crossentropy", np.eye(3)[np.arange(8) % 3], {3: 2.0}, "key 3, .* 0 to 2"),
    ],
)
def test_class_weights_that_can_not_apply(loss, y, weights, match):
    model = nl.Sequential([nl.layers.Dense(3, "sigmoid")], seed=0)
    model.compile("sgd", loss)
    for call in (model.fit, model.train_on_batch):
        with pytest.raises((ConfigurationError, DataError), match=match):
            call(np.ones((8, 2)), y, class_weight=weights)


def test_class_weights_of_a_regression():
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(DataError, match=r"class indices, but y contains 0\.5.* sample_weight"):
        model.fit(np.ones((4, 2)), np.array([1.0, 0.5, 2.0, 0.0]), class_weight={1: 2.0})


class Seen(nl.layers.Layer):
    """Notes the first feature of every row it sees in training."""

    def forward(self, x, training=False):
        x = self.prepare(x)
        self.__dict__.setdefault("rows", []).append((training, x[:, 0].tolist()))
        return x

    def backward(self, dy):
        return dy


def rows_of(training=True, **options):
    x = np.arange(10.0)[:, None]
    seen = Seen()
    model = nl.Sequential([seen, nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(x, x / 10, batch_size=4, verbose=0, **options)
    return [rows for train, rows in seen.rows if train is training]


def test_order_of_the_samples():
    assert rows_of(shuffle=False) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    shuffled = rows_of(epochs=2)
    first, second = [*chain(*shuffled[:3])], [*chain(*shuffled[3:])]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert rows_of(epochs=2) == shuffled


def test_validation_is_the_last_part_before_shuffling():
    assert sorted(chain(*rows_of(validation_split=0.3))) == list(range(7))
    assert [*chain(*rows_of(training=False, validation_split=0.3))] == [7, 8, 9]


def test_validation_freq():
    history = make().fit(X, Y, epochs=4, validation_split=0.2, validation_freq=2, verbose=0)
    assert len(history.history["val_loss"]) == 2


def test_regularizers_are_part_of_the_loss():
    layer = nl.layers.Dense(
        2, kernel_initializer="ones", kernel_regularizer=nl.regularizers.L2(0.5)
    )
    model = nl.Sequential([layer])
    model.compile(nl.optimizers.SGD(0.0), "mse")
    y = np.tile(X.sum(axis=1, keepdims=True), 2)
    for value in (
        model.evaluate(X, y, verbose=0),
        model.fit(X, y, verbose=0).history["loss"][0],
        model.train_on_batch(X, y),
    ):
        assert value == pytest.approx(0.5 * 10, rel=1e-5)


def test_results_have_keras_forms():
    model = make()
    assert isinstance(model.train_on_batch(X, Y), list)
    assert set(model.test_on_batch(X, Y, return_dict=True)) == {"loss", "accuracy"}
    assert set(model.evaluate(X, Y, verbose=0, return_dict=True)) == {"loss", "accuracy"}
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert isinstance(model.evaluate(X, Y, verbose=0), float)
    assert isinstance(model.train_on_batch(X, Y), float)


def test_predict_gives_the_caller_an_array_of_his_own():
    model = make()
    assert model.predict(np.zeros((0, 5))).shape == (0, 2)
    first = model.predict(X)
    kept = first.copy()
    model.predict(-X)
    model.predict_on_batch(-X)
    assert first.tobytes() == kept.tobytes()
    same = nl.Sequential([nl.layers.Linear()])
    assert not np.shares_memory(same.predict_on_batch(X), X)
    assert not np.shares_memory(same.predict(X), X)
    ready = X.astype(np.float32)
    found = same.predict(ready)  # one batch that needs no conversion, computed at once
    assert not np.shares_memory(found, ready)
    assert found.tobytes() == same.predict(ready, batch_size=3).tobytes() == ready.tobytes()


def test_predict_of_one_batch_copies_states_and_strides():
    class Last(nl.layers.Layer):
        """Returns its state, in Fortran order: the sum of all inputs so far."""

        def build(self, input_shape):
            self.add_state("total", input_shape[1:])

        def forward(self, x, training=False):
            x = self.prepare(x)
            total = self.state("total", len(x))
            total += x
            return total if self.name == "whole" else np.asfortranarray(total)

    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for name in ("whole", "strided"):
        model = nl.Sequential([Last(name=name)])
        model.build((None, 3))
        first = model.predict(x)
        second = model.predict_on_batch(x)
        assert model.predict(x).tolist() == (3 * x).tolist()
        assert first.tolist() == x.tolist()
        assert second.tolist() == (2 * x).tolist()
        assert first.flags.c_contiguous


def test_predict_from_many_threads():
    model = make()
    inputs = [RNG.normal(size=(50 + i, 5)).astype(np.float32) for i in range(8)]
    expected = [model.predict(x) for x in inputs]
    wrong = []

    def work(i):
        right = [np.array_equal(model.predict(inputs[i]), expected[i]) for _ in range(50)]
        wrong.extend([i] * right.count(False))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw"])
def test_a_step_allocates_nothing_large(optimizer):
    x, y = RNG.normal(size=(256, 400)).astype(np.float32), RNG.integers(0, 10, 256)
    layers = [nl.layers.Dense(400, activation="relu") for _ in range(3)]
    model = nl.Sequential([*layers, nl.layers.Dense(10)], seed=0)
    options = {"class_name": optimizer, "config": {"global_clipnorm": 1.0}}
    model.compile(
        options, nl.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    for _ in range(2):
        model.train_on_batch(x, y)
    tracemalloc.start()
    try:
        model.train_on_batch(x, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 4


def test_crossentropy_and_accuracy_are_chosen_by_shapes():
    for y in (Y, np.eye(2)[Y]):
        model = make(loss="crossentropy")
        assert model.fit(X, y, epochs=30, verbose=0).history["accuracy"][-1] > 0.9
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("adam", nl.losses.BinaryCrossentropy(from_logits=True), metrics=["acc"])
    model.fit(X, Y, epochs=3, verbose=0)
    accuracy = model.evaluate(X, Y, verbose=0)[1]
    assert accuracy == np.mean((model.predict(X)[:, 0] > 0) == Y)


ODD = {
    "list": lambda a: a.tolist(),
    "fortran": np.asfortranarray,
    "negative strides": lambda a: a[::-1].copy()[::-1],
    "every second": lambda a: np.repeat(a, 2, axis=0)[::2],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "float64": lambda a: a.astype(np.float64),
    "float16": lambda a: a.astype(np.float16),
    "int64": lambda a: a.astype(np.int64),
    "uint8": lambda a: a.astype(np.uint8),
    "subclass": lambda a: a.view(np.recarray) if a.dtype.names else np.ma.masked_array(a),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_arrays_give_the_bits_of_the_plain_copy(kind):
    x = RNG.integers(0, 8, (40, 5)).astype(np.float32)  # exact in every type
    y = RNG.integers(0, 2, (40, 2)).astype(np.float32)
    w = RNG.integers(1, 4, 40).astype(np.float32)
    odd = [ODD[kind](a) for a in (x, y, w)]
    for a in odd:
        if isinstance(a, np.ndarray):
            a.flags.writeable = False
    before = [np.array(a).tobytes() for a in odd]
    results = []
    for a, b, c in ((x, y, w), odd):
        model = make(last=None, loss="mse")
        model.fit(a, b, sample_weight=c, batch_size=16, verbose=0)
        model.fit(a, b, sample_weight=c, batch_size=16, shuffle=False, verbose=0)
        model.train_on_batch(a, b, c)
        out = [model.parameters.values, model.predict(a), model.forward(a)]
        out.append(np.array(model.evaluate(a, b, sample_weight=c, verbose=0)))
        results.append([o.tobytes() for o in out])
    assert results[0] == results[1]
    assert [np.array(a).tobytes() for a in odd] == before


def test_memory_maps_and_booleans(tmp_path):
    x = RNG.integers(0, 2, (40, 5)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    bits = []
    for a in (x, np.load(tmp_path / "x.npy", mmap_mode="r"), x.astype(bool)):
        model = make()
        model.fit(a, Y[:40], verbose=0)
        bits.append(model.parameters.values.tobytes())
    assert bits[0] == bits[1] == bits[2]


def test_a_first_batch_that_explodes_leaves_a_model_that_can_be_trained():
    model = nl.Sequential([nl.layers.Dense(3)], seed=0)
    model.compile("adam", "mse")
    y = np.ones((4, 3))
    with pytest.raises(nl.errors.NonFiniteError), np.errstate(all="ignore"):
        model.train_on_batch(np.full((4, 6), 3e38, "float32"), y)
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(np.ones((4, 6)), y))
    assert not np.array_equal(before[0], model.get_weights()[0])


@pytest.mark.parametrize(
    "argument", ["validation_steps", "validation_batch_size", "validation_freq"]
)
def test_arguments_of_the_validation_need_data_for_it(argument):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    x = np.ones((8, 2))
    with pytest.raises(ConfigurationError, match=f"fit: {argument} needs validation_data or a"):
        model.fit(x, x[:, 0], verbose=0, **{argument: 2})
    model.fit(x, x[:, 0], verbose=0, validation_freq=1)  # the default


@pytest.mark.parametrize("split", [0.25, 0.0])
@pytest.mark.parametrize(("rows", "size"), [(100, 5), (128, None)])
def test_a_model_with_states_is_validated_in_batches_of_the_training(rows, size, split):
    model = nl.Sequential([nl.layers.GRU(2, stateful=True), nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    seen = []
    note = nl.callbacks.LambdaCallback(on_test_batch_begin=lambda batch, logs: seen.append(batch))
    x = np.ones((rows, 2, 1))
    options = {"validation_split": split} if split else {"validation_data": (x, x[:, 0])}
    model.fit(x, x[:, 0], size, verbose=0, callbacks=[note], **options)
    assert len(seen) == rows * (split or 1) // (size or 32)


@pytest.mark.parametrize(("verbose", "printed"), [("auto", ""), (0, ""), (1, "8 rows predicted\n")])
def test_predict_prints_a_line_on_request(verbose, printed, capsys):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.predict(np.ones((8, 2)), verbose=verbose)
    assert capsys.readouterr().out == printed


def test_the_summary_refuses_positions():
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    with pytest.raises(
        ConfigurationError, match=r"positions=\[0.5\] has no effect, .* line_length"
    ):
        model.summary(positions=[0.5])
