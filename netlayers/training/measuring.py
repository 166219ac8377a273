"""The metrics of a model: of its loss, or of each part of a SplitLoss."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from netlayers import metrics as metrics_module
from netlayers._suggestions import suggestion
from netlayers._warn import warn
from netlayers.arrays.convert import each
from netlayers.checks import listed
from netlayers.errors import ConfigurationError
from netlayers.losses import OutputLosses, SplitLoss
from netlayers.metrics.base import Metric
from netlayers.metrics.targets import drop_class, drop_unknown
from netlayers.training.masks import only_kept
from netlayers.training.outputs import metrics_by_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Shape
    from netlayers.metrics import Metric


_TOP_K = (metrics_module.TopKCategoricalAccuracy, metrics_module.SparseTopKCategoricalAccuracy)


@dataclass
class MetricGroup:
    """The metrics of a loss, on the targets and predictions that it takes.

    Attributes:
        loss: the loss, which says what is left out.
        metrics: the metrics by their keys in the logs.
        weighted: the keys of the metrics that use sample weights.
        targets: the columns of the targets of a part of a SplitLoss; ``None`` for all.
        outputs: the columns of its predictions.
        place: for the loss of one of several outputs, its number among the losses and that of the
            output; ``None`` otherwise.
    """

    loss: Any
    metrics: dict[str, Metric] = field(default_factory=dict)
    weighted: set[str] = field(default_factory=set)
    targets: slice | None = None
    outputs: slice | None = None
    place: tuple[int, int] | None = None

    def add(
        self,
        plain: tuple[Any, ...],
        weighted: tuple[Any, ...],
        target_shape: Shape,
        output_shape: Shape,
        taken: set[str],
        *,
        prefix: str = "",
        fused: bool = False,
    ) -> None:
        """Make the metrics, under keys that are not yet taken.

        A second ``auc`` is ``auc_1``, as in Keras; a weighted metric whose name ``plain`` has
        already is ``weighted_auc``.

        Raises:
            ConfigurationError: a metric has the name of another entry in the logs.
        """
        kind = getattr(self.loss, "target_kind", None)
        logits = not fused and (getattr(self.loss, "from_logits", False) or kind == "signs")
        metrics, by_weight = (
            [metrics_module.get(m, target_shape, output_shape, logits, kind) for m in its]
            for its in (plain, weighted)
        )
        if logits and kind != "signs":
            warn_of_logits([*plain, *weighted])
        names = {metric.name for metric in metrics}
        for i, metric in enumerate([*metrics, *by_weight]):
            weighs = i >= len(metrics)
            key = base = prefix + "weighted_" * (weighs and metric.name in names) + metric.name
            number = 0
            while key in taken:
                number += 1
                key = f"{base}_{number}"
            if key in ("epoch", "batch", "learning_rate") or key.startswith("val_"):
                raise ConfigurationError(
                    f"metrics: the name {key!r} is that of another entry in the logs; pass another "
                    "name to the metric."
                )
            top, outputs = getattr(metric, "k", 0), output_shape[-1] or 0
            if isinstance(metric, _TOP_K) and top >= outputs > 0:
                warn(
                    f"metrics: {key!r} is always 1, as its k={top} is not below the number of "
                    f"outputs, {outputs}; pass a smaller k to the metric."
                )
            taken.add(key)
            self.metrics[key] = metric
            if weighs:
                self.weighted.add(key)

    def update(self, y: Any, y_pred: Any, sample_weight: Any, mask: Any = None) -> None:
        """Add a batch to the metrics, without what the loss or the mask leaves out."""
        if self.place is not None:
            i, output = self.place
            y, y_pred = each(y)[i], y_pred[output]
            sample_weight = sample_weight[i] if type(sample_weight) is tuple else sample_weight
            mask = mask[output] if type(mask) is tuple else mask
        if mask is not None:
            y, y_pred, sample_weight = only_kept(mask, y, y_pred, sample_weight)
        if self.targets is not None:
            y = y[..., None] if y.ndim < y_pred.ndim else y
            if sample_weight is not None and sample_weight.shape == y.shape:
                sample_weight = sample_weight[..., self.targets]
            y, y_pred = y[..., self.targets], y_pred[..., self.outputs]
        loss, weight = self.loss, None
        ignored = getattr(loss, "ignore_class", None)
        if ignored is not None:
            axis = getattr(loss, "axis", -1)
            y, y_pred, sample_weight = drop_class(ignored, y, y_pred, sample_weight, axis)
        elif getattr(loss, "mask_nan", None):
            y, y_pred, weight, sample_weight = drop_unknown(y, y_pred, sample_weight)
        if not len(y):
            return
        for name, metric in self.metrics.items():
            metric.update_state(y, y_pred, sample_weight if name in self.weighted else weight)


def warn_of_logits(given: list[Any]) -> None:
    """Warn about metrics of probabilities that get logits; those made from a name are told."""
    for metric in given:
        if getattr(metric, "from_logits", None) is False and isinstance(metric, Metric):
            kind = type(metric).__name__
            warn(
                f"metrics: the loss has from_logits=True, and {kind} takes probabilities; pass "
                f"{kind}(..., from_logits=True)."
            )


def given_metrics(owner: str, argument: str, given: Any, loss: Any) -> tuple[Any, ...]:
    """Return the metrics of ``compile``, or for each part of a SplitLoss a tuple of its metrics.

    Args:
        owner: the model, for messages.
        argument: the argument, for messages.
        given: one metric or a list of metrics; a dict from parts of the loss to these, or a list
            of lists.
        loss: the loss.

    Raises:
        ConfigurationError: the loss does not have these parts.
    """
    if isinstance(loss, OutputLosses):
        return metrics_by_output(owner, argument, given, loss)
    named = isinstance(given, dict) and "class_name" not in given  # else it describes a metric
    if not named and not any(isinstance(one, (list, tuple)) for one in listed(given)):
        return tuple(listed(given))
    if not isinstance(loss, SplitLoss):
        raise ConfigurationError(
            f"{owner}: {argument} must be a list of metrics, got {given!r}: only the parts of a "
            "SplitLoss have metrics of their own."
        )
    parts = _part_names(loss)
    if not named:
        if len(given) != len(parts):
            raise ConfigurationError(
                f"{owner}: {argument} must have one list for each of the {len(parts)} losses "
                f"{', '.join(parts)}, got {len(given)}."
            )
        return tuple(tuple(listed(one)) for one in given)
    for name in given:
        if name not in parts:
            hint = suggestion(str(name), parts)
            raise ConfigurationError(
                f"{owner}: {argument} has the key {name!r}, which is not the name of a part of the "
                f"loss.{hint} They are {', '.join(parts)}."
            )
    return tuple(tuple(listed(given.get(name))) for name in parts)


def flat(*given: tuple[Any, ...]) -> list[Any]:
    """Return all metrics of results of :func:`given_metrics`."""
    return [m for its in given for one in its for m in (one if isinstance(one, tuple) else (one,))]


def metric_groups(
    loss: Any,
    plain: tuple[Any, ...],
    weighted: tuple[Any, ...],
    target_shape: Shape,
    output_shape: Shape,
    fused: bool,
) -> list[MetricGroup]:
    """Return the metrics, made for the targets and outputs of the loss or of each of its parts.

    Args:
        loss: the loss.
        plain: what :func:`given_metrics` returned for ``metrics``.
        weighted: the same for ``weighted_metrics``.
        target_shape: shape of the targets, batch first.
        output_shape: shape of the outputs, batch first.
        fused: the metrics get probabilities, although the loss takes logits.

    Raises:
        ConfigurationError: an object is listed twice, which would count each batch twice, or has
            the name of another entry in the logs.
    """
    taken = {"loss", "grad_norm", *getattr(loss, "value_names", ())}
    groups: list[MetricGroup] = []
    if isinstance(loss, OutputLosses):
        shapes: Any = target_shape if len(loss.losses) > 1 else (target_shape,)
        for i, (name, part, place) in enumerate(
            zip(loss.names, loss.losses, loss.places, strict=True)
        ):
            group = MetricGroup(part, place=(i, place))
            first, second = (its[i] if its else () for its in (plain, weighted))
            fused = getattr(part, "fused", False)
            outputs: Any = output_shape[place]
            group.add(first, second, shapes[i], outputs, taken, prefix=f"{name}_", fused=fused)
            groups.append(group)
        plain = weighted = ()
    whole, whole_weighted = (() if _is_by_part(its) else its for its in (plain, weighted))
    if whole or whole_weighted:
        group = MetricGroup(loss)
        group.add(whole, whole_weighted, target_shape, output_shape, taken, fused=fused)
        groups.append(group)
    if _is_by_part(plain) or _is_by_part(weighted):
        none = ((),) * len(loss.losses)
        first, second = (its if _is_by_part(its) else none for its in (plain, weighted))
        targets, outputs = _slices(loss.target_sizes), _slices(loss.sizes)
        for i, (name, part) in enumerate(zip(_part_names(loss), loss.losses, strict=True)):
            group = MetricGroup(part, targets=targets[i], outputs=outputs[i])
            shapes = [(*output_shape[:-1], sizes[i]) for sizes in (loss.target_sizes, loss.sizes)]
            group.add(first[i], second[i], shapes[0], shapes[1], taken, prefix=f"{name}_")
            groups.append(group)
    every = [metric for group in groups for metric in group.metrics.values()]
    for i, metric in enumerate(every):
        if any(metric is other for other in every[:i]):
            raise ConfigurationError(
                f"metrics: the object {metric!r} is there twice; make one for each use."
            )
    return groups


def _part_names(loss: SplitLoss) -> list[str]:
    """Return the names of the losses; a second ``mean_squared_error`` is ``..._1``."""
    return [name.removesuffix("_loss") for name in loss.value_names]


def _is_by_part(given: tuple[Any, ...]) -> bool:
    return any(isinstance(one, tuple) for one in given)


def _slices(sizes: Sequence[int]) -> list[slice]:
    """Return consecutive slices of these sizes."""
    return [slice(end - n, end) for n, end in zip(sizes, accumulate(sizes), strict=True)]
