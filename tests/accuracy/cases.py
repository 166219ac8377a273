"""Losses with the targets and predictions that they are compared at, over the range of a dtype."""

from typing import NamedTuple

import numpy as np
from mpmath import mpf

from netlayers import losses
from tests.accuracy import losses as true
from tests.accuracy.numbers import magnitudes, numbers


class Case(NamedTuple):
    """A loss, what it should be, and ``scale(t, p)``, the size to which its value is accurate."""

    loss: object
    true: object
    rows: list
    scale: object = None
    slope_scale: object = None


def coarse(dtype):
    """Return some numbers of all sizes and both signs, and 0."""
    limits = np.finfo(dtype)
    sizes = [1e-30, 1e-10, 1e-7, 1e-3, 0.5, 1, 5, 17, 60, 90, 150, 745, 1e4, 1e10, 1e19, 1e30]
    edges = [limits.smallest_subnormal, limits.smallest_normal, limits.max / 4, limits.max]
    positive = np.sort(np.array([*sizes, *edges], dtype))
    return np.concatenate([-positive[::-1], np.zeros(1, dtype), positive])


def pairs(targets, predictions):
    """Return rows of one output; the differences of all are finite."""
    rows = [([float(t)], [float(p)]) for t in targets for p in predictions]
    limit = float(np.finfo(predictions.dtype).max)
    return [(t, p) for t, p in rows if abs(p[0] - t[0]) <= limit]


def largest(t, p):
    return max(map(abs, p))


def one(t, p):
    return 1


