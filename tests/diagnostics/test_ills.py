"""``diagnose`` finds what is ill: rates, layers, features, labels, rows, moments."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics.diagnose_rows import unrelated
from netlayers.errors import ConfigurationError, ShapeError
from tests.diagnostics.ills import ILLS, LEAKS, NO_LEAKS, RATES, RUINOUS
from tests.diagnostics.networks import dense, made, table

CASES = [(illness, number) for illness, its in ILLS.items() for number in range(len(its))]
RUINED = [(*key, rate) for key, its in RUINOUS.items() for rate in RATES if rate >= its[2]]
FEW = [(*case, rate) for *case, rate in RUINED if rate in (RUINOUS[*case][2], 30, 1e4, 1e6)]


def illnesses(report):
    return [finding.illness for finding in report.findings]


@pytest.mark.parametrize(("illness", "number"), CASES)
def test_found(illness, number):
    model, x, y = ILLS[illness][number](number)
    before = [w.copy() for w in model.get_weights()] if model.built else None
    report = model.diagnose(x, y, verbose=0)
    assert illness in illnesses(report), str(report)
    finding = report.findings[illnesses(report).index(illness)]
    assert finding.evidence
    assert finding.advice
    assert finding.text.endswith(".")
    if before is None:
        assert not model.built
    else:
        for kept, weights in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(kept, weights)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 103))
@pytest.mark.parametrize(("illness", "number"), CASES)
def test_found_for_other_seeds(illness, number, seed):
    model, x, y = ILLS[illness][number](seed)
    report = model.diagnose(x, y, verbose=0)
    assert illness in illnesses(report), str(report)


def ruined(network, optimizer, rate, seed):
    make, kind, _ = RUINOUS[network, optimizer]
    model, x, y = make(kind(rate), seed)
    report = model.diagnose(x, y, verbose=0)
    assert "learning rate too high" in illnesses(report), str(report)
    finding = report.findings[illnesses(report).index("learning rate too high")]
    assert finding.evidence["slower_rate"] < rate
    return finding


@pytest.mark.parametrize(("network", "optimizer", "rate"), FEW)
def test_a_ruinous_rate_is_found_at_any_size(network, optimizer, rate):
    ruined(network, optimizer, rate, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 3))
@pytest.mark.parametrize(("network", "optimizer", "rate"), RUINED)
def test_a_ruinous_rate_is_found_for_other_seeds(network, optimizer, rate, seed):
    ruined(network, optimizer, rate, seed)


@pytest.mark.parametrize(("network", "optimizer"), RUINOUS)
def test_the_rate_that_is_advised_trains_the_network(network, optimizer):
    make, kind, least = RUINOUS[network, optimizer]
    finding = ruined(network, optimizer, least, seed=0)
    model, x, y = make(kind(finding.evidence["slower_rate"]), 0)
    losses = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_a_rate_that_changes_nothing():
    x, y = table(0)
    model = made(dense([8], "tanh", [nl.layers.Dense(1)]), nl.optimizers.SGD(0.0), "mse", 0)
    (finding,) = model.diagnose(x, y, verbose=0).findings
    assert (finding.illness, finding.severity) == ("learning rate too low", "serious")


def test_layers_that_were_trained_may_be_frozen():
    x, y = table(0)
    model = made(dense([8, 8], "relu", [nl.layers.Dense(1)]), "adam", "mse", 0)
    model.fit(x, y, epochs=3, verbose=0)
    for layer in model.layers[:2]:
        layer.trainable = False
    report = model.diagnose(x, y, verbose=0)
    assert report.healthy
    assert report.values["update_ratio"]["dense"] == 0.0


def test_a_bottleneck_is_no_superfluous_layer():
    x, _ = table(0)
    for middle, expected in ((7, []), (8, ["linear layers"]), (9, ["linear layers"])):
        model = made([nl.layers.Dense(middle), nl.layers.Dense(8)], "adam", "mse", 0)
        assert illnesses(model.diagnose(x, x, verbose=0)) == expected


# Validation data ------------------------------------------------------------------------------


def with_validation(make, seed):
    x, y, validation = make(seed)
    model = made(dense([8], "relu", [nl.layers.Dense(1)]), "adam", "mse", seed)
    return [
        f for f in model.diagnose(x, y, verbose=0, validation_data=validation).findings
        if f.illness == "shared rows"
    ]  # fmt: skip


@pytest.mark.parametrize("make", LEAKS)
def test_shared_rows_are_found(make):
    for seed in range(3):
        (finding,) = with_validation(make, seed)
        shared, rows = finding.evidence["shared"], finding.evidence["rows"]
        assert 0.04 * rows <= shared <= rows
        assert finding.severity == ("serious" if shared >= 0.5 * rows else "warning")


@pytest.mark.parametrize("make", NO_LEAKS)
def test_natural_repetitions_are_no_leak(make):
    for seed in range(3):
        assert not with_validation(make, seed)


@pytest.mark.parametrize("kind", ["arrays", "sparse", "weights", "batches", "frame"])
def test_validation_data_of_all_kinds(kind):
    x, y = table(0)
    parts = x[:90], y[:90]
    if kind == "sparse":
        sparse = pytest.importorskip("scipy.sparse")
        x, parts = sparse.csr_matrix(x), (sparse.coo_matrix(x[:90]), y[:90])
    elif kind == "weights":
        parts = (*parts, np.ones(90))
    elif kind == "batches":
        parts = [(x[i : i + 30], y[i : i + 30]) for i in range(0, 90, 30)]
        parts = (lambda batches: lambda: iter(batches))(parts)
    elif kind == "frame":
        pandas = pytest.importorskip("pandas")
        x = pandas.DataFrame(x, columns=list("abcdefgh"))
        parts = x[:90], y[:90]
    model = made(dense([8], "relu", [nl.layers.Dense(1)]), "adam", "mse", 0)
    report = model.diagnose(x, y, verbose=0, validation_data=parts)
    assert report.findings[0].evidence == {"shared": 90, "rows": 90}


def test_validation_data_are_checked():
    x, y = table(0)
    model = made(dense([8], "relu", [nl.layers.Dense(1)]), "adam", "mse", 0)
    with pytest.raises(ConfigurationError, match="diagnose: validation_data must be"):
        model.diagnose(x, y, validation_data=x)
    with pytest.raises(ShapeError, match="expected an input of shape"):
        model.diagnose(x, y, validation_data=(x[:, :5], y))


# Labels of other rows --------------------------------------------------------------------------


def connected(x, y, loss=None):
    return not list(unrelated(x, y, loss))


RNG = np.random.default_rng(5)
WIDE = RNG.normal(size=(800, 300))
CATEGORY = RNG.integers(0, 25, 900)
CONNECTIONS = {
    "one of many features": (WIDE, WIDE[:, 7]),
    "many weak features": (WIDE, WIDE.sum(axis=1) + 10 * RNG.normal(size=800)),
    "a wave": (WIDE[:, :30], np.sin(3 * WIDE[:, 4])),
    "a product": (WIDE[:, :20], WIDE[:, 2] * WIDE[:, 3]),
    "a distance": (WIDE[:, :2], np.hypot(*WIDE[:, :2].T) > 1),
    "a category": (CATEGORY[:, None], RNG.permutation(25)[CATEGORY] % 2),
    "parity of bits": (b := RNG.integers(0, 2, (800, 6)), b.sum(axis=1) % 2),
    "a variance": (WIDE[:, :5], RNG.normal(size=800) * np.exp(WIDE[:, 0])),
    "unknown values": (np.where(WIDE > 1, np.nan, WIDE)[:, :9], WIDE[:, 3] + WIDE[:, 4]),
}


@pytest.mark.parametrize("name", CONNECTIONS)
def test_connections_of_many_kinds_are_seen(name):
    x, y = CONNECTIONS[name]
    assert connected(x, y)
    assert not connected(x, RNG.permutation(y))


def test_few_rows_tell_nothing():
    x, y = table(0)
    assert not connected(x[:400], np.roll(y[:400], 7))
    assert connected(x[:399], np.roll(y[:399], 7))
