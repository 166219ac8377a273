"""What optimizers share: the order of an update, the rate, weight decay, averages, state."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_flag, check_integer, check_number
from netlayers.errors import ConfigurationError
from netlayers.kernels.memory import aligned
from netlayers.optimizers.layout import FLUSH_EVERY, Layout
from netlayers.optimizers.schedules.base import LearningRateSchedule, check_rate
from netlayers.optimizers.transforms import transforms_for
from netlayers.registry import Configurable, serialize, snake_case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter, Parameters
    from netlayers.optimizers.transforms import Transform


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

    Of a table whose gradient is by rows (``add_weight(..., row_gradient=True)``), SGD without
    momentum and Adagrad change only the rows of the batch. That is exact, as without a gradient
    they change nothing. Other rules keep means that go on without one: they make the gradient
    dense, with a warning for a table of more than 2^20 numbers.

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
    # Whether a weight and its state stay what they are where the gradient is 0. Of a table that has
    # its gradient by rows, only these are then updated; for other rules the gradient is made dense.
    exact_by_rows = False
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
        self._made_dense: set[str] = set()  # tables of which there was a warning
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
        layout = self._layout
        gradients = layout.gradients
        gradients.denominator = denominator
        if gradients.tables:
            gradients.collect()
        for transform in self.transforms:
            if not transform.apply(gradients):
                return False
        for dense in layout.dense:
            dense.fill()
        rate = self.learning_rate
        self.iterations += 1
        for (multiplier, decay, _), blocks in layout.groups:
            lr = rate * multiplier
            for w, g, state, scratch in blocks:
                if decay:
                    np.multiply(w, 1 - lr * decay, out=w)
                self.update(w, g, lr, state, scratch)
        for table in layout.tables:
            table.apply(rate)
        if parameters.constrained:
            parameters.constrain()
        if self.use_ema:
            layout.average(self.ema_momentum, first=self.iterations == 1)
            every = self.ema_overwrite_frequency
            if every is not None and self.iterations % every == 0:
                self.finalize_variable_values(parameters)
        if self.iterations % FLUSH_EVERY == 0:
            layout.flush(decays=bool(self.weight_decay or parameters.regularized))
        return True

    def finalize_variable_values(self, parameters: Parameters) -> None:
        """Put the averages of ``use_ema`` in place of the weights; ``fit`` does it at its end."""
        average = self.state.get("average")
        if average is not None:
            for _, at, own in parameters.runs(lambda p: None):
                np.copyto(parameters.values[at], average[own])

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
        self._layout = Layout(self, parameters)
        self.transforms = transforms_for(self, self._layout.gradients)

    def _vector_names(self) -> list[str]:
        names = list(self.state_names)
        if self.use_ema:
            names.append("average")
        if self.gradient_accumulation_steps is not None:
            names.append("gradient_sum")
        return names

    def decay_of(self, p: Parameter) -> float:
        """Return the weight decay of a parameter, 0 for one that is left out."""
        if self.weight_decay is None or any(pattern.search(p.path) for pattern in self._undecayed):
            return 0.0
        return self.weight_decay

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments; a schedule as its class name and arguments.

        The learning rate is that without :attr:`learning_rate_factor`.
        """
        config = super().get_config()
        config["learning_rate"] = serialize(self._learning_rate)
        return config

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_segments", "_layout"):
            state.pop(name, None)
        state["_parameters"], state["transforms"] = None, []
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("denominators", None)  # a pickle of an earlier version has none
        self.__dict__.setdefault("_made_dense", set())
        for name, vector in self.state.items():
            if not vector.flags.writeable:  # joblib gives read-only maps of a file
                self.state[name] = np.array(vector)
