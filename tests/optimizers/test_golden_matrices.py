"""Paths of optimizers whose rule depends on the shape of a parameter, and of some others.

As in `test_golden_trajectories.py`, the functions are written from the equations named with each,
on plain Python floats; numbers of Keras follow.
"""

import itertools
import math

import numpy as np
import pytest

import netlayers as nl
from netlayers import optimizers as opt
from netlayers.errors import ConfigurationError

SHAPES = {"kernel": (2, 3), "bias": (3,), "cube": (2, 2, 2)}
SIZES = {name: math.prod(shape) for name, shape in SHAPES.items()}
START = [0.8, -1.5, 0.3, 1.1, -0.4, 2.0, 0.1, -0.2, 0.7, 1.3, -0.9, 0.6, 0.2, -1.1, 0.5, 1.7, -0.3]
STEPS = 8


def gradient(w):
    """Of Σ log cosh(w[i] - w[i + 1]) + Σ (i + 1) w[i]² / 20."""
    slopes = [math.tanh(a - b) for a, b in itertools.pairwise(w)]
    pairs = zip([*slopes, 0.0], [0.0, *slopes], strict=True)
    return [a - b + (i + 1) * w[i] / 10 for i, (a, b) in enumerate(pairs)]


def parts(flat):
    found, start = {}, 0
    for name, size in SIZES.items():
        found[name] = flat[start : start + size]
        start += size
    return found


def each(rule):
    """Make a path from a rule for one parameter: ``rule(state, t, w, g, name)`` gives the new w."""

    def path():
        w, states = list(START), {name: {} for name in SHAPES}
        for t in range(1, STEPS + 1):
            g = parts(gradient(w))
            new = {n: rule(states[n], t, p, g[n], n) for n, p in parts(w).items()}
            w = [x for p in new.values() for x in p]
            yield w

    return path


def ftrl(alpha, power=0.5, start=0.1, lambda_1=0.0, lambda_2=0.0, shrinkage=0.0, beta=0.0):
    """McMahan et al. 2013, algorithm 1; the shrinkage and the power are those of Keras."""

    def rule(s, t, w, g, name):
        new = []
        for i in range(len(w)):
            n, z = s.get(i, (start, 0.0))
            sigma = ((n + g[i] ** 2) ** power - n**power) / alpha
            z += g[i] + 2 * shrinkage * w[i] - sigma * w[i]
            n += g[i] ** 2
            s[i] = n, z
            divisor = (beta + n**power) / alpha + lambda_2
            smaller = z - math.copysign(lambda_1, z)
            new.append(0.0 if abs(z) <= lambda_1 else -smaller / divisor)
        return new

    return rule


def adafactor(lr, decay=0.8, epsilon_1=1e-30, epsilon_2=1e-3, d=1.0):
    """Shazeer and Stern 2018, algorithms 4 and 5, with ρ = min(lr, 1 / sqrt(t))."""

    def rms(x):
        return math.sqrt(sum(y * y for y in x) / len(x))

    def rule(s, t, w, g, name):
        beta = 1 - t**-decay
        squares = [x * x + epsilon_1 for x in g]
        if name == "bias":
            before = s.get("v", [0.0] * len(w))
            v = s["v"] = [beta * a + (1 - beta) * b for a, b in zip(before, squares, strict=True)]
        else:
            *_, m, n = SHAPES[name]
            v = []
            for k in range(0, len(w), m * n):  # matrix after matrix
                rows = [sum(squares[k + i * n + j] for j in range(n)) / n for i in range(m)]
                columns = [sum(squares[k + i * n + j] for i in range(m)) / m for j in range(n)]
                r, c = s.get(k, ([0.0] * m, [0.0] * n))
                r = [beta * a + (1 - beta) * b for a, b in zip(r, rows, strict=True)]
                c = [beta * a + (1 - beta) * b for a, b in zip(c, columns, strict=True)]
                s[k] = r, c
                v += [x * y / (sum(r) / m) for x in r for y in c]
        u = [a / math.sqrt(b) for a, b in zip(g, v, strict=True)]
        step = max(epsilon_2, rms(w)) * min(lr, 1 / math.sqrt(t)) / max(1, rms(u) / d)
        return [a - step * b for a, b in zip(w, u, strict=True)]

    return rule


def times(a, b):
    return [
        [sum(x * y for x, y in zip(row, c, strict=True)) for c in zip(*b, strict=True)] for row in a
    ]


