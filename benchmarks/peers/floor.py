"""Only the matrix products of a step, by NumPy, into preallocated arrays."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from benchmarks.cases import Case, data, weights


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


def flop(case: Case) -> int:
    """Return the number of floating-point operations of the products of a step."""
    pairs = list(itertools.pairwise(case.sizes))
    return sum(2 * case.batch * n * m * (3 if i else 2) for i, (n, m) in enumerate(pairs))


trainer = Trainer
