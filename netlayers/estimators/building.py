"""The network of an estimator."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np

from netlayers._remade import classes_in_configs
from netlayers.checks import check_integer, check_number
from netlayers.errors import ConfigurationError
from netlayers.estimators.parameters import keywords
from netlayers.layers import Dense
from netlayers.models import Model, Sequential
from netlayers.regularizers import L2

_ACTIVATIONS = {"identity": None, "logistic": "sigmoid"}  # scikit-learn's names


def layers_of_sizes(net: Any, dtype: str, batch: float, seed: int) -> Sequential:
    """Return a chain of ``Dense`` layers by ``hidden_layer_sizes``.

    Args:
    net: the estimator.
    dtype: of the network.
    batch: sum of the weights of a batch.
    seed: of the network.
    """
    sizes = net.hidden_layer_sizes
    sizes = list(sizes) if np.iterable(sizes) else [sizes]
    alpha = check_number(type(net).__name__, "alpha", net.alpha, minimum=0)
    # scikit-learn adds alpha/2 Σ w² to the sum of the losses of a batch.
    penalty = L2(alpha / 2 / batch) if alpha else None
    activation = _ACTIVATIONS.get(net.activation, net.activation)
    units = [
        check_integer(type(net).__name__, "hidden_layer_sizes", size, minimum=1) for size in sizes
    ]
    hidden = [Dense(n, copy.deepcopy(activation), kernel_regularizer=penalty) for n in units]
    last = Dense(net.n_outputs_, kernel_regularizer=penalty)
    return Sequential([*hidden, last], seed=seed, dtype=dtype)


def given_model(net: Any, seed: int) -> Any:
    """Return what the function ``model`` returns, or a new model like the model ``model``.

    Args:
    net: the estimator.
    seed: for a model that has none.
    """
    if isinstance(net.model, Model):
        with classes_in_configs():
            config = net.model.get_config()
            config.pop("build_input_shape", None)  # the data of fit may have other columns
            if config.get("seed") is None:
                config["seed"] = seed
            network = type(net.model).from_config(config)
            if (settings := net.model.get_compile_config()) is not None:
                network.compile_from_config(settings)
        return network
    if not callable(net.model):
        raise ConfigurationError(
            f"{type(net).__name__}: model must be a function of n_inputs and n_outputs that "
            f"returns a model, or a model, got {net.model!r}."
        )
    given = {"n_inputs": net.n_features_in_, "n_outputs": net.n_outputs_, "seed": seed}
    wanted = inspect.signature(net.model).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in wanted.values())
    chosen = given | keywords(net.model)  # model__seed comes before random_state
    network = net.model(**{k: chosen[k] for k in given if open_ended or k in wanted})
    if not isinstance(network, Model):
        raise ConfigurationError(
            f"{type(net).__name__}: the function model must return a netlayers model, got "
            f"{type(network).__name__}."
        )
    return network