def muon(lr, mu=0.95, steps=5, nesterov=True, rms=0.2, decay=0.004, adam=(0.9, 0.999), ratio=1.0):
    """Jordan et al. 2024; Liu et al. 2025, eq. 4 and AdamW for all that is no matrix."""
    beta_1, beta_2 = adam

    def rule(s, t, w, g, name):
        w = [x - lr * decay * x for x in w]
        if name != "kernel":
            m = s["m"] = [beta_1 * a + (1 - beta_1) * b for a, b in pairs(s, "m", g)]
            v = s["v"] = [beta_2 * a + (1 - beta_2) * b * b for a, b in pairs(s, "v", g)]
            alpha = ratio * lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            step = [alpha * a / (math.sqrt(b) + 1e-7) for a, b in zip(m, v, strict=True)]
        else:
            m = s["m"] = [mu * a + b for a, b in pairs(s, "m", g)]
            given = [a + mu * b for a, b in zip(g, m, strict=True)] if nesterov else m
            size = math.hypot(*given) + 1e-7
            x = [[y / size for y in given[:3]], [y / size for y in given[3:]]]
            for _ in range(steps):
                square = times(x, list(zip(*x, strict=True)))
                fourth = times(square, square)
                factor = [
                    [
                        3.4445 * (i == j) - 4.775 * square[i][j] + 2.0315 * fourth[i][j]
                        for j in range(2)
                    ]
                    for i in range(2)
                ]
                x = times(factor, x)
            scale = 1.0 if rms is None else rms * math.sqrt(3)
            step = [lr * scale * y for row in x for y in row]
        return [a - b for a, b in zip(w, step, strict=True)]

    def pairs(s, key, g):
        return zip(s.get(key, [0.0] * len(g)), g, strict=True)

    return rule


def schedule_free(lr, beta_1=0.9, beta_2=0.999, epsilon=1e-8, warmup=0, decay=0.0):
    """Defazio et al. 2024, algorithm 1, with c = 1 / t and a decay of y, as in Keras."""

    def rule(s, t, w, g, name):
        rate, new = lr * min(1.0, t / warmup if warmup else 1.0), []
        for i in range(len(w)):
            x, z, v = s.get(i, (START_OF[name][i], START_OF[name][i], 0.0))
            y = w[i] - lr * decay * w[i]
            x = (y - (1 - beta_1) * z) / beta_1 if decay else x
            v = beta_2 * v + (1 - beta_2) * g[i] ** 2
            z -= rate * g[i] / (math.sqrt(v / (1 - beta_2**t)) + epsilon)
            x = (1 - 1 / t) * x + z / t
            s[i] = x, z, v
            new.append((1 - beta_1) * z + beta_1 * x)
        return new

    return rule


START_OF = parts(START)


def lars(lr, mu=0.9, eta=0.001, beta=0.0, plain=()):
    """You, Gitman, Ginsburg 2017, algorithm 1."""

    def rule(s, t, w, g, name):
        rate = lr
        if name not in plain:
            norms = math.hypot(*w), math.hypot(*g)
            rate *= eta * norms[0] / (norms[1] + beta * norms[0])
        v = s.get("v", [0.0] * len(w))
        v = [mu * a + rate * (b + beta * c) for a, b, c in zip(v, g, w, strict=True)]
        s["v"] = v
        return [a - b for a, b in zip(w, v, strict=True)]

    return rule


PATHS = {
    "Ftrl": (opt.Ftrl(0.5), ftrl(0.5)),
    "Ftrl, other numbers": (
        opt.Ftrl(0.5, -0.3, 0.4, 0.05, 0.15, 0.01, 0.3),
        ftrl(0.5, 0.3, 0.4, 0.05, 0.3, 0.01, 0.3),
    ),
    "Adafactor": (opt.Adafactor(0.05), adafactor(0.05)),
    "Adafactor, other numbers": (
        opt.Adafactor(0.5, -0.5, 1e-3, 1.2, 0.7, relative_step=False),
        adafactor(0.5, 0.5, 1e-3, 1.2, 0.7),
    ),
    "Muon": (opt.Muon(0.1), muon(0.1)),
    "Muon, other numbers": (
        opt.Muon(
            0.1, 0.7, 0.8, momentum=0.5, ns_steps=3, nesterov=False, rms_rate=None,
            adam_lr_ratio=0.5, weight_decay=0.1, adam_weight_decay=0.1,
        ),
        muon(0.1, 0.5, 3, False, None, 0.1, (0.7, 0.8), 0.5),
    ),
    "ScheduleFreeAdamW": (opt.ScheduleFreeAdamW(0.1), schedule_free(0.1)),
    "ScheduleFreeAdamW, other numbers": (
        opt.ScheduleFreeAdamW(0.1, 0.7, 0.8, 0.01, 5, weight_decay=0.1),
        schedule_free(0.1, 0.7, 0.8, 0.01, 5, 0.1),
    ),
    "LARS": (opt.LARS(10.0), lars(10.0)),
    "LARS, other numbers": (
        opt.LARS(0.1, 0.5, 0.1, ["bias"], weight_decay=0.2),
        lars(0.1, 0.5, 0.1, 0.2, ["bias"]),
    ),
}  # fmt: skip


class Three(nl.layers.Layer):
    """A matrix, a vector and a weight of three axes."""

    def build(self, input_shape):
        for name, shape in SHAPES.items():
            self.add_weight(name, shape)


def walk(optimizer):
    layer = Three(dtype="float64")
    layer.build((None, 1))
    parameters = layer.parameters
    parameters.values[...] = START
    for _ in range(STEPS):
        parameters.gradients[...] = gradient(parameters.values.tolist())
        optimizer.step(parameters)
        yield parameters.values.tolist()


