"""Other values for every optional argument of the public functions and methods."""

import numpy as np

import netlayers as nl
from tests.api.calls import (
    WEIGHTS,
    Twice,
    X,
    Y,
    Z,
    adapt,
    batches,
    classifier,
    compiled,
    diagnosis,
    evaluate,
    from_json,
    gradients,
    histograms,
    lbfgs,
    learn,
    lines,
    load_model,
    load_weights,
    metric,
    one_batch,
    plot,
    plot_history,
    plot_monitor,
    plotted,
    predict,
    rates,
    regressor,
    saved,
    steps_of_profile,
    stop_at_once,
    surface,
    trace,
)

CUSTOM = {"custom_objects": {"Twice": Twice}}
TESTED = {"validation_data": (X, Y)}
FILE = "file.png"

# For each function: how to call it, and for each optional argument another value, or a pair of
# arguments that it needs beside it and that value. A path is taken from a folder of the test.
CASES = {
    "Model.fit": (
        learn,
        {
            "x": X + 1,
            "y": Y[::-1],
            "batch_size": 6,
            "epochs": 3,
            "verbose": 2,
            "callbacks": stop_at_once("on_train_begin"),
            "validation_split": 0.5,
            "validation_data": (X, Y),
            "shuffle": False,
            "class_weight": {0: 3.0},
            "sample_weight": WEIGHTS,
            "initial_epoch": 1,
            "steps_per_epoch": 2,
            "validation_steps": (TESTED, 1),
            "validation_batch_size": (TESTED, 5),
            "validation_freq": (TESTED, 2),
            "stratify": ({"validation_split": 0.3}, True),
            "drop_last": ({"batch_size": 7}, True),
            "read_ahead": ({"x": batches}, 0),
        },
    ),
    "Model.evaluate": (
        evaluate,
        {
            "x": X + 1,
            "y": Y[::-1],
            "batch_size": 5,
            "verbose": 1,
            "sample_weight": WEIGHTS,
            "steps": ({"batch_size": 5}, 2),
            "callbacks": stop_at_once("on_test_begin"),
            "return_dict": True,
            "exact": ({"batch_size": 5}, True),
            "read_ahead": ({"x": batches}, 0),
        },
    ),
    "Model.predict": (
        predict,
        {
            "batch_size": 5,
            "verbose": 1,
            "steps": ({"batch_size": 5}, 2),
            "callbacks": stop_at_once("on_predict_begin"),
            "exact": True,
            "read_ahead": ({"x": batches}, 0),
        },
    ),
    "Model.train_on_batch": (
        one_batch("train_on_batch"),
        {
            "y": Y[::-1],
            "sample_weight": WEIGHTS,
            "class_weight": {0: 3.0},
            "return_dict": True,
        },
    ),
    "Model.test_on_batch": (
        one_batch("test_on_batch"),
        {"y": Y[::-1], "sample_weight": WEIGHTS, "return_dict": True},
    ),
    "Model.compile": (
        compiled,
        {
            "optimizer": "adam",
            "loss": nl.losses.SparseCategoricalCrossentropy(reduction="sum"),
            "loss_weights": [1.0],
            "metrics": ["accuracy"],
            "weighted_metrics": ["accuracy"],
            "options": {"optimize": True},
        },
    ),
    "Model.fit_lbfgs": (
        lbfgs,
        {
            "y": Z[::-1],
            "max_iterations": 3,
            "gradient_tolerance": 1.0,
            "loss_tolerance": 0.5,
            "history_size": 1,
            "max_line_search": ({"y": 100 * Z}, 1),
            "sample_weight": WEIGHTS,
            "validation_data": (X, Z),
            "callbacks": stop_at_once("on_train_begin"),
            "verbose": 1,
        },
    ),
    "Model.load_weights": (
        load_weights,
        {"skip_mismatch": ({"units": 5}, True), "strict": ({"dtype": "float64"}, True)},
    ),
    "Model.save": (saved("save"), {"overwrite": False, "allow_nonfinite": ({"bad": True}, True)}),
    "Model.save_weights": (
        saved("save_weights"),
        {"overwrite": False, "allow_nonfinite": ({"bad": True}, True)},
    ),
    "Model.summary": (
        lines,
        {
            "line_length": 200,
            "positions": [0.3, 0.6, 1.0],
            "print_fn": len,
            "expand_nested": True,
            "show_trainable": False,
        },
    ),
    "Model.to_json": (lambda **kw: regressor().to_json(**kw), {"kwargs": {"indent": 2}}),
    "Model.trace": (
        trace,
        {"y": Y[::-1], "sample_weight": WEIGHTS, "digits": 2, "rows": 2, "columns": 2},
    ),
    "Model.diagnose": (
        diagnosis,
        {
            "y": Y[::-1],
            "sample_weight": WEIGHTS,
            "batch_size": 5,
            "verbose": 1,
            "validation_data": (X, Y),
        },
    ),
    "Model.profile": (
        steps_of_profile,
        {"y": np.zeros((2, 2)), "sample_weight": WEIGHTS[:2], "steps": 3},
    ),
    "Model.loss_surface": (
        surface,
        {
            "y": Z[::-1],
            "sample_weight": WEIGHTS,
            "size": 7,
            "span": 0.5,
            "trajectory": [regressor().get_weights()],
            "seed": 1,
        },
    ),
    "Model.activation_histograms": (histograms, {"bins": 7}),
    "Model.plot": (
        plot,
        {
            "to_file": FILE,
            "show_shapes": False,
            "show_layer_names": False,
            "expand_nested": False,
            "dpi": 50,
        },
    ),
    "Sequential.get_layer": (
        lambda **kw: regressor().get_layer(**kw).name,
        {"name": ({"index": 0}, "out"), "index": ({"name": "hidden"}, 1)},
    ),
    "History.plot": (plot_history, {"to_file": FILE, "metrics": "accuracy", "log_scale": True}),
    "GradientMonitor.plot": (plot_monitor, {"measure": "weight_norm", "to_file": FILE}),
    "ActivationHistograms.plot": (
        plotted(lambda: classifier().activation_histograms(X)),
        {"to_file": FILE},
    ),
    "LearningRateCurve.plot": (
        plotted(lambda: nl.find_learning_rate(classifier(), X, Y, steps=30)),
        {"to_file": FILE},
    ),
    "LossSurface.plot": (
        plotted(lambda: regressor().loss_surface(X, Z, size=5)),
        {"to_file": FILE, "three_dimensional": True},
    ),
    "Normalization.adapt": (
        adapt,
        {"batch_size": 7},
    ),
    "find_learning_rate": (
        rates,
        {
            "y": Y[::-1],
            "min_rate": 1e-5,
            "max_rate": 1.0,
            "steps": 20,
            "batch_size": 4,
            "sample_weight": WEIGHTS,
            "stop_factor": ({"max_rate": 1e4}, 1.1),
        },
    ),
    "check_gradients": (
        gradients,
        {
            "y": None,
            "loss": "crossentropy",
            "sample_weight": WEIGHTS,
            "method": "central",
            "tolerance": 1e-30,
            "max_entries": 2,
            "directions": ({"max_entries": 2}, 5),
            "seed": ({"y": None, "max_entries": 2}, 1),
        },
    ),
    "load_model": (
        load_model,
        {"custom_objects": CUSTOM["custom_objects"], "compile": (CUSTOM, False)},
    ),
    "model_from_json": (from_json, CUSTOM),
    "to_categorical": (lambda **kw: nl.utils.to_categorical(Y, **kw), {"num_classes": 5}),
    "metrics.get": (
        metric,
        {
            "target_shape": ({"output_shape": (None, 3)}, (None, 3)),
            "output_shape": (None, 3),
            "from_logits": True,
            "target_kind": ({"output_shape": (None, 3)}, "binary"),
        },
    ),
}
# The same functions under another name, and those that the tests named here hold to this.
ELSEWHERE = {
    "datasets.mnist.load_data": "tests/datasets",
    "diagnostics.activation_histograms": "Model.activation_histograms",
    "diagnostics.diagnose": "Model.diagnose",
    "diagnostics.loss_surface": "Model.loss_surface",
    "diagnostics.profile": "Model.profile",
    "register": "tests/api/test_unknown_names.py",
    "replay_snapshot": "tests/diagnostics",
    "StoredFile.check": "tests/saving",
    "StoredFile.read": "tests/saving",
    "saving.load_weights": "Model.load_weights",
    "saving.model_to_json": "Model.to_json",
    "saving.save_model": "Model.save, tests/saving",
    "saving.save_weights": "Model.save_weights",
}
