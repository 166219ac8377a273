"""What evaluate says of a metric: of all rows but the ignored ones, whatever the batch size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import losses
from netlayers.errors import NetlayersError
from netlayers.registry import registered

# The outputs need not be probabilities here.
pytestmark = pytest.mark.filterwarnings("ignore:.* takes probabilities:UserWarning")

K = 3
CLASSES = [0, 1, 2, 0, 1, 2, 2]
SHARES = np.random.default_rng(0).dirichlet(np.ones(K), len(CLASSES))


def takes_classes(cls):
    try:
        cls(**cls.examples()[0][0]).update_state(np.array(CLASSES), SHARES)
    except (NetlayersError, TypeError, ValueError):
        return False
    return True


NAMED = {cls.__name__: cls for cls in registered("metric").values() if isinstance(cls, type)}
OF_CLASSES = sorted(name for name, cls in NAMED.items() if takes_classes(cls))


def test_metrics_of_classes_are_found():
    expected = {"SparseCategoricalAccuracy", "Precision", "Recall", "AUC", "F1Score"}
    assert expected <= set(OF_CLASSES)


@pytest.mark.filterwarnings("ignore:.*is always 1, as its k")
@pytest.mark.parametrize("name", OF_CLASSES)
@given(st.integers(2, 9), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_ignored_rows_weights_and_short_batches(name, rows, batch_size, seed):
    """The expected values are those of the metric itself, on the rows that are known."""
    rng = np.random.default_rng(seed)
    x, weight = rng.dirichlet(np.ones(K), rows), rng.integers(1, 4, rows) / 2
    y = rng.integers(-1, K, rows)
    y[0] = 0  # one at least is known
    cls, known = NAMED[name], y != -1
    arguments = {**cls.examples()[0][0], "name": "m"}
    plain, weighted = cls(**arguments), cls(**arguments)
    plain.update_state(y[known], x[known])
    weighted.update_state(y[known], x[known], weight[known])
    model = nl.Sequential([nl.layers.Activation("linear")], dtype="float64")
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    model.compile(
        "sgd", loss, metrics=[cls(**arguments)], weighted_metrics=[cls(**arguments)]
    )  # fmt: skip
    got = model.evaluate(x, y, batch_size, 0, weight, return_dict=True)
    np.testing.assert_allclose(got["m"], plain.result(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(got["weighted_m"], weighted.result(), rtol=1e-9, atol=1e-12)
