"""How a run of L-BFGS ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class LBFGSResult:
    """How a run of L-BFGS ended.

    Attributes:
        converged: whether a tolerance was reached.
        message: why it ended; SciPy's message if no tolerance was reached.
        iterations: number of iterations.
        evaluations: number of evaluations of loss and gradient.
    """

    converged: bool
    message: str
    iterations: int
    evaluations: int
