"""Where the random streams of a model stand, as plain data, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.random import KeyedGenerator, Streams, generators_of
from netlayers.saving.description import MAX_BITS

if TYPE_CHECKING:
    from netlayers.core.layer import Layer
    from netlayers.saving.description import Section

Generator = np.random.Generator


def random_state(model: Any) -> dict[str, Any]:
    """Return the seed and the state of every stream of a model, and of its layers' own generators.

    Of keyed streams there is no state to keep: seed, step and shard give their numbers.

    Args:
        model: a model with streams, or a layer without.
    """
    streams: Streams | None = getattr(model, "_streams", None)
    known = {} if streams is None else streams._generators
    shared = {id(generator) for generator in known.values()}
    own = generators_of(model)
    return {
        "entropy": None if streams is None else streams.entropy,
        "streams": {name: g.bit_generator.state for name, g in known.items()},
        "layers": {
            name: generator.bit_generator.state
            for name, generator in own.items()
            if id(generator) not in shared and not isinstance(generator, KeyedGenerator)
        },
    }


def stored_streams(section: Section) -> Streams:
    """Return the streams of a model as they were stored.

    Raises:
        FileError: a state is none of a PCG64.
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
        FileError: there is no such generator, or the state is none of its kind.
    """
    states, own = section.section("layers"), generators_of(model)
    found = []
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
