"""Restore a model after an operation that fails halfway."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

from netlayers.core.buffers import BufferCopies, states_of
from netlayers.core.calls import generators_of
from netlayers.core.layer import Layer
from netlayers.saving.generators import uses_of
from netlayers.saving.names import built_layers
from netlayers.saving.own_state import own_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def unchanged_on_error(model: Layer, others: Iterable[Any] = ()) -> Iterator[None]:
    """Context manager: restore weights, buffers, assets, optimizer and streams on an error.

    Args:
        model: a model or layer. The vectors of its optimizer may be replaced in the context, but
            not be written to.
        others: objects whose attributes are also restored, under the same condition.
    """
    streams = getattr(model, "_streams", None)
    whole = [
        part for part in built_layers(model).values() if part.declared_parameters or states_of(part)
    ]
    values = [(part.parameters.values, part.parameters.values.copy()) for part in whole]
    buffers = [BufferCopies(part) for part in whole]
    for copies in buffers:
        copies.take()
    assets = [
        (part, copy.deepcopy(part.get_assets()))
        for part in model._flatten_layers()
        if type(part).set_assets is not Layer.set_assets
    ]
    own = [(thing, copy.deepcopy(thing.get_state())) for thing in own_objects(model).values()]
    kept = [thing for thing in (getattr(model, "optimizer", None), *others) if thing is not None]
    attributes = [(vars(thing), dict(vars(thing))) for thing in kept]
    known = {} if streams is None else dict(streams._generators)
    entropy = None if streams is None else streams.entropy
    generators = [*known.values(), *generators_of(model).values()]
    generators += [use.generator for use in uses_of(model)]
    states = [copy.deepcopy(generator.bit_generator.state) for generator in generators]
    try:
        yield
    except BaseException:
        for part, its in assets:
            if part.get_assets() != its:
                part.set_assets(its)
        for thing, state in own:
            thing.set_state(state)
        for array, before in values:
            array[...] = before
        for copies in buffers:
            copies.restore()
        for now, old in attributes:
            now.clear()
            now.update(old)
        if streams is not None:
            streams.entropy, streams._generators = entropy, known
        for generator, state in zip(generators, states, strict=True):
            generator.bit_generator.state = state
        raise
