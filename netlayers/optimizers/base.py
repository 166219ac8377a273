"""What optimizers share: the order of an update, clipping, weight decay, averages, state."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_flag, check_integer, check_number
from netlayers.core.workspace import aligned
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.optimizers.clipping import norm, scale_to, sum_of_squares
from netlayers.optimizers.schedules.base import LearningRateSchedule, check_rate
from netlayers.registry import Configurable, serialize, snake_case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter, Parameters

# An update reads and writes five arrays. In blocks of 262,144 numbers they stay in the processor's
# cache from one operation to the next, where the whole vector would go through memory each time.
BLOCK = 1 << 18

# What decays without end reaches the denormal numbers at the edge of the format, stays there (half
# of the smallest one rounds to it again), and many processors take several times as long for each.
# So every so many updates what is below 2^20 times the smallest normal number (1e-32 in float32,
# 2e-302 in float64) becomes 0. A decay of 0.87 or slower gets there before it gets too small.
FLUSH_EVERY = 100
FLUSH_BELOW = 2.0**20


class Optimizer(Configurable):
    """Base class of optimizers. A rule of one's own is one method, :meth:`update`.

    An update happens in this order: accumulate the gradients, look for those that are not finite,
    clip, decay the weights, apply the rule, apply the constraints, average the weights.

    Args:
        learning_rate: a number, or a schedule of the number of updates.
        weight_decay: decoupled decay: ``w -= learning_rate * weight_decay * w``.
        clipnorm: each parameter's gradient is scaled down to this norm if it is above.
        clipvalue: each single gradient is cut to within ± this value.
        global_clipnorm: all gradients together are scaled down to this norm if it is above.
            Only one of the three clips may be used.
        use_ema: keep a moving average of the weights, which takes their place when ``fit`` ends.
            The first average is the weights after the first update, then
            ``average = ema_momentum * average + (1 - ema_momentum) * w``.
        ema_momentum: as above, in [0, 1].
        ema_overwrite_frequency: also put the averages in place of the weights after every so many
            updates.
        gradient_accumulation_steps: update only at every so many calls of :meth:`step`, with the
            mean of their gradients. With batches of one size and a loss that is a mean over the
            batch, this is the update of one batch of all their samples. Schedules and averages
            count updates (in Keras they count the calls).
        on_nonfinite: what a NaN or infinite gradient does: ``"raise"`` stops with an error that
            names layer and parameter, before any weight has changed; ``"skip"`` leaves out this
            update and counts it in ``skipped``; ``"ignore"`` updates all the same.
        name: what it is called.

    Attributes:
        iterations: updates done.
        skipped: updates left out.
        accumulated: gradients gathered since the last update.
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

    # Names of the vectors that the rule keeps from one update to the next, and the numbers that
    # those of them are filled with at first that do not start at zero.
    state_names: tuple[str, ...] = ()
    state_start: Mapping[str, float] = {}
    # Arrays for intermediate results; if more than one, scratch is a matrix with this many rows.
    scratch_rows = 1
    # Whether the blocks are single parameters, whole: for rules that take a norm, for instance.
    by_parameter = False

    def __init__(
        self,
        learning_rate: Any = 0.001,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        gradient_accumulation_steps: int | None = None,
        on_nonfinite: str = "raise",
        name: str | None = None,
    ) -> None:
        owner = type(self).__name__
        self._learning_rate = check_rate(owner, learning_rate)
        self._factor = 1.0
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
        self.use_ema = check_flag(owner, "use_ema", use_ema)
        self.ema_momentum = check_number(owner, "ema_momentum", ema_momentum, minimum=0, maximum=1)
        if ema_overwrite_frequency is not None:
            ema_overwrite_frequency = check_integer(
                owner, "ema_overwrite_frequency", ema_overwrite_frequency, minimum=1
            )
        self.ema_overwrite_frequency = ema_overwrite_frequency
        if gradient_accumulation_steps is not None:
            gradient_accumulation_steps = check_integer(
                owner, "gradient_accumulation_steps", gradient_accumulation_steps, minimum=1
            )
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.nonfinite_override: str | None = None  # a callback's, for its run alone
        self.on_nonfinite = check_choice(
            owner, "on_nonfinite", on_nonfinite, ("raise", "skip", "ignore")
        )
        self.name = snake_case(owner) if name is None else name
        self.iterations = 0
        self.skipped = 0
        self.accumulated = 0
        self.grad_norm: float | None = None
        self.state: dict[str, Array] = {}
        self._undecayed: list[re.Pattern[str]] = []
        self._parameters: Parameters | None = None
        self._segments: list[slice] | None = None

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
        """The rate of the next update: number or schedule, times :attr:`learning_rate_factor`.

        It can be set unless it follows a schedule; the factor is 1 again then.
        """
        rate = self._learning_rate
        if not isinstance(rate, LearningRateSchedule):
            return rate * self._factor
        value = float(rate(self.iterations))
        if not 0 <= value < math.inf:
            raise ConfigurationError(
                f"{type(self).__name__}: the schedule {rate!r} gave the learning rate {value} for "
                f"update {self.iterations}; it must be a finite number >= 0."
            )
        return value * self._factor

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"{type(self).__name__}: this optimizer follows the schedule "
                f"{self._learning_rate!r}, so its learning rate is not settable. Make it with a "
                "number as learning_rate to change it later."
            )
        self._learning_rate = check_rate(type(self).__name__, value)
        self._factor = 1.0

    @property
    def learning_rate_factor(self) -> float:
        """What the learning rate is multiplied by, also that of a schedule; 1 at first."""
        return self._factor

    @learning_rate_factor.setter
    def learning_rate_factor(self, value: float) -> None:
        owner = type(self).__name__
        self._factor = check_number(owner, "learning_rate_factor", value, minimum=0)

    def exclude_from_weight_decay(self, *, var_names: Sequence[str]) -> None:
        """Let the weight decay leave out some parameters, in place of those named before.

        Args:
            var_names: regular expressions; a parameter whose ``layer/parameter`` name holds a match
                of one of them is left out: ``["bias"]``, ``["^dense_1/"]``. As in Keras they are
                no part of the configuration.
        """
        try:
            if isinstance(var_names, str):
                raise TypeError
            patterns = [re.compile(name) for name in var_names]
        except (TypeError, re.error):
            raise ConfigurationError(
                f"{type(self).__name__}: var_names must be a list of texts that are regular "
                f"expressions, such as ['bias'], got {var_names!r}."
            ) from None
        self._undecayed = patterns
        self._segments = None  # to be cut anew

    def step(self, parameters: Parameters) -> bool:
        """Update the trainable weights once.

        Args:
            parameters: ``model.parameters``, with gradients from ``backward``.

        Returns:
            Whether the update took place (``False`` if it was skipped, or if the gradients were
            added to those of the next).

        Raises:
            NonFiniteError: a gradient is not finite; no weight has changed.
        """
        if self._parameters is not parameters or self._segments is not parameters.segments:
            self._bind(parameters)
        if self.gradient_accumulation_steps is not None and not self._accumulate(parameters):
            return False
        if not self._transform_gradients(parameters):
            self.skipped += 1
            return False
        rate = self.learning_rate
        self.iterations += 1
        for (multiplier, decay, _), blocks in self._groups:
            lr = rate * multiplier
            for w, g, state, scratch in blocks:
                if decay:
                    np.multiply(w, 1 - lr * decay, out=w)
                self.update(w, g, lr, state, scratch)
        if parameters.constrained:
            parameters.constrain()
        if self.use_ema:
            self._average(parameters)
        if self.iterations % FLUSH_EVERY == 0:
            self._flush(parameters)
        return True

    def finalize_variable_values(self, parameters: Parameters) -> None:
        """Put the averages of ``use_ema`` in place of the weights; ``fit`` does it at its end."""
        average = self.state.get("average")
        if average is not None:
            for s in parameters.segments:
                np.copyto(parameters.values[s], average[s])

    def _average(self, parameters: Parameters) -> None:
        """Take the weights into their average."""
        for s in parameters.segments:
            if self.iterations == 1:
                np.copyto(self.state["average"][s], parameters.values[s])
                continue
            for start in range(s.start, s.stop, self._scratch.size):
                part = slice(start, min(start + self._scratch.size, s.stop))
                average = self.state["average"][part]
                change = self._scratch[: average.size]
                np.subtract(parameters.values[part], average, out=change)
                np.multiply(change, 1 - self.ema_momentum, out=change)
                np.add(average, change, out=average)
        every = self.ema_overwrite_frequency
        if every is not None and self.iterations % every == 0:
            self.finalize_variable_values(parameters)

    def _flush(self, parameters: Parameters) -> None:
        """Set to 0 what has decayed to almost nothing, see ``FLUSH_EVERY``: state and weights."""
        vectors = [vector for name, vector in self.state.items() if name != "gradient_sum"]
        if self.weight_decay or parameters.regularized:
            vectors.append(parameters.values)
        limit = np.finfo(parameters.dtype).tiny * FLUSH_BELOW
        for s in parameters.segments:
            for start in range(s.start, s.stop, self._scratch.size):
                part = slice(start, min(start + self._scratch.size, s.stop))
                for vector in vectors:
                    numbers = vector[part]
                    size = np.abs(numbers, out=self._scratch[: numbers.size])
                    keep = np.greater(size, limit, out=self._keep[: numbers.size])
                    np.multiply(numbers, keep, out=numbers)

    def _accumulate(self, parameters: Parameters) -> bool:
        """Gather gradients; return whether they are complete, and then their mean is in place."""
        gathered, steps = self.state["gradient_sum"], self.gradient_accumulation_steps
        assert steps is not None
        self.accumulated += 1
        with np.errstate(all="ignore"):  # what is not finite is looked for in the mean
            if self.accumulated < steps:
                if self.accumulated == 1:
                    np.copyto(gathered, parameters.gradients)
                else:
                    np.add(gathered, parameters.gradients, out=gathered)
                return False
            self.accumulated = 0
            for s, g in zip(parameters.segments, self._gradients, strict=True):
                if steps > 1:
                    np.add(g, gathered[s], out=g)
                np.multiply(g, 1 / steps, out=g)
        return True

    def _transform_gradients(self, parameters: Parameters) -> bool:
        """Clip the gradients; return whether the update may happen."""
        policy, clips = self.nonfinite_override or self.on_nonfinite, self.clips
        if not clips and (policy == "ignore" or sum_of_squares(self._gradients) < math.inf):
            return True
        size = norm(self._gradients)
        suspect = not size.value < math.inf and policy != "ignore"
        if suspect and not all(np.isfinite(g).all() for g in self._gradients):
            if policy == "skip":
                return False
            self._raise_nonfinite(parameters)
        if clips:
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

    def _raise_nonfinite(self, parameters: Parameters) -> None:
        for p in reversed(parameters.tensors):  # where the backward pass met it first
            g = parameters.gradients[p.slice]
            bad = np.count_nonzero(~np.isfinite(g))
            if bad and p.learning_rate_multiplier != 0:
                raise NonFiniteError(
                    f"{type(self).__name__}: the gradient of the parameter {p.name!r} of layer "
                    f"{p.layer.path!r} is not finite ({bad} of {g.size} values), at update "
                    f"{self.iterations + 1}. No weight was changed. Try a smaller learning rate, "
                    "gradient clipping (global_clipnorm=1.0), another initializer or scaled "
                    "inputs; on_nonfinite='skip' leaves such updates out."
                )

    def _bind(self, parameters: Parameters) -> None:
        """Lay the state out beside the parameters, and cut both into blocks."""
        size, dtype = parameters.values.size, parameters.dtype
        fits = all(v.size == size and v.dtype == dtype for v in self.state.values())
        if not fits or self._parameters not in (None, parameters):
            raise ConfigurationError(
                f"{type(self).__name__}: this optimizer already holds the state of other weights "
                "(another model, or this one before a layer was added or removed). Make a new "
                "optimizer for each model, and compile the model again."
            )
        for name in self._vector_names():
            if name not in self.state:
                self.state[name] = aligned(size, dtype)
                if name == "average":  # also of what is frozen now and learns later
                    self.state[name][...] = parameters.values
                elif name in self.state_start:
                    self.state[name].fill(self.state_start[name])
        self._parameters, self._segments = parameters, parameters.segments
        self._gradients = [parameters.gradients[s] for s in parameters.segments]
        # What learns at 0 times the rate is in no segment, and clipped as little as it is counted.
        self._tensor_gradients = [
            parameters.gradients[p.slice]
            for p in parameters.tensors
            if p.learning_rate_multiplier != 0
        ]
        runs = parameters.runs(self._treatment)
        lengths = [run.stop - run.start for _, run, _ in runs]
        longest = max(lengths, default=0) if self.by_parameter else min(BLOCK, size)
        rows = aligned(self.scratch_rows * longest, dtype).reshape(self.scratch_rows, longest)
        self._scratch, self._keep = rows[0], np.empty(longest, bool)
        self._groups = []
        for treatment, run, _ in runs:
            blocks = []
            for start in range(run.start, run.stop, longest):
                part = slice(start, min(start + longest, run.stop))
                state = tuple(self.state[name][part] for name in self.state_names)
                w, g = parameters.values[part], parameters.gradients[part]
                scratch = rows[:, : w.size] if len(rows) > 1 else rows[0, : w.size]
                blocks.append((w, g, state, scratch))
            self._groups.append((treatment, blocks))

    def _vector_names(self) -> list[str]:
        names = list(self.state_names)
        if self.use_ema:
            names.append("average")
        if self.gradient_accumulation_steps is not None:
            names.append("gradient_sum")
        return names

    def _treatment(self, p: Parameter) -> tuple[float, float, Parameter | None]:
        """Return what neighbours have in common that are updated as one."""
        excluded = any(pattern.search(p.path) for pattern in self._undecayed)
        decay = 0.0 if excluded or self.weight_decay is None else self.weight_decay
        return p.learning_rate_multiplier, decay, p if self.by_parameter else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments; a schedule as its class name and arguments.

        The learning rate is that without :attr:`learning_rate_factor`.
        """
        config = super().get_config()
        config["learning_rate"] = serialize(self._learning_rate)
        return config

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in (
            "_segments",
            "_gradients",
            "_tensor_gradients",
            "_groups",
            "_scratch",
            "_keep",
        ):
            state.pop(name, None)
        state["_parameters"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name, vector in self.state.items():
            if not vector.flags.writeable:  # joblib gives read-only maps of a file
                self.state[name] = np.array(vector)
