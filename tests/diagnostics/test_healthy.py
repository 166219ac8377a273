"""``diagnose`` is silent about healthy networks of all kinds, before and after training."""

import pytest

from tests.diagnostics.networks import HEALTHY


def diagnosed(name, seed, epochs):
    if name == "frame":
        pytest.importorskip("pandas")
    model, x, y = HEALTHY[name](seed)
    if epochs:
        losses = model.fit(x, y, epochs=epochs, verbose=0).history["loss"]
        assert losses[-1] < losses[0]  # it is healthy
    return model.diagnose(x, y, verbose=0)


@pytest.mark.parametrize("name", HEALTHY)
def test_silent(name):
    seed = len(name)
    for epochs in (0, 6):
        report = diagnosed(name, seed, epochs)
        assert report.healthy, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 102))
@pytest.mark.parametrize("name", HEALTHY)
def test_silent_for_other_seeds(name, seed):
    for epochs in (0, 15):
        report = diagnosed(name, seed, epochs)
        assert report.healthy, str(report)
