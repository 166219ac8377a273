"""Calls of public functions and methods, each of which returns what its arguments change."""

import threading

import numpy as np

import netlayers as nl
from netlayers.kernels.exact import is_exact

X = np.random.default_rng(0).normal(size=(24, 3))
Y = np.arange(24) % 3
WEIGHTS = np.linspace(0.5, 3.0, 24)
Z = X.sum(axis=1) + X[:, 0] ** 2


class Recorder(nl.callbacks.Callback):
    """Counts the batches that its hooks see."""

    def __init__(self):
        self.tested = self.predicted = 0

    def on_test_batch_end(self, batch, logs=None):
        self.tested += 1

    def on_predict_batch_end(self, batch, logs=None):
        self.predicted += 1


class Twice(nl.layers.Layer):
    """A class of the user, which files name."""

    def forward(self, x, training=False):
        return 2 * self.prepare(x)

    def backward(self, dy):
        return 2 * dy


class Asked(nl.layers.Layer):
    """``y = x``, or x + 1 where rows are computed exactly."""

    exact_rows = True

    def forward(self, x, training=False):
        return self.prepare(x) + np.float32(is_exact())


def classifier(**options):
    model = nl.Sequential([nl.layers.Dense(4, "tanh"), nl.layers.Dense(3, "softmax")], seed=0)
    loss = "sparse_categorical_crossentropy"
    model.compile(**{"optimizer": nl.optimizers.SGD(0.1), "loss": loss, **options})
    model.build((None, 3))
    return model


def regressor():
    layers = [nl.layers.Dense(4, "tanh", name="hidden"), nl.layers.Dense(1, name="out")]
    model = nl.Sequential(layers, seed=0, dtype="float64")
    model.compile(nl.optimizers.SGD(0.1), "mse")
    model.build((None, 3))
    return model


def batches():
    """Yield batches; the last column tells whether the main thread reads them."""
    for start in range(0, 24, 8):
        x = X[start : start + 8].copy()
        x[:, 2] = threading.current_thread() is threading.main_thread()
        yield x, Y[start : start + 8]


def learn(**arguments):
    recorder = Recorder()
    model = classifier()
    given = {"x": X, "y": Y, "batch_size": 8, "epochs": 2, "verbose": 0, **arguments}
    given["callbacks"] = [*given.get("callbacks", []), recorder]
    if callable(given["x"]):
        given |= {"y": None, "batch_size": None}
    history = model.fit(**given)
    return model.get_weights(), history.history, history.epoch, recorder.tested


def evaluate(**arguments):
    recorder = Recorder()
    given = {"x": X, "y": Y, "verbose": 0, **arguments}
    given["callbacks"] = [*given.get("callbacks", []), recorder]
    if callable(given["x"]):
        given["y"] = None
    return classifier().evaluate(**given), recorder.tested


def predict(**arguments):
    recorder = Recorder()
    given = {"x": X, **arguments}
    given["callbacks"] = [*given.get("callbacks", []), recorder]
    model = nl.Sequential([nl.layers.Dense(2), Asked()], seed=0)
    return model.predict(**given), recorder.predicted


def one_batch(method):
    def run(**arguments):
        model = classifier(metrics=["accuracy"])
        result = getattr(model, method)(**{"x": X, "y": Y, **arguments})
        return result, model.get_weights()

    return run


def compiled(**arguments):
    model, numbers = classifier(**arguments), []
    noted = nl.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: numbers.append(batch))
    settings = {"epochs": 2, "verbose": 0, "sample_weight": WEIGHTS, "callbacks": [noted]}
    return model.fit(X, Y, **settings).history, numbers, repr(model.distribution)


def lbfgs(**arguments):
    model = regressor()
    history = model.fit_lbfgs(**{"x": X, "y": Z, "max_iterations": 9, "verbose": 0, **arguments})
    return model.get_weights(), history.history, vars(history.lbfgs)


def saved(method):
    """Return a function that saves a model twice, the second time with arguments."""

    def run(folder, bad=False, **arguments):
        model, path = classifier(), folder / "m.safetensors"
        getattr(model, method)(path)
        if bad:
            model.layers[0].kernel[0, 0] = np.nan
        getattr(model, method)(path, **arguments)

    return run


