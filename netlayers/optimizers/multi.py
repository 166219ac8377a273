"""Several optimizers in one network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import takes
from netlayers.core.parameters import Parameters
from netlayers.errors import ConfigurationError
from netlayers.optimizers.base import Optimizer
from netlayers.optimizers.layout import Gradients, check_epsilon
from netlayers.optimizers.settings import patterns_of, patterns_of_weights
from netlayers.optimizers.transforms import Transform, clipping_of
from netlayers.registry import Configurable, register, resolve, serialize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, Identifier
    from netlayers.core.parameters import Parameter
    from netlayers.optimizers.rules import Rule
    from netlayers.optimizers.schedules.base import LearningRateSchedule

_OF_THE_WHOLE = {
    "use_ema": False,
    "gradient_accumulation_steps": None,
    "on_nonfinite": "raise",
}


class OptimizerMap(Configurable, MutableMapping[str, Optimizer]):
    """Which optimizer updates which parameter, by ``layer/parameter`` names.

    Args:
        default_optimizer: for parameters that no key matches.
        optimizer_map: dict of names, or regular expressions that match whole names, and optimizers.

    Raises:
        ConfigurationError: a key is no regular expression, or is set twice; an optimizer is a
            :class:`MultiOptimizer`. Also if several keys match a parameter.

    Example:
        >>> from netlayers.optimizers import Adam, OptimizerMap, SGD
        >>> optimizers = OptimizerMap(SGD(0.1), {"encoder/.*": Adam()})
        >>> optimizers["encoder/dense/kernel"], optimizers["dense/bias"]
        (Adam(), SGD(learning_rate=0.1))
    """

    def __init__(
        self,
        default_optimizer: Identifier,
        optimizer_map: Mapping[str, Identifier] | None = None,
    ) -> None:
        self.default_optimizer = _optimizer("default_optimizer", default_optimizer)
        self.optimizer_map: dict[str, Optimizer] = {}
        if not isinstance(optimizer_map, (Mapping, type(None))):
            raise ConfigurationError(
                "OptimizerMap: optimizer_map must be a dict of names and optimizers, got "
                f"{optimizer_map!r:.200}."
            )
        for key, optimizer in dict(optimizer_map or {}).items():
            self[key] = optimizer

    def __getitem__(self, key: str) -> Optimizer:
        if key in self.optimizer_map:
            return self.optimizer_map[key]
        found = [pattern for pattern in self.optimizer_map if re.fullmatch(pattern, key)]
        if len(found) > 1:
            raise ConfigurationError(
                f"OptimizerMap: several keys match {key!r}: {', '.join(map(repr, found))}. Make "
                f"{key!r} a key, or the expressions narrower."
            )
        return self.optimizer_map[found[0]] if found else self.default_optimizer

    def __setitem__(self, key: str, optimizer: Identifier) -> None:
        patterns_of("OptimizerMap", [key], "the keys")
        if key in self.optimizer_map:
            raise ConfigurationError(f"OptimizerMap: {key!r} already has an optimizer.")
        self.optimizer_map[key] = _optimizer(f"that of {key!r}", optimizer)

    def __delitem__(self, key: str) -> None:
        del self.optimizer_map[key]

    def __contains__(self, key: object) -> bool:
        return key in self.optimizer_map

    def __iter__(self) -> Iterator[str]:
        return iter(self.optimizer_map)

    def __len__(self) -> int:
        return len(self.optimizer_map)

    def __call__(self, p: Parameter) -> Optimizer:
        """Return the optimizer of a parameter."""
        return self[p.path]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments as plain values."""
        optimizers = {key: serialize(o) for key, o in self.optimizer_map.items()}
        return {
            "default_optimizer": serialize(self.default_optimizer),
            "optimizer_map": optimizers,
        }