def for_dtype(dtype):
    """Return the cases by name."""
    kind, limits = np.dtype(dtype).type, np.finfo(dtype)
    low, high, variance = (mpf(float(kind(v))) for v in (1e-7, 1 - 1e-7, 1e-6))
    x, sizes, some = numbers(dtype), magnitudes(dtype), coarse(dtype)
    few = np.array([0, 1, -3, 1e-3, 1e18, limits.max / 2, limits.smallest_subnormal], dtype)
    zero = np.zeros(1, dtype)
    shares = np.concatenate([zero, sizes[sizes < 1], 1 - sizes[sizes < 0.4], zero + 1])
    wide = numbers(dtype)
    span = float(limits.max)
    triples = [
        (t, [float(a), float(b), 0.0])
        for t in ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0])
        for a in some
        for b in some
    ]
    logits = [
        *((t, p) for t, p in triples if max(p) - min(p) <= span),
        # A target of 0 beside a distance that overflows.
        ([1.0, 0.0, 0.0], [span, -span, 0.0]),
        *(([0.5, 0.25, 0.25], p) for _, p in triples[::7] if max(p) - min(p) < span / 4),
    ]
    parts = [
        (t, [float(a), float(b), c])
        for t in ([1.0, 0.0, 0.0], [0.5, 0.25, 0.25])
        for a in some[(some >= 0) & (some <= 1)]
        for b in some[(some >= 0) & (some <= 1)]
        for c in (0.5, 0.75)  # no share is at a bound of clipping
    ]
    twos = [
        (t, [float(a), float(b)])
        for t in ([1.0, 2.0], [-1.0, 1e-30], [span, span])
        for a in some
        for b in some
        if max(abs(a), abs(b)) > 10 * limits.smallest_normal
    ]
    means = [
        ([float(t)], [float(m), float(v)])
        for t in (0, 1, 1e10)
        for m in some
        for v in some[some >= 0]
    ]
    off_kink = [row for row in triples if largest(*row) != 1]
    single = true.elementwise
    bits = np.array([0, 1, 0.25], dtype)
    logit, share = {"from_logits": True}, {}
    cases = {
        "mse": Case(losses.MeanSquaredError(None), single(true.mse), pairs(few, x)),
        "mae": Case(losses.MeanAbsoluteError(None), single(true.mae), pairs(few, x)),
        "huber": Case(losses.Huber(1, None), single(true.huber), pairs(few, x)),
        "log_cosh": Case(losses.LogCosh(None), single(true.log_cosh), pairs(few, x)),
        "quantile": Case(losses.Quantile(0.25, None), single(true.quantile), pairs(few, x)),
        "hinge": Case(losses.Hinge(None), single(true.hinge), pairs([-1, 1], x)),
        "squared_hinge": Case(
            losses.SquaredHinge(None), single(true.squared_hinge), pairs([-1, 1], x)
        ),
        "mape": Case(
            losses.MeanAbsolutePercentageError(None),
            single(lambda t, p: true.mape(t, p, low)),
            pairs(few, x),
        ),
        "msle": Case(
            losses.MeanSquaredLogarithmicError(None),
            single(lambda t, p: true.msle(t, p, low)),
            pairs(few[few >= 0], x),
            lambda t, p: np.log1p(max(t[0], 1e-7)) ** 2,  # a difference of logarithms
            lambda t, p: np.log1p(max(t[0], 1e-7)) / (1 + max(p[0], 0)),
        ),
        "poisson": Case(
            losses.Poisson(None),
            single(lambda t, p: true.poisson(t, p, low)),
            pairs([0, 1, 5, 1e18], np.concatenate([zero, sizes])),
            lambda t, p: abs(t[0]),  # t times a logarithm of about 1
            lambda t, p: 1 + t[0] / (p[0] + 1e-7),
        ),
        "bce": Case(
            losses.BinaryCrossentropy(reduction=None),
            single(lambda t, p: true.bce(t, p, low, high)),
            pairs(bits, shares),
        ),
        "bce (logits)": Case(
            losses.BinaryCrossentropy(True, reduction=None),
            single(true.bce_logits),
            pairs(bits, wide),
            None,
            one,
        ),
        "cce": Case(
            losses.CategoricalCrossentropy(reduction=None),
            lambda t, p: true.cross_entropy(t, p, low, high),
            parts,
        ),
        "cce (logits)": Case(
            losses.CategoricalCrossentropy(True, reduction=None),
            true.cross_entropy_logits,
            logits,
            one,  # a mean of logits
            one,
        ),
        "kld": Case(losses.KLDivergence(None), lambda t, p: true.kld(t, p, low), parts, one),
        "categorical_hinge": Case(
            losses.CategoricalHinge(None), true.categorical_hinge, off_kink, largest
        ),
        "cosine": Case(
            losses.CosineSimilarity(-1, None),
            true.cosine,
            twos,
            one,
            lambda t, p: 1 / max(abs(v) for v in p),
        ),
        "gaussian": Case(
            losses.GaussianNLL(False, 1e-6, None),
            lambda t, p: true.gaussian(t, p, variance),
            means,
            one,
        ),
        "dice": Case(
            losses.Dice(None, axis=-1), lambda t, p: true.dice(t, p, mpf(1e-7)), parts, one
        ),
    }
    for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
        exact = mpf(gamma)

        def of_share(t, p, gamma=exact):
            return true.focal(t, p, 1 - p, *true.bce(t, p, low, high), gamma)

        for arguments in (logit, share):
            name = f"{'logits, ' if arguments else ''}{gamma:g}"
            binary = losses.BinaryFocalCrossentropy(gamma=gamma, reduction=None, **arguments)
            several = losses.CategoricalFocalCrossentropy(0.5, gamma, reduction=None, **arguments)
            cases[f"binary focal ({name})"] = Case(
                binary,
                true.binary_focal_logits(exact) if arguments else single(of_share),
                pairs(bits, wide if arguments else shares[(shares == 0) | (shares > 1e-30)]),
                None,
                one,
            )
            cases[f"focal ({name})"] = Case(
                several,
                true.focal_logits(exact, mpf(0.5))
                if arguments
                else lambda t, p, g=exact: true.focal_share(g, mpf(0.5))(t, p, low, high),
                logits if arguments else parts,
                one,
                one if arguments else lambda t, p: 1 / min(max(1 - max(p) / sum(p), 1e-7), 1),
            )
    return cases
