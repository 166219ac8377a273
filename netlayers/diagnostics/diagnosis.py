"""Why a network does not learn: a few steps of a copy of it, and a verdict in plain words."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._html import html_table, paragraph
from netlayers._notebook import Report, show
from netlayers._printable import printable
from netlayers._tables import text_table
from netlayers.arrays.convert import shapes_of
from netlayers.arrays.several import listed
from netlayers.checks import check_choice, check_integer, named_in_errors
from netlayers.data.arrays import ArrayData
from netlayers.diagnostics import (
    diagnose_data,
    diagnose_images,
    diagnose_layers,
    diagnose_rate,
    diagnose_rows,
    diagnose_structure,
    diagnose_time,
)
from netlayers.diagnostics.evidence import Evidence, Finding
from netlayers.diagnostics.layer_statistics import StepMeasures, watched_layers
from netlayers.losses.by_output import OutputLosses, losses_by_output
from netlayers.training.batching import validation_parts
from netlayers.training.lock import check_not_busy
from netlayers.training.samples import columns_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, ArrayLike
    from netlayers.data.arrays import AnyColumn
    from netlayers.data.batch import Batch
    from netlayers.losses import Loss
    from netlayers.training.compilation import CompilableModel
    from netlayers.training.step import Steps

LOOK_ROWS = 512  # a unit that is dead in so many rows is dead, or nearly so
STEPS = 20  # enough for a rate that is much too high to show itself
COMPARED_ROWS = 10_000  # of data that come in batches, to look for equal ones

_COLUMNS = {
    "activation_mean": "mean",
    "activation_std": "deviation",
    "dead": "dead",
    "saturated": "saturated",
    "backprop_rms": "dL/dy",
    "time_ratio": "over time",
    "gradient_norm": "gradient",
    "weight_norm": "weights",
    "update_ratio": "update",
}


@dataclass
class Diagnosis(Report):
    """What :func:`diagnose` found; printed, it is a table by layer and the findings.

    Attributes:
        findings: the illnesses, the graver ones first; see :class:`Finding`.
        values: ``values[measure][layer]``: the measures of ``layer_statistics.StepMeasures``
            before the steps; ``update_ratio`` is the median over the steps.
        time_steps: of recurrent layers, the norm of the gradient at each time step, as
            ``time_steps.TimeSteps`` defines it, before the steps.
        losses: the loss of each step.
        output_losses: of a model with several outputs, the loss of each by its name, without its
            weight.
    """

    findings: list[Finding] = field(default_factory=list)
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    time_steps: dict[str, Array] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    output_losses: dict[str, list[float]] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        lines = [*text_table(self._table()), *self._losses(), ""]
        if self.healthy:
            lines.append("Nothing suspicious was found.")
        for i, finding in enumerate(self.findings, 1):
            lines += f"{i}. {finding}".splitlines()
        return "\n".join(map(printable, lines))

    def _repr_html_(self) -> str:
        parts = [html_table(self._table()), *map(paragraph, self._losses())]
        parts += [finding._repr_html_() for finding in self.findings]
        if self.healthy:
            parts.append(paragraph("Nothing suspicious was found."))
        return "".join(parts)

    def _losses(self) -> list[str]:
        if not self.losses:
            return []
        lines = [
            f"loss {self.losses[0]:.4g} at the first of {len(self.losses)} steps, "
            f"{self.losses[-1]:.4g} at the last"
        ]
        for name, its in self.output_losses.items():
            lines.append(f"{name}_loss {its[0]:.4g} at the first, {its[-1]:.4g} at the last")
        return lines

    def _table(self) -> list[list[str]]:
        paths = list(self.values.get("activation_mean", ()))
        columns = [name for name in _COLUMNS if name != "time_ratio" or self.values.get(name)]
        table = [["layer", *(_COLUMNS[name] for name in columns)]]
        for path in paths:
            cells = [(name, self.values[name].get(path, math.nan)) for name in columns]
            table.append([path, *(_cell(name, value) for name, value in cells)])
        return table


def _cell(name: str, value: float) -> str:
    if value != value:
        return "-"
    return f"{value:.0%}" if name in ("dead", "saturated") else f"{value:.2g}"


def diagnose(
    model: CompilableModel,
    x: Any,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    batch_size: int = 32,
    verbose: int = 1,
    validation_data: Any = None,
) -> Diagnosis:
    """Say in plain words why a network does not learn, and what to try.

    A copy of the model looks at up to 512 rows and makes 20 updates with the compiled optimizer, if
    these are suspicious also 100 each at lower rates; the model, its optimizer and its random
    streams do not change. The diagnosis looks for

    - vanishing and exploding gradients, dead and saturated units, frozen layers, dropout that
      leaves nothing, Dense layers without activation between, initializers that do not suit the
      activation;
    - a learning rate that is too high or too low, moments of the optimizer that are too large;
    - inputs and targets that are not scaled, a loss that does not suit the last activation,
      constant labels, labels that belong to other rows, validation rows that are trained on;
    - gradients of recurrent layers that vanish or explode over the time steps;
    - losses of several outputs of which one drowns another;
    - images with values up to 255, with channels on the wrong axis or not flattened; dead filters
      and constant feature maps;
    - numbers that are not finite.

    A diagnosis that finds nothing is no proof of health.

    Args:
        model: a compiled model.
        x: inputs, (n, ...), as for ``fit``; data that come in batches are read as far as needed.
        y: targets, n rows.
        sample_weight: weight of each sample.
        batch_size: samples in one update; batches of a source have their own size.
        verbose: 0 prints nothing.
        validation_data: as for ``fit``, to look for its rows in x.

    Returns:
        The findings, with their evidence.

    Raises:
        DataError, ShapeError, ConfigurationError, NotCompiledError: as ``fit``.
        BusyError: another thread trains the model.

    Source:
        X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
        networks", AISTATS 2010; K. He et al., "Delving deep into rectifiers", ICCV 2015;
        R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
        networks", ICML 2013. The thresholds, each with its reason, are the constants of the modules
        ``diagnose_layers``, ``diagnose_time``, ``diagnose_images``, ``diagnose_rate``,
        ``diagnose_structure``, ``diagnose_data``, ``diagnose_rows`` of ``netlayers.diagnostics``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layers = [nl.layers.Dense(20, "sigmoid") for _ in range(10)]
        >>> model = nl.Sequential([*layers, nl.layers.Dense(1)], seed=0)
        >>> model.compile("adam", "mse")
        >>> x = np.random.default_rng(0).normal(size=(200, 3))
        >>> report = model.diagnose(x, x.sum(axis=1), verbose=0)
        >>> report.findings[0].illness, report.findings[0].layer
        ('vanishing gradient', 'dense')
    """
    owner = "diagnose"
    size = check_integer(owner, "batch_size", batch_size, minimum=1)
    check_choice(owner, "verbose", verbose, (0, 1, 2))
    check_not_busy(model, owner)
    model._require_compiled()
    trial = copy.deepcopy(model)
    enough = max(LOOK_ROWS, STEPS * size)
    if validation_data is not None:
        enough = max(enough, COMPARED_ROWS)
    columns, theirs = columns_in_memory(trial, owner, x, y, sample_weight, enough)
    rng = trial._streams.get("shuffle")
    look = _copied(next(ArrayData(columns, LOOK_ROWS, rng).batches()))
    batches = _repeated(ArrayData(columns, theirs or size, rng))
    targets: Any = columns[1].values  # type: ignore[union-attr]
    steps = trial._make_steps(shapes_of(targets))
    rows = [*_associated(columns, steps.loss)]
    if validation_data is not None:
        parts = validation_parts(validation_data, owner)
        with named_in_errors("validation_data") as name:
            others, _ = columns_in_memory(trial, name, *parts, enough)
        shared = diagnose_rows.overlap(columns[0], others[0])  # type: ignore[arg-type]
        rows += diagnose_rows.leaks(shared)
    report = examine(trial, steps, batches, look, targets)
    report.findings += rows
    report.findings.sort(key=lambda finding: finding.severity != "serious")
    if verbose:
        show(report)
    return report


def examine(
    trial: CompilableModel, steps: Steps, batches: Iterator[Batch], look: Batch, y: Any
) -> Diagnosis:
    """Train a model for a few steps, and say what is wrong with it.

    Args:
        trial: a compiled and built model that may be changed: a copy.
        steps: trains it on a batch.
        batches: yields batches, as many as are asked for.
        look: a batch of up to :data:`LOOK_ROWS` rows to look at before the steps.
        y: all targets, of several outputs a tuple.
    """
    optimizer = steps.optimizer
    optimizer.on_nonfinite = "skip"
    optimizer.gradient_accumulation_steps, optimizer.use_ema = None, False
    layers = watched_layers(trial)
    evidence = Evidence(trial, steps.loss, steps.fused, optimizer, layers, y)
    evidence.fresh = optimizer.iterations == 0
    evidence.frozen = diagnose_structure.frozen_layers(trial)
    evidence.bad_moments = diagnose_structure.bad_moments(trial, optimizer)
    measures = StepMeasures(trial, optimizer)
    with np.errstate(all="ignore"):
        evidence.see_input(copy.deepcopy(trial), look.inputs)
        with measures:
            evidence.loss_before = steps.compute_gradients(look, accumulate=False)
        evidence.first_losses = {n: w * v for n, w, v in _each(steps.loss)}
        evidence.values = {name: dict(its) for name, its in measures.values.items()}
        evidence.time_steps = measures.time_steps
        evidence.see_gradients()
        trial.reset_states()  # they belong to batches of one size
        start = diagnose_rate.duplicate(steps)
        rows = [_copied(next(batches)) for _ in range(STEPS)]
        by_output = _train(steps, rows, measures, evidence)
        trial.reset_states()
        evidence.loss_after = steps.compute_gradients(look)
        diagnose_rate.try_others(evidence, start, rows, look)
        findings = [
            *diagnose_data.findings(evidence),
            *diagnose_layers.findings(evidence),
            *diagnose_time.findings(evidence),
            *diagnose_images.findings(evidence),
            *diagnose_structure.findings(evidence),
            *diagnose_rate.findings(evidence),
        ]
    findings.sort(key=lambda finding: finding.severity != "serious")
    its = evidence.values, evidence.time_steps, evidence.losses
    return Diagnosis(findings, *its, by_output)


def _each(loss: Any) -> list[tuple[str, float, float]]:
    """Return name, weight and last value of the loss of each of several outputs."""
    if not isinstance(loss, OutputLosses):
        return []
    return list(zip(loss.names, loss.factors, loss.values, strict=True))


def _train(
    steps: Steps, batches: list[Batch], measures: StepMeasures, evidence: Evidence
) -> dict[str, list[float]]:
    """Make the updates, note their losses and sizes, and return the losses of several outputs."""
    by_output: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {path: [] for path in measures.values["update_ratio"]}
    skipped = steps.optimizer.skipped
    for batch in batches:
        with measures:
            loss = steps.train(batch)
        evidence.losses.append(loss)
        for name, _, value in _each(steps.loss):
            by_output.setdefault(name, []).append(value)
        for path, ratio in measures.values["update_ratio"].items():
            ratios[path].append(ratio)
        if not math.isfinite(loss) or steps.optimizer.skipped > skipped:
            evidence.lost = True
            break
    evidence.values["update_ratio"] = {path: float(np.median(its)) for path, its in ratios.items()}
    evidence.ratios = ratios
    return by_output


def _associated(columns: list[AnyColumn | None], loss: Loss) -> Iterator[Finding]:
    """Look at some rows for labels that belong to others."""
    inputs, targets, weights = columns
    assert inputs is not None
    assert targets is not None
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(inputs.rows)[: diagnose_rows.ROWS_SEEN])
    if weights is not None:
        known = listed(weights.take(rows))
        rows = rows[np.logical_and.reduce([w.reshape(len(w), -1).any(axis=1) for w in known])]
    x, every = _copy(inputs.take(rows)), listed(targets.take(rows))
    for its, y in zip(losses_by_output(loss), every, strict=True):
        yield from diagnose_rows.unrelated(x, y, its.loss, its.name)


def _repeated(data: ArrayData) -> Iterator[Batch]:
    """Yield the batches of one epoch after another."""
    while True:
        yield from data.batches()


def _copied(batch: Batch) -> Batch:
    inputs, targets, weights, _ = batch
    return batch._replace(inputs=_copy(inputs), targets=_copy(targets), weights=_copy(weights))


def _copy(value: Any) -> Any:
    """Return a copy of an array, of several, or of nothing."""
    if isinstance(value, tuple):
        return tuple(map(_copy, value))
    return None if value is None else value.copy()
