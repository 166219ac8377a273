"""Why a network does not learn: a few steps of a copy of it, and a verdict in plain words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._tables import text_table
from netlayers.diagnostics import diagnose_data, diagnose_layers
from netlayers.diagnostics.evidence import Evidence, Finding
from netlayers.diagnostics.layer_statistics import StepMeasures, watched_layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.data.batch import Batch

LOOK_ROWS = 512  # a unit that is dead in so many rows is dead, or nearly so
STEPS = 20  # enough for a rate that is much too high to show itself

_COLUMNS = {
    "activation_mean": "mean",
    "activation_std": "deviation",
    "dead": "dead",
    "saturated": "saturated",
    "backprop_rms": "dL/dy",
    "gradient_norm": "gradient",
    "weight_norm": "weights",
    "update_ratio": "update",
}


@dataclass
class Diagnosis:
    """What ``model.diagnose`` found; printed, it is a table by layer and the findings.

    Attributes:
        findings: the illnesses, the graver ones first; see :class:`Finding`.
        values: ``values[measure][layer]``: the measures of ``layer_statistics.StepMeasures``
            before the steps; ``update_ratio`` is the median over the steps.
        losses: the loss of each step.
    """

    findings: list[Finding] = field(default_factory=list)
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        lines = self._table()
        if self.losses:
            lines.append(
                f"loss {self.losses[0]:.4g} at the first of {len(self.losses)} steps, "
                f"{self.losses[-1]:.4g} at the last"
            )
        lines.append("")
        if self.healthy:
            lines.append("Nothing suspicious was found.")
        for i, finding in enumerate(self.findings, 1):
            lines.append(f"{i}. {finding}")
        return "\n".join(lines)

    def _table(self) -> list[str]:
        paths = list(self.values.get("activation_mean", ()))
        table = [["layer", *_COLUMNS.values()]]
        for path in paths:
            cells = [(name, self.values[name].get(path, math.nan)) for name in _COLUMNS]
            table.append([path, *(_cell(name, value) for name, value in cells)])
        return text_table(table)


def _cell(name: str, value: float) -> str:
    if value != value:
        return "-"
    return f"{value:.0%}" if name in ("dead", "saturated") else f"{value:.2g}"


def examine(trial: Any, steps: Any, batches: Iterator[Any], look: Any, y: Array) -> Diagnosis:
    """Look into a model, which is trained for a few steps, and say what is wrong.

    Args:
        trial: a compiled and built model that may be changed: a copy.
        steps: what trains it on a batch, with ``compute_gradients`` and ``train``.
        batches: yields batches, as many as are asked for.
        look: a batch of up to :data:`LOOK_ROWS` rows to look at before the steps.
        y: all targets.
    """
    optimizer = trial.optimizer
    optimizer.on_nonfinite = "skip"
    optimizer.gradient_accumulation_steps, optimizer.use_ema = None, False
    layers = watched_layers(trial)
    evidence = Evidence(trial, steps.loss, steps.fused, optimizer, layers, y)
    evidence.fresh = optimizer.iterations == 0
    measures = StepMeasures(trial, optimizer)
    with np.errstate(all="ignore"):
        evidence.see_input(look.inputs)
        with measures:
            evidence.loss_before = steps.compute_gradients(look)
        evidence.values = {name: dict(its) for name, its in measures.values.items()}
        evidence.see_gradients()
        trial.reset_states()  # they belong to batches of one size
        start = trial.parameters.values.copy()
        statistics = trial.parameters.statistics.copy()
        rows = [_copied(next(batches)) for _ in range(STEPS)]
        ratios: dict[str, list[float]] = {path: [] for path in measures.values["update_ratio"]}
        for batch in rows:
            with measures:
                loss = steps.train(batch)
            evidence.losses.append(loss)
            for path, ratio in measures.values["update_ratio"].items():
                ratios[path].append(ratio)
            if not math.isfinite(loss):
                break
        evidence.values["update_ratio"] = {
            path: float(np.median(its)) for path, its in ratios.items()
        }
        trial.reset_states()
        evidence.loss_after = steps.compute_gradients(look)
        factor = diagnose_layers.faster(evidence)
        if factor is not None:
            trial.parameters.values[...], trial.parameters.statistics[...] = start, statistics
            optimizer.learning_rate_factor *= factor
            trial.reset_states()
            for batch in rows:
                steps.train(batch)
            trial.reset_states()
            evidence.loss_faster = steps.compute_gradients(look)
        findings = [*diagnose_data.findings(evidence), *diagnose_layers.findings(evidence)]
    findings.sort(key=lambda finding: finding.severity != "serious")
    return Diagnosis(findings, evidence.values, evidence.losses)


def _copied(batch: Batch) -> Batch:
    inputs, targets, weights, _ = batch
    return batch._replace(inputs=_copy(inputs), targets=_copy(targets), weights=_copy(weights))


def _copy(value: Any) -> Any:
    """Return a copy of an array, of several, or of nothing."""
    if isinstance(value, tuple):
        return tuple(map(_copy, value))
    return None if value is None else value.copy()
