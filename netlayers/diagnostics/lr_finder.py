"""A test that finds a good learning rate."""

from __future__ import annotations

import copy
import html
import math
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._html import paragraph, picture
from netlayers._notebook import Report
from netlayers.arrays.convert import shapes_of
from netlayers.checks import check_integer, check_number
from netlayers.errors import ConfigurationError
from netlayers.plotting.figures import png_of
from netlayers.training.compilation import CompilableModel
from netlayers.training.samples import steps_of

if TYPE_CHECKING:
    import os

    from netlayers._typing import Array, ArrayLike
    from netlayers.training.step import Steps

_MEMORY = 0.9  # of the running mean that decides whether the loss diverges
_SPREAD = 2.0  # standard deviation, in steps, of the weights that smooth the curve


@dataclass
class LearningRateCurve(Report):
    """What :func:`find_learning_rate` found; printed, it is a table.

    Attributes:
        rates: learning rate of each update.
        losses: loss of its batch, before the update.
        smoothed: the losses without the noise of the batches, each averaged with its neighbours:
            the mean loss at the start, plus what each batch's loss differs from its own at the
            start.
        suggestion: the rate at which ``smoothed`` falls most steeply over the logarithm of the
            rate, before its minimum; ``None`` if it falls nowhere.
        diverged_at: the rate that ended the test, ``None`` if it came to its end.
        reason: why it ended.
    """

    rates: Array
    losses: Array
    smoothed: Array
    suggestion: float | None
    diverged_at: float | None
    reason: str

    def _repr_html_(self) -> str:
        png = png_of(self.plot)
        if png is None:
            return f"<pre>{html.escape(str(self))}</pre>"
        return picture(png, "The loss over the learning rate") + "".join(
            map(paragraph, str(self).splitlines()[-2:])
        )

    def __str__(self) -> str:
        lines = [f"{'learning rate':>13}  {'loss':>10}  {'smoothed':>10}"]
        count = len(self.rates)
        places = {*np.linspace(0, count - 1, min(count, 20)).round().astype(int).tolist()}
        best = None
        if self.suggestion is not None:
            best = int(np.argmin(np.abs(np.log(self.rates / self.suggestion))))
            places.add(best)
        for i in sorted(places):
            mark = "  <- suggestion" if i == best else ""
            lines.append(
                f"{self.rates[i]:13.2e}  {self.losses[i]:10.4g}  {self.smoothed[i]:10.4g}{mark}"
            )
        lines.append(f"ended: {self.reason}")
        if self.suggestion is None:
            lines.append("suggestion: none, the loss falls nowhere")
        else:
            lines.append(f"suggestion: {self.suggestion:.2e}, where the loss falls most steeply")
        return "\n".join(lines)

    def plot(self, to_file: str | os.PathLike[str] | None = None) -> Any:
        """Draw loss over rate; return the ``matplotlib.figure.Figure``.

        Args:
            to_file: path of a picture to write; its ending names the format (png, svg, pdf).

        Raises:
            ConfigurationError: matplotlib is not installed: ``pip install matplotlib``.
        """
        from netlayers.plotting.lr_finder import plot_rates

        return plot_rates(self.rates, self.losses, self.smoothed, self.suggestion, to_file)


