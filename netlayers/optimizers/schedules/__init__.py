"""Learning rate schedules."""

from __future__ import annotations

from netlayers.optimizers.schedules.base import LearningRateSchedule
from netlayers.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts, OneCycle
from netlayers.optimizers.schedules.decays import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from netlayers.optimizers.schedules.warmups import LinearWarmup, Noam

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "LinearWarmup",
    "Noam",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
]