@register("optimizer")
class MultiOptimizer(Optimizer):
    """Updates each parameter by one of several optimizers.

    The optimizers keep their learning rates, schedules, weight decays and clipping; clipping here
    comes first, by the norm of all gradients. Averages, accumulation and ``on_nonfinite`` are those
    of the whole.

    Args:
        optimizer_map: an :class:`OptimizerMap`, or a function that returns the optimizer of a
            parameter, which has a ``path`` (``"dense/kernel"``), a ``name`` and a ``shape``. A
            model with a function cannot be saved.
        learning_rate: factor on all learning rates: a number or a schedule.
        kwargs: see :class:`Optimizer`. A ``weight_decay`` takes the place of those of the
            optimizers.

    Attributes:
        optimizers: the optimizers, those of the map first.

    Raises:
        ConfigurationError: an optimizer has ``use_ema``, ``gradient_accumulation_steps`` or
            ``on_nonfinite``, which are arguments of ``MultiOptimizer``; or it is itself one.

    In Keras, ``learning_rate`` of a MultiOptimizer is an error; here, callbacks that change it act
    on all optimizers.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> from netlayers.optimizers import Adam, MultiOptimizer, OptimizerMap, SGD
        >>> layers = [nl.layers.Dense(4, "relu", name="hidden"), nl.layers.Dense(1)]
        >>> model = nl.Sequential(layers, seed=0)
        >>> model.compile(MultiOptimizer(OptimizerMap(SGD(0.1), {"hidden/.*": Adam()})), "mse")
        >>> history = model.fit(np.ones((8, 2)), np.ones(8), epochs=2, verbose=0)
        >>> [type(optimizer).__name__ for optimizer in model.optimizer.optimizers]
        ['Adam', 'SGD']
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Parameter], Optimizer],
        learning_rate: float | LearningRateSchedule = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        given: Any = optimizer_map
        if isinstance(given, dict) and given.get("class_name") == "OptimizerMap":
            given = OptimizerMap.from_config(given["config"])
        if not callable(given) or not takes(given, 1):
            raise ConfigurationError(
                "MultiOptimizer: optimizer_map must be an OptimizerMap or a function of a "
                f"parameter, got {given!r:.200}."
            )
        self.optimizer_map = given
        self.optimizers: list[Optimizer] = []
        self._of: dict[str, Optimizer] = {}  # what a function has returned, by path
        if isinstance(given, OptimizerMap):
            for optimizer in (*given.optimizer_map.values(), given.default_optimizer):
                self._add(optimizer)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        adam = {"class_name": "Adam", "config": {"learning_rate": 0.1, "clipnorm": 0.5}}
        sgd = {"class_name": "SGD", "config": {"momentum": 0.5, "weight_decay": 0.1}}
        return [{"optimizer_map": OptimizerMap(adam, {".*/bias": sgd})}]

    def _add(self, optimizer: Any) -> None:
        if any(optimizer is known for known in self.optimizers):
            return
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, MultiOptimizer):
            raise ConfigurationError(
                "MultiOptimizer: optimizer_map must return an optimizer that is no "
                f"MultiOptimizer, got {optimizer!r:.200}."
            )
        for name, usual in _OF_THE_WHOLE.items():
            value = getattr(optimizer, name)
            if value != usual:
                raise ConfigurationError(
                    f"MultiOptimizer: {type(optimizer).__name__} has {name}={value!r}; pass it to "
                    "MultiOptimizer, for all weights."
                )
        self.optimizers.append(optimizer)

    def optimizer_of(self, p: Parameter) -> Optimizer:
        """Return the optimizer of a parameter.

        Args:
            p: the parameter.
        """
        if isinstance(self.optimizer_map, OptimizerMap):
            return self.optimizer_map(p)
        if p.path not in self._of:
            optimizer = self.optimizer_map(p)
            self._add(optimizer)
            self._of[p.path] = optimizer
        return self._of[p.path]

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the state vectors: each optimizer has the first ones, for its weights."""
        return tuple(f"state_{i}" for i in range(self._count))

    @property
    def _count(self) -> int:
        return max((len(optimizer.state_names) for optimizer in self.optimizers), default=0)

    @property
    def _squares_gradients(self) -> bool:  # type: ignore[override]
        return any(optimizer._squares_gradients for optimizer in self.optimizers)

    def rule_of(self, p: Parameter) -> Rule:
        """Return the rule that updates a parameter: that of its optimizer."""
        optimizer = self.optimizer_of(p)
        rule = optimizer.rule_of(p)
        names = tuple(f"state_{i}" for i in range(len(rule.state_names)))
        decay = rule.decay if self.weight_decay is None else self.weight_decay
        decay *= not self._is_undecayed(p)
        update = _Part(self, optimizer, rule.update, decay)
        # By rows, the decay would miss the others.
        by_rows = rule.by_rows and not decay
        return rule._replace(update=update, state_names=names, decay=0.0, by_rows=by_rows)

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Not used: each parameter is updated by its optimizer."""
        raise NotImplementedError("MultiOptimizer has no rule of its own")

    def bind(self, parameters: Parameters) -> None:
        """Allocate the state, split it into blocks, and list the transforms."""
        if self._parameters is parameters and self._segments is parameters.segments:
            return
        trained = [p for p in getattr(parameters, "all", ()) if not p.statistic]
        owners = [self.optimizer_of(p) for p in trained]
        for optimizer in self.optimizers:
            check_epsilon(optimizer, parameters.dtype)
            if optimizer._undecayed_weights:
                optimizer._undecayed += patterns_of_weights(optimizer, parameters)
        for p, optimizer in zip(trained, owners, strict=True):  # a file knows those of the whole
            if optimizer._is_undecayed(p) and not self._is_undecayed(p):
                self._undecayed.append(re.compile(f"^{re.escape(p.path)}$"))
        super().bind(parameters)
        for optimizer in self.optimizers:
            optimizer.iterations = self.iterations
            if optimizer.clips:
                its = [p for p, owner in zip(trained, owners, strict=True) if owner is optimizer]
                part = Gradients(Parameters(its, parameters.vector))
                self.transforms.append(_ClipPart(optimizer, part))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments.

        Raises:
            ConfigurationError: ``optimizer_map`` is a function.
        """
        if not isinstance(self.optimizer_map, OptimizerMap):
            raise ConfigurationError(
                "MultiOptimizer: a function as optimizer_map cannot be saved; use an OptimizerMap."
            )
        return super().get_config()

    def __repr__(self) -> str:
        if isinstance(self.optimizer_map, OptimizerMap):
            return super().__repr__()
        return f"MultiOptimizer({self.optimizer_map!r})"


