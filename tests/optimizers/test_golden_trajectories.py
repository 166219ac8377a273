"""Every optimizer's path over a few steps, computed again from its paper, number by number.

The functions below are written from the equations named with each, on plain Python floats. Where
Keras's form of a rule differs from the paper's, Keras's is followed and the comment says in what.
"""

import math

import numpy as np
import pytest

import netlayers as nl
from netlayers import optimizers as opt
from netlayers.optimizers import schedules
from tests.optimizers.networks import RULES
from tests.optimizers.test_golden_matrices import PATHS as OTHERS

START = [1.0, -2.0, 0.5]
SHAPES = [(2,), (1,)]  # of the two parameters that the three numbers are
STEPS = 12


def gradient(w):
    """Of log cosh(a - b) + log cosh(2 c - a) + (a² + b² + c²) / 10."""
    a, b, c = w
    one, two = math.tanh(a - b), math.tanh(2 * c - a)
    return [one - two + a / 5, -one + b / 5, 2 * two + c / 5]


def each(rule):
    """Make a path from a rule for one number: ``rule(state, t, w, g)`` gives the new number."""

    def path():
        w, states = list(START), [{} for _ in START]
        for t in range(1, STEPS + 1):
            g = gradient(w)
            w = [rule(s, t, w[i], g[i]) for i, s in enumerate(states)]
            yield w

    return path


def decayed(rule, lr, weight_decay):
    """Decoupled weight decay: Loshchilov and Hutter 2019, the term λθ in algorithms 1 and 2."""
    return lambda s, t, w, g: rule(s, t, w, g) - lr * weight_decay * w


def sgd(lr, mu=0.0):
    """Sutskever et al. 2013, eq. 1 and 2."""

    def rule(s, t, w, g):
        s["v"] = mu * s.get("v", 0.0) - lr * g
        return w + s["v"]

    return rule


def nesterov(lr, mu):
    """Sutskever et al. 2013, eq. 3 and 4.

    They take the gradient at θ + µ v. The optimizer's weights are that point: it is what a user
    evaluates the network at.
    """
    theta, v = list(START), [0.0] * 3
    for _ in range(STEPS):
        g = gradient([x + mu * y for x, y in zip(theta, v, strict=True)])
        v = [mu * y - lr * z for y, z in zip(v, g, strict=True)]
        theta = [x + y for x, y in zip(theta, v, strict=True)]
        yield [x + mu * y for x, y in zip(theta, v, strict=True)]


def rmsprop(lr, rho=0.9, epsilon=1e-7):
    """Tieleman and Hinton 2012, slide 29; Keras's epsilon, inside the root."""

    def rule(s, t, w, g):
        s["r"] = rho * s.get("r", 0.0) + (1 - rho) * g**2
        return w - lr * g / math.sqrt(s["r"] + epsilon)

    return rule


def graves(lr, rho, mu, epsilon):
    """Graves 2013, eq. 38 to 41: centered RMSprop with momentum."""

    def rule(s, t, w, g):
        s["n"] = rho * s.get("n", 0.0) + (1 - rho) * g**2
        s["g"] = rho * s.get("g", 0.0) + (1 - rho) * g
        s["d"] = mu * s.get("d", 0.0) - lr * g / math.sqrt(s["n"] - s["g"] ** 2 + epsilon)
        return w + s["d"]

    return rule


