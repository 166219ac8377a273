"""Convert a model to named arrays and a description, and back.

It works on any layer; a model can also be compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import metrics as metrics_module
from netlayers._serializers import function_name
from netlayers.arrays.convert import all_finite
from netlayers.checks import is_foreign
from netlayers.core.layer import Layer
from netlayers.errors import ConfigurationError, FileError
from netlayers.losses.function import FunctionLoss
from netlayers.registry import (
    Configurable,
    constructor_arguments,
    own_function,
    registered,
    serialize,
    stored_name,
)
from netlayers.saving.description import check_configurations
from netlayers.saving.generators import random_state
from netlayers.saving.names import built_layers, weights_of
from netlayers.saving.own_state import own_state
from netlayers.saving.values import assets_of, needs_version_2, states_of
from netlayers.training.compilation import CompilableModel
from netlayers.training.measuring import flat

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.optimizers import Optimizer

OPTIMIZER = "optimizer."  # begins the names of its vectors
EXTRA = "extra."  # begins the names of arrays that a caller adds


def arrays_of(path: str, layer: Layer) -> dict[str, Array]:
    """Return the values of all weights by name, as views."""
    for part in built_layers(layer).values():
        part._require_built()
    return {name: p.value for name, p in weights_of(path, layer).items()}  # type: ignore[misc]


def require_finite(path: str, arrays: dict[str, Array]) -> None:
    """Raise a FileError that names the first array with a NaN or an infinity."""
    for name, array in arrays.items():
        if not all_finite(array):
            count = np.count_nonzero(~np.isfinite(array))
            raise FileError(
                path,
                name,
                "finite numbers, to take the place of the file that is there",
                f"{count} of {array.size} that are NaN or infinite",
                "The old file was kept. Save under another name, or pass allow_nonfinite=True.",
            )


def describe(path: str, model: Layer) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return all arrays of a model, and everything else of it as plain data.

    Raises:
        FileError: something cannot be serialized.
    """
    arrays = arrays_of(path, model)
    description: dict[str, Any] = {
        "kind": "model",
        "model": architecture(path, model),
        "built": {name: list(part.input_shape or ()) for name, part in built_layers(model).items()},
        "weights": list(arrays),
        "random": random_state(model),
    }
    columns = getattr(model, "_columns", None)
    if columns is not None:
        description["columns"] = columns
    states = {n: s.value for n, (_, s) in states_of(model).items() if s.value is not None}
    assets, kinds = assets_of(path, model)
    compiled = model if isinstance(model, CompilableModel) else None
    optimizer = None if compiled is None else compiled.optimizer
    # Of gradients that wait for others, version 1 knows no denominators.
    waiting = bool(optimizer and optimizer.accumulated and optimizer.denominators)
    if states or assets or waiting or needs_version_2(model):
        description |= {"format_version": 2, "states": list(states), "assets": kinds}
    try:
        own, its = own_state(model)
    except ConfigurationError as error:
        expected = "numbers, strings and arrays, in lists and dicts"
        raise FileError(path, "get_state()", expected, str(error)) from error
    if own:
        description |= {"format_version": 2, "own": own}
    further = states | assets | its
    if compiled is not None and optimizer is not None:
        description["compile"] = compile_settings(path, compiled)
        check_configurations(path, "compile", description["compile"])
        description["optimizer"] = optimizer_state(path, model, optimizer)
        further |= {OPTIMIZER + name: optimizer.state[name] for name in _kept(model, optimizer)}
    return joined(path, arrays, further), description


def _kept(model: Layer, optimizer: Optimizer) -> list[str]:
    """Return the names of the vectors; none if a step of the user's updates a part of the model."""
    whole = optimizer._parameters is None or optimizer._parameters is model.parameters
    return list(optimizer.state) if whole else []


def joined(path: str, arrays: dict[str, Array], further: dict[str, Array]) -> dict[str, Array]:
    """Return all arrays of a file.

    Raises:
        FileError: two of them have the same name.
    """
    for name in arrays.keys() & further.keys():
        raise FileError(path, name, "each name once", "two arrays of this name")
    return arrays | further


def architecture(path: str, model: Configurable, with_shape: bool = False) -> dict[str, Any]:
    """Return the class name and the constructor arguments.

    Files hold the shapes elsewhere; ``with_shape`` also returns that which a Sequential has only
    from its data.
    """
    try:
        config: dict[str, Any] = serialize(model)
    except (AttributeError, ConfigurationError) as error:
        raise FileError(path, "model", "a configuration", f"an error: {error}") from error
    config = _functions_named(config)
    if not with_shape and "build_input_shape" not in constructor_arguments(type(model)):
        config["config"].pop("build_input_shape", None)
    check_configurations(path, "model", [config])
    return config


# Arguments that are functions, by class.
_FUNCTIONS = {"FunctionActivation": ("fn",), "Lambda": ("function", "gradient", "output_shape")}