def find_learning_rate(
    model: CompilableModel,
    x: Any,
    y: ArrayLike | None = None,
    min_rate: float = 1e-7,
    max_rate: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    *,
    sample_weight: ArrayLike | None = None,
    stop_factor: float = 4.0,
) -> LearningRateCurve:
    """Train a copy of the model while the learning rate grows, and see where the loss falls.

    The rate of update i of n is ``min_rate (max_rate / min_rate)^(i / (n - 1))``. The test ends
    early when a loss or gradient is not finite, or when the running mean of the loss is above
    ``stop_factor`` times its lowest value.

    Some batches are harder than others, which would hide what a rate does where batches are small
    or the network is trained. So each batch is also computed by a second copy, which stays as it is
    at the start, and its loss there is subtracted.

    The suggestion is the rate of the steepest descent of the smoothed loss, over the logarithm of
    the rate, before the minimum. It is a rate to start with: often somewhat more works too.

    Args:
        model: a compiled model; a copy is trained, and nothing of the model, its optimizer or its
            random streams changes. A schedule of the optimizer is left out.
        x: inputs, (n, ...), or data that come in batches: all that ``fit`` takes. They begin again
            where they end.
        y: targets, n rows.
        min_rate: first rate.
        max_rate: last rate.
        steps: number of updates.
        batch_size: samples in one update; batches of a source have their own size.
        sample_weight: weight of each sample.
        stop_factor: how far the loss may rise.

    Raises:
        ConfigurationError, DataError, ShapeError, NotCompiledError: the arguments do not fit.

    Source:
        L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3
        (there the rate grows linearly).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> x = np.random.default_rng(0).normal(size=(256, 4))
        >>> layers = [nl.layers.Dense(16, activation="tanh"), nl.layers.Dense(1)]
        >>> model = nl.Sequential(layers, seed=0)
        >>> model.compile("sgd", "mse")
        >>> curve = nl.find_learning_rate(model, x, x.sum(axis=1))
        >>> 1e-3 < curve.suggestion < 1
        True
    """
    owner = "find_learning_rate"
    limits: Any = {"largest": np.finfo(np.float64).max}  # models may be of float64
    low = check_number(owner, "min_rate", min_rate, above=0, **limits)
    high = check_number(owner, "max_rate", max_rate, above=low, **limits)
    steps = check_integer(owner, "steps", steps, minimum=3)
    size = check_integer(owner, "batch_size", batch_size, minimum=1)
    stop_factor = check_number(owner, "stop_factor", stop_factor, above=1, **limits)
    if not isinstance(model, CompilableModel):
        raise ConfigurationError(f"{owner}: expected a compiled model, got {model!r}.")
    model._require_compiled()
    trial = copy.deepcopy(model)
    data = steps_of(trial, owner, x, y, sample_weight, steps, size)
    still_trial = copy.deepcopy(trial)
    assert trial._steps is not None  # checking the data made it
    step = _plain_updates(trial._steps)
    still: Steps | None = None
    rates = np.geomspace(low, high, steps)
    optimizer = step.optimizer
    batches = data.batches()
    losses: list[float] = []
    at_start: list[float] = []
    change, lowest = 0.0, 0.0  # running mean of the differences, and its least value
    reason, diverged_at = f"all {steps} rates were tried", None
    # It is meant to diverge.
    with closing(data), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for i, rate in enumerate(rates.tolist()):
            optimizer._learning_rate = rate  # also in the place of a schedule
            skipped = optimizer.skipped
            batch = next(batches, None)
            if batch is None:
                reason = f"the data ended after {i} of {steps} batches"
                break
            if still is None:
                still = still_trial._make_steps(shapes_of(batch.targets))
            first = still.compute_gradients(batch, accumulate=False)  # and no update
            loss = step.train(batch)
            if not math.isfinite(loss):
                reason, diverged_at = f"the loss is {loss} at the rate {rate:.2e}", rate
                break
            losses.append(loss)
            at_start.append(first)
            if optimizer.skipped > skipped:
                reason, diverged_at = f"a gradient is not finite at the rate {rate:.2e}", rate
                break
            change = _MEMORY * change + (1 - _MEMORY) * (loss - first)
            level = change / (1 - _MEMORY ** (i + 1))
            lowest = min(lowest, level)
            mean = float(np.mean(at_start))
            if mean + level > max(stop_factor * (mean + lowest), 0):
                reason = f"the loss is {stop_factor:g} times its lowest at the rate {rate:.2e}"
                diverged_at = rate
                break
    found, first_losses = np.array(losses), np.array(at_start)
    rates = rates[: len(found)]
    smoothed = _smooth(found - first_losses)
    if len(found):
        smoothed += first_losses.mean()
    return LearningRateCurve(
        rates, found, smoothed, _steepest(rates, smoothed), diverged_at, reason
    )


def _plain_updates(steps: Steps) -> Steps:
    """Let steps make one plain update a batch, and none of a gradient that is not finite."""
    optimizer = steps.optimizer
    optimizer.learning_rate_factor = 1.0
    optimizer.gradient_accumulation_steps, optimizer.use_ema = None, False
    optimizer.on_nonfinite = "skip"
    return steps


def _smooth(losses: Array) -> Array:
    """Average each loss with its neighbours, by a Gaussian; at the ends, with those there are."""
    reach = min(int(4 * _SPREAD), max(len(losses) - 1, 0) // 2)
    if reach == 0:
        return losses.copy()
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SPREAD) ** 2)
    total = np.convolve(np.ones(len(losses)), weights, "same")
    smoothed: Array = np.convolve(losses, weights, "same") / total
    return smoothed


def _steepest(rates: Array, smoothed: Array) -> float | None:
    """Return the rate where the curve falls most steeply before its minimum."""
    end = int(np.argmin(smoothed)) + 1 if len(smoothed) else 0
    if end < 2:
        return None
    slopes = np.gradient(smoothed, np.log(rates))[:end]
    steepest = int(np.argmin(slopes))
    return float(rates[steepest]) if slopes[steepest] < 0 else None
