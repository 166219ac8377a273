"""Optimizers: rules that update weights from gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers._serializers import serializers
from netlayers.optimizers import schedules
from netlayers.optimizers.adadelta import Adadelta
from netlayers.optimizers.adafactor import Adafactor
from netlayers.optimizers.adagrad import Adagrad
from netlayers.optimizers.adam import Adam, AdamW
from netlayers.optimizers.adamax import Adamax
from netlayers.optimizers.base import Optimizer
from netlayers.optimizers.ftrl import Ftrl
from netlayers.optimizers.lamb import Lamb
from netlayers.optimizers.lars import LARS
from netlayers.optimizers.lazy_adam import LazyAdam
from netlayers.optimizers.lion import Lion
from netlayers.optimizers.multi import MultiOptimizer, OptimizerMap
from netlayers.optimizers.muon import Muon
from netlayers.optimizers.nadam import Nadam
from netlayers.optimizers.radam import RAdam
from netlayers.optimizers.rmsprop import RMSprop
from netlayers.optimizers.schedule_free import ScheduleFreeAdamW
from netlayers.optimizers.sgd import SGD
from netlayers.registry import resolve

if TYPE_CHECKING:
    from netlayers._typing import Identifier

__all__ = [
    "LARS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "LazyAdam",
    "Lion",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "RAdam",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]


def get(identifier: Identifier) -> Any:
    """Return an optimizer from a name, a configuration or an object; ``None`` from ``None``.

    Args:
        identifier: a name such as ``"adam"``, a dict that :func:`serialize` returned, an
            :class:`Optimizer`, or ``None``.

    Example:
        >>> from netlayers import optimizers
        >>> optimizers.get("sgd").learning_rate
        0.01
    """
    if identifier is None:
        return None
    optimizer: Optimizer = resolve("optimizer", identifier, Optimizer)
    return optimizer


serialize, deserialize = serializers(get)
