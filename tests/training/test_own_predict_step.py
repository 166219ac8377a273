"""Classes that override predict_step, and optimizers of their own."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError

X = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")


def test_predict_calls_a_predict_step_of_the_class():
    seen = []

    class Labels(nl.Sequential):
        def predict_step(self, data):
            x, y, _ = nl.utils.unpack_x_y_sample_weight(data)
            seen.append((x.shape, x.flags.writeable, y))
            return super().predict_step(data).argmax(axis=1)

    model = Labels([nl.layers.Dense(3)], seed=0)
    x = np.random.default_rng(0).normal(size=(5, 2))
    labels = model.predict(x, batch_size=2)
    np.testing.assert_array_equal(labels, model.predict_on_batch(x).argmax(axis=1))
    assert [shape for shape, *_ in seen] == [(2, 2), (2, 2), (1, 2)]
    assert not any(writeable for _, writeable, _ in seen)
    assert {y for *_, y in seen} == {None}
    assert model.predict(x[:0]).shape == (0,)
    with pytest.raises(ConfigurationError, match="exact=True cannot be honoured"):
        model.predict(x, exact=True)

    class Wrong(nl.Sequential):
        def predict_step(self, data):
            return {"y": data}

    with pytest.raises(ConfigurationError, match="must return an array with a row for each"):
        Wrong([nl.layers.Dense(3)]).predict(x)


def test_save_warns_about_optimizers_in_attributes(tmp_path):
    model = nl.Sequential([nl.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], verbose=0)
    model.save(tmp_path / "m")
    model.second = nl.optimizers.Adam()
    with pytest.warns(UserWarning, match="the state of second is left out"):
        model.save(tmp_path / "m")
    backup = nl.callbacks.BackupAndRestore(tmp_path / "backup")  # keeps it: no warning
    model.fit(X, X[:, :1], epochs=2, verbose=0, callbacks=[backup])