def adam(lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    """Kingma and Ba 2015, algorithm 1, in the order at the end of section 2 (ε is ε̂ there).

    AMSGrad is Reddi et al. 2018, algorithm 2; Keras also corrects the bias, which they do not.
    """

    def rule(s, t, w, g):
        s["m"] = beta_1 * s.get("m", 0.0) + (1 - beta_1) * g
        s["v"] = beta_2 * s.get("v", 0.0) + (1 - beta_2) * g**2
        s["largest"] = max(s.get("largest", 0.0), s["v"])
        v = s["largest"] if amsgrad else s["v"]
        alpha = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return w - alpha * s["m"] / (math.sqrt(v) + epsilon)

    return rule


def adagrad(lr, start=0.1, epsilon=1e-7):
    """Duchi et al. 2011, figure 1; Keras's epsilon inside the root, and its sum that starts > 0."""

    def rule(s, t, w, g):
        s["sum"] = s.get("sum", start) + g**2
        return w - lr * g / math.sqrt(s["sum"] + epsilon)

    return rule


def adadelta(lr, rho=0.95, epsilon=1e-7):
    """Zeiler 2012, algorithm 1; the learning rate is Keras's, 1 in the paper."""

    def rule(s, t, w, g):
        s["g2"] = rho * s.get("g2", 0.0) + (1 - rho) * g**2
        delta = -math.sqrt(s.get("x2", 0.0) + epsilon) / math.sqrt(s["g2"] + epsilon) * g
        s["x2"] = rho * s.get("x2", 0.0) + (1 - rho) * delta**2
        return w + lr * delta

    return rule


def adamax(lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Kingma and Ba 2015, algorithm 2; the epsilon is Keras's."""

    def rule(s, t, w, g):
        s["m"] = beta_1 * s.get("m", 0.0) + (1 - beta_1) * g
        s["u"] = max(beta_2 * s.get("u", 0.0), abs(g))
        return w - lr / (1 - beta_1**t) * s["m"] / (s["u"] + epsilon)

    return rule


def nadam(lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Dozat 2016, algorithm 2; as in Keras m decays by beta_1 and not by µ_t, which is the next."""

    def mu(t):
        return beta_1 * (1 - 0.5 * 0.96**t)

    def rule(s, t, w, g):
        so_far = math.prod(mu(i) for i in range(1, t + 1))
        s["m"] = beta_1 * s.get("m", 0.0) + (1 - beta_1) * g
        s["n"] = beta_2 * s.get("n", 0.0) + (1 - beta_2) * g**2
        g_hat = g / (1 - so_far)
        m_hat = s["m"] / (1 - so_far * mu(t + 1))
        n_hat = s["n"] / (1 - beta_2**t)
        m_bar = (1 - mu(t)) * g_hat + mu(t + 1) * m_hat
        return w - lr * m_bar / (math.sqrt(n_hat) + epsilon)

    return rule


def lion(lr, beta_1=0.9, beta_2=0.99):
    """Chen et al. 2023, algorithm 2."""

    def rule(s, t, w, g):
        m = s.get("m", 0.0)
        c = beta_1 * m + (1 - beta_1) * g
        s["m"] = beta_2 * m + (1 - beta_2) * g
        return w - lr * ((c > 0) - (c < 0))

    return rule


def radam(lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Liu et al. 2020, algorithm 2; epsilon, which they have not, is where Adam's ε̂ is."""
    limit = 2 / (1 - beta_2) - 1

    def rule(s, t, w, g):
        s["v"] = beta_2 * s.get("v", 0.0) + (1 - beta_2) * g**2
        s["m"] = beta_1 * s.get("m", 0.0) + (1 - beta_1) * g
        m_hat = s["m"] / (1 - beta_1**t)
        rho = limit - 2 * t * beta_2**t / (1 - beta_2**t)
        if rho <= 4:
            return w - lr * m_hat
        adaptive = math.sqrt(1 - beta_2**t) / (math.sqrt(s["v"]) + epsilon)
        r = math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
        return w - lr * r * m_hat * adaptive

    return rule


def lamb(lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=0.0):
    """You et al. 2020, algorithm 2 with φ(z) = z.

    The paper adds λ w to r before its norm is taken; Keras decays apart from it.
    """

    def path():
        w, m, v = list(START), [0.0] * 3, [0.0] * 3
        for t in range(1, STEPS + 1):
            g = gradient(w)
            w = [x - lr * weight_decay * x for x in w]
            m = [beta_1 * x + (1 - beta_1) * y for x, y in zip(m, g, strict=True)]
            v = [beta_2 * x + (1 - beta_2) * y**2 for x, y in zip(v, g, strict=True)]
            r = [
                x / (1 - beta_1**t) / (math.sqrt(y / (1 - beta_2**t)) + epsilon)
                for x, y in zip(m, v, strict=True)
            ]
            for parameter in ([0, 1], [2]):
                trust = math.hypot(*(w[i] for i in parameter)) / math.hypot(
                    *(r[i] for i in parameter)
                )
                for i in parameter:
                    w[i] -= lr * trust * r[i]
            yield list(w)

    return path


PATHS = {
    "SGD": (opt.SGD(0.02), each(sgd(0.02))),
    "SGD, momentum": (opt.SGD(0.02, momentum=0.9), each(sgd(0.02, 0.9))),
    "SGD, Nesterov": (opt.SGD(0.02, momentum=0.9, nesterov=True), lambda: nesterov(0.02, 0.9)),
    "SGD, decay": (opt.SGD(0.02, weight_decay=0.1), each(decayed(sgd(0.02), 0.02, 0.1))),
    "RMSprop": (opt.RMSprop(0.05), each(rmsprop(0.05))),
    "RMSprop, Graves": (
        opt.RMSprop(0.05, rho=0.8, momentum=0.5, epsilon=1e-3, centered=True),
        each(graves(0.05, 0.8, 0.5, 1e-3)),
    ),
    "Adam": (opt.Adam(0.1), each(adam(0.1))),
    "Adam, other numbers": (opt.Adam(0.1, 0.7, 0.8, 0.01), each(adam(0.1, 0.7, 0.8, 0.01))),
    "AMSGrad": (opt.Adam(0.1, 0.7, 0.5, amsgrad=True), each(adam(0.1, 0.7, 0.5, amsgrad=True))),
    "AdamW": (opt.AdamW(0.1), each(decayed(adam(0.1), 0.1, 0.004))),
    "Adagrad": (opt.Adagrad(0.5), each(adagrad(0.5))),
    "Adagrad, other numbers": (opt.Adagrad(0.5, 0.0, 0.01), each(adagrad(0.5, 0.0, 0.01))),
    "Adadelta": (opt.Adadelta(1.0), each(adadelta(1.0))),
    "Adadelta, other numbers": (opt.Adadelta(0.5, 0.6, 0.01), each(adadelta(0.5, 0.6, 0.01))),
    "Adamax": (opt.Adamax(0.1), each(adamax(0.1))),
    "Adamax, other numbers": (opt.Adamax(0.1, 0.7, 0.5, 0.1), each(adamax(0.1, 0.7, 0.5, 0.1))),
    "Nadam": (opt.Nadam(0.1), each(nadam(0.1))),
    "Nadam, other numbers": (opt.Nadam(0.1, 0.7, 0.5, 0.1), each(nadam(0.1, 0.7, 0.5, 0.1))),
    "Lion": (opt.Lion(0.02), each(lion(0.02))),
    "Lion, other numbers": (
        opt.Lion(0.02, 0.5, 0.6, weight_decay=0.1),
        each(decayed(lion(0.02, 0.5, 0.6), 0.02, 0.1)),
    ),
    "Lamb": (opt.Lamb(0.05), lamb(0.05)),
    "Lamb, other numbers": (
        opt.Lamb(0.05, 0.7, 0.5, 0.1, weight_decay=0.1),
        lamb(0.05, 0.7, 0.5, 0.1, 0.1),
    ),
    "LazyAdam": (opt.LazyAdam(0.1), each(adam(0.1))),
    "RAdam": (opt.RAdam(0.1), each(radam(0.1))),
    "RAdam, other numbers": (opt.RAdam(0.1, 0.7, 0.9, 0.1), each(radam(0.1, 0.7, 0.9, 0.1))),
}


class Two(nl.layers.Layer):
    """Two parameters."""

    def build(self, input_shape):
        for name, shape in zip("ab", SHAPES, strict=True):
            self.add_weight(name, shape)


def walk(optimizer):
    layer = Two(dtype="float64")
    layer.build((None, 1))
    parameters = layer.parameters
    parameters.values[...] = START
    for _ in range(STEPS):
        parameters.gradients[...] = gradient(parameters.values.tolist())
        optimizer.step(parameters)
        yield parameters.values.tolist()


def test_every_optimizer_has_a_path():
    walked = {type(optimizer) for optimizer, _ in (*PATHS.values(), *OTHERS.values())}
    assert {kind.__name__ for kind in walked} == set(RULES)


@pytest.mark.parametrize("name", PATHS)
def test_the_path_is_that_of_the_paper(name):
    optimizer, path = PATHS[name]
    golden = list(path())
    assert math.dist(golden[-1], START) > 0.01  # it went somewhere
    again = type(optimizer).from_config(optimizer.get_config())
    # The absolute part is for a weight that comes within 1e-4 of zero.
    np.testing.assert_allclose(list(walk(again)), golden, rtol=1e-12, atol=1e-15)


def test_a_path_with_a_schedule():
    rate = schedules.CosineDecayRestarts(0.1, 3)
    golden = list(each(lambda s, t, w, g: sgd(rate(t - 1))(s, t, w, g))())
    np.testing.assert_allclose(list(walk(opt.SGD(rate))), golden, rtol=1e-12)
