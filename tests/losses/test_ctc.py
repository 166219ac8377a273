"""CTC: against all series of classes, against PyTorch, with masks; what is refused."""

import itertools

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, ShapeError
from netlayers.losses import CTC

LOGITS = np.round(np.random.default_rng(3).normal(size=(4, 9, 5)) * 1.5, 3)
LABELS = np.array([[1, 2, 2, 4], [3, 3, 3, 0], [2, 0, 0, 0], [0, 0, 0, 0]])
LENGTHS = np.array([9, 7, 4, 9])
# torch.nn.CTCLoss(blank=0, reduction="none") of PyTorch 2.9 in float64; the first also as
# keras.losses.CTC(reduction="none") of Keras 3.15 on JAX gives them, to the digits of float32.
LOSSES = [13.815991174539793, 13.233712541904225, 17.704049854118473, 18.977412011511138]
SHORTER = [13.815991174539793, 13.91969426958451, 6.3145387526441485, 18.977412011511138]
D_0_2 = [-0.129150960215, -0.23684570049, 0.188254599671, 0.113985534737, 0.063756526296]
D_1_5 = [-0.78257358411, 0.027132597823, 0.735636327744, -0.095402959705, 0.115207618248]


def reduced(classes):
    """Merge equal neighbours and leave out blanks."""
    return [k for k, _ in itertools.groupby(classes) if k]


@pytest.mark.parametrize("labels", [[1, 2], [1, 1], [2], [], [2, 1, 2]])
def test_the_sum_over_all_series_of_classes(labels):
    z = np.random.default_rng(0).normal(size=(5, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    total, seen = 0.0, np.zeros_like(p)
    for classes in itertools.product(range(3), repeat=5):
        if reduced(classes) == labels:
            share = np.prod(p[np.arange(5), classes])
            total += share
            seen[np.arange(5), classes] += share
    loss = CTC()
    padded = [labels + [0] * (4 - len(labels))]
    assert loss.forward(padded, z[None]) == pytest.approx(-np.log(total), rel=1e-12)
    np.testing.assert_allclose(loss.backward()[0], p - seen / total, rtol=1e-10, atol=1e-13)


def test_values_and_gradients_of_pytorch():
    loss = CTC(reduction="none")
    np.testing.assert_allclose(loss.forward(LABELS, LOGITS), LOSSES, rtol=1e-13)
    np.testing.assert_allclose(nl.losses.ctc(LABELS, LOGITS), LOSSES, rtol=1e-13)
    steps = np.arange(9) < LENGTHS[:, None]  # a weight for each step: how long a series is
    np.testing.assert_allclose(loss.forward(LABELS, LOGITS, steps), SHORTER, rtol=1e-13)
    d = loss.backward()
    np.testing.assert_allclose(d[0, 2], D_0_2, atol=1e-12)
    np.testing.assert_allclose(d[1, 5], D_1_5, atol=1e-12)
    assert np.abs(d).sum() == pytest.approx(39.020965830550296, rel=1e-12)
    assert not d[2, 4:].any()


def test_long_series_in_float32():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 300, 6)).astype(np.float32)
    labels = rng.integers(1, 6, (2, 40))
    loss, exact = CTC(), CTC()
    assert loss.forward(labels, z) == pytest.approx(exact.forward(labels, z.astype(float)), 1e-6)
    assert loss.backward().dtype == np.float32
    np.testing.assert_allclose(loss.backward(), exact.backward(), atol=1e-6)


def test_training_with_a_mask():
    """Padding a batch further changes nothing."""
    rng = np.random.default_rng(0)
    x = np.zeros((6, 10, 3))
    x[:, :7] = rng.normal(size=(6, 7, 3))
    x[0, 5:7] = 0
    y = rng.integers(1, 4, (6, 2))

    def trained(x):
        parts = [nl.layers.Masking(), nl.layers.GRU(4, return_sequences=True), nl.layers.Dense(4)]
        model = nl.Sequential(parts, seed=0, dtype="float64")
        model.compile(nl.optimizers.SGD(0.1), "ctc")
        losses = model.fit(x, y, batch_size=3, epochs=2, shuffle=False, verbose=0).history["loss"]
        return [*losses, model.evaluate(x, y, verbose=0)]

    np.testing.assert_allclose(trained(x), trained(x[:, :7]), rtol=1e-12)
    weights = np.array([0.0, 2, 1, 1, 1, 1])
    masked = np.arange(10) < np.where(np.arange(6) == 0, 5, 7)[:, None]
    z = rng.normal(size=(6, 10, 4))
    by_sample = CTC(reduction="none").forward(y, z, masked * np.maximum(weights, 1)[:, None])
    assert by_sample[1] == pytest.approx(2 * CTC("none").forward(y[1:2], z[1:2, :7])[0])


def test_a_network_learns_to_label():
    rng = np.random.default_rng(0)
    y = rng.integers(1, 4, (64, 2))
    x = 0.1 * rng.normal(size=(64, 8, 3))
    x[np.arange(64), 1, y[:, 0] - 1] += 2
    x[np.arange(64), 5, y[:, 1] - 1] += 2
    model = nl.Sequential([nl.layers.Dense(16, "relu"), nl.layers.Dense(4)], seed=0)
    model.compile(nl.optimizers.Adam(0.05), CTC())
    history = model.fit(x, y, epochs=120, verbose=0).history["loss"]
    assert history[-1] < 0.1
    labels, _ = nl.utils.ctc_decode(model.predict(x), np.full(64, 8))
    assert (labels[0, :, :2] == y).all(axis=1).mean() > 0.95
    assert (labels[0, :, 2:] == -1).all()


