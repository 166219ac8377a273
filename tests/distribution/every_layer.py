"""Trains a functional model of an example of every layer, in any number of processes.

``python -m tests.distribution.every_layer`` prints, in the first process, a digest of weights,
history and predictions of each.
"""

import hashlib
import json
import warnings

import numpy as np

import netlayers as nl
from netlayers.distribution import DataParallel, set_distribution
from netlayers.testing.values import inputs
from tests.classes import concrete

ROWS = 5  # in two batches, whose shards have two rows, one or none


def symbolic(x):
    kind = str(x.dtype) if x.dtype.kind in "iuf" else None
    return nl.Input(x.shape[1:], dtype=kind)


def model_of(cls):
    """Return a model of a layer alone, and a batch for it."""
    arguments, shape = cls.examples()[0]
    several = isinstance(shape[0], tuple)
    shape = tuple((ROWS, *s[1:]) for s in shape) if several else (ROWS, *shape[1:])
    layer = cls(**arguments)
    x = inputs(layer, shape, "float32")
    its = list(map(symbolic, x)) if several else symbolic(x)
    model = nl.Model(its, layer(its), seed=0)
    return model, list(x) if several else x


def trained(cls):
    model, x = model_of(cls)
    outputs = model.predict_on_batch(x)
    several = isinstance(outputs, list)
    y = [np.full_like(its, 0.3, "f") for its in (outputs if several else [outputs])]
    model.compile("adam", "mse")
    size = {"batch_size": ROWS if model._has_states else 3, "verbose": 0}
    history = model.fit(x, y if several else y[0], epochs=1, **size)
    found = model.predict(x, batch_size=size["batch_size"])
    arrays = [model.parameters.values, *(found if several else [found])]
    text = b"".join(its.tobytes() for its in arrays) + repr(history.history["loss"]).encode()
    return hashlib.md5(text).hexdigest()


def main():
    distribution = DataParallel(4)
    set_distribution(distribution)
    warnings.simplefilter("ignore")  # what layers say about examples with five rows
    found = {}
    for cls in concrete("layer"):
        found[cls.__name__] = trained(cls)
    if distribution.rank == 0:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
