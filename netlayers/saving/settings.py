"""Settings of layers, optimizer and loss that changed during a run, restored when it resumes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from netlayers.core.building import abstract_build
from netlayers.core.layer import Layer
from netlayers.errors import ConfigurationError, FileError
from netlayers.optimizers import Optimizer
from netlayers.registry import constructor_arguments
from netlayers.saving.description import from_text, to_text
from netlayers.saving.names import paths_of
from netlayers.saving.state import architecture, compile_settings
from netlayers.training.state import differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.training.compilation import CompilableModel

_ELSEWHERE = "optimizer: config: learning_rate"  # restored with the factor and the schedule


class ChangedSettingError(ConfigurationError):
    """A setting differs that cannot be restored."""


def restore_settings(path: str, description: dict[str, Any], model: CompilableModel) -> None:
    """Set the attributes that differ from those in the description of a saved model.

    A callback may have changed ``trainable`` of a layer, the deviation of its noise, the momentum
    of the optimizer, and so on.

    Args:
        path: the file, for messages.
        description: what the file says of the model and how it was compiled.
        model: a model of the same layers, compiled in the same way.

    Raises:
        ChangedSettingError: a setting differs that is not a number, a string, a truth value or
            ``None``; nothing is changed.
        FileError: no object of its class can have such a setting; nothing is changed.
    """
    paths = paths_of(model)
    layers = {paths[id(layer)]: layer for layer in model._flatten_layers()}
    compiled = description["compile"]
    wanted: list[tuple[Any, Any]] = [
        (layers[p], config) for p, config in _layers_in(description["model"]) if p in layers
    ]
    wanted.append((model.optimizer, compiled["optimizer"]["config"]))
    if isinstance(compiled["loss"], dict) and "config" in compiled["loss"]:
        wanted.append((model.loss, compiled["loss"]["config"]))
    before: list[tuple[Any, str, Any]] = []
    try:
        for thing, config in wanted:
            count = len(before)
            before.extend(_set(thing, config))
            if len(before) > count:
                _check_whole(path, thing)
        now = {"model": architecture(path, model), **compile_settings(path, model)}
        now = from_text(path, "the script", to_text(path, "the script", now))  # arrays become lists
        for place, was, got in differences({"model": description["model"], **compiled}, now):
            if place != _ELSEWHERE:
                raise ChangedSettingError(
                    f"BackupAndRestore: {place} had changed to {was!r:.200} in the run, and is "
                    f"{got!r:.200} here; only numbers, strings and truth values are restored. "
                    "Change it before fit(), or in set_state() of the callback."
                )
    except BaseException:
        for thing, name, value in reversed(before):
            setattr(thing, name, value)
        raise


def _layers_in(value: Any, above: tuple[str, ...] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield path and configuration of each layer in a configuration, containers first."""
    if isinstance(value, list):
        for item in value:
            yield from _layers_in(item, above)
    elif isinstance(value, dict):
        config = value.get("config")
        if isinstance(config, dict) and isinstance(config.get("name"), str):
            names = () if above is None else (*above, config["name"])  # a model names no parts
            yield "/".join(names) or config["name"], config
            above = names
        for item in value.values():
            yield from _layers_in(item, above)


def _set(thing: Any, wanted: dict[str, Any]) -> Iterator[tuple[Any, str, Any]]:
    """Set the attributes whose plain values differ; yield each with the value before."""
    config = thing.get_config()
    for name, value in wanted.items():
        if name == "learning_rate" or name not in config or config[name] == value:
            continue
        if all(v is None or isinstance(v, (bool, int, float, str)) for v in (value, config[name])):
            setattr(thing, name, value)
            yield thing, name, config[name]


def _check_whole(path: str, thing: Any) -> None:
    """Check that an object with its new settings could be made, with the weights that it has.

    Only for classes of netlayers, whose constructors check their arguments and do nothing else.

    Raises:
        FileError: it could not; no run can have changed the settings to these.
    """
    cls = type(thing)
    layer = isinstance(thing, Layer)
    if not cls.__module__.startswith("netlayers."):
        return
    parts = list(thing._flatten_layers())[1:] if layer else []
    if any(part.declared_parameters for part in parts):
        return  # a container, whose parts are checked
    names = [name for name in constructor_arguments(cls) if name != "learning_rate"]
    try:  # copies, because a layer belongs to one other layer
        new = cls(**copy.deepcopy({name: getattr(thing, name) for name in names}))
        if layer and thing.built:
            with abstract_build():
                new.build(thing.input_shape)
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        raise FileError(path, "settings", f"those of a {cls.__name__}", got) from error
    kept: Any
    needed: Any
    if layer:
        kept, needed = ([(p.name, p.shape) for p in x.declared_parameters] for x in (thing, new))
    elif isinstance(thing, Optimizer) and thing.state:
        kept, needed = sorted(thing.state), sorted(new._vector_names())
    else:
        return
    if kept != needed:
        expected = f"those with which {cls.__name__} has the weights or vectors of this run"
        raise FileError(path, "settings", expected, f"others, with {needed}")
