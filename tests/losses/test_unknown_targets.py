"""Targets that are not known, and a weight for each output."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import losses
from netlayers.errors import DataError, ShapeError
from netlayers.registry import registered

# The outputs need not be probabilities here, and there need not be weights.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* takes probabilities:UserWarning"),
    pytest.mark.filterwarnings("ignore:.* has no trainable weights:UserWarning"),
    pytest.mark.filterwarnings("ignore:.* (rows of y sum to|is 0 for all rows)"),
]

K = 4  # outputs
CLASSES = {c for c in registered("loss").values() if isinstance(c, type)}
NAMES = sorted(
    c.__name__
    for c in CLASSES
    if issubclass(c, losses.ElementwiseLoss) and hasattr(losses, c.__name__)
)
CASES = [(name, {}) for name in NAMES]
CASES += [
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}),
    ("BinaryFocalCrossentropy", {"from_logits": True}),
    ("GaussianNLL", {"full": True}),
    ("Quantile", {"quantile": [0.1, 0.4, 0.5, 0.9]}),
]
REDUCTIONS = ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum"]
each_loss = pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)


@st.composite
def data(draw):
    """Rows, batch size, a seed, the shape of weights, and which targets are unknown."""
    rows = draw(st.integers(1, 9))
    return (
        rows,
        draw(st.integers(1, rows)),
        draw(st.integers(0, 99)),
        draw(st.sampled_from(["none", "samples", "outputs"])),
        draw(st.sampled_from(["none", "some", "first batch", "all"])),
    )


def drawn(name, arguments, case):
    """Return predictions, complete targets, which of them are known, and weights or None."""
    rows, batch_size, seed, weighted, unknown = case
    rng = np.random.default_rng(seed)
    columns = {"GaussianNLL": K // 2}.get(name, 1 if "quantile" in arguments else K)
    x = rng.uniform(0.1, 0.9, (rows, K))
    y = rng.uniform(0.1, 0.9, (rows, columns))
    if "Hinge" in name:
        y = rng.choice([-1.0, 1.0], y.shape)
    known = rng.random(y.shape) < {"none": 1, "some": 0.6, "first batch": 1, "all": 0}[unknown]
    if unknown == "first batch":
        known[:batch_size] = False
    shape = {"none": None, "samples": rows, "outputs": y.shape}[weighted]
    return x, y, known, None if shape is None else rng.integers(0, 4, shape) / 2


def terms(name, arguments, y, x):
    """Return the loss of each target alone, (rows, columns)."""
    loss = getattr(losses, name)(**arguments, reduction="none")
    columns = y.shape[1]
    parts = [x[:, j::columns] if name == "GaussianNLL" else x[:, j : j + 1] for j in range(columns)]
    if "quantile" in arguments:
        parts = [x]
    return np.stack([loss.forward(y[:, j], p) for j, p in enumerate(parts)], axis=1)


def identity(loss, **options):
    model = nl.Sequential([nl.layers.Activation("linear")], dtype="float64")
    model.compile(nl.optimizers.SGD(0.1), loss, **options)
    return model


@each_loss
@given(data(), st.sampled_from(REDUCTIONS))
@settings(max_examples=30, deadline=None)
def test_the_loss_is_a_quotient_over_known_targets(name, arguments, case, reduction):
    x, y, known, w = drawn(name, arguments, case)
    e, k = terms(name, arguments, y, x), y.shape[1]
    factor = known if w is None else known * (w if w.ndim == 2 else w[:, None])
    divisor = {"sum": k, "mean_with_sample_weight": factor.sum()}.get(reduction, known.sum())
    expected = np.sum(factor * e) / (divisor or 1)
    loss = getattr(losses, name)(**arguments, reduction=reduction, mask_nan=True)
    target = np.where(known, y, np.nan)
    assert loss.forward(target, x, w) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    gradient = loss.backward()
    assert np.isfinite(gradient).all()
    if gradient.shape == known.shape:
        assert not gradient[~known].any()
    got = identity(loss).evaluate(x, target, case[1], 0, w)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-12)


@each_loss
@given(data(), st.sampled_from(REDUCTIONS))
@settings(max_examples=15, deadline=None)
def test_unknown_is_a_weight_of_0_and_samples_weigh_their_outputs(name, arguments, case, reduction):
    x, y, known, w = drawn(name, arguments, case)

    def results(y, w, **options):
        loss = getattr(losses, name)(**arguments, **options)
        return loss.forward(y, x, w), loss.numerator, loss.backward(1.0).copy()

    masked = results(np.where(known, y, np.nan), None, mask_nan=True, reduction=reduction)
    zero = results(y, known.astype(float), reduction=reduction)
    for got, wanted in zip(masked[1:], zero[1:], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)
    if reduction in ("sum", "mean_with_sample_weight"):  # n counts what has the weight 0
        assert masked[0] == pytest.approx(zero[0], rel=1e-9, abs=1e-12)
    w = np.arange(len(x)) / 3
    constant = results(y, np.repeat(w[:, None], y.shape[1], axis=1), reduction=reduction)
    for got, wanted in zip(constant, results(y, w, reduction=reduction), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


def test_with_all_targets_known_nothing_changes():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(2, 6, 3))
    for name in NAMES:
        if name != "GaussianNLL" and "Hinge" not in name:
            make = getattr(losses, name)
            plain, masked = make(), make(mask_nan=True)
            assert masked.forward(y, x) == plain.forward(y, x)
            np.testing.assert_array_equal(masked.backward(), plain.backward())


def test_outputs_on_another_axis():
    rng = np.random.default_rng(0)
    x, w = rng.uniform(0.1, 0.9, (2, 5, 3, 2))
    y = np.where(rng.random(x.shape) < 0.3, np.nan, rng.integers(0, 2, x.shape))
    moved = losses.BinaryCrossentropy(axis=1, mask_nan=True)
    usual = losses.BinaryCrossentropy(mask_nan=True)
    last = [np.moveaxis(a, 1, -1) for a in (y, x, w)]
    assert moved.forward(y, x, w) == pytest.approx(usual.forward(*last))
    np.testing.assert_allclose(moved.backward(), np.moveaxis(usual.backward(), -1, 1))


def dense(loss, outputs=3, seed=0, **options):
    layers = [nl.layers.Dense(5, "tanh"), nl.layers.Dense(outputs)]
    model = nl.Sequential(layers, seed=seed, dtype="float64")
    model.compile(options.pop("optimizer", nl.optimizers.SGD(0.1)), loss, **options)
    return model


RNG = np.random.default_rng(1)
X, Y, W = RNG.normal(size=(12, 4)), RNG.normal(size=(12, 3)), RNG.uniform(0, 2, (12, 3))
HOLES = np.where(RNG.random(Y.shape) < 0.4, np.nan, Y)
HOLES[:4] = np.nan


def test_accumulated_gradients_are_those_of_all_rows():
    loss = losses.MeanSquaredError(mask_nan=True)
    whole = dense(loss)
    whole.fit(X, HOLES, 12, shuffle=False, verbose=0, sample_weight=W)
    parts = dense(loss, optimizer=nl.optimizers.SGD(0.1, gradient_accumulation_steps=3))
    parts.fit(X, HOLES, 4, shuffle=False, verbose=0, sample_weight=W)
    for a, b in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


@pytest.mark.filterwarnings("ignore:fit. all y are")
@pytest.mark.parametrize("steps", [None, 2])
def test_a_batch_of_unknown_targets_teaches_nothing(steps):
    optimizer = nl.optimizers.SGD(0.1, gradient_accumulation_steps=steps)
    model = dense(losses.MeanSquaredError(mask_nan=True), optimizer=optimizer, metrics=["mae"])
    model.build((None, 4))
    before = model.get_weights()
    history = model.fit(X[:4], HOLES[:4], 2, verbose=0).history
    assert history == {"loss": [0.0], "mae": [0.0]}
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_data_in_every_form():
    pandas = pytest.importorskip("pandas")
    loss = losses.MeanSquaredError(mask_nan=True)
    expected = loss.forward(HOLES, dense(loss).predict(X), W)
    frames = [pandas.DataFrame(a, columns=list("abcd")[: a.shape[1]]) for a in (X, HOLES, W)]
    batches = [(X[:5], HOLES[:5], W[:5]), (X[5:], HOLES[5:], W[5:])]
    for given_ in ((X, HOLES, W), frames, [a.tolist() for a in (X, HOLES, W)]):
        x, y, w = given_
        model = dense(loss)
        assert model.test_on_batch(x, y, sample_weight=w) == pytest.approx(expected)
        assert model.evaluate(x, y, sample_weight=w, verbose=0) == pytest.approx(expected)
        history = model.fit(
            x, y, 12, sample_weight=w, validation_data=(x, y, w), verbose=0
        ).history  # fmt: skip
        assert history["loss"] == pytest.approx([expected])
        after = loss.forward(HOLES, model.predict(X), W)
        assert history["val_loss"] == pytest.approx([after])
    model = dense(loss)
    assert model.evaluate(batches, verbose=0) == pytest.approx(expected)
    assert model.train_on_batch(X, HOLES, sample_weight=W) == pytest.approx(expected)


def test_class_weights_multiply_weights_of_outputs():
    labels = np.eye(3)[np.arange(12) % 3]
    by_class = np.where(np.arange(12) % 3 == 1, 5.0, 1.0)
    a, b = dense(losses.BinaryCrossentropy(True)), dense(losses.BinaryCrossentropy(True))
    a.fit(X, labels, sample_weight=W, class_weight={1: 5.0}, shuffle=False, verbose=0)
    b.fit(X, labels, sample_weight=W * by_class[:, None], shuffle=False, verbose=0)
    np.testing.assert_array_equal(a.get_weights()[0], b.get_weights()[0])


def test_samples_of_unknown_class_have_no_class_weight():
    labels = (np.arange(12.0) % 2)[:, None]
    labels[::4] = np.nan
    known = ~np.isnan(labels[:, 0])
    for weights in ({1: 3.0}, "balanced"):
        loss = losses.BinaryCrossentropy(True, mask_nan=True)
        a, b = dense(loss, 1), dense(loss, 1)
        a.fit(X, labels, class_weight=weights, shuffle=False, verbose=0)
        b.fit(X[known], labels[known], class_weight=weights, shuffle=False, verbose=0)
        for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "y", "w", "error", "message"),
    [
        ("mse", HOLES, None, DataError, r"y contains NaN.*give it the argument mask_nan=True\.$"),
        (losses.CosineSimilarity(), HOLES, None, DataError, r"np\.nan_to_num\(y\)\.$"),
        (losses.MeanSquaredError(mask_nan=True), np.where(X[:, :3] > 1, np.inf, HOLES), None,
         DataError, "y contains an infinite number"),
        ("categorical_crossentropy", np.eye(3)[np.arange(12) % 3], W, ShapeError,
         r"(?=.*'categorical_crossentropy')(?=.*shape \(12, 3\))(?=.*expected \(12,\)).*outputs?"),
        ("sparse_categorical_crossentropy", np.arange(12) % 3, W, ShapeError,
         r"(?=.*'sparse_cat)(?=.*shape \(12, 3\))(?=.*expected \(12,\)).*outputs?"),
        ("mse", Y, W[:, :2], ShapeError, r"\(12, 2\), expected \(12,\).*or .*\(12, 3\)"),
        ("mse", Y, -W, DataError, "must not be negative"),
    ],
)  # fmt: skip
def test_what_is_refused(loss, y, w, error, message):
    model = dense(loss)
    for call in (
        lambda: model.fit(X, y, sample_weight=w, verbose=0),
        lambda: model.train_on_batch(X, y, sample_weight=w),
        lambda: model.evaluate(X, y, sample_weight=w, verbose=0),
    ):
        with pytest.raises(error, match=message):
            call()


def test_losses_by_hand_refuse_weights_of_outputs_too():
    with pytest.raises(ShapeError, match=r"'kl_divergence'.*\(12, 3\), expected \(12,\).*outputs"):
        losses.KLDivergence().forward(np.full((12, 3), 0.3), np.full((12, 3), 0.3), W)
    with pytest.raises(ShapeError, match=r"\(12, 2\), expected \(12,\).*or \(12, 3\), one per t"):
        losses.MeanSquaredError().forward(Y, Y, W[:, :2])


def test_parts_of_a_split_loss():
    y = np.column_stack([Y[:, 0], np.arange(12) % 2, Y[:, 2]])
    y[::4, 0] = np.nan
    parts = [losses.MeanSquaredError(mask_nan=True), losses.SparseCategoricalCrossentropy(True)]
    split = losses.SplitLoss([*parts, "mae"], [1, 2, 1], [1.0, 0.5, 2.0])
    p = RNG.normal(size=(12, 4))
    value = split.forward(y, p, W)
    alone = [
        parts[0].forward(y[:, :1], p[:, :1], W[:, 0]),
        parts[1].forward(y[:, 1], p[:, 1:3], W[:, 1]),
        losses.MeanAbsoluteError().forward(y[:, 2:], p[:, 3:], W[:, 2]),
    ]
    assert split.values == pytest.approx(alone)
    assert value == pytest.approx(alone[0] + 0.5 * alone[1] + 2 * alone[2])
    model = identity(split)
    for size in (12, 5, 1):
        got = model.evaluate(p, y, size, 0, W, return_dict=True)
        assert got["loss"] == pytest.approx(value)
    y[3, 2] = np.nan
    with pytest.raises(DataError, match=r"'mean_absolute_error': y_true contains NaN.*row 3"):
        model.evaluate(p, y, verbose=0)
    wide = losses.SplitLoss(["mse", "categorical_crossentropy"], [1, 3])
    with pytest.raises(ShapeError, match=r"'categorical_crossentropy'.*cannot weigh single"):
        identity(wide).evaluate(np.abs(p), np.abs(p), sample_weight=np.ones((12, 4)), verbose=0)
