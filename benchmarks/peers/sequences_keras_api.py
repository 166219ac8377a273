"""The recurrent networks, by netlayers or by Keras, whose names are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cases import BETA_1, BETA_2, EPSILON, RATE
from benchmarks.sequences import SequenceCase, sequence_weights


def make_sequence_model(case: SequenceCase, library: Any, seed: int = 0) -> Any:
    """Return the compiled model of netlayers or keras, with the weights of the case."""
    layers = library.layers
    library.utils.set_random_seed(seed)
    x = y = library.Input((case.steps, *case.places, case.inputs))
    options = {"kernel_size": 3, "padding": "same"} if case.places else {}
    if case.shortest:
        y = layers.Masking()(y)
    made = []
    for i in range(case.layers):
        kind, last = getattr(layers, case.kind), i + 1 == case.layers
        layer = kind(case.units, return_sequences=not last, **options)
        made.append(layers.Bidirectional(layer) if case.bidirectional else layer)
        y = made[-1](y)
    y = layers.Flatten()(y) if case.places else y
    dense = layers.Dense(1)
    model = library.Model(x, dense(y))
    drawn = list(sequence_weights(case, seed))
    for i, layer in enumerate(made):
        its = drawn[i * case.directions : (i + 1) * case.directions]
        shapes = [np.shape(w) for w in layer.get_weights()]
        found = [w for kernels in its for w in (*kernels, None)]
        pairs = zip(found, shapes, strict=True)
        layer.set_weights([np.zeros(shape) if w is None else w for w, shape in pairs])
    dense.set_weights([drawn[-1][0], np.zeros(1)])
    model.compile(
        library.optimizers.Adam(RATE, BETA_1, BETA_2, EPSILON), library.losses.MeanSquaredError()
    )
    return model


def make_stream(
    library: Any, kind: str, inputs: int, units: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from one observation (1, 1, inputs) to the output; the state is kept."""
    x = library.Input((1, inputs), batch_size=1)
    model = library.Model(x, getattr(library.layers, kind)(units, stateful=True)(x))
    return model.predict_on_batch
