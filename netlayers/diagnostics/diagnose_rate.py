"""Whether the learning rate is too high or too low: the same steps again at another rate."""

from __future__ import annotations

import copy
import math
from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np

from netlayers.diagnostics.evidence import Comparison, Finding
from netlayers.training.step import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.data.batch import Batch
    from netlayers.diagnostics.evidence import Evidence

# "Somewhere around 1e-3": the rule of thumb of CS231n, "Neural Networks Part 3", which Karpathy
# repeats as -3 on a scale of powers of ten. It is a habit, no theorem, and Adam's first updates are
# ten times that in healthy networks; so a rate is only called wrong if other rates do better.
RATIO_TRIED = 1e-2  # a few steps then show what many would bring
RATIO_TOO_HIGH = 1e-1
RATIO_WITH_RISING_LOSS = 1e-2
RATIO_TOO_LOW = 1e-4
ROUNDS = 8  # over the batches: a network that recovers from its first steps has done so by then
# A rate is too high if the best lower one does better in so many of the batches, and by more than
# half of the deviation between batches, and if the rate brings less than half of what that one
# brings; of a loss that leaps, or weights that are replaced all the time, more is asked.
SHARE_OF_BATCHES = 0.75
SHARE_OF_DEVIATION = 0.5
SHARE_OF_GAIN = 0.5
SHARE_AFTER_LEAPS = 0.85
LOSS_LEAPS = 3.0  # above the first losses, in units of what the lower rate brings
RATIO_SUSTAINED = 0.3
LOSS_RISES = 3.0  # deviations between batches, where the updates are not that large
LOSS_FALLS_FASTER = 0.9  # at that rate, the loss must be under so much of what it is now
RULE = "(the rule of thumb is 0.001)"


def duplicate(steps: Steps) -> Steps:
    """Return steps of copies of model, optimizer and loss, with all their state."""
    model, optimizer, loss = copy.deepcopy((steps.model, steps.optimizer, steps.loss))
    return Steps(model, optimizer, loss, fused=steps.fused)


def ratio(evidence: Evidence) -> float:
    """Return the median of the layers' update-to-weight ratios."""
    its = [v for v in evidence.values["update_ratio"].values() if math.isfinite(v) and v > 0]
    return float(np.median(its)) if its else 0.0


def faster(evidence: Evidence) -> float | None:
    """Return how much higher a rate is worth trying, or ``None`` if that is not to be asked."""
    size = ratio(evidence)
    if not math.isfinite(evidence.loss_after) or not 0 < size < RATIO_TOO_LOW:
        return None
    return RATIO_TRIED / size


def suspicious(evidence: Evidence) -> bool:
    """Whether lower rates are worth trying."""
    rises = not evidence.loss_after <= evidence.loss_before
    return (
        evidence.lost
        or evidence.peak_ratio > RATIO_TOO_HIGH
        or (rises and ratio(evidence) > RATIO_WITH_RISING_LOSS)
    )


def try_others(evidence: Evidence, start: Steps, batches: list[Batch], look: Batch) -> None:
    """Train at other rates, if the steps give reason to."""
    its = evidence.ratios.values()
    peaks = [max(known) for known in (list(filter(math.isfinite, r)) for r in its) if known]
    first = [r[0] for r in its if r and 0 < r[0] < math.inf]
    evidence.peak_ratio = float(np.median(peaks)) if peaks else 0.0
    evidence.lost = evidence.lost or not math.isfinite(evidence.loss_after)
    gradients = evidence.values["gradient_norm"].values()
    evidence.still = not any(map(any, its)) and any(size > 0 for size in gradients)
    if suspicious(evidence):
        evidence.comparison = compare(start, batches, float(np.median(first)) if first else 0.0)
    elif (factor := faster(evidence)) is not None:
        evidence.loss_faster = loss_at(start, batches, look, factor)


def loss_at(start: Steps, batches: list[Batch], look: Batch, factor: float) -> float:
    """Return the loss of ``look`` after the batches, at ``factor`` times the rate."""
    steps = duplicate(start)
    steps.optimizer.learning_rate_factor *= factor
    for batch in batches:
        steps.train(batch)
    steps.model.reset_states()
    return steps.compute_gradients(look)


def compare(start: Steps, batches: list[Batch], first_ratio: float) -> Comparison:
    """Train at the rate and at lower ones, :data:`ROUNDS` times over the batches.

    Args:
        start: the model before the first step; it stays so.
        batches: the batches.
        first_ratio: the update-to-weight ratio of the first step.
    """
    still = duplicate(start)
    before = [still.compute_gradients(batch, accumulate=False) for batch in batches]
    after, lost = _rounds(start, batches, 1.0)
    found = Comparison(1.0, before, after, after, lost)
    # A tenth, and what makes updates of the usual size; much less where they grow at once.
    usual = min(0.1, RATIO_TRIED / first_ratio) if 0 < first_ratio < math.inf else 1e-2
    for factor in dict.fromkeys((0.1, usual, 1e-2 * usual)):
        enough = np.mean(found.slower) < np.mean(before)
        if factor * first_ratio > 1 or (factor < usual and enough):
            continue
        slower, wild = _rounds(start, batches, factor)
        if not wild and not np.mean(slower) >= np.mean(found.slower):
            found.slower, found.factor = slower, factor
    return found


