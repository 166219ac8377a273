"""Losses and their gradients in arithmetic of any precision, by mpmath.

Each takes the targets and predictions of one sample, and returns its value and the gradient.
"""

from mpmath import mp, mpf

from tests.accuracy.activations import logistic, softplus


def elementwise(term):
    """Return the mean over outputs of ``term(t, p)``, which gives value and derivative."""

    def loss(t, p):
        terms = [term(*pair) for pair in zip(t, p, strict=True)]
        return sum(v for v, _ in terms) / len(p), [g / len(p) for _, g in terms]

    return loss


def clipped(p, low, high=None):
    """Return p within the bounds, and whether it is there."""
    c = max(p, mpf(low))
    c = c if high is None else min(c, mpf(high))
    return c, mpf(c == p)


def mse(t, p):
    return (p - t) ** 2, 2 * (p - t)


def mae(t, p):
    return abs(p - t), mp.sign(p - t)


def huber(t, p):
    d = p - t
    return (d * d / 2, d) if abs(d) <= 1 else (abs(d) - mpf(1) / 2, mp.sign(d))


def log_cosh(t, p):
    d = abs(p - t)
    if d > 1:
        return d + mp.log1p(mp.exp(-2 * d)) - mp.log(2), mp.tanh(p - t)
    return mp.log1p(2 * mp.sinh(d / 2) ** 2), mp.tanh(p - t)


def quantile(t, p):
    d, q = t - p, mpf("0.25")
    slope = -q if d > 0 else 1 - q if d < 0 else mpf(1) / 2 - q
    return max(q * d, (q - 1) * d), slope


def hinge(t, p):
    m = 1 - t * p
    return (m, -t) if m > 0 else (mpf(0), mpf(0))


def squared_hinge(t, p):
    m = max(1 - t * p, mpf(0))
    return m * m, -2 * m * t


def mape(t, p, low):
    m = max(abs(t), mpf(low))
    return 100 * abs(p - t) / m, 100 * mp.sign(p - t) / m


def msle(t, p, low):
    c, free = clipped(p, low)
    r = mp.log1p(c) - mp.log1p(max(t, mpf(low)))
    return r * r, free * 2 * r / (1 + c)


def poisson(t, p, low):
    return p - t * mp.log(p + low), 1 - t / (p + low)


def bce_logits(t, z):
    # Of max(z, 0) - z t, exactly one part is not 0 for a target of 0 or 1.
    return t * softplus(-z) + (1 - t) * softplus(z), (1 - t) * logistic(z) - t * logistic(-z)


def bce(t, p, low, high):
    c, free = clipped(p, low, high)
    return -(t * mp.log(c) + (1 - t) * mp.log1p(-c)), free * (c - t) / (c * (1 - c))


def power(m, gamma):
    return mpf(1) if gamma == 0 else m**gamma


def focal(t, p, q, b, db, gamma):
    """``m^γ b`` and its derivative by p, with ``dm = 1 - 2 t``."""
    m = t * q + (1 - t) * p
    slope = power(m, gamma) * db
    if m and gamma:
        slope += gamma * m ** (gamma - 1) * (1 - 2 * t) * b
    return power(m, gamma) * b, slope


def binary_focal_logits(gamma):
    def term(t, z):
        p, q = logistic(z), logistic(-z)
        b, dz = bce_logits(t, z)
        m = t * q + (1 - t) * p
        slope = power(m, gamma) * dz
        if m and gamma:
            slope += gamma * m ** (gamma - 1) * (1 - 2 * t) * p * q * b
        return power(m, gamma) * b, slope

    return elementwise(term)


def log_softmax(z):
    top = max(z)
    lse = mp.log(sum(mp.exp(x - top) for x in z))
    return [x - top - lse for x in z]


def cross_entropy_logits(t, z):
    u = log_softmax(z)
    mass = sum(t)
    value = -sum(a * b for a, b in zip(t, u, strict=True) if a)
    return value, [mass * mp.exp(b) - a for a, b in zip(t, u, strict=True)]


def by_share(term):
    """Return the loss ``Σ term(t, c)`` of the clipped shares of p in their sum."""

    def loss(t, p, low, high):
        total = sum(p) or mpf(1)
        shares = [x / total for x in p]
        value, slopes = mpf(0), []
        for a, q in zip(t, shares, strict=True):
            c, free = clipped(q, low, high)
            v, g = term(a, c)
            value += v
            slopes.append(free * g)
        along = sum(g * q for g, q in zip(slopes, shares, strict=True))
        return value, [(g - along) / total for g in slopes]

    return loss


cross_entropy = by_share(lambda t, c: (-t * mp.log(c), -t / c))


def focal_share(gamma, alpha):
    def term(t, c):
        m = 1 - c
        value = -alpha * t * power(m, gamma) * mp.log(c)
        slope = -alpha * t * power(m, gamma) / c
        if gamma:
            slope += alpha * t * gamma * m ** (gamma - 1) * mp.log(c)
        return value, slope

    return by_share(term)


def focal_logits(gamma, alpha):
    def loss(t, z):
        u = log_softmax(z)
        p = [mp.exp(x) for x in u]
        value, by_u = mpf(0), []
        for a, x, share in zip(t, u, p, strict=True):
            m = -mp.expm1(x)
            w = alpha * a * power(m, gamma)
            value -= w * x
            slope = -w
            if gamma and m:
                slope += alpha * a * gamma * m ** (gamma - 1) * share * x
            by_u.append(slope)
        total = sum(by_u)
        return value, [g - share * total for g, share in zip(by_u, p, strict=True)]

    return loss


def kld(t, p, low):
    value, slopes = mpf(0), []
    for a, b in zip(t, p, strict=True):
        a, (c, free) = clipped(a, low, 1)[0], clipped(b, low, 1)
        value += a * mp.log(a / c)
        slopes.append(-free * a / c)
    return value, slopes


def categorical_hinge(t, p):
    others = [(1 - a) * b for a, b in zip(t, p, strict=True)]
    at = others.index(max(others))
    value = max(others) - sum(a * b for a, b in zip(t, p, strict=True)) + 1
    if value <= 0:
        return mpf(0), [mpf(0)] * len(p)
    slopes = [-a for a in t]
    slopes[at] += 1 - t[at]
    return value, slopes


def cosine(t, p):
    def norm(x):
        return mp.sqrt(sum(v * v for v in x))

    if not norm(t) or not norm(p):
        return mpf(0), [mpf(0)] * len(p)
    u, v = [x / norm(t) for x in t], [x / norm(p) for x in p]
    similarity = sum(a * b for a, b in zip(u, v, strict=True))
    return -similarity, [(b * similarity - a) / norm(p) for a, b in zip(u, v, strict=True)]


def gaussian(t, p, low):
    (target,), (mean, variance) = t, p
    v, free = clipped(variance, low)
    d = mean - target
    return (mp.log(v) + d * d / v) / 2, [d / v, free * (1 / v - (d / v) ** 2) / 2]


def dice(t, p, low):
    overlap = sum(a * b for a, b in zip(t, p, strict=True))
    bottom = sum(t) + sum(p) + low
    return 1 - 2 * overlap / bottom, [-2 * (a * bottom - overlap) / bottom**2 for a in t]
