"""Sources of batches that several test files share."""

import numpy as np

import netlayers as nl

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
W = RNG.random(40).astype(np.float32)
BATCHES = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 40, 8)]


def make(built=False):
    layers = [nl.layers.Dense(5, activation="tanh"), nl.layers.Dense(3, activation="softmax")]
    model = nl.Sequential(layers, seed=0)
    model.compile(nl.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    if built:
        model.build((None, 4))
    return model


def bits(model):
    return model.parameters.values.tobytes()


class Sequence:
    """Keras's protocol of a data set, and nothing else."""

    def __init__(self, batches=BATCHES):
        self.batches, self.calls = batches, []

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        self.calls.append(index)
        return self.batches[index]

    def on_epoch_begin(self):
        self.calls.append("begin")

    def on_epoch_end(self):
        self.calls.append("end")


class Iterable:
    def __iter__(self):
        return iter(BATCHES)


class SizedIterable(Iterable):
    def __len__(self):
        return len(BATCHES)


class Rewinding:
    """An iterator that begins again with each iter()."""

    def __iter__(self):
        self.batches = iter(BATCHES)
        return self

    def __next__(self):
        return next(self.batches)


class OldProtocol:
    def __getitem__(self, index):
        return BATCHES[index]


def generator():
    yield from BATCHES


REPEATABLE = {
    "generator function": lambda: generator,
    "function": lambda: lambda: iter(BATCHES),
    "function that returns a list": lambda: lambda: BATCHES,
    "list": lambda: BATCHES,
    "tuple": lambda: tuple(BATCHES),
    "iterable": Iterable,
    "sized iterable": SizedIterable,
    "__getitem__ alone": OldProtocol,
    "sequence": Sequence,
    "rewinding iterator": Rewinding,
    "batches as lists": lambda: Sequence([list(b) for b in BATCHES]),
    "nested lists": lambda: Sequence([(x.tolist(), y.tolist()) for x, y in BATCHES]),
}
