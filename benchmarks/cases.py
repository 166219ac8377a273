"""The networks to measure, with their data and initial weights, the same for all frameworks.

This module uses NumPy only. Each process draws data and weights from the same seed.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

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
    """

    name: str
    sizes: tuple[int, ...]
    activation: str
    batch: int
    optimizer: str
    loss: str = "crossentropy"
    dropout: float = 0.0
    normalized: bool = False

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        pairs = list(itertools.pairwise(self.sizes))
        norms = sum(m for _, m in pairs[:-1]) if self.normalized else 0
        return sum(n * m + m for n, m in pairs) + norms

    def activated(self, layer: int) -> bool:
        """Return whether this layer has an activation."""
        return layer < len(self.sizes) - 2 or self.loss == "quadratic"

    def to_dict(self) -> dict[str, Any]:
        """Return a description for :func:`from_dict`."""
        return asdict(self)


def from_dict(description: dict[str, Any]) -> Case:
    """Return the case that a description was made from."""
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
    )
}

# Targets for the time of a peer divided by that of netlayers.
TARGETS: dict[str, dict[str, float]] = {
    "torch": dict(zip(CASES, (4, 4, 2.5, 1.25, 3, 1.05, 1.5), strict=True)),
    "torch.compile": dict(zip(CASES, (4, 4, 2.5, 1.1, 3, 1.0, 1.2), strict=True)),
    "jax": dict(zip(CASES, (1.8, 1.8, 1.5, 1.05, 1.2, 1.0, 1.1), strict=True)),
    "jax, loss read": dict(zip(CASES, (1.8, 1.8, 1.5, 1.05, 1.2, 1.0, 1.1), strict=True)),
    "keras": dict(zip(CASES, (6, 6, 3, 1.3, 1.5, 1.0, 1.2), strict=True)),
    "sklearn": dict(zip(CASES, (8, 8, 4, 2.5, 2, 1.5), strict=False)),
    "floor": {"mnist": 1 / 1.3, "wide": 1 / 1.2},
}


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
    for n, m in itertools.pairwise(case.sizes):
        limit = np.sqrt(6 / n) if case.activation == "relu" else np.sqrt(6 / (n + m))
        w = rng.uniform(-limit, limit, (n, m)).astype(np.float32)
        first.append((w, np.zeros(m, np.float32)))
    return first
