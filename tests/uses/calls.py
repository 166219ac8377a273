"""Each argument of public functions and methods with each odd value."""

import inspect

import numpy as np

import netlayers as nl
from tests.uses.constructors import words_of
from tests.uses.odd_values import VALUES
from tests.uses.outcomes import Use, finite

X = np.random.default_rng(0).normal(size=(12, 3))
Y = (X[:, :1] > 0).astype(float)
CLASSES = np.arange(12) % 3
PROBABILITIES = np.full((12, 3), 1 / 3)
UNTRIED = ("kwargs", "options", "mask_out")  # the last is for containers
DATA_ITSELF = ("nan", "inf", "1e300")  # which comes out as it went in
LONG = ("10**15",)  # what takes that long is what was asked for


def model(built=True):
    made = nl.Sequential([nl.layers.Dense(4, "tanh"), nl.layers.Dense(1, "sigmoid")], seed=0)
    made.compile(nl.optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"])
    if built:
        made.build((None, 3))
    return made


def method(name, built=True):
    """Return a function that calls a method of a new model, with its signature."""
    found = getattr(nl.Sequential, name)

    def call(**arguments):
        return getattr(model(built), name)(**arguments)

    call.__signature__ = inspect.signature(found).replace(
        parameters=list(inspect.signature(found).parameters.values())[1:]
    )
    return call


def of(make, name):
    """Return a function that calls a method of a new object, with its signature."""

    def call(**arguments):
        return getattr(make(), name)(**arguments)

    call.__signature__ = inspect.signature(getattr(make(), name))
    return call


def saved():
    model().save("m.safetensors")
    return "m.safetensors"


def after_saving(function):
    def call(**arguments):
        saved()
        return function(**arguments)

    call.__signature__ = inspect.signature(function)
    return call


def loads(**arguments):
    saved()
    return method("load_weights")(**arguments)


loads.__signature__ = method("load_weights").__signature__


def adds_weight(**arguments):
    class Layer(nl.layers.Layer):
        def build(self, input_shape):
            self.add_weight(**arguments)

        def forward(self, x, training=False):
            return self.prepare(x) * 1

        def backward(self, dy):
            return dy

    return nl.Sequential([Layer(), nl.layers.Dense(1)]).predict(X)


adds_weight.__signature__ = inspect.signature(
    lambda name, shape, initializer="ones", regularizer=None, constraint=None: None
)
DATA = {"x": X, "y": Y}
QUIET = {**DATA, "verbose": 0}
PAIR_OF_MODEL = {"y": Y, "y_pred": np.full((12, 1), 0.5)}
PAIR = {"y_true": Y, "y_pred": np.full((12, 1), 0.5)}
ROWS = {"y_true": CLASSES, "y_pred": PROBABILITIES}

# For each call: the function, what it is called with, and values that are not tried.
CALLS = {
    "fit": (
        method("fit"), {**QUIET, "epochs": 2, "batch_size": 4},
        {"epochs": LONG, "steps_per_epoch": LONG},
    ),
    "fit (new)": (
        method("fit", built=False), QUIET, {"epochs": LONG, "steps_per_epoch": LONG},
    ),
    "evaluate": (method("evaluate"), QUIET, {}),
    "predict": (method("predict"), {"x": X, "verbose": 0}, {}),
    "predict_on_batch": (method("predict_on_batch"), {"x": X}, {}),
    "train_on_batch": (method("train_on_batch"), DATA, {}),
    "test_on_batch": (method("test_on_batch"), DATA, {}),
    "fit_lbfgs": (method("fit_lbfgs"), {**QUIET, "max_iterations": 3}, {}),
    "compile": (method("compile"), {"optimizer": "sgd", "loss": "mse"}, {}),
    "build": (method("build", built=False), {"input_shape": (None, 3)}, {"input_shape": ()}),
    "summary": (method("summary"), {}, {"line_length": LONG}),
    "save": (method("save"), {"filepath": "a.safetensors"}, {}),
    "save_weights": (method("save_weights"), {"filepath": "a.safetensors"}, {}),
    "load_weights": (loads, {"filepath": "m.safetensors"}, {}),
    "set_weights": (method("set_weights"), {"weights": model().get_weights()}, {}),
    "get_layer": (method("get_layer"), {"index": 0}, {}),
    "add": (method("add"), {"layer": nl.layers.Dense(2)}, {}),
    "forward": (method("forward"), {"x": X}, {}),
    "diagnose": (method("diagnose"), QUIET, {}),
    "profile": (method("profile"), {**DATA, "steps": 1}, {"steps": LONG}),
    "trace": (method("trace"), DATA, {}),
    "loss_surface": (method("loss_surface"), {**DATA, "size": 3}, {"size": LONG}),
    "activation_histograms": (method("activation_histograms"), {"x": X}, {"bins": LONG}),
    "compute_loss": (method("compute_loss"), PAIR_OF_MODEL, {}),
    "compile_from_config": (method("compile_from_config"), {"config": {}}, {}),
    "to_json": (method("to_json"), {}, {}),
    "check_gradients": (
        lambda x=X, y=Y, loss=None, sample_weight=None, method="auto", tolerance=1e-5,
        max_entries="auto", directions=2, seed=0: nl.check_gradients(
            model(), x, y, loss, sample_weight=sample_weight, method=method, tolerance=tolerance,
            max_entries=max_entries, directions=directions, seed=seed),
        {}, {"directions": LONG},
    ),
    "find_learning_rate": (
        lambda x=X, y=Y, min_rate=1e-7, max_rate=10.0, steps=9, batch_size=4, sample_weight=None,
        stop_factor=4.0: nl.find_learning_rate(
            model(), x, y, min_rate, max_rate, steps, batch_size, sample_weight=sample_weight,
            stop_factor=stop_factor),
        {}, {"steps": LONG},
    ),
    "load_model": (after_saving(nl.load_model), {"filepath": "m.safetensors"}, {}),
    "model_from_json": (nl.models.model_from_json, {"json_string": model().to_json()}, {}),
    "clone_model": (
        lambda input_tensors=None, clone_function=None, call_function=None, recursive=False: (
            nl.models.clone_model(
                model(), input_tensors, clone_function, call_function, recursive)),
        {}, {},
    ),
    "replay_snapshot": (nl.replay_snapshot, {"path": "no.safetensors"}, {}),
    "Layer.add_weight": (adds_weight, {"name": "w", "shape": (3,)}, {"shape": LONG}),
    "Normalization.adapt": (of(nl.layers.Normalization, "adapt"), {"data": X}, {}),
    "Dense.set_weights": (
        lambda weights: nl.layers.Dense(2).set_weights(weights), {"weights": []}, {},
    ),
    "Optimizer.exclude_from_weight_decay": (
        of(nl.optimizers.AdamW, "exclude_from_weight_decay"), {"var_names": ["bias"]}, {},
    ),
    "Optimizer.learning_rate": (
        lambda learning_rate: setattr(nl.optimizers.SGD(), "learning_rate", learning_rate),
        {"learning_rate": 0.1}, {},
    ),
    "Loss.forward": (of(nl.losses.MeanSquaredError, "forward"), PAIR, {}),
    "Loss.forward (classes)": (of(nl.losses.SparseCategoricalCrossentropy, "forward"), ROWS, {}),
    "Metric.update_state": (of(nl.metrics.BinaryAccuracy, "update_state"), PAIR, {}),
    "Metric.update_state (classes)": (
        of(nl.metrics.SparseCategoricalAccuracy, "update_state"), ROWS, {},
    ),
    "AUC.update_state": (of(nl.metrics.AUC, "update_state"), PAIR, {}),
    "Mean.update_state": (of(nl.metrics.Mean, "update_state"), {"values": [1.0, 2.0]}, {}),
    "Initializer": (
        lambda shape, dtype="float32": nl.initializers.HeNormal()(shape, dtype), {"shape": (2, 3)},
        {"shape": LONG},
    ),
    "Regularizer": (nl.regularizers.L2(), {"w": np.ones((2, 2))}, {}),
    "Constraint": (nl.constraints.MaxNorm(), {"w": np.ones((2, 2))}, {}),
    "Schedule": (
        nl.optimizers.schedules.CosineDecay(0.1, 10), {"step": 1}, {},
    ),
    "StoredFile": (after_saving(nl.saving.StoredFile), {"path": "m.safetensors"}, {}),
    "use_kernels": (nl.use_kernels, {"name": "numpy"}, {}),
    "datasets.mnist.load_data": (nl.datasets.mnist.load_data, {"path": "no"}, {"path": ["None"]}),
    "relu": (
        lambda x, negative_slope=0.0, max_value=None, threshold=0.0: nl.activations.relu(
            x, negative_slope=negative_slope, max_value=max_value, threshold=threshold),
        {"x": X}, {},
    ),
    "softmax": (lambda x, axis=-1: nl.activations.softmax(x, axis=axis), {"x": X}, {}),
    "losses.mean_squared_error": (
        nl.losses.mean_squared_error, PAIR, {},
    ),
    "metrics.binary_accuracy": (
        nl.metrics.binary_accuracy, PAIR, {},
    ),
    **{
        f"{module}.get": (getattr(nl, module).get, {"identifier": name}, {})
        for module, name in {
            "activations": "relu", "constraints": "max_norm", "initializers": "ones",
            "losses": "mse", "metrics": "mse", "optimizers": "sgd", "regularizers": "l2",
        }.items()
    },
    **{
        f"{module}.deserialize": (getattr(nl, module).deserialize, {"config": name}, {})
        for module, name in {
            "activations": "relu", "constraints": "max_norm", "initializers": "ones",
            "layers": {"class_name": "Dense", "config": {"units": 1}}, "losses": "mse",
            "metrics": "mse", "optimizers": "sgd", "regularizers": "l2",
        }.items()
    },
    "config.set_floatx": (nl.config.set_floatx, {"value": "float32"}, {}),
    "config.set_epsilon": (nl.config.set_epsilon, {"value": 1e-7}, {}),
    "config.set_image_data_format": (
        nl.config.set_image_data_format, {"data_format": "channels_last"}, {},
    ),
    "random.normal": (nl.random.normal, {"shape": (2,)}, {"shape": LONG}),
    "random.uniform": (nl.random.uniform, {"shape": (2,)}, {"shape": LONG}),
    "random.randint": (
        nl.random.randint, {"shape": (2,), "minval": 0, "maxval": 5}, {"shape": LONG},
    ),
    "random.shuffle": (nl.random.shuffle, {"x": X}, {}),
    "random.SeedGenerator": (nl.random.SeedGenerator, {"seed": 1}, {}),
    "utils.set_random_seed": (nl.utils.set_random_seed, {"seed": 1}, {}),
    "utils.normalize": (nl.utils.normalize, {"x": X}, {}),
    "utils.pad_sequences": (
        nl.utils.pad_sequences, {"sequences": [[1], [2, 3]]}, {"maxlen": LONG},
    ),
    "utils.split_dataset": (nl.utils.split_dataset, {"dataset": X, "left_size": 0.5}, {}),
    "utils.timeseries_dataset_from_array": (
        nl.utils.timeseries_dataset_from_array,
        {"data": X, "targets": Y, "sequence_length": 3}, {},
    ),
    "utils.to_categorical": (
        nl.utils.to_categorical, {"x": CLASSES}, {"x": LONG, "num_classes": LONG},
    ),
    "utils.get_registered_name": (nl.utils.get_registered_name, {"obj": nl.layers.Dense}, {}),
    "utils.get_registered_object": (nl.utils.get_registered_object, {"name": "Dense"}, {}),
    "utils.custom_object_scope": (nl.utils.custom_object_scope, {"custom_objects": {}}, {}),
    "utils.Progbar": (nl.utils.Progbar, {"target": 3}, {}),
    "utils.PyDataset": (nl.utils.PyDataset, {}, {}),
    "utils.pack_x_y_sample_weight": (nl.utils.pack_x_y_sample_weight, {"x": X}, {}),
    "utils.unpack_x_y_sample_weight": (nl.utils.unpack_x_y_sample_weight, {"data": (X, Y)}, {}),
}  # fmt: skip


def uses(labels=VALUES, names=CALLS):
    """Yield the uses."""
    for name in names:
        function, given, left_out = CALLS[name]
        for argument in inspect.signature(function).parameters:
            for label in labels:
                if argument not in UNTRIED and label not in left_out.get(argument, ()):
                    yield use(name, function, given, argument, label)


def use(name, function, given, argument, label):
    """Return the call of a function with one argument changed."""

    def run():
        result = function(**{**given, argument: VALUES[label]()})
        if not any(
            word in label for word in ("nan", "inf", "1e300")
        ):  # what is given comes out again
            numbers = result if isinstance(result, (list, tuple)) else [result]
            finite(n for n in numbers if isinstance(n, (float, np.ndarray, np.number)))

    words = words_of(argument)
    if argument == next(iter(inspect.signature(function).parameters)):
        # The main argument needs no name: "predict: the data end ...", "unknown loss 'x'".
        first, last = name.partition(".")[0].removesuffix("s"), name.rpartition(".")[2]
        words += (first, first.removesuffix("e"), last, "input")
    return Use("call", f"{name}({argument}={label})", run, words)