@pytest.mark.parametrize("name", PATHS)
def test_the_path_is_that_of_the_paper(name):
    optimizer, rule = PATHS[name]
    golden = list(each(rule)())
    assert math.dist(golden[-1], START) > 0.01  # it went somewhere
    again = type(optimizer).from_config(optimizer.get_config())
    np.testing.assert_allclose(list(walk(again)), golden, rtol=1e-11, atol=1e-15)


# Weights after the same updates by keras.optimizers of Keras 3.15.1 (JAX backend, float64).
KERAS = [
    (opt.Ftrl(0.5),
        [-0.218694387, -0.176564925, 0.016900158, 0.102745397, 0.246513773, 0.349777214,
         0.212812054, 0.103431681, 0.0805638, 0.061573488, 0.028184581, 0.004185358,
         0.007911368, 0.006290596, 0.061697231, 0.175291752, 0.086094139]),
    (opt.Ftrl(0.5, -0.3, 0.4, 0.05, 0.15, 0.01, 0.3),
        [-0.059129821, -0.04093191, -0.00741827, 0.025791482, 0.050201618, 0.058395604,
         0.040562785, 0.026788313, 0.015141295, 0.007121405, 0, -0.000290245,
         -0.000168252, 0, 0.00263986, 0.005767985, 0.004636005]),
    (opt.Adafactor(0.05),
        [0.425878388, -0.935137002, 0.198027041, 0.712930373, -0.094464823, 1.54679651,
         0.244864548, -0.052853208, 0.552221074, 0.998803493, -0.55476587, 0.227258945,
         0.026636287, -0.777646724, 0.260652609, 1.37695393, 0.024883106]),
    (opt.Adafactor(0.5, -0.5, 1e-3, 1.2, 0.7, relative_step=False),
        [0.028280023, -0.041584351, 0.160898138, -0.111520936, 0.213230976, -0.003035176,
         0.272939178, -0.099679874, 0.217061298, -0.182198356, 0.096739622, 0.142051937,
         -0.213019595, 0.135500464, -0.201996264, 0.185272854, -0.124317839]),
    (opt.Muon(0.1),
        [0.743964706, -1.25565285, 0.42308147, 1.01200392, -0.377807671, 1.7834412,
         0.812176131, 0.463211193, 0.200013891, 0.509766886, -0.124108875, -0.155625216,
         -0.279638722, -0.330878375, -0.053801007, 0.906743615, 0.426541779]),
    (opt.Muon(0.1, 0.7, 0.8,
         momentum=0.5, ns_steps=3, nesterov=False, rms_rate=None, adam_lr_ratio=0.5,
         weight_decay=0.1, adam_weight_decay=0.2),
        [0.599548643, -0.825310621, 0.530772504, 0.812411777, -0.294866124, 1.32990505,
         0.44209855, 0.179158076, 0.276315424, 0.736968989, -0.398360921, 0.146284011,
         -0.150971652, -0.57058359, 0.092688823, 1.0772574, 0.105355227]),
    (opt.Muon(0.1, exclude_layers=["ker"]),
        [0.006370927, -0.707788119, -0.319102563, 0.317262356, 0.375338539, 1.20459474,
         0.753049623, 0.461111005, 0.199957084, 0.509766799, -0.124108875, -0.155625216,
         -0.279638722, -0.330878375, -0.053801007, 0.906743615, 0.426541779]),
    (opt.ScheduleFreeAdamW(0.1),
        [0.324840594, -1.02832111, -0.100432647, 0.637771984, 0.059075677, 1.52840498,
         0.500935529, 0.19764861, 0.356560992, 0.834107883, -0.443465209, 0.158213674,
         -0.138588452, -0.649616276, 0.137096696, 1.23224863, 0.123716358]),
    (opt.ScheduleFreeAdamW(0.1, 0.7, 0.8, 0.01, 5, weight_decay=0.1),
        [0.415899188, -1.09217963, -0.025306987, 0.711878646, -0.036693325, 1.57529347,
         0.413729753, 0.120618998, 0.391991265, 0.90296744, -0.521252133, 0.240144676,
         -0.089612615, -0.718219379, 0.188209651, 1.28812021, 0.039179796]),
]  # fmt: skip


@pytest.mark.parametrize(("optimizer", "expected"), KERAS, ids=lambda x: str(x)[:40])
def test_the_path_ends_where_that_of_keras_ends(optimizer, expected):
    *_, last = walk(type(optimizer).from_config(optimizer.get_config()))
    np.testing.assert_allclose(last, expected, rtol=2e-6, atol=1e-7)


def test_an_iteration_that_diverges_is_refused():
    # p(x) = 3 x - 4 x^3 + 2 x^5: p(1.49) = 5.9, and from there it grows.
    coefficients = {"muon_a": 3.0, "muon_b": -4.0, "muon_c": 2.0}
    nl.optimizers.Muon(**coefficients, ns_steps=2)
    with pytest.raises(ConfigurationError, match="grows without bound in ns_steps=7"):
        nl.optimizers.Muon(**coefficients, ns_steps=7)
    with pytest.raises(ConfigurationError, match="grows without bound in ns_steps=30"):
        nl.optimizers.Muon(**coefficients, ns_steps=30)  # where it is infinity less infinity
