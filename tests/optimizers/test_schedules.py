"""Learning-rate schedules, held against Keras, PyTorch and the papers."""

import json
import math

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError
from netlayers.optimizers import SGD, schedules
from netlayers.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    LinearWarmup,
    Noam,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

# By keras.optimizers.schedules of Keras 3.15.1 (JAX backend, float64; its cosines are float32).
STEPS = [0, 1, 2, 3, 4, 5, 6, 8, 11, 20]
# fmt: off
KERAS = {
    "ExponentialDecay(0.1, 3, 0.5)": [
        0.1, 0.0793700526, 0.0629960525, 0.05, 0.0396850263, 0.0314980262, 0.025, 0.0157490131,
        0.0078745066, 0.0009843133,
    ],
    "ExponentialDecay(0.1, 3, 0.5, staircase=True)": [
        0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0015625,
    ],
    "InverseTimeDecay(0.1, 3, 0.5)": [
        0.1, 0.0857142857, 0.075, 0.0666666667, 0.06, 0.0545454545, 0.05, 0.0428571429,
        0.0352941176, 0.0230769231,
    ],
    "InverseTimeDecay(0.1, 3, 0.5, staircase=True)": [
        0.1, 0.1, 0.1, 0.0666666667, 0.0666666667, 0.0666666667, 0.05, 0.05, 0.04, 0.025,
    ],
    "PiecewiseConstantDecay([2, 5], [0.3, 0.2, 0.1])": [
        0.3, 0.3, 0.3, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1,
    ],
    "PolynomialDecay(0.1, 6)": [
        0.1, 0.08335, 0.0667, 0.05005, 0.0334, 0.01675, 0.0001, 0.0001, 0.0001, 0.0001,
    ],
    "PolynomialDecay(0.1, 6, 0.01, power=2.0)": [
        0.1, 0.0725, 0.05, 0.0325, 0.02, 0.0125, 0.01, 0.01, 0.01, 0.01,
    ],
    "PolynomialDecay(0.1, 3, 0.01, power=0.5, cycle=True)": [
        0.1, 0.0834846923, 0.0619615242, 0.01, 0.0619615242, 0.0467423461, 0.01, 0.04, 0.0359807621,
        0.0296396101,
    ],
    "CosineDecay(0.1, 5, 0.1)": [
        0.1000000015, 0.0914057642, 0.0689057633, 0.0410942324, 0.0185942333, 0.0100000007,
        0.0100000007, 0.0100000007, 0.0100000007, 0.0100000007,
    ],
    "CosineDecay(0.01, 5, 0.1, warmup_target=0.2, warmup_steps=3)": [
        0.01, 0.0733333333, 0.1366666667, 0.2, 0.1828115225, 0.1378115177, 0.0821884632,
        0.0200000003, 0.0200000003, 0.0200000003,
    ],
    "CosineDecayRestarts(0.1, 3)": [
        0.1, 0.075, 0.024999997, 0.1, 0.0933012724, 0.075, 0.049999997, 0.0066987306, 0.0933012724,
        0.0017037094,
    ],
    "CosineDecayRestarts(0.1, 3, t_mul=1.0, m_mul=0.5, alpha=0.1)": [
        0.1, 0.0775, 0.0324999973, 0.055, 0.04375, 0.0212499987, 0.0325, 0.0156249993, 0.0128124997,
        0.0103515625,
    ],
    "CosineDecayRestarts(0.1, 2, t_mul=1.5, m_mul=0.8, alpha=0.2)": [
        0.1, 0.0599999976, 0.084, 0.068, 0.0359999981, 0.0712, 0.0652107361, 0.0327999985,
        0.0561685889, 0.0428733711,
    ],
}
# By torch.optim.lr_scheduler.OneCycleLR of PyTorch 2.13, max_lr=0.1, total_steps=12: steps 0 to 11.
TORCH = {
    "OneCycle(0.1, 12)": [
        0.004, 0.0349789654, 0.0879285159, 0.0994415435, 0.093301297, 0.0811745654, 0.0647378998,
        0.0462637103, 0.0283060998, 0.013347753, 0.0034566987, 4e-07,
    ],
    "OneCycle(0.1, 12, 0.5, div_factor=10.0, final_div_factor=100.0)": [
        0.01, 0.0185942353, 0.0410942353, 0.0689057647, 0.0914057647, 0.1, 0.0933079689, 0.075025,
        0.05005, 0.025075, 0.0067920311, 0.0001,
    ],
}
# fmt: on
NAMES = {name: getattr(schedules, name) for name in schedules.__all__}


@pytest.mark.parametrize("call", KERAS)
def test_same_numbers_as_keras(call):
    schedule = eval(call, NAMES)
    np.testing.assert_allclose([schedule(s) for s in STEPS], KERAS[call], rtol=2e-7, atol=1e-8)


@pytest.mark.parametrize("call", TORCH)
def test_one_cycle_has_the_same_numbers_as_pytorch(call):
    schedule = eval(call, NAMES)
    np.testing.assert_allclose([schedule(s) for s in range(12)], TORCH[call], rtol=1e-8, atol=1e-10)
    assert schedule(12) == schedule(10**6) == schedule(11)  # PyTorch raises


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("total", [1, 2, 3, 10])
def test_one_cycle_of_any_shape_stays_in_its_range(share, total):
    schedule = OneCycle(1.0, total, pct_start=share)
    rates = [schedule(step) for step in range(total + 2)]
    assert all(1 / 25 / 1e4 - 1e-12 <= rate <= 1 for rate in rates)
    top = int(np.argmax(rates))
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == 1 / 25 / 1e4


