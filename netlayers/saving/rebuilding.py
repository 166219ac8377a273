"""Rebuild a model from a file: everything is checked before memory is allocated."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import metrics as metrics_module
from netlayers.core.binding import assemble, bind
from netlayers.core.building import abstract_build
from netlayers.core.layer import Layer
from netlayers.core.parameters import ParameterVector
from netlayers.errors import FileError, UnknownNameError
from netlayers.kernels.memory import aligned
from netlayers.optimizers.schedules.base import LearningRateSchedule
from netlayers.random import Streams
from netlayers.registry import names_of_a_file, resolve, stored_name
from netlayers.saving.description import check_configurations, short
from netlayers.saving.generators import stored_layer_states, stored_streams
from netlayers.saving.names import layers_by_path, weights_of
from netlayers.saving.own_state import OWN, put_own_state, stored_own_state
from netlayers.saving.rollback import unchanged_on_error
from netlayers.saving.state import EXTRA, OPTIMIZER, unnamed
from netlayers.saving.values import (
    check_version,
    put_assets,
    states_of,
    stored_assets,
    stored_names,
    stored_states,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter
    from netlayers.optimizers import Optimizer
    from netlayers.saving.description import Section
    from netlayers.saving.format import StoredFile
    from netlayers.training.compilation import CompilableModel

_NAMES = "Pass custom_objects={name: class} for a class of your own."


def construct(path: str, config: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    """Return a layer or model from its configuration; only known classes are instantiated.

    Raises:
        FileError: the configuration is invalid.
    """
    check_configurations(path, "model", [config])
    try:
        with names_of_a_file(custom_objects):
            return resolve("layer", config, Layer)
    except Exception as error:  # whatever a constructor makes of arguments that are not its own
        raise _refused(path, "model", error) from error


def rebuild(file: StoredFile, custom_objects: Mapping[str, Any] | None) -> Any:
    """Return the model that a file describes, with its weights and random streams.

    Its layers are first built without memory; their declarations must match the file.

    Raises:
        FileError: the description is not that of a model with these arrays.
    """
    section = file.section
    places = section.section("built").values
    with abstract_build():
        model = construct(file.path, section.values.get("model"), custom_objects)
        parts = layers_by_path(model)
        for name, shape in places.items():
            if name not in parts or not _is_shape(shape):
                raise section.section("built").fail(name, "the shape of a layer of the model")
            try:
                parts[name].build(shape)
            except Exception as error:
                raise _refused(file.path, f"model: {short(name)}", error) from error
            if any(p.size >= 1 << 48 for p in parts[name].declared_parameters):
                raise section.section("built").fail(name, "the shape of a layer in memory")
    check_version(file, model)
    check_weights(file, weights_of(file.path, model), stored_names(file))
    states = stored_states(file, model)
    try:
        if model.built != ("" in places):
            raise section.fail("built", "the layers that the model builds")
        streams = stored_streams(section.section("random"))
        if hasattr(model, "_streams"):
            model._streams = streams
        allocate(model, {name: parts[name] for name in places}, streams)
        for generator, state in stored_layer_states(section.section("random"), model):
            generator.bit_generator.state = state
    except FileError:
        raise
    except Exception as error:
        raise _refused(file.path, "model", error) from error
    if "columns" in section.values:
        model._columns = stored_columns(section)
    for name, p in weights_of(file.path, model).items():
        file.read(name, p.value)
    for name, (_, state) in states.items():
        state.value = file.read(name)
    put_assets(file, stored_assets(file, model))
    put_own_state(file, model, stored_own_state(file), lambda place: place.startswith("layers/"))
    return model


def stored_columns(section: Section) -> list[list[str] | None]:
    """Return the names of the columns of the frames that a model was trained with, by input.

    Raises:
        FileError: the entry is invalid.
    """
    stored = section.get("columns", list, "a list")
    for names in stored:
        strings = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if names is not None and not strings:
            raise section.fail("columns", "a list of strings, or null, for each input")
    return list(stored)


def _is_shape(value: Any) -> bool:
    """Whether a value is a list of sizes, or a list of such lists, for several inputs."""
    several = isinstance(value, list) and value and isinstance(value[0], list)
    return isinstance(value, list) and all(
        isinstance(item, list) is bool(several) for item in value
    )


def allocate(model: Layer, built: Mapping[str, Any], streams: Streams) -> None:
    """Allocate the weights of layers built without memory; they stay 0."""
    if model.built:
        assemble(model, streams, fill=False)
        return
    for part in built.values():  # as those that were built before they came into the model
        bind(part, ParameterVector(part.declared_parameters, part._dtype))
        part._use_streams(Streams(), True)


def check_weights(
    file: StoredFile,
    weights: Mapping[str, Parameter],
    others: Iterable[str] = (),
    any_float: bool = False,
) -> None:
    """Raise a FileError unless a file holds these weights, in this order, and no other array.

    Args:
        file: the file.
        weights: by name.
        others: names of other arrays that it may hold.
        any_float: whether floats may have another precision.
    """
    listed = file.section.texts("weights")
    for name, p in weights.items():
        file.check(name, p.shape, p.dtype, any_float)
    for name in listed:
        if name not in weights:
            raise FileError(file.path, name[:200], "no such array in this model", "one")
    if listed != list(weights):
        raise FileError(file.path, "weights", "the order of the model", "another order")
    known = {*weights, *others}
    for name in file.entries:
        if name not in known and not name.startswith((OPTIMIZER, EXTRA, OWN)):
            raise FileError(file.path, name[:200], "an array of the model", "an extra one")


def compile_again(
    file: StoredFile, model: CompilableModel, custom_objects: Mapping[str, Any] | None
) -> None:
    """Compile a model as the one in the file was; its optimizer goes on where that one was.

    Raises:
        FileError: the settings are invalid.
    """
    if "compile" not in file.section.values:
        return
    settings, own = file.section.section("compile"), dict(custom_objects or {})
    check_configurations(file.path, "compile", settings.values)
    arguments = {
        kind: unnamed(file.path, f"compile: {kind}", kind, settings.values.get(kind), own)
        for kind in ("optimizer", "loss")
    }
    for key in ("metrics", "weighted_metrics"):
        if key == "metrics" or key in settings.values:
            given = settings.get(key, list, "a list")
            read = partial(unnamed, file.path, f"compile: {key}", "metric", custom_objects=own)
            arguments[key] = _each_metric(read, given)
    try:
        with names_of_a_file(custom_objects):
            for key in arguments.keys() - {"optimizer", "loss"}:
                arguments[key] = _each_metric(
                    lambda m: metrics_module.get(m) if isinstance(m, dict) else m, arguments[key]
                )
            model.compile(
                **arguments, steps_per_execution=settings.values.get("steps_per_execution", 1)
            )
    except Exception as error:
        raise _refused(file.path, "compile", error) from error
    vectors, optimizer = {}, model.optimizer
    assert optimizer is not None
    for name in stored_vectors(file, model, optimizer):
        memory = aligned(model.parameters.size, model.parameters.dtype)
        vectors[name] = file.read(OPTIMIZER + name, memory)
    put_counters(optimizer, stored_counters(file, model))
    optimizer.state.update(vectors)
    own = stored_own_state(file)
    put_own_state(file, model, own, lambda place: not place.startswith("layers/"))


def _each_metric(function: Callable[[Any], Any], given: list[Any]) -> list[Any]:
    """Return the results for metrics, or for those in the lists of the parts of a loss."""
    return [[*map(function, one)] if isinstance(one, list) else function(one) for one in given]


def stored_vectors(file: StoredFile, model: Layer, optimizer: Optimizer) -> list[str]:
    """Return the names of the optimizer's vectors in a file; all are there, or none yet.

    Raises:
        FileError: they are not those that this optimizer keeps for this model.
    """
    listed = file.section.section("optimizer").texts("vectors")
    needed = optimizer._vector_names()
    if listed and set(listed) != set(needed):
        raise FileError(
            file.path,
            "optimizer: vectors",
            f"those of {type(optimizer).__name__}: {', '.join(needed) or 'none'}",
            short(", ".join(listed)),
        )
    held = [name for name in file.entries if name.startswith(OPTIMIZER)]
    if sorted(held) != sorted(OPTIMIZER + name for name in listed):
        raise FileError(file.path, "optimizer", f"{len(listed)} arrays", len(held))
    if listed and not model.built:
        raise FileError(file.path, "optimizer", "no vectors of a model not built", len(listed))
    for name in listed:
        file.check(OPTIMIZER + name, (model.parameters.size,), model.parameters.dtype)
    return listed


def stored_counters(file: StoredFile, model: Layer) -> dict[str, Any]:
    """Return what an optimizer counts, and the weights that it does not decay.

    Raises:
        FileError: they are invalid, or name no weights of the model.
    """
    section = file.section.section("optimizer")
    found: dict[str, Any] = {
        key: section.count(key) for key in ("iterations", "skipped", "accumulated")
    }
    found["denominators"] = None
    if "denominators" in section.values:
        pair = section.section("denominators")
        found["denominators"] = [pair.number("first"), pair.number("sum")]
    found["learning_rate_factor"] = section.number("learning_rate_factor")
    found["not_decayed"] = section.texts("not_decayed")
    weights = weights_of(file.path, model)
    if not weights.keys() >= set(found["not_decayed"]):
        raise section.fail("not_decayed", "names of weights of the model")
    found["not_decayed"] = [weights[name].path for name in found["not_decayed"]]
    return found


def put_counters(optimizer: Optimizer, counters: dict[str, Any]) -> None:
    """Set the counters of an optimizer."""
    left_out = counters.pop("not_decayed")
    for name, value in counters.items():
        setattr(optimizer, name, value)
    if left_out or optimizer._undecayed:
        patterns = [f"^{re.escape(name)}$" for name in left_out]
        optimizer.exclude_from_weight_decay(var_names=patterns)


def put_back(file: StoredFile, model: Layer) -> None:
    """Restore a file into an existing model: all or nothing.

    Raises:
        FileError: the model, or its optimizer, is not the one that was saved.
    """
    section = file.section
    check_version(file, model)
    weights = weights_of(file.path, model)
    check_weights(file, weights, stored_names(file))
    states, assets = stored_states(file, model), stored_assets(file, model)
    optimizer: Optimizer | None = getattr(model, "optimizer", None)
    names: list[str] = []
    counters: dict[str, Any] = {}
    rate: Any = None
    if "compile" in section.values:
        if optimizer is None:
            hint = "Call compile(optimizer, loss) first."
            raise FileError(file.path, "optimizer", "a compiled model", "one that is not", hint)
        stored = section.section("compile").section("optimizer")
        expected = stored_name(type(optimizer), type(optimizer).__name__)
        if stored.text("class_name") != expected:
            raise stored.fail("class_name", expected)
        names = stored_vectors(file, model, optimizer)
        counters = stored_counters(file, model)
        if not isinstance(optimizer._learning_rate, LearningRateSchedule):
            rate = stored.section("config").number("learning_rate")
    new = stored_streams(section.section("random"))
    values = {name: file.read(name) for name in weights}
    vectors = {name: _aligned_read(file, OPTIMIZER + name) for name in names}
    rows = {name: file.read(name) for name in states}
    own = stored_own_state(file)
    file.check_rest()
    old = getattr(model, "_streams", None)
    drawn = stored_layer_states(section.section("random"), model)
    if assets or own:
        with unchanged_on_error(model):
            put_assets(file, assets)
            put_own_state(file, model, own, lambda place: True)
    # From here on nothing fails.
    for name, p in weights.items():
        p.value[...] = values[name]  # type: ignore[index]
    for name, (_, state) in states_of(model).items():
        state.value = rows.get(name)
    if old is not None:
        old.entropy = new.entropy
        for name, generator in new._generators.items():
            here = old._generators.setdefault(name, generator)  # a layer may hold it too
            here.bit_generator.state = generator.bit_generator.state
    for generator, numbers in drawn:
        generator.bit_generator.state = numbers
    if optimizer is not None and counters:
        if rate is not None:
            optimizer.learning_rate = rate
        put_counters(optimizer, counters)
        optimizer.state = vectors
        optimizer._segments = None  # to be laid out anew


def _aligned_read(file: StoredFile, name: str) -> Array:
    entry = file.entries[name]
    return file.read(name, aligned(entry.shape[0], np.dtype(entry.dtype)))


def _refused(path: str, place: str, error: Exception) -> FileError:
    if isinstance(error, FileError):
        return error
    hint = _NAMES if isinstance(error, UnknownNameError) else ""
    got = f"{type(error).__name__}: {short(error)}"
    return FileError(path, place, "what can be made again", got, hint)
