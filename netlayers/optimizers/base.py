"""Base class of optimizers: order of an update, learning rate, weight decay, averages, state."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from netlayers.checks import check_choice, check_flag, check_integer, check_name, check_number
from netlayers.errors import ConfigurationError
from netlayers.optimizers import applying
from netlayers.optimizers.layout import FLUSH_EVERY, Layout, allocate, check_epsilon, rule_of
from netlayers.optimizers.schedules.base import LearningRateSchedule, _CalledRate, check_rate
from netlayers.optimizers.settings import (
    Renamed,
    Setting,
    exclusions,
    patterns_of_weights,
    warn_of_exclusions,
)
from netlayers.optimizers.transforms import transforms_for
from netlayers.registry import Configurable, must_define, serialize, snake_case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter, Parameters
    from netlayers.optimizers.rules import Rule
    from netlayers.optimizers.transforms import Transform


class Optimizer(Configurable):
    """Base class of optimizers. Subclasses implement :meth:`update`.

    The order of an update is: transform the gradients (accumulation, check for non-finite values,
    clipping), weight decay, the rule, constraints, weight averaging.

    For a parameter with row gradients (``add_weight(..., row_gradient=True)``), SGD without
    momentum and Adagrad update only the rows of the batch. This is exact, as they do not change
    weights with a zero gradient. LazyAdam does so too. Other rules use a dense gradient, with a
    warning for parameters of more than 2^20 entries.

    Args:
        learning_rate: a number, or a schedule of the number of updates.
        weight_decay: decoupled decay ``w -= learning_rate * weight_decay * w``: see :class:`AdamW`.
        clipnorm: maximum norm of the gradient of each parameter.
        clipvalue: maximum absolute value of each gradient entry.
        global_clipnorm: maximum norm of all gradients together. At most one of the three clipping
            arguments may be given.
        use_ema: keep a moving average of the weights, which replaces them when ``fit`` ends. It
            starts with the weights after the first update, then
            ``average = ema_momentum * average + (1 - ema_momentum) * w``.
        ema_momentum: see ``use_ema``; in [0, 1].
        ema_overwrite_frequency: also replace the weights by their average each time this number of
            updates is reached.
        gradient_accumulation_steps: number of calls of :meth:`step` per update. In ``fit``, the
            update equals that of one batch of all their samples, also with sample weights, ignored
            classes and batches of different sizes; otherwise it uses the mean of the gradients.
            Steps left over at the end of an epoch contribute to the next update. Schedules and
            averages count updates (in Keras, calls).
        on_nonfinite: action for a NaN or infinite gradient: ``"raise"`` raises an error that names
            layer and parameter, before any weight changes; ``"skip"`` skips the update and counts
            it in ``skipped``; ``"ignore"`` updates anyway.
        name: name of the optimizer.

    Attributes:
        iterations: number of updates.
        skipped: number of skipped updates.
        accumulated: number of gradients accumulated since the last update.
        denominators: the first nonzero denominator of the accumulated gradients, and the sum of
            all; ``None`` if restored from a file without them.
        transforms: transforms applied to the gradients before the rule, in order; see
            ``netlayers.optimizers.transforms``. The list is built by the first :meth:`step`.
        grad_norm: norm of all gradients before clipping, if clipping is enabled.

    Example:
        The sign of the gradient, as in J. Bernstein et al., "signSGD", ICML 2018.

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

    # Names of the state vectors of the rule, and initial values of those that do not start at 0:
    # numbers, or "weights" for a copy of the weights.
    state_names: tuple[str, ...] = ()
    state_start: Mapping[str, float | str] = {}
    # Whether the state holds averages or sums of squared gradients.
    _squares_gradients = False
    # Argument that keeps a divisor above 0.
    _epsilon = "epsilon"
    # Number of temporary arrays; if more than one, scratch is a matrix with this many rows.
    scratch_rows = 1
    # Whether a parameter with row gradients is updated by rows: the rule changes nothing where the
    # gradient is 0, or is lazy on purpose. Otherwise the gradient is made dense.
    by_rows = False
    # Whether each block is one whole parameter, as rules that use norms require.
    by_parameter = False
    # Whether these blocks have the shape of the parameter; otherwise they are flat.
    _shaped = False
    _reads: ClassVar[dict[str, tuple[int]]] = {"update": (1,)}  # the gradient

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
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
        if not self.use_ema:
            others = {"ema_momentum": 0.99, "ema_overwrite_frequency": None}
            for argument in (name for name, usual in others.items() if vars(self)[name] != usual):
                raise ConfigurationError(
                    f"{owner}: {argument}={vars(self)[argument]} needs use_ema=True to have an "
                    "effect."
                )
        if gradient_accumulation_steps is not None:
            gradient_accumulation_steps = check_integer(
                owner, "gradient_accumulation_steps", gradient_accumulation_steps, minimum=1
            )
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.nonfinite_override = None
        self.on_nonfinite = check_choice(
            owner, "on_nonfinite", on_nonfinite, ("raise", "skip", "ignore")
        )
        self.name = check_name(owner, name, snake_case(owner))
        self.iterations = 0
        self.skipped = 0
        self.accumulated = 0
        self.denominators: list[float] | None = [0.0, 0.0]
        self.transforms: list[Transform] = []
        self._made_dense: set[str] = set()  # parameters that a warning was issued for
        self.grad_norm: float | None = None
        self.state: dict[str, Array] = {}
        self._undecayed: list[re.Pattern[str]] = []
        self._undecayed_weights: list[Any] = []
        self._parameters: Parameters | None = None
        self._segments: list[slice] | None = None

    @must_define()
    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Apply the rule to a block of weights, in place.

        Args:
            w: weights, flat.
            g: their gradients; left unchanged.
            lr: learning rate of this update.
            state: the vectors of :attr:`state_names`, updated in place.
            scratch: temporary array.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update")

    # These determine the transforms; setting one rebuilds their list.
    lr = Renamed("learning_rate")
    build, apply, apply_gradients = applying.build, applying.apply, applying.apply_gradients
    variables, set_weights = property(applying.variables), applying.set_weights
    weight_decay = Setting()
    use_ema = Setting()
    clipnorm = Setting()
    clipvalue = Setting()
    global_clipnorm = Setting()
    gradient_accumulation_steps = Setting()
    on_nonfinite = Setting()
    nonfinite_override = Setting()  # set by a callback during its run

    @property
    def clips(self) -> bool:
        """Whether clipping is enabled."""
        return not self.clipnorm is self.clipvalue is self.global_clipnorm is None

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update, including :attr:`learning_rate_factor`.

        It can be set unless it follows a schedule; setting it resets the factor to 1.
        """
        rate = self._learning_rate
        if not isinstance(rate, LearningRateSchedule):
            return rate * self._factor
        given = rate(self.iterations)
        try:
            value = float(given)
        except (TypeError, ValueError, OverflowError):
            value = math.nan
        if not 0 <= value < math.inf:
            raise ConfigurationError(
                f"{type(self).__name__}: the schedule {rate!r} returned the learning rate "
                f"{given!r} for update {self.iterations}; it must be a finite number >= 0."
            )
        return value * self._factor

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"{type(self).__name__}: this optimizer follows the schedule "
                f"{self._learning_rate!r}, so its learning rate is not settable. Create it "
                "with a number as learning_rate to change it later."
            )
        self._learning_rate = check_rate(type(self).__name__, value)
        self._factor = 1.0

    @property
    def learning_rate_factor(self) -> float:
        """Factor of the learning rate, also that of a schedule; initially 1."""
        return self._factor

    @learning_rate_factor.setter
    def learning_rate_factor(self, value: float) -> None:
        owner = type(self).__name__
        self._factor = check_number(owner, "learning_rate_factor", value, minimum=0)

    def exclude_from_weight_decay(
        self, var_list: Sequence[Array] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Exclude parameters from weight decay, replacing previous exclusions.

        Args:
            var_list: weights, such as ``[layer.bias]`` of a built layer.
            var_names: regular expressions; a parameter is excluded if its ``layer/parameter`` name
                contains a match of one: ``["bias"]``, ``["^dense_1/"]``. Not part of the
                configuration, as in Keras.
        """
        found = exclusions(type(self).__name__, var_list, var_names)
        self._undecayed_weights, self._undecayed = found
        self._segments = None  # rebuild the layout

    def step(self, parameters: Parameters, denominator: float | None = None) -> bool:
        """Update the trainable weights once.

        Args:
            parameters: ``model.parameters``, with gradients from ``backward``.
            denominator: with gradient accumulation, the denominator of these gradients, 0 for
                those of a sum; the gradients must not include penalties, which are added here once
                per update. By default, all gradients have equal weight and nothing is added.

        Returns:
            Whether the update took place (``False`` if it was skipped or the gradients were only
            accumulated).

        Raises:
            NonFiniteError: a gradient is not finite; no weight changes.
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
        for (multiplier, decay, _, update), blocks in layout.groups:
            lr = rate * multiplier
            for w, g, state, scratch in blocks:
                if decay:
                    np.multiply(w, 1 - lr * decay, out=w)
                update(w, g, lr, state, scratch)
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
        """Replace ``parameters`` by their averages (``use_ema``); ``fit`` calls this at its end."""
        average = self.state.get("average")
        if average is not None:
            for _, at, own in parameters.runs(lambda p: None):
                np.copyto(parameters.values[at], average[own])

    def bind(self, parameters: Parameters) -> None:
        """Allocate the state, split it and ``parameters`` into blocks, and list the transforms.

        State vectors follow the model's order of parameters.
        """
        if self._parameters is parameters and self._segments is parameters.segments:
            return
        if not hasattr(parameters, "segments"):
            raise ConfigurationError(
                f"{type(self).__name__}: step() takes model.parameters, got a "
                f"{type(parameters).__name__}. For plain arrays use scipy.optimize, or layers."
            )
        size, dtype = parameters.size, parameters.dtype
        check_epsilon(self, dtype)
        fits = all(v.size == size and v.dtype == dtype for v in self.state.values())
        if not fits or self._parameters not in (None, parameters):
            raise ConfigurationError(
                f"{type(self).__name__}: this optimizer already holds the state of other weights "
                "(another model, or this one before a layer was added or removed). Create a new "
                "optimizer for each model, and compile the model again."
            )
        allocate(self, parameters, self._vector_names())
        if self._undecayed_weights:
            self._undecayed += patterns_of_weights(self, parameters)
        if self._undecayed:
            warn_of_exclusions(self, parameters)
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

    def rule_of(self, p: Parameter) -> Rule:
        """Return the rule that updates the parameter ``p``."""
        return rule_of(self, self.decay_of(p))

    def decay_of(self, p: Parameter) -> float:
        """Return the weight decay of the parameter ``p``, 0 if it is excluded."""
        return 0.0 if self._is_undecayed(p) else self.weight_decay or 0.0

    def _is_undecayed(self, p: Parameter) -> bool:
        return any(pattern.search(p.path) for pattern in self._undecayed)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments; a schedule as its class name and arguments.

        The learning rate does not include :attr:`learning_rate_factor`.
        """
        config = super().get_config()
        rate = self._learning_rate
        config["learning_rate"] = rate(0) if isinstance(rate, _CalledRate) else serialize(rate)
        return config

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_segments", "_layout"):
            state.pop(name, None)
        state["_parameters"], state["transforms"] = None, []
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("denominators", None)  # missing in pickles of earlier versions
        self.__dict__.setdefault("_made_dense", set())
        for name, vector in self.state.items():
            if not vector.flags.writeable:  # joblib returns read-only memory maps
                self.state[name] = np.array(vector)
