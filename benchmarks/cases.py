"""The networks to measure, with their data and initial weights, the same for all frameworks.

This module uses NumPy only. Each process draws data and weights from the same seed.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from benchmarks.images import IMAGE_CASES
from benchmarks.sequences import SEQUENCE_CASES

RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7  # of Adam
SGD_RATE, MOMENTUM, CLIP = 0.01, 0.9, 1.0
BN_MOMENTUM, BN_EPSILON = 0.99, 1e-3


@dataclass(frozen=True)
class Case:
    """A network and its training.

    Attributes:
        sizes: units of the input and of each layer.
        activation: activation of the hidden layers; also of the last one for one-hot targets.
        batch: rows in a batch.
        optimizer: ``"sgd"``, ``"adam"`` or ``"momentum"``, which clips the global norm.
        loss: ``"crossentropy"`` of logits and class indices; ``"quadratic"``, the mean squared
            error of one-hot rows; ``"regression"``, the mean squared error of one output.
        dropout: rate after each hidden layer.
        normalized: whether batch normalization precedes each hidden activation; the layer before
            it then has no bias.
        form: ``"chain"``; ``"residual"``: each two hidden layers after the first form a block,
            ``h + f(h)``; ``"towers"``: each half of the input has hidden layers of its own, whose
            outputs are concatenated before the last layer.
    """

    name: str
    sizes: tuple[int, ...]
    activation: str
    batch: int
    optimizer: str
    loss: str = "crossentropy"
    dropout: float = 0.0
    normalized: bool = False
    form: str = "chain"

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Inputs and units of each layer, those of the first tower before the second."""
        found = list(itertools.pairwise(self.sizes))
        if self.form == "towers":
            n, m = found[0]
            tower = [(n // 2, m), *found[1:-1]]
            found = [*tower, *tower, (2 * self.sizes[-2], self.sizes[-1])]
        return found

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        pairs = self.pairs
        norms = sum(m for _, m in pairs[:-1]) if self.normalized else 0
        return sum(n * m + m for n, m in pairs) + norms

    def activated(self, layer: int) -> bool:
        """Return whether this layer has an activation."""
        if self.form == "residual" and layer and layer % 2 == 0:
            return False  # it ends a block
        return layer < len(self.pairs) - 1 or self.loss == "quadratic"

    def to_dict(self) -> dict[str, Any]:
        """Return a description for :func:`from_dict`."""
        return asdict(self)


def from_dict(description: dict[str, Any]) -> Any:
    """Return the case that a description was made from: of any of the three kinds."""
    if "sequence_case" in description:
        return SEQUENCE_CASES[description["sequence_case"]]
    if "image_case" in description:
        return replace(IMAGE_CASES[description["image_case"]], dropout=description["dropout"])
    return Case(**{**description, "sizes": tuple(description["sizes"])})


CASES = {
    case.name: case
    for case in (
        Case("tiny", (784, 30, 10), "sigmoid", 10, "sgd", "quadratic"),
        Case("tabular", (16, 64, 64, 2), "relu", 32, "adam"),
        Case("regress", (32, 128, 128, 1), "relu", 256, "adam", "regression"),
        Case("mnist", (784, 512, 512, 10), "relu", 128, "adam"),
        Case("deep", (64, *[64] * 50, 10), "tanh", 64, "momentum"),
        Case("wide", (1024, 2048, 2048, 2048, 10), "relu", 256, "adam"),
        Case("regularized", (784, 512, 512, 10), "relu", 128, "adam", dropout=0.2, normalized=True),
        Case("residual", (128, *[256] * 9, 10), "relu", 128, "adam", form="residual"),
        Case("towers", (128, 256, 128, 1), "relu", 256, "adam", "regression", form="towers"),
    )
}

_CHAINS = [name for name, case in CASES.items() if case.form == "chain"]
# Targets for the time of a peer divided by that of netlayers.
TARGETS: dict[str, dict[str, float]] = {
    "torch": dict(zip(_CHAINS, (4, 4, 2.5, 1.25, 3, 1.05, 1.5), strict=True)),
    "torch.compile": dict(zip(_CHAINS, (4, 4, 2.5, 1.1, 3, 1.0, 1.2), strict=True)),
    "jax": dict(zip(_CHAINS, (1.8, 1.8, 1.5, 1.05, 1.2, 1.0, 1.1), strict=True)),
    "jax, loss read": dict(zip(_CHAINS, (1.8, 1.8, 1.5, 1.05, 1.2, 1.0, 1.1), strict=True)),
    "keras": dict(zip(_CHAINS, (6, 6, 3, 1.3, 1.5, 1.0, 1.2), strict=True)),
    "sklearn": dict(zip(_CHAINS, (8, 8, 4, 2.5, 2, 1.5), strict=False)),
    "floor": {"mnist": 1 / 1.3, "wide": 1 / 1.2},
}


def inputs(case: Case, x: np.ndarray) -> list[np.ndarray]:
    """Return the inputs of the network: x, or its two halves."""
    if case.form != "towers":
        return [x]
    return [np.ascontiguousarray(part) for part in np.split(x, 2, axis=1)]


def apply(case: Case, dense: Any, xs: Any, concatenate: Any) -> Any:
    """Return the output of a network, in any framework.

    Args:
        case: the network.
        dense: applies the layer of a number, with its activation.
        xs: the inputs.
        concatenate: joins two arrays along the last axis.
    """
    count = len(case.pairs)
    if case.form == "towers":
        tower, found = (count - 1) // 2, []
        for first, h in zip((0, tower), xs, strict=True):
            for i in range(first, first + tower):
                h = dense(i, h)
            found.append(h)
        return dense(count - 1, concatenate(found))
    h = dense(0, xs[0])
    if case.form == "residual":
        for i in range(1, count - 1, 2):
            h = h + dense(i + 1, dense(i, h))
        return dense(count - 1, h)
    for i in range(1, count):
        h = dense(i, h)
    return h


def data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch in float32: inputs, and class indices, one-hot rows or numbers (n, 1)."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((case.batch, case.sizes[0]), dtype=np.float32)
    if case.loss == "regression":
        return x, np.sin(x[:, :1] * 2) + x[:, 1:2] * x[:, 2:3]
    y = rng.integers(0, case.sizes[-1], case.batch)
    return x, np.eye(case.sizes[-1], dtype=np.float32)[y] if case.loss == "quadratic" else y


def weights(case: Case, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (inputs, units) weights, Glorot or for ReLU He uniform, and zero biases."""
    rng = np.random.default_rng(seed)
    first = []
    for n, m in case.pairs:
        limit = np.sqrt(6 / n) if case.activation == "relu" else np.sqrt(6 / (n + m))
        w = rng.uniform(-limit, limit, (n, m)).astype(np.float32)
        first.append((w, np.zeros(m, np.float32)))
    return first
