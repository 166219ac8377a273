"""Learning rate schedules."""

from __future__ import annotations

from typing import Any

from netlayers._serializers import serializers
from netlayers.optimizers.schedules.base import LearningRateSchedule
from netlayers.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts, OneCycle
from netlayers.optimizers.schedules.decays import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from netlayers.optimizers.schedules.warmups import LinearWarmup, Noam
from netlayers.registry import resolve

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
    "deserialize",
    "serialize",
]


def _get(identifier: Any) -> LearningRateSchedule:
    schedule: LearningRateSchedule = resolve("schedule", identifier, LearningRateSchedule)
    return schedule


serialize, deserialize = serializers(_get)
