"""Store and restore the random streams of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers.core.calls import Call, generators_of
from netlayers.layers.containers import Container
from netlayers.random import KeyedGenerator, Streams
from netlayers.saving.description import MAX_BITS
from netlayers.saving.names import paths_of

if TYPE_CHECKING:
    from netlayers.core.layer import Layer
    from netlayers.core.protocols import LayerLike
    from netlayers.saving.description import Section

Generator = np.random.Generator


class Use(NamedTuple):
    """A use of a random layer in a model, and what it draws from.

    Attributes:
        key: where a file keeps its state beside the streams: the layer's place in
            :meth:`Module._flatten_layers` and the attribute, ``"3.rng"``; of a second use
            ``"3.rng/2"``.
        name: the stream that a model alone has for it: ``"layer/dropout"``, ``"layer/dropout/2"``.
        generator: its generator.
    """

    key: str
    name: str
    generator: Generator


def uses_of(model: Layer) -> list[Use]:
    """Return the uses of random layers within a model, in the order of its calls.

    Calls of a shared layer are numbered as if it were in this model alone. Keyed generators are
    omitted: seed, step and shard determine their numbers.
    """
    found: dict[int, list[Generator]] = {}

    def visit(layer: LayerLike, memory: dict[int, Any]) -> None:
        if layer.random:
            rng = memory.get(id(layer), layer.rng)
            its = found.setdefault(id(layer), [])
            if rng is not None and not any(rng is other for other in its):
                its.append(rng)
        calls = layer.calls if isinstance(layer, Container) else layer._sublayers
        for call in calls:
            if isinstance(call, Call):  # has random numbers of its own for all that is in it
                parts = call.layer._flatten_layers()
                own = {id(part): call._memory_of(part).get("rng") for part in parts}
                visit(call.layer, memory | own)
            else:
                visit(call, memory)

    visit(model, {})
    paths = paths_of(model)
    uses = []
    for place, part in enumerate(model._flatten_layers()):
        if part.random and id(part) not in found:  # no call of it
            found[id(part)] = [] if part.rng is None else [part.rng]
        for number, rng in enumerate(found.get(id(part), ()), 1):
            again = "" if number == 1 else f"/{number}"
            name = f"layer/{paths[id(part)]}{again}"
            uses.append(Use(f"{place}.rng{again}", name, rng))
    return [use for use in uses if not isinstance(use.generator, KeyedGenerator)]


def _by_key(model: Layer) -> dict[str, Generator]:
    """Return all generators of the layers of a model by their keys in a file."""
    return generators_of(model) | {use.key: use.generator for use in uses_of(model)}


def random_state(model: Layer) -> dict[str, Any]:
    """Return the seed and the state of every stream of a model, and of its layers' own generators.

    Keyed streams have no state: seed, step and shard determine their numbers.

    Args:
        model: a model with streams, or a layer without.
    """
    streams: Streams | None = getattr(model, "_streams", None)
    known = {} if streams is None else streams._generators
    names = {id(use.generator): use.name for use in uses_of(model)}
    taken = set(names.values())
    mine = {id(generator) for generator in known.values()}
    return {
        "entropy": None if streams is None else streams.entropy,
        "streams": {
            names.get(id(g), name): g.bit_generator.state
            for name, g in known.items()
            if id(g) in names or name not in taken  # not one that another has replaced
        },
        "layers": {
            name: generator.bit_generator.state
            for name, generator in _by_key(model).items()
            if id(generator) not in mine and not isinstance(generator, KeyedGenerator)
        },
    }


def stored_streams(section: Section) -> Streams:
    """Return the streams of a model as they were stored.

    Raises:
        FileError: a state is not one of a PCG64.
    """
    entropy = section.values.get("entropy")
    seed = entropy if isinstance(entropy, list) else [entropy]
    good = all(type(n) is int and 0 <= n < 1 << MAX_BITS for n in seed)
    if entropy is not None and not good:
        raise section.fail("entropy", "a non-negative integer")
    streams = Streams(entropy)
    states = section.section("streams")
    for name in states.values:
        generator = Generator(np.random.PCG64(0))
        _set(generator, stored_state(states, name, generator))
        streams._generators[name] = generator
    return streams


def stored_layer_states(section: Section, model: Layer) -> list[tuple[Generator, Any]]:
    """Return each generator of the layers with the state that was stored for it.

    Raises:
        FileError: there is no such generator, or the state is of another kind.
    """
    states, streams, own = section.section("layers"), section.section("streams"), _by_key(model)
    found = [
        (use.generator, stored_state(streams, use.name, use.generator))
        for use in uses_of(model)
        if use.name in streams.values and use.key not in states.values
    ]
    for name in states.values:
        if name not in own:
            raise states.fail(name, "a generator of the model")
        found.append((own[name], stored_state(states, name, own[name])))
    return found


def stored_state(section: Section, name: str, generator: Generator) -> Any:
    """Return a state that a generator of the same kind can take."""
    state = _as_arrays(section.section(name).values)
    kind = type(generator.bit_generator)
    expected = f"a state of {kind.__name__}"
    try:
        trial = Generator(kind(0))
        _set(trial, state)
        same = _as_lists(trial.bit_generator.state) == _as_lists(state)
    except (TypeError, ValueError, KeyError, OverflowError, AttributeError, IndexError):
        same = False
    if not same:
        raise section.fail(name, expected)
    return state


def _set(generator: Generator, state: Any) -> None:
    generator.bit_generator.state = state


def _as_arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_arrays(item) for key, item in value.items()}
    if isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 64 for n in value):
        return np.array(value, np.uint64)
    return value


def _as_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_lists(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value