class _Part:
    """The update of a parameter by the optimizer that the map gives it."""

    def __init__(
        self, whole: MultiOptimizer, optimizer: Optimizer, update: Callable[..., Any], decay: float
    ) -> None:
        self.whole, self.optimizer, self.update, self.decay = whole, optimizer, update, decay

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Part) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __call__(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Decay and update a block; ``lr`` is a factor on the learning rate of the optimizer."""
        optimizer = self.optimizer
        optimizer.iterations = self.whole.iterations - 1
        lr *= optimizer.learning_rate
        optimizer.iterations += 1
        if self.decay:
            np.multiply(w, 1 - lr * self.decay, out=w)
        self.update(w, g, lr, state, scratch)


class _ClipPart(Transform):
    """Clips the gradients of one of the optimizers, as its settings say."""

    def __init__(self, optimizer: Optimizer, part: Gradients) -> None:
        super().__init__(optimizer)
        self._part, self._transforms = part, clipping_of(optimizer)

    def apply(self, gradients: Gradients) -> bool:
        """Apply the transforms to the part of the gradients."""
        self._part.collect()
        return all(transform.apply(self._part) for transform in self._transforms)


def _optimizer(what: str, identifier: Identifier) -> Optimizer:
    """Return the optimizer that an argument stands for.

    Raises:
        ConfigurationError: it is none, or a :class:`MultiOptimizer`.
    """
    if isinstance(identifier, dict) and identifier.get("class_name") == "MultiOptimizer":
        raise ConfigurationError(f"OptimizerMap: {what} must not be a MultiOptimizer.")
    optimizer: Optimizer = resolve("optimizer", identifier, Optimizer)
    if isinstance(optimizer, MultiOptimizer):
        raise ConfigurationError(f"OptimizerMap: {what} must not be a MultiOptimizer.")
    return optimizer