def load_weights(folder, units=4, dtype="float32", **arguments):
    classifier().save_weights(folder / "w.safetensors")
    layers = [nl.layers.Dense(units, "tanh"), nl.layers.Dense(3, "softmax")]
    model = nl.Sequential(layers, seed=1, dtype=dtype)
    model.build((None, 3))
    model.load_weights(folder / "w.safetensors", **arguments)
    return model.get_weights()


def load_model(folder, **arguments):
    model = nl.Sequential([Twice(), nl.layers.Dense(3)], seed=0)
    model.compile("sgd", "mse")
    model.build((None, 3))
    model.save(folder / "own.safetensors")
    loaded = nl.load_model(folder / "own.safetensors", **arguments)
    return loaded.optimizer is None


def from_json(**arguments):
    model = nl.Sequential([Twice(), nl.layers.Dense(3)], seed=0)
    return nl.models.model_from_json(model.to_json(), **arguments) is not None


def lines(**arguments):
    inner = nl.Sequential([nl.layers.Dense(2), nl.layers.Dense(3)])
    model = nl.Sequential([nl.layers.Input((3,)), inner])
    model.summary(**arguments)


def surface(**arguments):
    found = regressor().loss_surface(**{"x": X, "y": Z, "size": 5, **arguments})
    return found.loss, found.a, found.b, found.path is None


def histograms(**arguments):
    return [its.counts for its in classifier().activation_histograms(X, **arguments).layers]


def steps_of_profile(**arguments):
    report = classifier().profile(**{"x": X, "y": Y, "steps": 2, **arguments})
    return report.steps


def trace(**arguments):
    return str(classifier().trace(**{"x": X, "y": Y, **arguments}))


def diagnosis(**arguments):
    given = {"x": X, "y": Y, "verbose": 0, **arguments}
    report = classifier().diagnose(**given)
    return report.losses, [finding.illness for finding in report.findings]


def rates(**arguments):
    given = {"x": X, "y": Y, "steps": 30, **arguments}
    curve = nl.find_learning_rate(classifier(), **given)
    return curve.rates, curve.losses


def gradients(model=classifier, **arguments):
    return str(nl.check_gradients(model(), **{"x": X, "y": Y, **arguments}))


def plot(**arguments):
    inner = nl.Sequential([nl.layers.Dense(2), nl.layers.Dense(3)])
    model = nl.Sequential([nl.layers.Input((3,)), inner])
    figure = model.plot(**arguments)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    return texts, len(figure.axes[0].patches), figure.dpi


def plot_history(folder, **arguments):
    history = classifier(metrics=["accuracy"]).fit(X, Y, epochs=3, verbose=0)
    figure = history.plot(**arguments)
    found = [(axes.get_ylabel(), axes.get_title(), axes.get_yscale()) for axes in figure.axes]
    return found, [path.name for path in folder.iterdir()]


def plot_monitor(folder, **arguments):
    monitor = nl.callbacks.GradientMonitor()
    classifier().fit(X, Y, epochs=3, verbose=0, callbacks=monitor)
    figure = monitor.plot(**arguments)
    found = [(axes.get_ylabel(), axes.get_title("left")) for axes in figure.axes]
    return found, [path.name for path in folder.iterdir()]


def plotted(make):
    def run(folder, **arguments):
        figure = make().plot(**arguments)
        return [axes.name for axes in figure.axes], [path.name for path in folder.iterdir()]

    return run


def metric(**arguments):
    shapes = {"target_shape": (None, 1), "output_shape": (None, 1)}
    return str(nl.metrics.get(**{"identifier": "accuracy", **shapes, **arguments}))


def adapt(**arguments):
    """Return moments whose last digits depend on the order of the sums."""
    layer = nl.layers.Normalization(dtype="float64")
    layer.adapt(np.random.default_rng(0).normal(size=(5000, 3)), **arguments)
    return layer.get_weights()


def adapt_bins(**arguments):
    """Return boundaries of summaries, which depend on the size of the pieces."""
    layer = nl.layers.Discretization(num_bins=7, epsilon=0.3)
    rng = np.random.default_rng(0)
    layer.adapt([rng.normal(size=(500, 1)) for _ in range(3)], **arguments)
    return layer.bin_boundaries


def save_space(folder, **arguments):
    for options in ({}, arguments):
        nl.utils.FeatureSpace({"a": "float"}).save(folder / "space.safetensors", **options)


def stop_at_once(hook):
    def act(*_):
        raise KeyError(hook)

    return [nl.callbacks.LambdaCallback(**{hook: act})]
