"""Errors in the data of a validation name it; those of the user's own code do not."""

import numpy as np
import pytest

import netlayers as nl

X, Y = np.zeros((6, 2), np.float32), np.zeros((6, 1), np.float32)
WIDE = (np.zeros((6, 3), np.float32), Y)


def model():
    its = nl.Sequential([nl.layers.Dense(1)], seed=0)
    its.compile("sgd", "mse")
    return its


class Batches(nl.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


@pytest.mark.parametrize("method", ["fit", "fit_lbfgs", "diagnose"])
@pytest.mark.parametrize(
    "data",
    [WIDE, (X, Y[:, :0]), (X, Y[:5]), (X, Y + np.nan), WIDE[0], [(X, Y), WIDE], [WIDE, (X, Y)]],
    ids=["x", "y", "rows", "NaN", "no y", "later batch", "first batch"],
)
def test_an_error_in_validation_data_names_it(method, data):
    data = Batches(data) if isinstance(data, list) else data
    with pytest.raises(ValueError, match="validation_data"):
        getattr(model(), method)(X, Y + 1, verbose=0, validation_data=data)


class Wrong(nl.callbacks.Callback):
    def on_test_end(self, logs=None):
        self.model.predict(np.zeros((2, 3)))


def wrong_metric(y_true, y_pred):
    if len(y_true) == 5:  # those of the validation
        nl.losses.get("mse").forward(y_true, y_pred[:2])
    return y_pred


@pytest.mark.parametrize(("callbacks", "metrics"), [([Wrong()], []), ([], [wrong_metric])])
def test_an_error_of_the_user_in_the_validation_does_not_blame_its_data(callbacks, metrics):
    its = model()
    its.compile("sgd", "mse", metrics=metrics)
    with pytest.raises(nl.errors.ShapeError) as caught:
        its.fit(X, Y, validation_data=(X[:5], Y[:5]), callbacks=callbacks, verbose=0)
    assert "validation_data" not in str(caught.value)
