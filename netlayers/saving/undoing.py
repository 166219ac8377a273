"""A model as it was before something that failed half way."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

from netlayers.core.random import generators_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def unchanged_on_error(model: Any, others: Iterable[Any] = ()) -> Iterator[None]:
    """Put weights, statistics, optimizer and random streams back if anything is raised.

    Args:
        model: built and compiled. The vectors of its optimizer may be replaced in the context, but
            not be written to.
        others: objects whose attributes are put back too, under the same condition.
    """
    parameters, streams = model.parameters, model._streams
    vectors = parameters.values.copy(), parameters.statistics.copy()
    attributes = [(vars(thing), dict(vars(thing))) for thing in (model.optimizer, *others)]
    entropy, known = streams.entropy, dict(streams._generators)
    generators = [*known.values(), *generators_of(model).values()]
    states = [copy.deepcopy(generator.bit_generator.state) for generator in generators]
    try:
        yield
    except BaseException:
        parameters.values[...], parameters.statistics[...] = vectors
        for now, before in attributes:
            now.clear()
            now.update(before)
        streams.entropy, streams._generators = entropy, known
        for generator, state in zip(generators, states, strict=True):
            generator.bit_generator.state = state
        raise
