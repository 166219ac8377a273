"""Models under Keras's names."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, NotCompiledError

X, Y = np.ones((4, 3)), np.zeros((4, 2))


def make(**arguments):
    layers = [nl.layers.Input((3,)), nl.layers.Dense(2, kernel_regularizer="l2")]
    model = nl.Sequential(layers, seed=0, **arguments)
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def test_single_steps():
    model = make()
    assert model.metrics_names == ["loss"]
    before = model.predict(X)
    value = model.compute_loss(y=Y, y_pred=before)
    assert value == pytest.approx(np.mean(before**2) + model.losses[0])
    assert model.train_step((X, Y))["loss"] == pytest.approx(value)
    assert model.metrics_names == ["loss", "mae"]
    np.testing.assert_array_equal(model.predict_step((X, Y)), model.predict_on_batch(X))
    assert model.test_step((X, Y)).keys() == {"loss", "mae"}
    model.reset_metrics()
    with pytest.raises(NotCompiledError):
        nl.Sequential([nl.layers.Dense(1)]).compute_loss(y=Y, y_pred=Y)


def test_settings_of_compile():
    model, other = make(), nl.Sequential([nl.layers.Dense(2)])
    assert other.get_compile_config() is None
    other.compile_from_config(model.get_compile_config())
    assert type(other.optimizer) is nl.optimizers.SGD
    assert other.get_compile_config() == model.get_compile_config()


def test_the_loss_of_predictions_is_that_of_evaluate():
    model = make()
    model.add(nl.layers.Softmax())
    model.compile("sgd", "kl_divergence")
    rng = np.random.default_rng(0)
    y, p, w = rng.dirichlet([1, 1], 4), rng.dirichlet([1, 1], 4), np.arange(4.0)
    expected = (np.sum(y * np.log(y / p), axis=1) * w).mean() + model.losses[0]
    assert model.compute_loss(None, y, p, w) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(NotCompiledError, match=r"comes before compute_loss"):
        nl.Sequential([nl.layers.Input((3,)), nl.layers.Dense(2)]).compute_loss(y=Y, y_pred=Y)


def test_steps_weigh_the_samples():
    w = np.array([1.0, 0.0, 0.0, 0.0])
    x = np.arange(12.0).reshape(4, 3)
    for method in ("train_on_batch", "test_on_batch"):
        model = make()
        step = getattr(model, method.replace("_on_batch", "_step"))
        logs = getattr(make(), method)(x, Y, w, return_dict=True)
        assert step((x, Y, w)) == logs
        assert getattr(make(), method)(x, Y, w) == list(logs.values())
        alone = make()
        alone.compile("sgd", "mse")
        assert getattr(alone, method)(x, Y, w) == pytest.approx(logs["loss"])
        assert getattr(alone, method)(x, Y, w, return_dict=True).keys() == {"loss"}
    clipped = make()
    clipped.compile(nl.optimizers.SGD(clipnorm=1.0), "mse")
    assert isinstance(clipped.train_on_batch(x, Y), float)
    assert clipped.train_on_batch(x, Y, return_dict=True).keys() == {"loss", "grad_norm"}


def test_settings_of_compile_with_metrics_by_output():
    x = nl.Input((3,))
    heads = [nl.layers.Dense(2, name="a")(x), nl.layers.Dense(1, name="b")(x)]
    model, other = (nl.Model(x, heads) for _ in range(2))
    model.compile(
        "adam", ["mse", "mae"], metrics={"a": ["mae", nl.metrics.MeanSquaredError(name="m")]},
        weighted_metrics={"b": "mse"},
    )  # fmt: skip
    config = model.get_compile_config()
    assert config["metrics"][0][-1]["config"]["name"] == "m"
    other.compile_from_config(config)
    assert other.get_compile_config() == config
    data = X, [Y, Y[:, :1]]
    assert other.evaluate(*data, verbose=0, return_dict=True).keys() == (
        model.evaluate(*data, verbose=0, return_dict=True).keys()
    )
    plain = nl.Sequential([nl.layers.Dense(2)])
    plain.compile_from_config({"optimizer": "sgd", "loss": "mse"})
    assert type(plain.optimizer) is nl.optimizers.SGD
    assert plain.get_compile_config()["metrics"] == []
    parts = nl.losses.SplitLoss(["mse", "mae"], sizes=[1, 1])
    plain.compile("sgd", parts, metrics={"mean_squared_error": ["mae"]})
    config = plain.get_compile_config()
    again = nl.Sequential([nl.layers.Dense(2)])
    again.compile_from_config(config)
    assert again.get_compile_config() == config
    for wrong in ({"loss": "mse"}, {"optimizer": "sgd"}, [], None, "sgd"):
        with pytest.raises(ConfigurationError, match="compile_from_config: config must be"):
            plain.compile_from_config(wrong)


def test_clones():
    model = make()
    clone = nl.models.clone_model(model)
    assert clone.get_config()["layers"] == model.get_config()["layers"]
    wider = nl.models.clone_model(
        model,
        clone_function=lambda layer: (
            nl.layers.Dense(5) if isinstance(layer, nl.layers.Dense) else nl.layers.Input((3,))
        ),
    )
    assert wider.output_shape == (None, 5)
    with pytest.raises(ConfigurationError, match="input_tensors"):
        nl.models.clone_model(model, input_tensors=[X])
    for wrong in (3, "dense", lambda: None, lambda a, b: a):
        with pytest.raises(ConfigurationError, match="must take a layer and return one"):
            nl.models.clone_model(model, clone_function=wrong)

    class Own(nl.Model):
        def forward(self, x, training=False):
            return x

        def get_config(self):
            return {}

    with pytest.raises(ConfigurationError, match="are for a Sequential"):
        nl.models.clone_model(Own(), clone_function=lambda layer: layer)


def test_a_range_of_the_summary(capsys):
    model = make()
    model.summary(layer_range=["dense", "dense"])
    assert "input" not in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="layer_range"):
        model.summary(layer_range=["dense", "lost"])


def test_the_shape_of_a_first_layer():
    for layer in (nl.layers.Dense(2, input_shape=(3,)), nl.layers.Dense(2, input_dim=3)):
        model = nl.Sequential([layer, nl.layers.Dense(1)])
        assert model.built
        assert model.count_params() == 11
        again = nl.Sequential.from_config(model.get_config())
        assert again.input_shape == (None, 3)


def test_an_activation_can_be_replaced():
    model = make()
    dense = model.layers[0]
    model.fit(X, Y, verbose=0)
    dense.activation = "relu"
    expected = np.maximum(X @ dense.kernel + dense.bias, 0)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6)
    model.fit(X, Y, verbose=0)
    with pytest.raises(ConfigurationError, match="another shape"):
        dense.activation = "glu"
    assert type(dense.activation) is nl.layers.ReLU
    assert nl.layers.Dense(2, use_bias=False).bias is None


def test_loops_are_stopped_by_callbacks():
    def endless():
        while True:
            yield X, Y

    class Stop(nl.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            self.model.stop_evaluating = batch == 2

        def on_predict_batch_end(self, batch, logs=None):
            self.model.stop_predicting = batch == 1

    model = make()
    assert model.evaluate(endless(), callbacks=[Stop()], verbose=0)[0] > 0
    assert len(model.predict(endless(), callbacks=[Stop()])) == 8
    assert len(model.predict(np.ones((10, 3)), batch_size=2, callbacks=[Stop()])) == 4
    assert len(model.predict(np.ones((10, 3)), batch_size=2)) == 10


def test_logs_at_the_end_of_training():
    seen = []
    last = nl.callbacks.LambdaCallback(on_train_end=seen.append)
    history = make().fit(X, Y, epochs=2, validation_data=(X, Y), callbacks=[last], verbose=0)
    assert seen[0] == {name: values[-1] for name, values in history.history.items()}


def test_a_function_as_learning_rate():
    rate = [0.5]
    optimizer = nl.optimizers.SGD(lambda: rate[0])
    assert optimizer.learning_rate == 0.5
    rate[0] = 0.25
    assert optimizer.learning_rate == 0.25
    assert optimizer.get_config()["learning_rate"] == 0.25


def test_weights_left_out_of_the_decay():
    model = make()
    model.compile(nl.optimizers.SGD(0.0, weight_decay=0.5), "mse")
    optimizer = nl.optimizers.SGD(1.0, weight_decay=0.5)
    dense = model.layers[0]
    optimizer.exclude_from_weight_decay(var_list=[dense.bias])
    dense.bias[...] = 1
    kernel = dense.kernel.copy()
    model.parameters.gradients[...] = 0
    optimizer.step(model.parameters)
    np.testing.assert_array_equal(dense.bias, 1)
    np.testing.assert_allclose(dense.kernel, kernel / 2)
    optimizer = nl.optimizers.SGD(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[np.ones(2)])
    with pytest.raises(ConfigurationError, match="var_list"):
        optimizer.step(model.parameters)


def test_layers_are_changed_by_add_and_pop_alone():
    model = make()
    with pytest.raises(AttributeError, match=r"layers cannot be replaced.* or use add\(\) and pop"):
        model.layers = [nl.layers.Dense(4)]
    graph = nl.Model(x := nl.Input((2,)), nl.layers.Dense(1)(x))
    with pytest.raises(AttributeError, match=r"layers cannot be replaced.* Make a new model\."):
        graph.layers = [nl.layers.Dense(4)]
    assert len(model.layers) == 1
    model.add(nl.layers.Dense(1), rebuild=False)
    assert model.output_shape == (None, 1)
    model.pop(rebuild=True)
    assert model.output_shape == (None, 2)


def test_losses_hold_the_penalties_of_weights_and_of_the_last_outputs():
    layer = nl.layers.ActivityRegularization(l1=0.5)
    assert layer.losses == []
    layer(np.full((2, 3), 2.0))
    assert layer.losses == [pytest.approx(3.0)]
    model = make()
    model.add(nl.layers.ActivityRegularization(l1=0.5))
    of_weights = model.losses
    assert len(of_weights) == 1
    outputs = model(X)
    assert model.losses == [*of_weights, pytest.approx(0.5 * np.abs(outputs).sum() / len(X))]
    model(np.zeros_like(X))
    assert model.losses == [*of_weights, 0.0]


def test_a_call_at_inference_may_be_the_output_of_a_cross_entropy():
    x, y = np.ones((4, 3)), np.eye(2)[[0, 1, 1, 0]]
    inputs = nl.Input((3,))
    last = nl.layers.Dense(2, "softmax")
    model = nl.Model(inputs, last(inputs, training=False), seed=0)
    model.compile("sgd", "categorical_crossentropy")
    plain = nl.losses.CategoricalCrossentropy().forward(y, model.predict(x))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(plain)
    kernel = last.kernel.copy()
    model.fit(x, y, verbose=0)
    assert not np.array_equal(last.kernel, kernel)
    assert nl.check_gradients(model, x, y).passed
