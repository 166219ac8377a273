"""Metrics: batches, weights of samples, and a state that goes on in another process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.metrics import Metric
from netlayers.testing.arguments import BASES, OBSERVE
from netlayers.testing.contract import Example, check
from netlayers.testing.targets import draw
from netlayers.testing.values import awkward, bits, close, require, same
from netlayers.training.state import pack, unpack

if TYPE_CHECKING:
    from netlayers._typing import Array

BASES[Metric] = "metric"
_STATE = "keep everything in attributes of the object that reset_state() sets and get_state() holds"


def _batch(example: Example, metric: Metric, rows: int = 8, seed: int = 0) -> list[Array]:
    """Return targets and predictions, or for a metric of values, the values alone."""
    width = 3
    y_true, y_pred = draw(_described(example), metric, (rows + seed, width), "float64")
    pair = [y_pred[seed:]] if example.data[0] is None else [y_true[seed:], y_pred[seed:]]
    return [np.ascontiguousarray(a) for a in pair]


def _described(example: Example) -> Example:
    if example.data[0] is not None:
        return example
    return Example(example.cls, example.arguments, ("numbers", *example.data[1:]))


def observe_metric(example: Example, metric: Metric) -> list[Any]:
    """Return results with and without weights."""
    metric.reset_state()
    batch, seen = _batch(example, metric), []
    metric.update_state(*batch)
    seen.append(np.array(metric.result()))
    metric.update_state(*batch, sample_weight=np.arange(8.0) % 3)
    return [*seen, np.array(metric.result())]


OBSERVE["metric"] = observe_metric


@check("metric")
def batches_add_up_to_the_whole(example: Example) -> None:
    """Check that the result does not depend on how the samples were cut into batches."""
    whole, parts = example.make(), example.make()
    batch = _batch(example, whole)
    whole.update_state(*batch)
    for part in (slice(0, 3), slice(3, 4), slice(4, 8)):
        parts.update_state(*(a[part] for a in batch))
        parts.result()  # asking changes nothing
    close(
        [parts.result()],
        [whole.result()],
        "the result of 8 samples in batches of 3, 1 and 4 to be that of all at once",
        "keep sums over samples, not means of the results of batches",
        1e-9,
        1e-12,
    )


@check("metric")
def weights_count_samples(example: Example) -> None:
    """Check that a weight of 2 counts a sample twice, and a weight of 0 leaves it out."""
    weighted, repeated = example.make(), example.make()
    if not weighted.weights_are_counts:
        return
    batch = _batch(example, weighted)
    counts = np.arange(8) % 3
    weighted.update_state(*batch, sample_weight=counts.astype(float))
    repeated.update_state(*(np.repeat(a, counts, axis=0) for a in batch))
    close(
        [weighted.result()],
        [repeated.result()],
        "sample_weight=[0, 1, 2, ...] to give the result of samples that are there so many times",
        "multiply by sample_weight, and divide by the sum of the weights; or set "
        "weights_are_counts = False in the class",
        1e-9,
        1e-12,
    )


@check("metric")
def reset_forgets_everything(example: Example) -> None:
    """Check that after reset_state() a metric is as new, also before the first update."""
    used, fresh = example.make(), example.make()
    first, second = _batch(example, used), _batch(example, used, seed=3)
    same([used.result()], [fresh.result()], "the result of a new metric", _STATE)
    used.update_state(*first)
    used.reset_state()
    same(
        [used.result()], [fresh.result()], "the result of a new metric after reset_state()", _STATE
    )
    used.update_state(*second)
    fresh.update_state(*second)
    same(
        [used.result()], [fresh.result()], "the result of a new metric after reset_state()", _STATE
    )


@check("metric")
def two_metrics_keep_apart(example: Example) -> None:
    """Check that two metrics of the class share no state, and result() does not change it."""
    one, other, alone = example.make(), example.make(), example.make()
    batch = _batch(example, one)
    alone.update_state(*batch)
    expected = np.array(alone.result())
    one.update_state(*batch)
    other.update_state(*_batch(example, one, seed=3))
    one.result()
    same([one.result()], [expected], "a result that no other metric changes", _STATE)


@check("metric")
def resumes_in_another_process(example: Example) -> None:
    """Check that a metric goes on from a state that went through JSON."""
    whole, first, second = example.make(), example.make(), example.make()
    batch = _batch(example, whole)
    for part in (slice(0, 3), slice(3, 5), slice(5, 8)):
        its = [a[part] for a in batch]
        whole.update_state(*its)
        if part.stop < 8:
            first.update_state(*its)
    plain, arrays = pack(first.get_state())
    second.set_state(unpack(json.loads(json.dumps(plain)), arrays))
    promise = "the same bits from a metric that took get_state() of another"
    same([second.result()], [first.result()], promise, _STATE)
    second.update_state(*its)
    same([second.result()], [whole.result()], promise, _STATE)


@check("metric")
def results_are_numbers(example: Example) -> None:
    """Check that result() returns a float, or an array that is the caller's."""
    metric = example.make()
    metric.update_state(*_batch(example, metric))
    result = metric.result()
    require(
        isinstance(result, (float, np.ndarray)),
        "result() to return a float or an array",
        f"{result!r}, a {type(result).__name__}",
        "return float(...) for one number",
    )
    if isinstance(result, np.ndarray):
        kept = result.copy()
        metric.update_state(*_batch(example, metric, seed=3))
        same([result], [kept], "the array of an earlier result() to stay", "return a new array")


@check("metric")
def targets_and_predictions_stay_unchanged(example: Example) -> None:
    """Check that update_state() writes to nothing that it is given, and takes read-only arrays."""
    metric = example.make()
    batch = _batch(example, metric)
    before = bits(batch)
    metric.update_state(*batch)
    require(
        bits(batch) == before,
        "update_state() to leave its arrays as they are",
        "other numbers in them",
        "compute in new arrays",
    )
    for a in batch:
        a.flags.writeable = False
    metric.update_state(*batch)


@check("metric")
def awkward_values_are_taken(example: Example) -> None:
    """Check that lists, strided, read-only, big-endian and other arrays give the same result."""
    metric = example.make()
    *targets, y_pred = (
        a.astype("float32") if a.dtype.kind == "f" else a for a in _batch(example, metric)
    )
    metric.update_state(*targets, y_pred)
    expected = metric.result()
    for form, given in awkward(y_pred).items():
        if form in ("float16", "integers"):  # other numbers
            continue
        metric.reset_state()
        metric.update_state(*targets, given)
        close(
            [metric.result()],
            [expected],
            f"the same result for predictions as {form}",
            "begin update_state() with np.asarray()",
            1e-5,
            1e-6,
        )