def _functions_named(value: Any) -> Any:
    """Return a configuration for a file: with the names of functions, and lists for tuples."""
    if isinstance(value, dict):
        named = {key: _functions_named(item) for key, item in value.items()}
        for argument in _FUNCTIONS.get(value.get("class_name", ""), ()):
            if callable(named["config"][argument]):
                named["config"][argument] = _name_of(named["config"][argument])
        return named
    several = isinstance(value, (list, tuple))
    return [_functions_named(item) for item in value] if several else value


def optimizer_state(path: str, model: Layer, optimizer: Optimizer) -> dict[str, Any]:
    """Return the state of an optimizer without its vectors.

    Parameters that weight decay leaves out are named one by one: a regular expression from a file
    could take forever to search.
    """
    left_out: list[str] = []
    if optimizer._undecayed:
        if not model.built:
            hint = "Build the model first, with build(input_shape) or by a first batch."
            raise FileError(path, "optimizer", "the names of weights", "a model not built", hint)
        left_out = [
            name
            for name, p in weights_of(path, model).items()
            if any(pattern.search(p.path) for pattern in optimizer._undecayed)
        ]
    denominators = {}
    if optimizer.denominators is not None:
        first, total = optimizer.denominators
        denominators = {"denominators": {"first": first, "sum": total}}
    return {
        "iterations": optimizer.iterations,
        "skipped": optimizer.skipped,
        "accumulated": optimizer.accumulated,
        **denominators,
        "learning_rate_factor": optimizer.learning_rate_factor,
        "not_decayed": left_out,
        "vectors": _kept(model, optimizer),
    }


# Compile settings --------------------------------------------------------------------------------


_WRAPPERS = (metrics_module.MeanMetricWrapper, FunctionLoss)


def compile_settings(path: str, model: CompilableModel) -> dict[str, Any]:
    """Return the arguments of ``compile`` as plain data.

    Raises:
        FileError: two different functions or classes have the same name: whoever loads the file
            could hand in only one of them.
    """
    known: dict[str, Any] = {}
    for thing in (model.optimizer, model.loss, *flat(model._metrics, model._weighted_metrics)):
        own = thing.fn if isinstance(thing, _WRAPPERS) else thing
        if isinstance(own, (str, dict)):
            continue
        if isinstance(own, Configurable):
            own = type(own)
        if isinstance(own, type) and not is_foreign(own):
            continue  # a loss and a metric may share a name
        name = _name_of(own)
        first = known.setdefault(name, own)
        if first is not own and first != own:  # methods of one object are equal, not the same
            hint = "Give one of them another name (__name__)."
            raise FileError(path, "compile", "each name once", f"two things called {name!r}", hint)
    settings = {
        "optimizer": named(path, model.optimizer),
        "loss": named(path, model.loss),
        "metrics": named(path, model._metrics),
    }
    if model._weighted_metrics:
        settings["weighted_metrics"] = named(path, model._weighted_metrics)
    if model.steps_per_execution > 1:
        settings["steps_per_execution"] = model.steps_per_execution
    return settings


def named(path: str, thing: Any) -> Any:
    """Return a loss, metric or optimizer as a name or a configuration; a tuple as a list of these.

    An object without configuration, such as a function, is ``{"custom": name}`` and must be passed
    by that name on loading.
    """
    if isinstance(thing, tuple):
        return [named(path, one) for one in thing]
    if isinstance(thing, _WRAPPERS):
        return {"custom": _name_of(thing.fn), "name": thing.name}
    if isinstance(thing, Configurable):
        return architecture(path, thing)
    if isinstance(thing, (str, dict)):
        return thing
    if isinstance(thing, type):
        return {"class_name": _name_of(thing), "config": {}}
    return {"custom": _name_of(thing)}


def _name_of(thing: Any) -> str:
    """Return the name of a class or function in a file."""
    name = thing.__name__ if isinstance(thing, type) else function_name(thing)
    return stored_name(thing, name)


def unnamed(path: str, place: str, kind: str, value: Any, custom_objects: dict[str, Any]) -> Any:
    """Return what :func:`named` wrote down, for ``compile`` to resolve.

    Raises:
        FileError: it must be passed in ``custom_objects``, and is not.
    """
    if not (isinstance(value, dict) and "custom" in value):
        return value
    name, own = value["custom"], value.get("name")
    if not isinstance(name, str) or not isinstance(own, (str, type(None))):
        raise FileError(path, place, "a string", type(name).__name__)
    thing = custom_objects.get(name)
    if thing is None and kind == "metric":
        thing = registered("metric").get(name)
        if isinstance(thing, type):  # a class of that name is not the function that was saved
            thing = None
    if thing is None and kind in ("loss", "metric"):
        thing = own_function(kind, name)
    if thing is None:
        hint = f"Pass custom_objects={{{name[:80]!r}: ...}}, or compile=False."
        raise FileError(path, place, f"a {kind} called {name[:80]!r}", "none of this name", hint)
    if kind == "metric" and own is not None:
        return metrics_module.MeanMetricWrapper(thing, own)
    return thing