@pytest.mark.parametrize(
    ("y", "shape", "match"),
    [
        ([1, 2], (2, 3, 3), r"y_true must have the shape \(batch, labels\)"),
        ([[1], [2]], (2, 3), r"y_pred \(batch, steps, classes\), got \(2, 1\) and \(2, 3\)"),
        ([[3]], (1, 4, 3), "integers from 1 to 2, .* got values from 3 to 3"),
        ([[-1]], (1, 4, 3), "got values from -1"),
        ([[1.5]], (1, 4, 3), "y_true must be integers from 1 to 2"),
        ([[0, 1]], (1, 4, 3), "a label behind a 0"),
        ([[1, 1, 2]], (1, 3, 3), "3 labels of sample 0 do not fit into its 3 steps: it needs 4"),
    ],
)
def test_refused(y, shape, match):
    with pytest.raises((ShapeError, DataError), match=match):
        CTC().forward(y, np.zeros(shape))


def test_weights_of_steps_that_are_no_mask_are_refused():
    for steps in ([[1, 0, 1]], [[1, 2, 1]]):
        with pytest.raises(DataError, match="weights of steps must be those of the sample"):
            CTC().forward([[1]], np.zeros((1, 3, 2)), np.array(steps, float))


# Decoding: Keras 3.15 on JAX, keras.ops.ctc_decode with these logits and lengths.
GREEDY = [[4, 3, 1, 2, 1], [1, 2, 3, 2, 1], [3, 2, 3, 4], [2, 3, 4]]
NOT_MERGED = [[4, 3, 1, 1, 2, 2, 1], [1, 2, 3, 3, 2, 2, 1], [3, 2, 3, 4], [2, 3, 4, 4]]
BEAMS = [
    ([4, 3, 1, 2, 1], [4, 3, 1, 2], [4, 1, 2, 1]),
    ([1, 3, 1, 2, 1], [1, 3, 2, 1], [4, 3, 2, 1]),
    ([2, 3, 4], [3, 2, 3, 4], [3, 4]),
    ([2, 3, 2, 4], [2, 3, 4], [2, 4, 2, 4]),
]
SCORES = [
    [-3.094644069671631, -3.5052483081817627, -3.6850826740264893],
    [-3.3398325443267822, -3.3645570278167725, -3.5394880771636963],
    [-2.014772891998291, -2.1548328399658203, -2.402639865875244],
    [-4.058173179626465, -4.306177616119385, -4.415453910827637],
]


def lists(labels):
    return [row[row >= 0].tolist() for row in labels]


def test_decoding_gives_what_keras_gives():
    labels, scores = nl.utils.ctc_decode(LOGITS, LENGTHS)
    assert labels.shape == (1, 4, 9)
    assert labels.dtype == np.int32
    assert lists(labels[0]) == GREEDY
    np.testing.assert_allclose(scores[:, 0], [-18.95, -11.385, -7.734, -16.101], rtol=1e-12)
    labels, _ = nl.utils.ctc_decode(LOGITS, LENGTHS, merge_repeated=False)
    assert lists(labels[0]) == NOT_MERGED
    labels, scores = nl.utils.ctc_decode(LOGITS, LENGTHS, "beam_search", top_paths=3)
    assert [lists(labels[:, i]) for i in range(4)] == [list(its) for its in BEAMS]
    np.testing.assert_allclose(scores, SCORES, rtol=2e-7)
    labels, scores = nl.utils.ctc_decode(LOGITS, LENGTHS, "beam_search", 6, 2)
    assert lists(labels[:, 1]) == [[4, 3, 2, 1], [1, 3, 2, 1]]
    np.testing.assert_allclose(scores[1], [-3.842254400253296, -3.90800404548645], rtol=2e-7)


def test_the_search_finds_the_probability_of_the_loss():
    """With a beam for all beginnings, the scores are the probabilities, and all of them."""
    z = np.random.default_rng(1).normal(size=(1, 4, 3))
    labels, scores = nl.utils.ctc_decode(z, [4], "beam_search", 200, 40)
    pairs = zip(lists(labels[:, 0]), scores[0], strict=True)
    found = {tuple(row): score for row, score in pairs if np.isfinite(score)}
    assert set(found) == {tuple(reduced(c)) for c in itertools.product(range(3), repeat=4)}
    for row, score in found.items():
        assert CTC().forward([[*row, 0]], z) == pytest.approx(-score, rel=1e-12)
    assert np.exp(scores).sum() == pytest.approx(1, rel=1e-12)
    # Another class is the blank.
    swapped, same = nl.utils.ctc_decode(z[..., ::-1], [4], "beam_search", 200, 40, mask_index=2)
    np.testing.assert_allclose(same, scores, rtol=1e-12)
    np.testing.assert_array_equal(np.where(swapped < 0, -1, 2 - swapped), labels)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"inputs": np.zeros((2, 3))}, r"must be logits \(batch, steps, classes\)"),
        ({"sequence_lengths": [3]}, "must be 2 integers"),
        ({"sequence_lengths": [3, 4]}, "must be from 0 to 3"),
        ({"strategy": "best"}, "strategy must be"),
        ({"top_paths": 2}, "top_paths must be 1 with strategy='greedy'"),
        ({"strategy": "beam_search", "merge_repeated": False}, "the search merges"),
        ({"strategy": "beam_search", "beam_width": 2, "top_paths": 3}, "top_paths"),
        ({"mask_index": 4}, "mask_index"),
    ],
)
def test_arguments_of_decoding_that_are_refused(arguments, match):
    given = {"inputs": np.zeros((2, 3, 4)), "sequence_lengths": [3, 3], **arguments}
    with pytest.raises((ConfigurationError, ShapeError, DataError), match=match):
        nl.utils.ctc_decode(**given)