def test_restarts_fall_on_whole_steps():
    """The lengths are 1, 3, 9, ...; the logarithm of base 3 is not exact at them."""
    schedule = CosineDecayRestarts(1.0, 1, t_mul=3.0, m_mul=0.5)
    starts = [(3**n - 1) // 2 for n in range(20)]
    assert [schedule(step) for step in starts] == [0.5**n for n in range(20)]
    assert all(schedule(step - 1) < schedule(step) / 2 for step in starts[3:])
    # And it may be whole a step too early: log(2^53 - 1) / log(2) is 53.
    assert CosineDecayRestarts(1.0, 1)(2**53 - 2) < 1e-15


@pytest.mark.parametrize("t_mul", [1.0, 1.0001, 1.3, 2.0, 10.0])
def test_restarts_against_walking_through_the_decays(t_mul):
    schedule = CosineDecayRestarts(0.1, 4, t_mul=t_mul, m_mul=0.9, alpha=0.1)
    length, start, n = 4.0, 0.0, 0
    for step in range(300):
        while step >= start + length - 1e-9:
            start, length, n = start + length, length * t_mul, n + 1
        wave = 0.5 * 0.9**n * (1 + math.cos(math.pi * (step - start) / length))
        assert schedule(step) == pytest.approx(0.1 * (0.9 * wave + 0.1), rel=1e-7), step


def test_warm_up_before_a_number_and_before_a_schedule():
    assert [LinearWarmup(0.5, 4, 0.1)(t) for t in (0, 1, 4, 99)] == pytest.approx(
        [0.1, 0.2, 0.5, 0.5]
    )
    for inner in (ExponentialDecay(0.5, 3, 0.5), OneCycle(0.5, 9), Noam(16, 4)):
        schedule = LinearWarmup(inner, 10)
        assert schedule(0) == 0
        assert schedule(5) == pytest.approx(inner(0) / 2)
        assert [schedule(10 + t) for t in range(12)] == [inner(t) for t in range(12)]
    assert LinearWarmup(0.5, 0)(0) == 0.5


def test_noam_by_hand():
    """Vaswani et al. 2017, eq. 3, for d_model = 512 and 4000 steps: the peak is 7.0e-4."""
    schedule = Noam(512)
    assert schedule(3999) == pytest.approx(512**-0.5 * 4000**-0.5)
    assert schedule(3999) == pytest.approx(6.99e-4, rel=1e-3)
    assert schedule(0) == pytest.approx(512**-0.5 * 4000**-1.5)
    assert schedule(15999) == pytest.approx(schedule(3999) / 2)
    assert Noam(512, scale=3.0)(10) == pytest.approx(3 * schedule(10))


def test_configurations_nest():
    schedule = LinearWarmup(LinearWarmup(CosineDecay(0.1, 5), 2, 0.01, name="inner"), 3)
    config = json.loads(json.dumps(SGD(schedule).get_config()))
    again = SGD.from_config(config)
    assert again.get_config() == config
    assert config["learning_rate"]["config"]["learning_rate"]["config"]["name"] == "inner"
    rates = []
    for optimizer in (SGD(schedule), again):
        for optimizer.iterations in range(12):
            rates.append(optimizer.learning_rate)
    assert rates[:12] == rates[12:] == [schedule(t) for t in range(12)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PiecewiseConstantDecay([1], [0.1]), "one more"),
        (lambda: PiecewiseConstantDecay([3, 3], [0.1] * 3), "must increase"),
        (lambda: PiecewiseConstantDecay([1], [0.1, -1]), "each value must be"),
        (lambda: PolynomialDecay(0.1, 0), "decay_steps must be an integer >= 1"),
        (lambda: CosineDecayRestarts(0.1, 5, t_mul=0.5), "t_mul must be a finite number >= 1"),
        (lambda: LinearWarmup("fast", 5), "learning_rate must be"),
        (lambda: OneCycle(0.1, 5, pct_start=1.5), "pct_start must be"),
        (lambda: Noam(0), "d_model must be"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_a_factor_on_top_of_a_schedule():
    schedule = ExponentialDecay(0.1, 1, 0.5)
    optimizer = SGD(schedule)
    assert optimizer.learning_rate_factor == 1
    optimizer.learning_rate_factor = 0.1
    assert optimizer.learning_rate == pytest.approx(0.01)
    optimizer.iterations = 2
    assert optimizer.learning_rate == pytest.approx(0.0025)
    assert SGD.from_config(optimizer.get_config()).learning_rate == 0.1
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.5
    assert optimizer.learning_rate_factor == 0.1


def test_a_factor_on_top_of_a_number():
    optimizer = SGD(0.5)
    optimizer.learning_rate_factor = 0.5
    assert optimizer.learning_rate == 0.25
    assert optimizer.get_config()["learning_rate"] == 0.5
    optimizer.learning_rate = 0.125
    assert optimizer.learning_rate == 0.125
    assert optimizer.learning_rate_factor == 1
    for wrong in (-1, float("nan"), "half"):
        with pytest.raises(ConfigurationError, match="SGD: learning_rate_factor must be"):
            optimizer.learning_rate_factor = wrong


def test_the_factor_reaches_the_weights():
    x = np.ones((4, 2))
    models = []
    for rate, factor in ((0.1, 0.5), (0.05, 1.0)):
        model = nl.Sequential([nl.layers.Dense(1)], seed=0, dtype="float64")
        model.compile(SGD(ExponentialDecay(rate, 2, 0.5)), "mse")
        model.optimizer.learning_rate_factor = factor
        model.fit(x, np.ones(4), epochs=5, verbose=0)
        models.append(model)
    np.testing.assert_allclose(models[0].get_weights()[0], models[1].get_weights()[0], rtol=1e-12)