def _rounds(start: Steps, batches: list[Batch], factor: float) -> tuple[list[float], bool]:
    """Return the losses of the last round, and whether something was not finite."""
    steps = duplicate(start)
    steps.optimizer.learning_rate_factor *= factor
    skipped = steps.optimizer.skipped
    losses: list[float] = []
    for batch in islice(cycle(batches), ROUNDS * len(batches)):
        losses.append(steps.train(batch))
        if not math.isfinite(losses[-1]) or steps.optimizer.skipped > skipped:
            return losses[-len(batches) :], True
    return losses[-len(batches) :], False


def too_high(found: Comparison, evidence: Evidence) -> bool:
    """Whether the lower rate brings what the rate does not."""
    if found.lost or evidence.lost:
        return True
    before, after, slower = map(np.array, (found.before, found.after, found.slower))
    worse = after - slower
    deviation = before.std()
    if np.mean(worse > 0) < SHARE_OF_BATCHES or worse.mean() <= SHARE_OF_DEVIATION * deviation:
        return False
    start, gain = before.mean(), max(before.mean() - slower.mean(), 0.0)
    if evidence.peak_ratio <= RATIO_TOO_HIGH:
        return bool(after.mean() > start + LOSS_RISES * deviation)
    leaps = max(evidence.losses) > start + LOSS_LEAPS * gain
    wild = leaps or ratio(evidence) > RATIO_SUSTAINED
    share = SHARE_AFTER_LEAPS if wild else SHARE_OF_GAIN
    return bool(after.mean() > start - share * gain)


def _too_high(found: Comparison, evidence: Evidence) -> Finding:
    first, last, lower = map(float, map(np.mean, (found.before, found.after, found.slower)))
    own, count = evidence.optimizer.learning_rate, ROUNDS * len(found.before)
    known = found.factor < 1  # a lower rate that does better
    slow = own * (found.factor if known else 0.1)
    numbers = {"update_ratio": evidence.peak_ratio, "loss_before": first, "loss_after": last}
    if known:
        numbers["loss_slower"] = lower
    if found.lost or evidence.lost:
        happened = f"the loss, {first:.3g} at the start, or its gradient overflows"
    else:
        happened = f"the loss is {first:.3g} at the start and {last:.3g} after {count} steps"
    instead = f"; {count} steps at the rate {slow:.1g} bring it to {lower:.3g}" if known else ""
    return Finding(
        "learning rate too high",
        None,
        "serious",
        numbers | {"slower_rate": slow},
        f"an update changes the weights by up to {evidence.peak_ratio:.2g} of their size {RULE}; "
        f"{happened}{instead}.",
        f"the rate {slow:.1g}, or nl.find_learning_rate.",
    )


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Judge the learning rate by the size of the updates and by the losses at other rates."""
    if evidence.frozen[2] or evidence.bad_moments or not math.isfinite(evidence.loss_before):
        return  # another finding says why
    size, before, after = ratio(evidence), evidence.loss_before, evidence.loss_after
    own = evidence.optimizer.learning_rate
    found = evidence.comparison
    if found is not None and too_high(found, evidence):
        yield _too_high(found, evidence)
    elif evidence.still:
        yield Finding(
            "learning rate too low",
            None,
            "serious",
            {"update_ratio": 0.0, "rate": own, "loss_before": before, "loss_after": after},
            f"{len(evidence.losses)} updates at the rate {own:.1g} changed no weight, though there "
            "are gradients.",
            "nl.find_learning_rate; 0.001 for Adam and 0.01 for SGD are rates to start with.",
        )
    elif after - evidence.loss_faster > (1 - LOSS_FALLS_FASTER) * abs(after):
        factor = RATIO_TRIED / size
        yield Finding(
            "learning rate too low",
            None,
            "warning",
            {
                "update_ratio": size,
                "loss_before": before,
                "loss_after": after,
                "loss_faster": evidence.loss_faster,
            },
            f"an update changes the weights by {size:.1g} of their size {RULE}; "
            f"{len(evidence.losses)} steps brought the loss from {before:.3g} to {after:.3g}, the "
            f"same steps at {factor:.0f} times the rate to {evidence.loss_faster:.3g}.",
            f"the rate {own * factor / 10:.1g}, or nl.find_learning_rate.",
        )
