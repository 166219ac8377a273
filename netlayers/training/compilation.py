"""``compile``, and the choices it makes once the shapes are known."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import distribution as distributions
from netlayers import losses, optimizers
from netlayers import metrics as metrics_module
from netlayers._refused import EXECUTION_ARGUMENTS
from netlayers._warn import warn
from netlayers.arrays.convert import each
from netlayers.checks import check_integer, is_foreign, overridden
from netlayers.core.binding import assemble
from netlayers.core.parameters import Users
from netlayers.core.shapes import shown_shape
from netlayers.errors import ConfigurationError, NotCompiledError
from netlayers.layers import Normalization
from netlayers.layers.containers import Chain, Container
from netlayers.optimizers.schedules import OneCycle
from netlayers.training.lock import between_steps, check_not_busy
from netlayers.training.measuring import MetricGroup, flat, given_metrics, metric_groups
from netlayers.training.outputs import (
    bound_losses,
    chosen_loss,
    crossentropy_by_shape,
    metrics_of_one_output,
    unfused_loss,
)
from netlayers.training.own_steps import OwnSteps, metrics_of
from netlayers.training.sharded import ShardedSteps
from netlayers.training.step import Steps

if TYPE_CHECKING:
    from netlayers._typing import Array, Identifier, Shape, Weights
    from netlayers.core.layer import Layer
    from netlayers.data.batch import Data
    from netlayers.distribution import DataParallel
    from netlayers.metrics import Metric
    from netlayers.random import Streams


# The EXECUTION_ARGUMENTS of Keras's compile.
_OPTIONS = {"auto_scale_loss", "jit_compile", "run_eagerly"}


class SetByCompile:
    """An attribute that only :meth:`CompilableModel.compile` sets."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, model: CompilableModel | None, owner: type) -> Any:
        return None if model is None else vars(model).get(self.name)

    def __set__(self, model: CompilableModel, value: Any) -> None:
        raise ConfigurationError(
            f"{model.owner}: {self.name} cannot be replaced, because the metrics and the steps "
            "belong to it; call compile(optimizer, loss) again."
        )


