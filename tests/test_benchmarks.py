"""The parts of the benchmarks that measure nothing: ratios, fits, checks, the report."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from benchmarks import (
    exact,
    footprint,
    growth,
    images,
    jobs,
    peers,
    picture,
    products,
    report,
    stats,
)
from benchmarks.cases import CASES, SGD_RATE, TARGETS, data, from_dict, inputs, weights
from benchmarks.images import IMAGE_CASES, image_data
from benchmarks.peers import floor, images_keras_api, ours, sequences_keras_api
from benchmarks.sequences import SEQUENCE_CASES, sequence_data
from netlayers.kernels.reference import Kernels
from netlayers.kernels.select import kernels

MACHINE = {
    "processor": "P",
    "cores": 2,
    "system": "S",
    "python": "3.11",
    "threads": [1, 2],
    "versions": {"torch": "2.13"},
    "environment": {"OPENBLAS_CORETYPE": "Zen"},
    "load": [0.5, 0, 0],
}


def test_a_ratio_is_that_of_the_same_round():
    found = stats.ratio([2.0, 8.0, 3.0], [1.0, 2.0, 3.0])
    assert (found.median, found.low, found.high) == (2.0, 1.0, 4.0)
    assert str(found) == "2.00 (1.00 to 4.00)"


@pytest.mark.parametrize("slope", [-0.5, 1.0, 1.05, 2.0])
def test_a_known_exponent_is_found(slope):
    x = [1.0, 3.0, 10.0, 50.0]
    found = stats.exponent(x, [7 * v**slope for v in x])
    assert found.slope == pytest.approx(slope)
    assert found.factor == pytest.approx(7)
    assert found.error == pytest.approx(0, abs=1e-7)


def test_the_standard_error_is_that_of_scipy():
    from scipy.stats import linregress

    x, y = [1.0, 2.0, 4.0, 8.0, 16.0], [1.1, 1.9, 4.3, 7.5, 17.0]
    known = linregress([math.log(v) for v in x], [math.log(v) for v in y])
    found = stats.exponent(x, y)
    assert found.slope == pytest.approx(known.slope)
    assert found.error == pytest.approx(known.stderr)


@pytest.mark.parametrize("points", [([1, 2], [1, 2]), ([1, 2, 3], [1, 2, 0]), ([1, 2, 3], [1, 2])])
def test_points_without_a_line(points):
    with pytest.raises(ValueError, match="three or more"):
        stats.exponent(*points)


def test_agreement():
    ours = [2.0, 1.0, 0.5, 0.25]
    assert stats.agreement([2.0, 1.0, 0.5, 0.252], ours, random=False)[1]
    apart, agrees = stats.agreement([2.0, 1.0, 0.5, 0.3], ours, random=False)
    assert (apart, agrees) == (pytest.approx(0.025), False)
    assert stats.agreement([9.0, 9.0, 0.4, 0.35], ours, random=True)[1]  # its second half counts
    assert not stats.agreement([2.0, 1.0, 0.7, 0.25], ours, random=True)[1]


def test_a_missing_peer_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "jax" else 1)
    assert peers.missing("torch") == []
    assert peers.missing("keras") == ["jax"]
    line = peers.missing_line("keras", ["jax"])
    assert line == "keras is left out: jax is not installed."


@pytest.mark.parametrize("case", CASES.values(), ids=lambda c: c.name)
def test_cases_are_dealt_the_same_each_time(case):
    for a, b in zip(data(case), data(case), strict=True):
        assert (a == b).all()
    dealt = weights(case)
    assert all(
        (a == b).all()
        for x, y in zip(dealt, weights(case), strict=True)
        for a, b in zip(x, y, strict=True)
    )
    assert [w.shape for w, _ in dealt] == case.pairs
    if case.form != "towers":
        assert case.pairs == list(zip(case.sizes, case.sizes[1:], strict=False))


def test_the_targets():
    assert TARGETS["jax"]["regularized"] == 1.1
    assert "regularized" not in TARGETS["sklearn"]


def test_the_report_of_a_run():
    times = {
        "netlayers": [1e-4, 2e-4, 1e-4],
        "with numba": [5e-5, 1e-4, 5e-5],
        "torch": [4e-4, 9e-4, 3e-4],
    }
    checks = {"netlayers": {"apart": 0.0, "agrees": True}, "torch": {"apart": 0.5, "agrees": False}}
    numbers = {"size": 100.0, "seconds": 0.1, "memory": 30.0, "training": 50.0}
    text = report.markdown(
        {
            "machine": MACHINE,
            "missing": ["jax is left out: jax is not installed."],
            "steps": {
                "cases": {"tiny": {"times": times, "checks": checks}},
                "idle": {"torch": 0.001},
                "threads": 2,
            },
            "inference": {"1": times},
            "exact": {"threads": 2, "times": {"4-2": {"predict, 1 rows": [[1e-6], [3e-6]]}}},
            "footprint": {"netlayers": numbers},
            "kernels": {"tiny": {"all": [1.0, 1.0], "relu": [1.3, 1.1]}, "deep": {"all": [1.0]}},
            "threads": {
                "cases": {"tiny": {"1": {"floor": [1e-5]}, "2": {"floor": [2e-5]}}},
                "libraries": [],
                "products": {"16": {"1": [1e-6], "2": [1e-6]}, "512": {"1": [2e-3], "2": [1e-3]}},
            },
        }
    )
    assert "| torch | 4.00 (3.00 to 4.50) / 4 |" in text
    assert "| netlayers, µs | 100 |" in text
    assert "| torch | **5e-01** |" in text  # losses that do not agree stand out
    assert "`OPENBLAS_CORETYPE=Zen`" in text
    assert "jax is left out" in text
    assert "| 1 rows | 100 | 0.50 (0.50 to 0.50) | 4.00 (3.00 to 4.50) |" in text
    assert "| 4-2, predict, 1 rows | 1 | 3.00 (3.00 to 3.00) |" in text
    assert "| netlayers | 100.0 | 0.1 | 30.0 | 50.0 |" in text
    # Beside netlayers with numba.
    assert "| with numba, µs | 50 |" in text
    assert "| torch | 8.00 (6.00 to 9.00) / 4 |" in text
    assert "| 1 rows | 50 | 2.00 (2.00 to 2.00) | 8.00 (6.00 to 9.00) |" in text
    assert "| `relu` | 1.20 (1.10 to 1.30) | - | 1 |" in text
    assert "| tiny, floor | 10.0 | 20.0 | 1 |" in text
    assert "| 16 x 16 | 1.0 | 1.0 | same |" in text
    assert "| 512 x 512 | 2,000 | 1,000 | 2 |" in text


def a_run(ends, shares):
    return {"ready": 1.0, "ends": ends, "shares": shares}


def test_jobs_are_medians_over_seeds():
    ours = {
        "cold": a_run([9.0], [0.9]),
        "runs": [
            a_run([2.0, 3.0, 4.0], [0.97, 0.98, 0.99]),
            a_run([3.0, 4.0, 5.0], [0.97, 0.979, 0.98]),
            a_run([3.0, 5.0, 7.0], [0.97, 0.97, 0.97]),  # counts as above the others
        ],
    }
    peer = {"cold": a_run([20.0], [0.9]), "runs": [a_run([5.0, 9.0, 13.0], [0.9, 0.98, 0.9])] * 3}
    never = {"cold": a_run([9.0], [0.9]), "runs": [a_run([2.0, 3.0, 4.0], [0.9] * 3)] * 3}
    found = jobs.summary(ours)
    assert found["seconds"] == 5.0
    assert found["epochs"] == [2.0, 3.0, math.inf]
    assert (found["ready"], found["first_epoch"], found["later_epoch"]) == (1.0, 2.0, 1.0)
    assert (found["cold"], found["warm"], found["whole"]) == (9.0, 3.0, [4.0, 5.0, 7.0])
    assert found["shares"] == pytest.approx([0.97, (0.98 + 0.979 + 0.97) / 3, 0.98])
    loops = {jobs.OURS: ours, "peer": peer, "never": never}
    text = report.jobs(loops)
    assert f"| {jobs.OURS} | 5.0 (3.0 to not reached) | 1.00 | 2 of 3 | 2 to 3 |" in text
    assert "| peer | 9.0 (9.0 to 9.0) | 1.80 | 3 of 3 | 2 |" in text
    assert "| never | not reached | - | 0 of 3 | - |" in text
    assert "| peer | 1.00 | 4.00 | 4.00 | 13.00 | 2.60 (1.86 to 3.25) | 5.0 | 20.0 |" in text
    assert "| peer | 90.00 | 98.00 | 90.00 |" in text


def test_loops_by_hand_are_dealt_one_order():
    recipe = jobs.Recipe("", 3, "", 2)
    assert sorted(recipe.order(1, 50)) == list(range(50))
    assert (recipe.order(1, 50) == jobs.Recipe("hand", 3, "", 2).order(1, 50)).all()
    assert (recipe.order(0, 50) != recipe.order(1, 50)).any()
    assert [recipe.rate(epoch) for epoch in range(4)] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])


def test_overhead_is_no_growth():
    sizes = [1.0, 2.0, 4.0, 8.0, 16.0]
    fitted = growth.fit(sizes, [5.0, 5.0, 8.0, 16.0, 32.0], least=6.0)
    assert fitted.slope == pytest.approx(1)
    assert growth.fit(sizes, [1.0, 1.0, 1.0, 8.0, 16.0], least=6.0) is None


def test_what_only_a_left_out_package_needs_is_not_counted(monkeypatch):
    needs = {"a": ["b>1", "c", "d; extra == 'x'"], "b": ["e"], "c": [], "e": []}
    monkeypatch.setattr("importlib.metadata.requires", needs.__getitem__)
    assert footprint.with_dependencies("a") == {"a", "b", "c", "e"}
    assert footprint.with_dependencies("a", without="b") == {"a", "c"}


def test_each_kernel_is_left_out_alone():
    from benchmarks.peers import ours

    before = dict(vars(kernels))
    used = []

    def compiled(name):
        def kernel(*args):
            used.append(name)
            getattr(Kernels, name)(*args)

        return kernel

    names = ("tanh", "sigmoid", "gradient_step")
    z = np.ones((2, 3))

    def step():
        used.clear()
        kernels.tanh(z, z)
        kernels.sigmoid(z, z)
        return list(used)

    try:
        vars(kernels).clear()
        vars(kernels).update({n: compiled(n) for n in names}, name="numba")
        ways = ours.without_each(step)
        assert list(ways) == ["all", "tanh", "sigmoid"]  # "gradient_step" is not called
        for _ in range(2):
            assert ways["all"]() == ["tanh", "sigmoid"]
            assert ways["sigmoid"]() == ["tanh"]
            assert ways["tanh"]() == ["sigmoid"]
    finally:
        vars(kernels).clear()
        vars(kernels).update(before)


def test_products_on_each_number_of_threads(monkeypatch):
    pytest.importorskip("threadpoolctl")
    monkeypatch.setattr(products, "SIZES", (4, 8))
    found = products.measure(1e-4, 2, [1])
    assert list(found) == ["4", "8"]
    assert all(len(times["1"]) == 2 and min(times["1"]) > 0 for times in found.values())


def test_both_ways_to_predict_and_evaluate_are_timed(monkeypatch):
    monkeypatch.setattr(exact, "NETWORKS", ((3, 2),))
    found = exact.measure(1e-5, 2, [1, 5])["3-2"]
    assert list(found) == [
        f"{method}, {rows} rows" for rows in (1, 5) for method in ("predict", "evaluate")
    ]
    assert all(len(taken) == 2 and min(taken) > 0 for both in found.values() for taken in both)


def test_the_picture_names_cases_as_the_table_does():
    page = (Path(__file__).parent.parent / "docs" / "speed.md").read_text(encoding="utf-8")
    for case in list(CASES.values())[:7]:
        assert f"| {picture.title(case).replace(chr(10), ': ')} |" in page


def test_the_picture_of_the_steps(tmp_path):
    pytest.importorskip("matplotlib")
    times = {"netlayers": [1e-4, 2e-4], "with numba": [5e-5, 1e-4], "torch": [4e-4, 9e-4]}
    less = {"netlayers": [1e-4, 2e-4], "jax": [1e-4, 2e-4]}
    found = {"cases": {"tiny": {"times": times}, "deep": {"times": less}}}
    assert picture.draw(found, tmp_path) == ["steps.png"]
    assert (tmp_path / "steps.png").stat().st_size > 10_000
    alone = {"cases": {"tiny": {"times": {"netlayers": [1.0]}}}}
    assert picture.draw(alone, tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def test_graphs_are_those_of_a_loop():
    relu = lambda z: np.maximum(z, 0)  # noqa: E731
    residual, towers = CASES["residual"], CASES["towers"]
    x, _ = data(residual)
    w = [values for values, _ in weights(residual)]
    h = relu(x @ w[0])
    for i in range(1, 9, 2):
        h = h + relu(h @ w[i]) @ w[i + 1]
    found = ours.make_model(residual).predict(x)
    np.testing.assert_allclose(found, h @ w[9], rtol=1e-3, atol=1e-3)
    x, _ = data(towers)
    w = [values for values, _ in weights(towers)]
    left, right = inputs(towers, x)
    hidden = [relu(relu(left @ w[0]) @ w[1]), relu(relu(right @ w[2]) @ w[3])]
    found = ours.make_model(towers).predict([left, right])
    np.testing.assert_allclose(found, np.hstack(hidden) @ w[4], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", IMAGE_CASES)
def test_convolutional_networks_are_the_same_each_time(name):
    case = IMAGE_CASES[name]
    assert from_dict(json.loads(json.dumps(case.to_dict()))) == case
    x, y = image_data(case)
    assert x.shape == (case.batch, *case.shape)
    assert x.dtype == np.float32
    first, second = (images_keras_api.make_image_model(case, nl) for _ in range(2))
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    rate = case.rate if case.optimizer == "adam" else SGD_RATE
    assert first.optimizer.learning_rate == pytest.approx(rate)
    few = slice(0, 2)
    assert first.train_on_batch(x[few], y[few]) == second.train_on_batch(x[few], y[few])
    assert first.predict_on_batch(x[few]).shape == (2, 10)


def test_the_products_of_a_convolutional_network():
    found = images.products(IMAGE_CASES["lenet"])
    rows = 128 * 28 * 28  # a window for each pixel
    assert found[:2] == [(rows, 25, 6), (25, rows, 6)]  # no input gradient of the first layer
    rows = 128 * 10 * 10  # without padding, after a mean of 2 x 2
    assert found[2:5] == [(rows, 150, 16), (150, rows, 16), (rows, 16, 150)]
    assert found[5:8] == [(128, 400, 120), (400, 128, 120), (128, 120, 400)]
    assert len(found) == 14
    pairs = [p for p in images.products(IMAGE_CASES["mobile"]) if p[0] == 64 * 16 * 16]
    assert pairs == [(64 * 256, 64, 128), (64 * 256, 128, 64)] + [(64 * 256, 128, 128)] * 2


def test_the_floor_multiplies_as_much_as_a_step():
    case = IMAGE_CASES["nielsen"]
    trainer = floor.trainer(case)
    trainer.step()
    done = sum(a.size * b.shape[1] * count for a, b, _, count in trainer.parts)
    assert done == pytest.approx(sum(np.prod(p) for p in images.products(case)), rel=0.1)


def test_a_residual_network_has_a_shortcut_where_its_shape_changes():
    model = images_keras_api.make_image_model(IMAGE_CASES["resnet"], nl)
    kernels = [layer.kernel.shape for layer in model.layers if isinstance(layer, nl.layers.Conv2D)]
    assert kernels.count((1, 1, 16, 32)) == kernels.count((1, 1, 32, 64)) == 1
    assert sum(k[:2] == (3, 3) for k in kernels) == 19


@pytest.mark.parametrize("case", SEQUENCE_CASES.values(), ids=lambda c: c.name)
def test_recurrent_networks_are_the_same_each_time(case):
    assert from_dict(json.loads(json.dumps(case.to_dict()))) == case
    x, y = sequence_data(case)
    assert x.shape == (case.batch, case.steps, *case.places, case.inputs)
    first, second = (sequences_keras_api.make_sequence_model(case, nl) for _ in range(2))
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.predict_on_batch(x[:2, : case.steps]).shape == y[:2].shape == (2, 1)


def test_series_of_a_masked_case_end_at_different_steps():
    case = SEQUENCE_CASES["masked LSTM 32 7..29 12 128"]
    x, _ = sequence_data(case)
    lengths = (x != 0).any(axis=2).sum(axis=1)
    assert (lengths == case.lengths).all()
    assert (lengths.min(), lengths.max()) == (7, 29)
    model = sequences_keras_api.make_sequence_model(case, nl)
    found = model.predict_on_batch(x[:1])
    np.testing.assert_allclose(found, model.predict_on_batch(x[:1, :12]), rtol=1e-5)


def test_an_observed_stream_keeps_its_state():
    observe = ours.stream("GRU", 2, 3)
    x = np.ones((1, 1, 2), np.float32)
    first, second = observe(x).copy(), observe(x).copy()
    assert first.shape == (1, 3)
    assert (first != second).any()


def test_the_report_of_recurrent_networks():
    times = {"netlayers": [2e-4], "with numba": [1e-4], "torch": [4e-4]}
    slow = {"netlayers": [2e-4], "with numba": [1e-4], "torch": [1e-4]}
    found = {
        "cases": {"a": {"times": times, "checks": {}}, "b": {"times": slow, "checks": {}}},
        "idle": {},
        "threads": 2,
        "streams": {"LSTM 12 128": times},
    }
    text = report.sequences(found)
    assert "| torch | 1.00 (0.50) | 2.00 (1.00) |" in text
    assert "plots/steps.png" not in text
    assert "| LSTM 12 128: with numba, µs | 100 | 2.00 (2.00 to 2.00) |" in text
