"""What optimizers share: the order of an update, clipping, weight decay, state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_number
from netlayers.core.workspace import aligned
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.optimizers.clipping import norm, scale_to
from netlayers.optimizers.schedules import LearningRateSchedule
from netlayers.registry import Configurable, resolve, snake_case

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.parameters import ParameterVector

# An update reads and writes five arrays. In blocks of 262,144 numbers they stay in the processor's
# cache from one operation to the next, where the whole vector would go through memory each time.
BLOCK = 1 << 18


class Optimizer(Configurable):
    """Base class of optimizers. A rule of one's own is one method, :meth:`update`.

    An update happens in this order: look for gradients that are not finite, clip, decay the
    weights, apply the rule.

    Args:
        learning_rate: a number, or a schedule.
        weight_decay: decoupled decay: ``w -= learning_rate * weight_decay * w``.
        clipnorm: each parameter's gradient is scaled down to this norm if it is above.
        clipvalue: each single gradient is cut to within ± this value.
        global_clipnorm: all gradients together are scaled down to this norm if it is above.
            Only one of the three clips may be used.
        on_nonfinite: what a NaN or infinite gradient does: ``"raise"`` stops with an error that
            names layer and parameter, before any weight has changed; ``"skip"`` leaves out this
            update and counts it in ``skipped``; ``"ignore"`` updates all the same.
        name: what it is called.

    Attributes:
        learning_rate_factor: what a callback multiplies the rate by, on top of a schedule.
        iterations: updates done.
        skipped: updates left out.
        grad_norm: norm of all gradients before clipping, where clipping is on.

    Example:
        Only the signs of the gradients, as in J. Bernstein et al., "signSGD", ICML 2018.

        >>> import numpy as np, netlayers as nl
        >>> class SignSGD(nl.optimizers.Optimizer):
        ...     def update(self, w, g, lr, state, scratch):
        ...         np.sign(g, out=scratch)
        ...         scratch *= lr
        ...         w -= scratch
        >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        >>> model.compile(SignSGD(0.1), "mse")
        >>> history = model.fit(np.ones((4, 2)), np.ones(4), epochs=20, verbose=0)
        >>> history.history["loss"][-1] < history.history["loss"][0]
        True
    """

    # Names of the vectors that the rule keeps from one update to the next; they start at zero.
    state_names: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        on_nonfinite: str = "raise",
        name: str | None = None,
    ) -> None:
        owner = type(self).__name__
        self._learning_rate: float | LearningRateSchedule = self._check_rate(learning_rate)
        if weight_decay is not None:
            weight_decay = check_number(owner, "weight_decay", weight_decay, minimum=0)
        self.weight_decay = weight_decay
        limits = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {k: check_number(owner, k, v, above=0) for k, v in limits.items() if v is not None}
        if len(given) > 1:
            raise ConfigurationError(
                f"{owner}: Only one of clipnorm, clipvalue and global_clipnorm can be set, got "
                f"{' and '.join(given)}."
            )
        self.clipnorm = given.get("clipnorm")
        self.clipvalue = given.get("clipvalue")
        self.global_clipnorm = given.get("global_clipnorm")
        self.on_nonfinite = check_choice(
            owner, "on_nonfinite", on_nonfinite, ("raise", "skip", "ignore")
        )
        self.name = snake_case(owner) if name is None else name
        self.learning_rate_factor = 1.0
        self.iterations = 0
        self.skipped = 0
        self.grad_norm: float | None = None
        self.state: dict[str, Array] = {}
        self._parameters: ParameterVector | None = None

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Apply the rule to a block of the vectors, in place.

        Args:
            w: weights, flat.
            g: their gradients; not changed.
            lr: learning rate of this update.
            state: the vectors of :attr:`state_names`, to be changed in place.
            scratch: for intermediate results.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update")

    @property
    def clips(self) -> bool:
        """Whether clipping is on."""
        return not self.clipnorm is self.clipvalue is self.global_clipnorm is None

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next update; it can be set unless it follows a schedule."""
        rate = self._learning_rate
        if not isinstance(rate, LearningRateSchedule):
            return rate * self.learning_rate_factor
        value = float(rate(self.iterations)) * self.learning_rate_factor
        if not 0 <= value < math.inf:
            raise ConfigurationError(
                f"{type(self).__name__}: the schedule {rate!r} gave the learning rate {value} for "
                f"update {self.iterations}; it must be a finite number >= 0."
            )
        return value

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"{type(self).__name__}: this optimizer follows the schedule "
                f"{self._learning_rate!r}, so its learning rate is not settable. Make it with a "
                "number as learning_rate to change it later."
            )
        self._learning_rate = self._check_rate(value)

    def step(self, parameters: ParameterVector) -> bool:
        """Update the trainable weights once.

        Args:
            parameters: ``model.parameters``, with gradients from ``backward``.

        Returns:
            Whether the update took place (``False`` if it was skipped).

        Raises:
            NonFiniteError: a gradient is not finite; no weight has changed.
        """
        if self._parameters is not parameters or self._segments is not parameters.segments:
            self._bind(parameters)
        if not self._transform_gradients(parameters):
            self.skipped += 1
            return False
        lr = self.learning_rate
        decay = None if self.weight_decay is None else 1 - lr * self.weight_decay
        self.iterations += 1
        for w, g, state, scratch in self._blocks:
            if decay is not None:
                np.multiply(w, decay, out=w)
            self.update(w, g, lr, state, scratch)
        return True

    def _transform_gradients(self, parameters: ParameterVector) -> bool:
        """Clip the gradients; return whether the update may happen."""
        if not self.clips and self.on_nonfinite == "ignore":
            return True
        size = norm(self._gradients)
        suspect = not size.value < math.inf and self.on_nonfinite != "ignore"
        if suspect and not all(np.isfinite(g).all() for g in self._gradients):
            if self.on_nonfinite == "skip":
                return False
            self._raise_nonfinite(parameters)
        if self.clips:
            self.grad_norm = size.value
            if self.global_clipnorm is not None:
                scale_to(self._gradients, size, self.global_clipnorm)
            elif self.clipvalue is not None:
                for g in self._gradients:
                    np.clip(g, -self.clipvalue, self.clipvalue, out=g)
            elif self.clipnorm is not None:
                for g in self._tensor_gradients:
                    scale_to([g], norm([g]), self.clipnorm)
        return True

    def _raise_nonfinite(self, parameters: ParameterVector) -> None:
        for p in reversed(parameters.tensors):  # where the backward pass met it first
            g = parameters.gradients[p.slice]
            bad = np.count_nonzero(~np.isfinite(g))
            if bad:
                raise NonFiniteError(
                    f"{type(self).__name__}: the gradient of the parameter {p.name!r} of layer "
                    f"{p.layer.name!r} is not finite ({bad} of {g.size} values), at update "
                    f"{self.iterations + 1}. No weight was changed. Try a smaller learning rate, "
                    "gradient clipping (global_clipnorm=1.0), another initializer or scaled "
                    "inputs; on_nonfinite='skip' leaves such updates out."
                )

    def _bind(self, parameters: ParameterVector) -> None:
        """Lay the state out beside the parameters, and cut both into blocks."""
        size, dtype = parameters.values.size, parameters.dtype
        fits = all(v.size == size and v.dtype == dtype for v in self.state.values())
        if not fits or self._parameters not in (None, parameters):
            raise ConfigurationError(
                f"{type(self).__name__}: this optimizer already holds the state of other weights "
                "(another model, or this one before a layer was added or removed). Make a new "
                "optimizer for each model, and compile the model again."
            )
        for name in self.state_names:
            if name not in self.state:
                self.state[name] = aligned(size, dtype)
        self._parameters, self._segments = parameters, parameters.segments
        self._gradients = [parameters.gradients[s] for s in parameters.segments]
        self._tensor_gradients = [parameters.gradients[p.slice] for p in parameters.tensors]
        scratch = aligned(min(BLOCK, size), dtype)
        self._blocks = []
        for segment in parameters.segments:
            for start in range(segment.start, segment.stop, BLOCK):
                part = slice(start, min(start + BLOCK, segment.stop))
                state = tuple(self.state[name][part] for name in self.state_names)
                w, g = parameters.values[part], parameters.gradients[part]
                self._blocks.append((w, g, state, scratch[: w.size]))

    def _check_rate(self, value: Any) -> float | LearningRateSchedule:
        owner = type(self).__name__
        if isinstance(value, dict):
            value = resolve("schedule", value, LearningRateSchedule)
        if isinstance(value, LearningRateSchedule):
            return value
        return check_number(owner, "learning_rate", value, minimum=0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments; a schedule as its class name and arguments."""
        config = super().get_config()
        if isinstance(self._learning_rate, LearningRateSchedule):
            schedule = self._learning_rate
            config["learning_rate"] = {
                "class_name": type(schedule).__name__,
                "config": schedule.get_config(),
            }
        return config

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_segments", "_gradients", "_tensor_gradients", "_blocks"):
            state.pop(name, None)
        state["_parameters"] = None
        return state
