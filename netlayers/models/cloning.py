"""New models of the layers of another one."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from netlayers._remade import remade
from netlayers.checks import check_flag, takes
from netlayers.core.symbolic import SymbolicValue, symbols_in
from netlayers.errors import ConfigurationError
from netlayers.layers.input import InputLayer
from netlayers.models.functional import Functional
from netlayers.models.sequential import Sequential

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers.core.layer import Layer


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """Return a new model of the same layers, with new initial weights.

    It is built for the same inputs, and compiled as the model is, with an optimizer that has made
    no step.

    Args:
        model: the model.
        input_tensors: symbolic inputs of the clone, in the form of ``model.input``; by default new
            ones.
        clone_function: called with each layer that is no ``InputLayer``; returns the layer of the
            clone. By default a layer is made again from its configuration; one that is returned as
            it is shares its weights.
        call_function: for a functional model, called in place of each call of a layer, with the
            layer, its input and further arguments; returns the output. It may call further layers.
        recursive: whether models within the model are cloned in the same way; otherwise they are
            layers.

    Raises:
        ConfigurationError: an argument is of another kind, or is not for this kind of model.

    Example:
        >>> import netlayers as nl
        >>> model = nl.Sequential([nl.layers.Input((3,)), nl.layers.Dense(2)], seed=0)
        >>> clone = nl.models.clone_model(model)
        >>> clone.count_params(), clone.layers[0] is model.layers[0]
        (8, False)
    """
    for name, function, count in (
        ("clone_function", clone_function, 1),
        ("call_function", call_function, 2),
    ):
        if function is not None and not (callable(function) and takes(function, count)):
            what = "a layer and return one" if count == 1 else "a layer and its input"
            raise ConfigurationError(f"clone_model: {name} must take {what}, got {function!r}.")
    check_flag("clone_model", "recursive", recursive)
    clone = _clone(model, input_tensors, clone_function, call_function, recursive)
    if isinstance(clone, Sequential) and model.built and not clone.built:  # built by its data
        clone.build(model.input_shape)
    if model.compiled:
        given = copy.deepcopy((model.loss, model._metrics, model._weighted_metrics))
        clone.compile(
            remade(model.optimizer), given[0], metrics=given[1], weighted_metrics=given[2]
        )
    return clone


def _clone(
    model: Any, input_tensors: Any, clone_function: Any, call_function: Any, recursive: bool
) -> Any:
    """Return the clone; the arguments are checked."""
    given = (input_tensors, clone_function, call_function)
    if all(argument is None for argument in given) and not recursive:
        return remade(model)
    make = clone_function or remade

    def clone(layer: Layer) -> Layer:
        if recursive and isinstance(layer, (Functional, Sequential)):
            made: Layer = _clone(layer, None, make, call_function, recursive=True)
            return made
        return remade(layer) if isinstance(layer, InputLayer) else make(layer)

    if isinstance(model, Functional):
        return _functional(model, input_tensors, clone, call_function)
    if not isinstance(model, Sequential):
        raise ConfigurationError(
            "clone_model: input_tensors, clone_function, call_function and recursive are for a "
            f"Sequential or a functional model, got {type(model).__name__}."
        )
    if call_function is not None and not recursive:
        raise ConfigurationError("clone_model: call_function is for a functional model.")
    layers = [clone(layer) for layer in model._layers]
    if input_tensors is not None:
        symbols = symbols_in(input_tensors)
        if len(symbols) != 1:
            raise _no_symbols(model, input_tensors)
        layers = [layer for layer in layers if not isinstance(layer, InputLayer)]
        first: Any = symbols[0].call.layer
        layers.insert(0, remade(first))
    return remade(model, layers=layers)


def _no_symbols(model: Any, given: Any) -> ConfigurationError:
    return ConfigurationError(
        "clone_model: input_tensors must be symbolic inputs in the form of model.input, as "
        f"{model.input!r}, got {given!r}."
    )


def _functional(
    model: Functional, input_tensors: Any, clone: Callable[[Layer], Layer], call_function: Any
) -> Any:
    """Return a functional model of cloned layers, called in the same way."""
    config = model.get_config()
    for key in ("layers", "calls", "inputs", "outputs"):
        config.pop(key)
    layers = [clone(layer) for layer in model._layers]
    places = {id(layer): i for i, layer in enumerate(model._layers)}
    inputs = [layers[places[id(layer)]].output for layer in model._input_layers]
    if input_tensors is not None:
        inputs = _symbols(model, input_tensors)
    values: list[list[SymbolicValue]] = [inputs]
    for number, sources, *options in model._wires_as_lists():
        chosen = [values[value][item or 0] for value, item in sources]
        x = chosen if len(chosen) > 1 else chosen[0]
        call = call_function or _call
        values.append(symbols_in(call(layers[number], x, **dict(*options))))
    outputs = [values[value][item or 0] for value, item in model._outputs]
    given = dict(zip(model._input_keys, inputs, strict=True)) if model._input_keys else inputs
    return type(model)(given, model._as_returned(outputs), **config)


def _call(layer: Any, x: Any, **options: Any) -> Any:
    return layer(x, **options)


def _symbols(model: Functional, given: Any) -> list[SymbolicValue]:
    """Return symbolic inputs in the order of those of the model.

    Raises:
        ConfigurationError: they have another form.
    """
    if isinstance(given, dict) and model._input_keys and set(given) == set(model._input_keys):
        given = [given[key] for key in model._input_keys]
    elif isinstance(given, dict) or model._input_keys:
        raise _no_symbols(model, given)
    found = symbols_in(given)
    if len(found) != len(model._input_layers):
        raise _no_symbols(model, given)
    return found
