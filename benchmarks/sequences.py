"""The recurrent networks to measure, the same for all frameworks. This module uses NumPy only.

A network is one or more recurrent layers and a dense layer with one output on the last state; a
step of training reduces the mean squared error with Adam.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1, "ConvLSTM1D": 4, "ConvLSTM2D": 4}
# Inputs and units of the layers that get one observation of a stream at a time.
STREAMS = [("SimpleRNN", 12, 128), ("LSTM", 12, 128), ("GRU", 12, 128)]


@dataclass(frozen=True)
class SequenceCase:
    """A recurrent network and its training.

    Attributes:
        kind: ``"LSTM"``, ``"GRU"`` with ``reset_after``, ``"SimpleRNN"`` with tanh, or an LSTM
            whose products are convolutions with 3 places along each axis.
        batch: series in a batch.
        steps: steps of the longest series.
        inputs: features of a step.
        units: units of each layer, and of each direction.
        layers: number of layers.
        bidirectional: whether a layer has a second direction, whose outputs are concatenated.
        places: places along each axis of the steps of a ConvLSTM, whose last state is flattened.
        shortest: steps of the shortest series, if their lengths differ: the rest is masked.
    """

    name: str
    kind: str
    batch: int
    steps: int
    inputs: int
    units: int
    layers: int = 1
    bidirectional: bool = False
    shortest: int = 0
    places: tuple[int, ...] = ()
    optimizer: str = "adam"
    loss: str = "regression"
    dropout: float = 0.0

    @property
    def directions(self) -> int:
        """Number of directions of a layer."""
        return 2 if self.bidirectional else 1

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each series."""
        return np.linspace(self.shortest or self.steps, self.steps, self.batch).astype(int)

    def to_dict(self) -> dict[str, Any]:
        """Return a description for :func:`benchmarks.cases.from_dict`."""
        return {"sequence_case": self.name}


def _cases() -> Iterator[SequenceCase]:
    sizes = [
        (32, 7, 12, 128),
        (32, 100, 2, 100),
        (20, 150, 6, 50),
        (128, 28, 28, 128),
        (32, 200, 128, 64),
        (64, 784, 1, 130),
    ]
    for kind in ("LSTM", "GRU"):
        for size in sizes:
            yield SequenceCase(f"{kind} {' '.join(map(str, size))}", kind, *size)
    yield SequenceCase("SimpleRNN 20 150 6 50", "SimpleRNN", *sizes[2])
    yield SequenceCase(
        "two bidirectional LSTM 32 50 40 64", "LSTM", 32, 50, 40, 64, layers=2, bidirectional=True
    )
    yield SequenceCase("masked LSTM 32 7..29 12 128", "LSTM", 32, 29, 12, 128, shortest=7)
    for places in ((64,), (32, 32)):
        kind, sizes = f"ConvLSTM{len(places)}D", (8, 10, 4, 16)
        name = f"{kind} {' '.join(map(str, sizes))}, {' by '.join(map(str, places))}"
        yield SequenceCase(name, kind, *sizes, places=places)


SEQUENCE_CASES = {case.name: case for case in _cases()}


def sequence_data(case: SequenceCase) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch in float32, with zeros behind the end of a series, and numbers (batch, 1)."""
    rng = np.random.default_rng(1)
    shape = (case.batch, case.steps, *case.places, case.inputs)
    x = rng.standard_normal(shape, dtype=np.float32)
    x[np.arange(case.steps) >= case.lengths[:, None]] = 0
    # So large that PyTorch's other epsilon in Adam makes no difference to the gradients.
    sums = x[:, :3].mean(axis=tuple(range(2, x.ndim - 1))).sum(axis=(1, 2))
    return x, 10 * np.sin(2 * sums[:, None])


def sequence_weights(case: SequenceCase, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield kernel and recurrent kernel of each direction of each layer; at last the dense kernel.

    Columns are those of Keras: i, f, g, o for LSTM and z, r, h for GRU. Biases are 0.
    """
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        limit = np.sqrt(3 / np.prod(shape[:-1]))
        return rng.uniform(-limit, limit, shape).astype(np.float32)

    columns, inputs = GATES[case.kind] * case.units, case.inputs
    for _ in range(case.layers):
        for _ in range(case.directions):
            window = (3,) * len(case.places)
            yield draw(*window, inputs, columns), draw(*window, case.units, columns)
        inputs = case.units * case.directions
    yield draw(inputs * int(np.prod(case.places)), 1), np.empty(0, np.float32)