class CompilableModel(Container):
    """A network that can be compiled: it has an optimizer, a loss and metrics.

    Attributes:
        optimizer: set by :meth:`compile`.
        loss: set by :meth:`compile`.
        stop_training: a callback sets it to end the run after the current batch.
        stop_evaluating: the same for ``evaluate``, whose result is then that of the batches so far.
        stop_predicting: the same for ``predict``.
        steps_per_execution: set by :meth:`compile`.
        distribution: set by :meth:`compile`.
    """

    layers: list[Layer]
    activation: Any  # of the output, or None
    optimizer: optimizers.Optimizer | None = SetByCompile()  # type: ignore[assignment]
    loss: losses.Loss | None = SetByCompile()  # type: ignore[assignment]
    stop_training = False
    stop_evaluating = False
    stop_predicting = False
    steps_per_execution = 1
    distribution: DataParallel | None = None
    _streams: Streams
    _steps: Steps | None = None
    _metrics: tuple[Any, ...] = ()
    _weighted_metrics: tuple[Any, ...] = ()
    _columns: list[list[str] | None] | None = None  # of the frames that it was trained with

    def _set_up(self) -> None:
        super()._set_up()
        self._lock = Users()  # a copy is not locked

    @property
    def _inner_scope(self) -> str:
        """Prefix of the layer names: empty in the outermost model."""
        return super()._inner_scope if self._in_model else ""

    @property
    def _kind(self) -> str:
        """Name in messages; a model inside another is called a layer."""
        return "layer" if self._in_model else "model"

    def _argument(self, name: str) -> Any:
        return self.dtype if name == "dtype" else super()._argument(name)

    def _assemble_alone(self) -> None:
        assemble(self, self._streams)

    def compile(
        self,
        optimizer: Identifier = "rmsprop",
        loss: Identifier = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        steps_per_execution: int = 1,
        distribution: DataParallel | None = None,
        **options: Any,
    ) -> None:
        """Choose how the model is trained.

        Args:
            optimizer: a name or an optimizer.
            loss: a name or a loss. ``"crossentropy"`` selects the binary, sparse or categorical one
                by the shapes. For a model with several outputs, one for all of them, a list with
                one for each, or a dict by their names; ``None`` for an output that is not learned.
            loss_weights: weights of the losses of several outputs, given like ``loss``; by default
                1. Those of parts of one output are an argument of
                :class:`netlayers.losses.SplitLoss`.
            metrics: names, metrics or functions of ``y_true`` and ``y_pred``, reported for each
                epoch, of all samples alike. The loss decides what a name such as ``"accuracy"``
                means: per output for a binary cross-entropy, with the threshold at 0 where it takes
                logits or labels -1 and 1. A metric object follows its own arguments. Samples of
                the ``ignore_class`` of the loss, and with its ``mask_nan`` the targets that are
                NaN, are left out. For the losses of a :class:`netlayers.losses.SplitLoss`, a dict
                from their names to such lists, or a list of lists, one for each: each metric gets
                the targets and predictions of its loss, which decides what names mean, and is
                reported as ``<part>_<metric>``; the same for several outputs, by their names.
            weighted_metrics: metrics that use sample and class weights, given like ``metrics``,
                named ``weighted_...`` where ``metrics`` has that name already.
            steps_per_execution: the hooks of batches of your own callbacks are called once for so
                many batches, with the number of the first or last one; the steps are the same.
            distribution: how several processes train the model, by default what
                :func:`netlayers.distribution.set_distribution` set.
            options: arguments of Keras that choose only how something is executed, which are
                accepted without effect: see ``netlayers.registry.EXECUTION_ARGUMENTS``.

        Raises:
            ConfigurationError: a name is unknown, or an object is of the wrong kind.

        A softmax (sigmoid) as last activation and a cross-entropy on its probabilities are computed
        together from the logits: the same result, but accurate even where probabilities round to 0.
        """
        owner = self.owner
        check_not_busy(self, "compile")
        check_options(owner, options)
        every = check_integer(owner, "steps_per_execution", steps_per_execution, minimum=1)
        chosen, resolved = optimizers.get(optimizer), chosen_loss(self, loss, loss_weights)
        if chosen is None:
            raise ConfigurationError(f"{owner}: compile() needs an optimizer, such as 'adam'.")
        one = metrics_of_one_output(self, metrics), metrics_of_one_output(self, weighted_metrics)
        plain = given_metrics(owner, "metrics", one[0], resolved)
        weighted = given_metrics(owner, "weighted_metrics", one[1], resolved)
        for metric in flat(plain, weighted):
            by_shape = isinstance(metric, str) and metric in metrics_module.BY_SHAPE
            if not by_shape and metrics_module.get(metric) is None:
                raise ConfigurationError(
                    f"{owner}: metrics must be names, functions or objects, got None."
                )
        vars(self).update(optimizer=chosen, loss=resolved, steps_per_execution=every)
        self.distribution = distributions.checked(distribution)
        self._metrics, self._weighted_metrics = plain, weighted
        self._steps = None

    @property
    def metrics(self) -> list[Metric]:
        """The metrics as objects; those of ``compile`` from the first data on, with their shapes.

        Metrics that are attributes of a class of your own follow.
        """
        return metrics_of(self)

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, all from between the same steps of a training."""
        with between_steps(self):
            return super().get_weights()

    def set_weights(self, weights: Weights) -> None:
        """Set the weights by copying, between two steps; if one does not fit, nothing is changed.

        Raises:
            ShapeError: their number or a shape differs.

        NaN and infinite weights are set with a warning.
        """
        with between_steps(self):
            super().set_weights(weights)

    def _make_steps(self, target_shape: Shape) -> Steps:
        """Return the ``Steps``, created once the shapes are known."""
        if self._steps is None:
            self._steps = steps_for(self, target_shape)
        return self._steps

    def _require_compiled(self) -> None:
        if self.optimizer is None or (self.loss is None and not overridden(self)):
            raise NotCompiledError(
                f"{self.owner} is not compiled: call compile(optimizer, loss) first."
            )


def check_options(owner: str, options: dict[str, Any]) -> None:
    """Check the arguments of ``compile`` that have no effect.

    Raises:
        TypeError: an option is not a Keras argument that affects the execution.
    """
    unknown = options.keys() - (_OPTIONS & EXECUTION_ARGUMENTS.keys())
    if unknown:
        raise TypeError(f"{owner}: compile() has no argument {', '.join(sorted(unknown))}.")


def steps_for(model: CompilableModel, target_shape: Shape) -> Steps:
    """Return the ``Steps`` of a compiled and built model.

    Raises:
        NotCompiledError: the model is not compiled.
        ConfigurationError: its outputs are not those that ``compile`` got losses for.
    """
    model._require_compiled()
    assert model.optimizer is not None
    assert model.output_shape is not None
    loss: Any = model.loss
    own = bool(overridden(model))
    if own:
        loss, fused = None if loss is None else unfused_loss(model, target_shape), False
    elif isinstance(loss, losses.OutputLosses):
        loss = bound_losses(model, loss, target_shape, loss_on)
        fused = loss.fused
    elif model._output_count > 1:
        raise ConfigurationError(
            f"{model.owner}: it has {model._output_count} outputs, of the shapes "
            f"{shown_shape(model.output_shape)}; compile(loss=[...]) takes a loss for each."
        )
    else:
        loss, fused = loss_on(loss, target_shape, model.output_shape, model.activation)
        warn_of_two_activations(model)
    groups: list[MetricGroup] = []
    if model._metrics or model._weighted_metrics:
        given = model._metrics, model._weighted_metrics
        groups = metric_groups(loss, *given, target_shape, model.output_shape, fused)
    if model.distribution is not None:
        if own:
            raise ConfigurationError(
                f"{model.owner}: a class with its own {' and '.join(sorted(overridden(model)))}() "
                "cannot be trained in shards; compile it without a distribution."
            )
        its = model.optimizer, loss, groups, fused, model.distribution
        return ShardedSteps(model, *its)
    return (OwnSteps if own else Steps)(model, model.optimizer, loss, groups, fused)


def loss_on(
    loss: Any, target_shape: Shape, output_shape: Shape, activation: Any
) -> tuple[Any, bool]:
    """Return the loss of an output, and whether it takes the logits in place of the output."""
    if isinstance(loss, str):
        loss = crossentropy_by_shape(target_shape, output_shape)
    warn_of_single_softmax(output_shape, loss, activation)
    fused = fused_loss(loss, activation)
    if fused is None:
        warn_of_activation(loss, _name_of(activation))
    return fused or loss, fused is not None


def fused_loss(loss: Any, activation: Any) -> Any:
    """Return the loss on logits that replaces activation and loss, or ``None``."""
    if not isinstance(loss, losses.Crossentropy) or loss.from_logits:
        return None
    if type(activation).__name__.lower() != loss.link or loss.axis != -1:
        return None
    if getattr(activation, "axis", -1) != -1:
        return None
    fused = copy.deepcopy(loss)
    fused.from_logits = True
    return fused


def warn_of_single_softmax(output_shape: Shape, loss: Any, activation: Any) -> None:
    """Warn about a softmax over one output, which is always 1."""
    softmax = type(activation).__name__ == "Softmax" or getattr(loss, "link", "") == "softmax"
    if softmax and output_shape[-1] == 1:
        warn(
            "A softmax over one output is always 1, so nothing can be learned. For two classes use "
            "one output with activation='sigmoid' and loss='binary_crossentropy', or two outputs."
        )


def _name_of(activation: Any) -> str:
    return type(activation).__name__.lower()


def warn_of_two_activations(model: CompilableModel) -> None:
    """Warn about a softmax of probabilities, which makes them nearly equal."""
    if not isinstance(model, Chain) or model.layers[-1].weights:
        return
    last = [_name_of(getattr(its, "activation", its)) for its in model.layers[-2:]]
    if len(last) == 2 and set(last) <= {"softmax", "sigmoid"}:
        warn(f"compile: the last two activations are {last[0]} and {last[1]}; leave one out.")


def warn_of_activation(loss: Any, name: str) -> None:
    """Warn about probabilities where the loss takes logits, and the reverse."""
    if not isinstance(loss, losses.Loss) or not loss._takes_probabilities:
        return
    kind, link = type(loss).__name__, loss.link
    if loss.from_logits and name in ("softmax", "sigmoid"):
        problem = f"{kind}(from_logits=True) takes logits, but the last activation is {name}"
        advice = "Leave from_logits out, or that activation."
    elif not loss.from_logits and name in ("linear", "relu", "tanh", "logsoftmax"):
        problem = f"{kind} takes probabilities, but the last activation is {name}"
        advice = (
            f"Use activation={link!r}, or no activation and from_logits=True."
            if link
            else "Use activation='softmax' or 'sigmoid'."
        )
    else:
        return
    warn(f"compile: {problem}. {advice}")


# Models, schedules and data that cannot do what they seem to --------------------------------------


def warn_of_model(owner: str, model: CompilableModel) -> None:
    """Warn about a model that cannot learn, and about layers that only pass their input on."""
    if not model._has_trainable_weights:
        warn(
            f"{owner}: {model.owner} has no trainable weights, so nothing can be "
            "learned; summary() says which of its layers have weights."
        )
    for layer in model._flatten_layers():
        if isinstance(layer, Normalization) and not layer._has_moments:
            warn(
                f"{owner}: {layer.owner} (Normalization) has no mean and variance yet, so it "
                "changes nothing; call its adapt(data) before."
            )


def warn_of_schedule(owner: str, model: CompilableModel, data: Data, epochs: int) -> None:
    """Warn about a run with more updates than its one-cycle schedule."""
    optimizer = model.optimizer
    assert optimizer is not None
    schedule = optimizer._learning_rate
    if not isinstance(schedule, OneCycle) or data.steps is None:
        return
    accumulated = optimizer.gradient_accumulation_steps or 1
    updates = optimizer.iterations + data.steps * epochs // accumulated
    if updates > schedule.total_steps:
        warn(
            f"{owner}: OneCycle has total_steps={schedule.total_steps}, but the run ends with "
            f"update {updates}; in those beyond, the learning rate stays at its lowest."
        )


def warn_of_data(owner: str, model: CompilableModel, y: Any, weight: Any) -> None:
    """Warn about a data set of which the loss leaves everything out."""
    if weight is not None and not any(np.any(w) for w in each(weight)):
        warn(f"{owner}: sample_weight is 0 for all rows, so nothing is learned from them.")
    if not isinstance(y, np.ndarray):
        return
    ignored = getattr(model.loss, "ignore_class", None)
    if ignored is not None and np.all(y == ignored):
        warn(f"{owner}: all y are {ignored}, the ignore_class of the loss: nothing is learned.")
    if getattr(model.loss, "mask_nan", None) and np.isnan(y).all():
        warn(f"{owner}: all y are NaN, which mask_nan=True leaves out: nothing is learned.")


def has_own_classes(steps: Steps) -> bool:
    """Whether a step computes with classes of the user."""
    parts: list[Any] = [*steps.model._flatten_layers(), steps.optimizer, *steps.metrics.values()]
    for p in steps.model.declared_parameters:
        parts += [its for its in (p.regularizer, p.constraint) if its is not None]
    return any(map(is_foreign, parts))


def own_part(model: Any) -> tuple[int, int]:
    """Return which part of the rows in files this process checks at the start."""
    its = getattr(model, "distribution", None)
    return (0, 1) if its is None else (its.rank, its.size)
