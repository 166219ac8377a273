"""Only the matrix products of a step, by NumPy, into preallocated arrays."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from benchmarks.cases import Case, data, weights
from benchmarks.images import ImageCase, products

PART = 2048  # rows of patches, or terms of a sum over them, that are multiplied at a time


class Trainer:
    """Computes only the matrix products of a step."""

    def __init__(self, case: Case, way: str = "") -> None:
        if case.form != "chain":
            raise NotImplementedError("the floor is that of a chain")
        self.w = [w for w, _ in weights(case)]
        self.a = [data(case)[0]]
        rng = np.random.default_rng(0)
        for m in case.sizes[1:]:
            self.a.append(rng.standard_normal((case.batch, m), dtype=np.float32))
        self.out = [np.empty_like(a) for a in self.a]
        self.dw = [np.empty_like(w) for w in self.w]

    def step(self) -> None:
        """Compute x W of each layer, then xᵀ dz and, except for the first, dz Wᵀ."""
        a, w, out, dw = self.a, self.w, self.out, self.dw
        for k in range(len(w)):
            np.dot(a[k], w[k], out=out[k + 1])
        for k in reversed(range(len(w))):
            np.dot(a[k].T, a[k + 1], out=dw[k])
            if k:
                np.dot(a[k + 1], w[k].T, out=out[k])

    def value(self, result: Any) -> float:
        """Return NaN: there is no loss."""
        return float("nan")

    def wait(self) -> None:
        """Return at once: steps are synchronous."""


class ImageTrainer:
    """Computes only the matrix products of a step of a convolutional network, part by part.

    The patches are not copied: each part is the product of the same matrices.
    """

    def __init__(self, case: ImageCase) -> None:
        rng = np.random.default_rng(0)
        self.parts = []
        for rows, inner, columns in products(case):
            m, k = min(rows, PART), min(inner, PART)
            a = rng.standard_normal((m, k), dtype=np.float32)
            b = rng.standard_normal((k, columns), dtype=np.float32)
            count = round(rows * inner / (m * k))
            self.parts.append((a, b, np.empty((m, columns), np.float32), count))

    def step(self) -> None:
        """Compute the products."""
        for a, b, out, count in self.parts:
            for _ in range(count):
                np.dot(a, b, out=out)

    def value(self, result: Any) -> float:
        """Return NaN: there is no loss."""
        return float("nan")

    def wait(self) -> None:
        """Return at once: steps are synchronous."""


def flop(case: Case) -> int:
    """Return the number of floating-point operations of the products of a step."""
    pairs = list(itertools.pairwise(case.sizes))
    return sum(2 * case.batch * n * m * (3 if i else 2) for i, (n, m) in enumerate(pairs))


def trainer(case: Case | ImageCase, way: str = "") -> Trainer | ImageTrainer:
    """Return what computes the products of a case."""
    return ImageTrainer(case) if isinstance(case, ImageCase) else Trainer(case)
