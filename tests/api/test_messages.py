"""A method that refuses an argument says whose it is, and which."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError

X, Y = np.zeros((4, 3)), np.zeros((4, 1))
# Method: its data, and arguments that take no text and no negative number.
METHODS = {
    "fit": ((X, Y), "batch_size epochs initial_epoch steps_per_epoch validation_split"
            " validation_steps validation_batch_size verbose shuffle"),
    "evaluate": ((X, Y), "batch_size steps verbose"),
    "predict": ((X,), "batch_size steps verbose"),
    "fit_lbfgs": ((X, Y), "max_iterations gradient_tolerance loss_tolerance history_size"
                  " max_line_search verbose"),
    "diagnose": ((X, Y), "batch_size verbose"),
    "activation_histograms": ((X,), "bins"),
    "loss_surface": ((X, Y), "size span seed"),
    "trace": ((X, Y), "digits rows columns"),
    "profile": ((X, Y), "steps"),
    "summary": ((), "line_length expand_nested show_trainable"),
    "plot": ((), "show_shapes show_layer_names expand_nested dpi"),
}  # fmt: skip
FUNCTIONS = {
    "find_learning_rate": "min_rate max_rate steps batch_size stop_factor",
    "check_gradients": "method tolerance max_entries directions seed",
}


def model():
    made = nl.Sequential([nl.layers.Dense(1)], seed=0)
    made.compile("sgd", "mse")
    made.build((None, 3))
    return made


CASES = [(name, a) for name, (_, arguments) in METHODS.items() for a in arguments.split()]
CASES += [(name, a) for name, arguments in FUNCTIONS.items() for a in arguments.split()]


@pytest.mark.parametrize("value", ["text", -1.5, float("nan"), [1]], ids=str)
@pytest.mark.parametrize(("name", "argument"), CASES)
def test_the_message_names_method_and_argument(name, argument, value):
    if name == "plot":
        pytest.importorskip("matplotlib")
    data = METHODS[name][0] if name in METHODS else (model(), X, Y)
    run = getattr(model() if name in METHODS else nl, name)
    with pytest.raises(ConfigurationError) as raised:
        run(*data, **{argument: value})
    assert str(raised.value).startswith(f"{name}: {argument} must be ")
