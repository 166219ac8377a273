"""The value of a data set does not depend on how it is cut into batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import losses
from netlayers.registry import registered

# The outputs need not be probabilities here, and there need not be weights.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* takes probabilities:UserWarning"),
    pytest.mark.filterwarnings("ignore:.* has no trainable weights:UserWarning"),
    pytest.mark.filterwarnings("ignore:.* (rows of y sum to|is 0 for all rows)"),
]

K = 4  # outputs
# Arguments of losses that need some, and further ones that change what is divided by.
ARGUMENTS = {
    "SparseCategoricalCrossentropy": [{}, {"ignore_class": -1}, {"ignore_class": 2}],
    "CategoricalCrossentropy": [{}, {"from_logits": True}, {"label_smoothing": 0.1}],
    "Quantile": [{}, {"quantile": [0.1, 0.4, 0.5, 0.9]}],
    "Dice": [{"axis": -1}, {"axis": 1}],
    "Tversky": [{"axis": (1,)}],
    "SplitLoss": [
        {"losses": ["mse", losses.SparseCategoricalCrossentropy(True)], "sizes": [1, 3]},
        {
            "losses": [
                losses.SparseCategoricalCrossentropy(True, ignore_class=-1, name="first"),
                losses.SparseCategoricalCrossentropy(True, ignore_class=0),
            ],
            "sizes": [2, 2],
            "weights": [0.5, 3.0],
        },
    ],
}
NAMES = sorted({loss.__name__ for loss in registered("loss").values() if isinstance(loss, type)})
NAMES = [name for name in NAMES if hasattr(losses, name) and name != "OutputLosses"]
NAMES.remove("Circle")  # of a whole batch
NAMES.remove("CTC")  # of series
CASES = [(name, arguments) for name in NAMES for arguments in ARGUMENTS.get(name, [{}])]
REDUCTIONS = ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum"]
each_loss = pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)


def targets(name, arguments, rng, rows):
    if name in ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"):
        t = rng.integers(0, K, rows)
        ignored = arguments.get("ignore_class")
        return t if ignored is None else np.where(rng.random(rows) < 0.5, ignored, t)
    if name == "SplitLoss":
        return np.stack([rng.integers(-1, 2, rows), rng.integers(0, 2, rows)], 1).clip(
            -1 if "weights" in arguments else 0
        )
    if "Hinge" in name and name != "CategoricalHinge":
        return rng.choice([-1.0, 1.0], (rows, K))
    if name == "CategoricalHinge":
        return np.eye(K)[rng.integers(0, K, rows)]
    columns = {"GaussianNLL": K // 2}.get(name, 1 if "quantile" in arguments else K)
    return rng.uniform(0.1, 0.9, (rows, columns))


@st.composite
def data(draw):
    """Rows, how many of them are a batch, and weights of which a whole batch may be 0."""
    rows = draw(st.integers(1, 9))
    batch_size = draw(st.integers(1, rows))
    seed = draw(st.integers(0, 99))
    kind = draw(st.sampled_from(["none", "some", "first batch 0", "all 0"]))
    weight = None if kind == "none" else np.random.default_rng(seed).integers(0, 4, rows) / 2
    if kind == "first batch 0":
        weight[:batch_size] = 0
    elif kind == "all 0":
        weight[:] = 0
    return rows, batch_size, seed, weight


def identity(loss, metrics=(), penalty=0.0):
    layers = [nl.layers.ActivityRegularization(l1=penalty)] if penalty else []
    layers += [nl.layers.Activation("linear")]
    model = nl.Sequential(layers, dtype="float64")
    model.compile("sgd", loss, metrics=list(metrics))
    return model


@pytest.mark.filterwarnings("ignore:fit. all y are")
@each_loss
@given(data(), st.sampled_from(REDUCTIONS), st.sampled_from([0.0, 0.5]))
@settings(max_examples=25, deadline=None)
def test_evaluate_is_the_loss_of_all_rows(name, arguments, case, reduction, penalty):
    rows, batch_size, seed, weight = case
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.1, 0.9, (rows, K))
    y = targets(name, arguments, rng, rows)
    loss = getattr(losses, name)(**arguments, reduction=reduction)
    model = identity(loss, penalty=penalty)
    expected = loss.forward(y, x, weight) + penalty * x.sum() / rows
    got = model.evaluate(x, y, batch_size, 0, weight, return_dict=True)
    assert got["loss"] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    if name == "SplitLoss":
        loss.forward(y, x, weight)
        assert [*got.values()][1:] == pytest.approx(loss.values, rel=1e-12, abs=1e-12)
    history = model.fit(
        x, y, batch_size, 1, 0, sample_weight=weight, validation_data=(x, y, weight),
        validation_batch_size=batch_size,
    ).history  # fmt: skip
    assert history["val_loss"] == pytest.approx([expected], rel=1e-12, abs=1e-12)
    assert history["loss"] == pytest.approx([expected], rel=1e-12, abs=1e-12)


@given(data(), st.sampled_from(REDUCTIONS), st.sampled_from([(), (3,)]))
@settings(max_examples=60, deadline=None)
def test_numerator_and_denominator(case, reduction, axes):
    """Also of losses with several positions in a row, and weights for each."""
    rows, batch_size, seed, weight = case
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, *axes, K))
    y = rng.integers(-1, K, (rows, *axes))
    if axes and weight is not None:
        weight = weight[:, None] * rng.integers(0, 2, (rows, *axes))
    loss = losses.SparseCategoricalCrossentropy(True, ignore_class=-1, reduction=reduction)
    value = loss.forward(y, x, weight)
    whole = loss.numerator, loss.denominator
    gradient = loss.backward().copy()
    assert value == pytest.approx(whole[0] / (whole[1] or 1))
    numerators, parts, denominators = 0.0, [], 0.0
    for start in range(0, rows, batch_size):
        part = slice(start, start + batch_size)
        loss.forward(y[part], x[part], None if weight is None else weight[part])
        numerators += loss.numerator
        denominators += loss.denominator
        parts.append(loss.backward(1.0).copy())
    divisor = 1.0 if reduction == "sum" else denominators or 1.0
    assert numerators == pytest.approx(whole[0], abs=1e-12)
    assert numerators / divisor == pytest.approx(value, abs=1e-12)
    np.testing.assert_allclose(np.concatenate(parts) / divisor, gradient, rtol=1e-12, atol=1e-15)


METRICS = sorted(
    {
        m.__name__
        for m in registered("metric").values()
        if isinstance(m, type) and issubclass(m, nl.metrics.from_loss.LossMetric)
    }
    - {"LossMetric"}
)


@pytest.mark.parametrize("name", METRICS)
@given(data())
@settings(max_examples=20, deadline=None)
def test_loss_metrics_are_means_over_all_rows(name, case):
    rows, batch_size, seed, weight = case
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.1, 0.9, (rows, K))
    for arguments in [a for a in ARGUMENTS.get(name, [{}]) if "reduction" not in a]:
        y = targets(name, arguments, rng, rows)
        metric = getattr(nl.metrics, name)(**arguments)
        whole = metric(y, x, sample_weight=weight)
        metric.reset_state()
        for start in range(0, rows, batch_size):
            part = slice(start, start + batch_size)
            metric.update_state(y[part], x[part], None if weight is None else weight[part])
        assert metric.result() == pytest.approx(whole, rel=1e-12, abs=1e-12)


def test_losses_of_whole_sets_say_so():
    p, t = np.full((4, 2, 3), 0.5), np.ones((4, 2, 3))
    for axis, quotient in [(None, False), (0, False), (-3, False), ((0, 1), False), ((1, 2), True)]:
        for make in (losses.Dice, losses.Tversky):
            loss = make(axis=axis)
            loss.forward(t, p)
            assert loss.is_quotient is quotient
    assert losses.MeanSquaredError().is_quotient
    parts = [losses.SparseCategoricalCrossentropy(True, ignore_class=0), "mse"]
    assert not losses.SplitLoss(parts, [3, 1]).is_quotient
    assert not losses.SplitLoss([losses.Dice(), "mse"], [3, 1]).is_quotient


def test_the_value_of_a_set_based_loss_is_a_mean_over_rows():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(5, 3)), rng.uniform(size=(5, 3))
    loss = losses.Dice(reduction="sum")
    parts = [loss.forward(y[part], x[part]) for part in (slice(0, 3), slice(3, 5))]
    got = identity(loss).evaluate(x, y, 3, 0)
    assert got == pytest.approx(parts[0] * 0.6 + parts[1] * 0.4)


class Foreign:
    """A loss of which nothing is known but its two methods."""

    name = "foreign"

    def forward(self, y_true, y_pred, sample_weight=None):
        self.d = y_pred - y_true
        return float(np.square(self.d).sum() / len(self.d))

    def backward(self):
        return 2 * self.d / len(self.d)


def test_the_denominator_of_a_foreign_loss_is_its_rows():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 2)), rng.normal(size=(7, 2))
    values = [identity(Foreign()).evaluate(x, y, size, 0) for size in (7, 3, 1)]
    assert values == pytest.approx([np.square(x - y).sum() / 7] * 3)


def test_a_loss_of_nothing_is_zero():
    loss = losses.SparseCategoricalCrossentropy(True, ignore_class=0)
    assert loss.forward([0, 0], np.zeros((2, 3))) == 0
    assert loss.denominator == 0
    assert not loss.backward().any()
