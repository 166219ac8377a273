"""What optimizers share: the order of an update, the rate, weight decay, averages, state."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_flag, check_integer, check_number
from netlayers.core.gradients import Gradients
from netlayers.core.workspace import aligned
from netlayers.errors import ConfigurationError
from netlayers.optimizers.schedules.base import LearningRateSchedule, check_rate
from netlayers.optimizers.transforms import transforms_for
from netlayers.registry import Configurable, serialize, snake_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter, Parameters
    from netlayers.optimizers.transforms import Transform

# An update reads and writes five arrays. In blocks of 262,144 numbers they stay in the processor's
# cache from one operation to the next, where the whole vector would go through memory each time.
BLOCK = 1 << 18

# What decays without end reaches the denormal numbers at the edge of the format, stays there (half
# of the smallest one rounds to it again), and many processors take several times as long for each.
# So every so many updates what is below 2^20 times the smallest normal number (1e-32 in float32,
# 2e-302 in float64) becomes 0. A decay of 0.87 or slower gets there before it gets too small.
FLUSH_EVERY = 100
FLUSH_BELOW = 2.0**20


class Setting:
    """An attribute of an optimizer that it prepares for: when it is set, that is done again."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __set__(self, optimizer: Any, value: Any) -> None:
        optimizer.__dict__[self.name] = value  # where it is also read: there is no __get__
        optimizer._segments = None

    if TYPE_CHECKING:

        def __get__(self, optimizer: Any, owner: Any) -> Any: ...


class Optimizer(Configurable):
    """Base class of optimizers. A rule of one's own is one method, :meth:`update`.

    An update happens in this order: transform the gradients (accumulate them, look for those that
    are not finite, clip), decay the weights, apply the rule, apply the constraints, average the
    weights.

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
        gradient_accumulation_steps: update only at every so many calls of :meth:`step`. In ``fit``
            this is the update of one batch of all their samples, also with sample weights, ignored
            classes and batches of different sizes; by hand it is the mean of their gradients. What
            an epoch leaves over goes into the first update of the next one. Schedules and averages
            count updates (in Keras they count the calls).
        on_nonfinite: what a NaN or infinite gradient does: ``"raise"`` stops with an error that
            names layer and parameter, before any weight has changed; ``"skip"`` leaves out this
            update and counts it in ``skipped``; ``"ignore"`` updates all the same.
        name: what it is called.

    Attributes:
        iterations: updates done.
        skipped: updates left out.
        accumulated: gradients gathered since the last update.
        denominators: the first denominator of these that is not 0, and the sum of all; ``None``
            where they come from a file that does not have them.
        transforms: what happens to the gradients before the rule uses them, in this order; see
            ``netlayers.optimizers.transforms``. It is made at the first :meth:`step`.
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
        self.nonfinite_override = None
        self.on_nonfinite = check_choice(
            owner, "on_nonfinite", on_nonfinite, ("raise", "skip", "ignore")
        )
        self.name = snake_case(owner) if name is None else name
        self.iterations = 0
        self.skipped = 0
        self.accumulated = 0
        self.denominators: list[float] | None = [0.0, 0.0]
        self.transforms: list[Transform] = []
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

    # These decide on the transforms, which are listed anew when one of them is set.
    clipnorm = Setting()
    clipvalue = Setting()
    global_clipnorm = Setting()
    gradient_accumulation_steps = Setting()
    on_nonfinite = Setting()
    nonfinite_override = Setting()  # a callback's, for its run alone

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

    def step(self, parameters: Parameters, denominator: float | None = None) -> bool:
        """Update the trainable weights once.

        Args:
            parameters: ``model.parameters``, with gradients from ``backward``.
            denominator: where gradients are accumulated: what these have been divided by, 0 for
                those of a sum, and the gradients of penalties are not among them but added here,
                once for each update. By default all gradients count alike, and nothing is added.

        Returns:
            Whether the update took place (``False`` if it was skipped, or if the gradients were
            added to those of the next).

        Raises:
            NonFiniteError: a gradient is not finite; no weight has changed.
        """
        if self._parameters is not parameters or self._segments is not parameters.segments:
            self.bind(parameters)
        gradients = self._gradients
        gradients.denominator = denominator
        if gradients.tables:
            gradients.collect()
        for transform in self.transforms:
            if not transform.apply(gradients):
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
            for _, at, own in parameters.runs(lambda p: None):
                np.copyto(parameters.values[at], average[own])

    def _average(self, parameters: Parameters) -> None:
        """Take the weights into their average."""
        whole = self.state["average"]
        for at, own in self._pieces:
            if self.iterations == 1:
                np.copyto(whole[own], parameters.values[at])
                continue
            for part, own_part in cut(at, own, self._scratch.size):
                average = whole[own_part]
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
        decays = self.weight_decay or parameters.regularized
        limit = np.finfo(parameters.dtype).tiny * FLUSH_BELOW
        for at, own in self._pieces:
            for part, own_part in cut(at, own, self._scratch.size):
                blocks = [vector[own_part] for vector in vectors]
                if decays:
                    blocks.append(parameters.values[part])
                for numbers in blocks:
                    size = np.abs(numbers, out=self._scratch[: numbers.size])
                    keep = np.greater(size, limit, out=self._keep[: numbers.size])
                    np.multiply(numbers, keep, out=numbers)

    def bind(self, parameters: Parameters) -> None:
        """Lay the state out beside the parameters, cut both into blocks, list the transforms.

        The vectors of the state are in the model's own order of its parameters.
        """
        if self._parameters is parameters and self._segments is parameters.segments:
            return
        size, dtype = parameters.size, parameters.dtype
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
                    for p in parameters.all:
                        if not p.statistic:
                            self.state[name][parameters.own_slice(p)] = parameters.values[p.slice]
                elif name in self.state_start:
                    self.state[name].fill(self.state_start[name])
        self._parameters, self._segments = parameters, parameters.segments
        self._gradients = Gradients(parameters)
        self.transforms = transforms_for(self, self._gradients)
        self._pieces = [(at, own) for _, at, own in parameters.runs(lambda p: None)]
        runs = parameters.runs(self._treatment)
        lengths = [at.stop - at.start for _, at, _ in runs]
        longest = max(lengths, default=0) if self.by_parameter else min(BLOCK, size)
        rows = aligned(self.scratch_rows * longest, dtype).reshape(self.scratch_rows, longest)
        self._scratch, self._keep = rows[0], np.empty(longest, bool)
        self._groups = []
        for treatment, at, own in runs:
            blocks = []
            for part, own_part in cut(at, own, longest):
                state = tuple(self.state[name][own_part] for name in self.state_names)
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
            "_pieces",
            "_groups",
            "_scratch",
            "_keep",
        ):
            state.pop(name, None)
        state["_parameters"], state["transforms"] = None, []
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("denominators", None)  # in a pickle of an earlier version
        for name, vector in self.state.items():
            if not vector.flags.writeable:  # joblib gives read-only maps of a file
                self.state[name] = np.array(vector)


def cut(at: slice, own: slice, longest: int) -> Iterator[tuple[slice, slice]]:
    """Yield two slices of one length in parts of at most ``longest``."""
    for start in range(0, at.stop - at.start, longest):
        stop = min(start + longest, at.stop - at.start)
        yield slice(at.start + start, at.start + stop), slice(own.start + start, own.start + stop)
