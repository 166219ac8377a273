"""Results of every metric on ordinary and on extreme data, and what it refuses."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.metrics.targets import drop_class
from netlayers.testing.contract import Example
from netlayers.testing.targets import draw
from tests.classes import concrete
from tests.golden import check_text
from tests.snapshots import (
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
    shown,
)

ABSTRACT = ("MeanMetricWrapper",)
CLASSES = [cls for cls in concrete("metric") if cls.__name__ not in ABSTRACT]

CURVES = [
    {"curve": curve, "summation_method": method, **more}
    for curve in ("ROC", "PR")
    for method in ("interpolation", "minoring", "majoring")
    for more in (
        {},
        {"num_thresholds": 4},
        {"multi_label": True},
        {"label_weights": [1.0, 3.0, 0.5]},
        {"label_weights": [1.0, 3.0, 0.5], "multi_label": True, "thresholds": [0.3]},
    )
]
MORE = {  # examples that differ in more than one argument
    "AUC": [(options, "one-hot", "shares") for options in CURVES],
    "ConfusionMatrix": [({"normalize": n}, "classes", "shares") for n in ("true", "pred", None)],
    "FBetaScore": [
        ({"average": a, "threshold": t}, "one-hot", "shares")
        for a in (None, "micro", "macro", "weighted")
        for t in (None, 0.4)
    ],
    "R2Score": [
        ({"class_aggregation": a, "num_regressors": n}, "numbers", "numbers")
        for a in (None, "uniform_average", "variance_weighted_average")
        for n in (0, 2)
    ],
}


def batches(cls, arguments, data):
    """Yield titled arguments of ``update_state``: ordinary ones, and then extreme ones."""
    example = Example(cls, arguments, tuple("numbers" if kind is None else kind for kind in data))
    for shape in ((6, 3), (4, 2, 3)):
        for dtype in ("float32", "float64"):
            y, p = draw(example, cls(**arguments), shape, dtype)
            y, p = (p,) * 2 if data[0] is None else (y, p)
            rows = len(p)
            weights = [np.arange(rows) % 3, 0.5 + np.arange(rows), np.zeros(rows)]
            for weight in (None, *(weights if dtype == "float64" else ())):
                yield f"{p.shape} {dtype} weight {shown(weight)}", y, p, weight
    yield "on thresholds", y, np.round(p, 1), None
    if arguments != cls.examples()[0][0]:
        return
    steps = 0.25 + np.arange(p[..., 0].size).reshape(p.shape[:-1])
    yield "a weight for each step", y, p, steps
    yield "weights of too many axes", y, p, np.ones((*p.shape, 2))
    yield "a weight too few", y, p, np.ones(len(p) - 1)
    yield "ties", y, np.round(p, 0), None
    yield "the ends", y, (p > 0.5).astype(float), None
    yield "large", y, 1e30 * p, None
    yield "zeros", y, 0 * p, None
    yield "targets of zero", 0 * y, p, None
    yield "perfect", y, (y.reshape(p.shape) if y.size == p.size else p), None
    worse = p.copy()
    worse[0] = np.nan
    yield "NaN", y, worse, None
    yield "targets too long", np.concatenate([y, y]), p, None
    yield "one axis more", y[..., None, None], p, None
    yield "odd targets", y + 0.5, p, None
    yield "negative targets", -y - 1, p, None
    yield "signs", np.where(y > 0, 1, -1), p, None
    yield "one class", np.ones_like(y), p, None
    yield "one output", y.reshape(-1)[:4] > 0, numbers(4), None
    yield "a column", (y.reshape(-1)[:4] > 0)[:, None], np.abs(numbers(4)), None
    yield "nothing", y[:0], p[:0], None


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_results(cls):
    new = cls(**cls.examples()[0][0])
    lines = [f"{new.direction} {new.weights_are_counts} {new.each_batch} {new.name}"]
    for arguments, *data in [*cls.examples(), *MORE.get(cls.__name__, ())]:
        lines.append(f"{arguments}")
        for title, y, p, weight in batches(cls, arguments, data):
            metric = cls(**arguments)
            values = (p,) if data[0] is None else (y, p)

            def update(metric=metric, values=values, weight=weight):
                metric.update_state(*values, sample_weight=weight)
                return metric.result()

            first = outcome(update)
            lines.append(f"  {title}: {first}")
            if "Error" not in first:
                lines[-1] += f" | {outcome(update)}"
    check_text(__file__, f"{cls.__name__}.txt", "\n".join(lines))


@pytest.mark.parametrize("ignored", [0, 2])
def test_samples_of_an_ignored_class(ignored):
    y = np.array([[0, 2], [1, 2], [2, 0]])
    p = np.abs(numbers(3, 2, 3))
    for targets in (y, y[..., None]):
        for axis, predictions in ((-1, p), (1, np.moveaxis(p, -1, 1))):
            for weight in (None, np.array([1.0, 2, 3]), np.arange(6.0).reshape(3, 2)):
                kept = drop_class(ignored, targets, predictions, weight, axis)
                known = y != ignored
                np.testing.assert_array_equal(kept[0], y[known])
                np.testing.assert_array_equal(kept[1], p[known])
                if weight is None:
                    assert kept[2] is None
                else:
                    whole = weight if weight.ndim == 2 else np.repeat(weight, 2).reshape(3, 2)
                    np.testing.assert_array_equal(kept[2], whole[known])


def test_which_metric_a_name_means():
    lines = []
    for name in (
        "accuracy",
        "acc",
        "Accuracy",
        "crossentropy",
        "ce",
        "f1_score",
        "fbeta_score",
        "auc",
    ):
        for shapes in (
            (None, None),
            ((4,), (4, 1)),
            ((4,), (4, 3)),
            ((4, 1), (4, 3)),
            ((4, 3), (4, 3)),
        ):
            for kind in (None, "binary", "signs", "one-hot", "classes"):
                for logits in (False, True):

                    def get(name=name, shapes=shapes, kind=kind, logits=logits):
                        metric = nl.metrics.get(name, *shapes, from_logits=logits, target_kind=kind)
                        return [
                            type(metric).__name__,
                            metric.name,
                            sorted(metric.get_config().items()),
                        ]

                    lines.append(f"{name} {shapes} {kind} {logits}: {outcome(get)}")
    check_text(__file__, "names.txt", "\n".join(dict.fromkeys(lines)))
