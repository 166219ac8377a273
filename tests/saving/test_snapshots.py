"""Snapshots: a model with a batch in one file, and what is no snapshot."""

import numpy as np
import pytest
from scipy import sparse

import netlayers as nl
from netlayers.data.batch import Batch
from netlayers.errors import FileError
from netlayers.saving import save_model
from netlayers.saving.snapshots import load_snapshot, save_snapshot

X = np.arange(6.0, dtype=np.float32).reshape(3, 2)
Y = np.ones((3, 1), np.float32)
PLACE = {"epoch": 2, "batch": 5}


def model():
    its = nl.Sequential([nl.layers.Dense(1)], seed=0)
    its.compile("sgd", "mse")
    its.build((None, 2))
    return its


@pytest.mark.parametrize("weights", [None, np.arange(3.0)])
@pytest.mark.parametrize("make", [np.asfortranarray, sparse.csr_matrix])
def test_snapshots_of_batches(path, make, weights):
    its = model()
    its.layers[0].bias[...] = np.nan
    for _ in range(2):  # it may be replaced, although a weight is not finite
        save_snapshot(path, its, Batch(make(X), Y, weights, 3), PLACE)
    again, batch, place = load_snapshot(path)
    assert place == PLACE
    assert np.isnan(again.layers[0].bias).all()
    assert again.optimizer.iterations == 0
    assert batch.size == 3
    assert sparse.issparse(batch.inputs) == (make is sparse.csr_matrix)
    found = batch.inputs.toarray() if sparse.issparse(batch.inputs) else batch.inputs
    np.testing.assert_array_equal(found, X)
    np.testing.assert_array_equal(batch.targets, Y)
    np.testing.assert_array_equal(batch.weights, weights)
    assert found.dtype == "f4"


CSR = {"x.data": np.ones(2), "x.indices": np.array([0, 1]), "x.indptr": np.array([0, 1, 2]),
       "x.shape": np.array([2, 2])}  # fmt: skip


@pytest.mark.parametrize(
    ("arrays", "extra", "text"),
    [
        ({"x": X, "y": Y}, {"snapshot": PLACE}, None),
        ({**CSR, "y": Y[:2]}, {"snapshot": PLACE}, None),
        ({"x": X}, {"snapshot": PLACE}, "the batch of a snapshot, got none"),
        ({"y": Y}, {"snapshot": PLACE}, "the batch of a snapshot, got none"),
        ({"x": X, "y": Y}, None, "the batch of a snapshot, got none"),
        ({"x": X, "y": Y}, {}, "the batch of a snapshot, got none"),
        ({"x": X, "y": Y}, {"snapshot": [1]}, "the batch of a snapshot, got none"),
        ({"x": X, "y": Y}, {"snapshot": {"epoch": 2}}, "the batch of a snapshot, got none"),
        ({"x": X, "y": Y}, {"snapshot": {"epoch": 2, "batch": True}}, "the batch of a snapshot"),
        ({"x": np.float32(1), "y": Y}, {"snapshot": PLACE}, "inputs, targets and sample weights"),
        ({"x": np.float32(1), "y": Y[:1]}, {"snapshot": PLACE}, "inputs, targets and sample weig"),
        ({"x": X[:1], "y": np.float32(1)}, {"snapshot": PLACE}, "inputs, targets and sample weig"),
        ({"x": X, "y": Y[:2]}, {"snapshot": PLACE}, "inputs, targets and sample weights with the"),
        ({"x": X, "y": Y, "sample_weight": np.ones(2)}, {"snapshot": PLACE}, "inputs, targets"),
        ({"x": X[:0], "y": Y[:0]}, {"snapshot": PLACE}, "inputs, targets and sample weights"),
        ({**CSR, "x.data": np.ones(1), "y": Y}, {"snapshot": PLACE}, "a sparse matrix, got an err"),
        ({**CSR, "x.indptr": np.array([0, 1, -9]), "y": Y}, {"snapshot": PLACE}, "a sparse mat"),
        ({**CSR, "x.indices": np.array([0, 7]), "y": Y}, {"snapshot": PLACE}, "a sparse matrix"),
        *(
            ({**{k: v for k, v in CSR.items() if k != gone}, "y": Y}, {"snapshot": PLACE},
             "the batch of a snapshot, got none")
            for gone in CSR
        ),
    ],
)  # fmt: skip
def test_what_is_no_snapshot(path, arrays, extra, text):
    save_model(model(), path, arrays=arrays, extra=extra)
    if text is None:
        load_snapshot(path)
        return
    with pytest.raises(FileError) as raised:
        load_snapshot(path)
    assert str(raised.value).startswith(f"{path}: extra: expected {text}")


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": X, "y": Y, "sample_weight": np.array([1.0, -1.0, 1.0])},
        {"x": X, "y": Y[:, :, None]},
        {"x": X[:, :1], "y": Y},
    ],
)
def test_a_batch_that_no_training_takes(path, arrays):
    """Its file is wrong: the batch passed the same checks when it was saved."""
    save_model(model(), path, arrays=arrays, extra={"snapshot": PLACE})
    with pytest.raises(FileError, match="expected a batch of this model"):
        nl.replay_snapshot(path)


def test_a_snapshot_of_a_model_that_is_not_compiled(path):
    its = nl.Sequential([nl.layers.Dense(1)], seed=0)
    its.build((None, 2))
    save_model(its, path, arrays={"x": X, "y": Y}, extra={"snapshot": PLACE})
    with pytest.raises(FileError, match="expected a compiled model"):
        nl.replay_snapshot(path)
