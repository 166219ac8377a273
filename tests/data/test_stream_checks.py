"""Bad batches, and arguments that do not go with data in batches."""

import numpy as np
import pytest

from netlayers.errors import ConfigurationError, NetlayersError, ShapeError
from tests.data.sources import BATCHES, Sequence, W, X, Y, bits, generator, make

# What is wrong ------------------------------------------------------------------------------


def replaced(number, batch):
    return [*BATCHES[:number], batch, *BATCHES[number + 1 :]]


def with_nan():
    x = X[:8].copy()
    x[2, 1] = np.nan
    return x


BAD = {
    "NaN": ((with_nan(), Y[:8]), ["x contains NaN", "row 2"]),
    "features": ((X[:8, :3], Y[:8]), ["4", "3", "layer"]),
    "label": ((X[:8], np.full(8, 3)), ["0 to 2", "got 3"]),
    "shape of y": ((X[:8], np.ones((8, 2), int)), ["y_true", "(8, 2)"]),
    "rows": ((X[:8], Y[:7]), ["x has 8 rows", "y has 7 rows"]),
    "empty": ((X[:0], Y[:0]), ["x is empty"]),
    "no y": ((X[:8],), ["(x, y) or (x, y, sample_weight)", "tuple of length 1"]),
    "x alone": (X[:8], ["(x, y)", "ndarray"]),
    "None": (None, ["(x, y)", "NoneType"]),
    "dict": ({"x": X}, ["(x, y)", "dict"]),
    "weights": ((X[:8], Y[:8], -np.ones(8)), ["sample_weight must not be negative"]),
    "too many": ((X[:8], Y[:8], W[:8], 0), ["tuple of length 4"]),
}


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_batch_is_named_by_its_number(case, number, ahead):
    if case == "features" and number == 0:
        pytest.skip("the first data say what is right")
    batch, parts = BAD[case]
    source = Sequence(replaced(number, batch))
    for method in ("fit", "evaluate"):
        model = make()
        with pytest.raises(NetlayersError) as raised:
            getattr(model, method)(
                source,
                read_ahead=ahead,
                verbose=0,
                **({"shuffle": False} if method == "fit" else {}),
            )
        for part in [*parts, f"batch {number}, counted from 0"]:
            assert part in str(raised.value)
        assert model.built == (number > 0)
        if number and method == "fit":  # the weights are those of the last good batch
            expected = make()
            expected.fit(BATCHES[:number], shuffle=False, verbose=0)
            assert bits(model) == bits(expected)


def test_a_bad_validation_batch_changes_nothing():
    model = make()
    with pytest.raises(ShapeError, match="batch 0"):
        model.fit(BATCHES, validation_data=[(X[:, :3], Y)], verbose=0)
    assert not model.built
    assert model.optimizer.iterations == 0


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"y": Y}, "y cannot be used"),
        ({"sample_weight": W}, "sample_weight cannot be used"),
        ({"batch_size": 8}, "batch_size cannot be used"),
        ({"validation_split": 0.2}, "validation_split cannot be used"),
        ({"validation_split": 0.2, "stratify": True}, "validation_split cannot be used"),
        ({"drop_last": True}, "drop_last cannot be used"),
        ({"validation_data": BATCHES, "validation_batch_size": 4}, "validation_batch_size cannot"),
        ({"validation_data": generator(), "epochs": 2}, "can be read only once"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
        ({"steps_per_epoch": 2.5}, "steps_per_epoch"),
        ({"validation_steps": 3}, "validation_steps needs"),
        ({"validation_steps": -1, "validation_data": BATCHES}, "validation_steps"),
        ({"read_ahead": -1}, "read_ahead"),
        ({"read_ahead": None}, "read_ahead"),
    ],
)
def test_arguments_that_do_not_go_with_batches(options, part):
    model = make()
    with pytest.raises(ConfigurationError) as raised:
        model.fit(generator, verbose=0, **options)
    assert part in str(raised.value)
    assert not model.built


def test_other_wrong_sources():
    model = make()
    for source, part in [
        (list, "x"),
        (lambda: None, "must return an iterator, got NoneType"),
        (lambda: iter(()), "end before the first batch"),
        (Sequence([]), "end before the first batch"),
    ]:
        with pytest.raises(NetlayersError, match=part):
            model.fit(source, verbose=0)
    with pytest.raises(ConfigurationError, match="x is missing"):
        model.fit(verbose=0)
    with pytest.raises(ConfigurationError, match="y is missing"):
        model.fit(X, verbose=0)
    with pytest.raises(ConfigurationError, match="batch_size cannot be used"):
        model.predict(generator, batch_size=3)
    shared = generator()
    with pytest.raises(ConfigurationError, match="the same iterator"):
        model.fit(shared, steps_per_epoch=2, validation_data=shared, validation_steps=1, verbose=0)
    assert not model.built


def test_a_validation_iterator_that_runs_out():
    model = make()
    source = iter(BATCHES[:4])
    with pytest.warns(
        UserWarning, match="validation_data: the data ran out before epoch 3"
    ) as caught:
        model.fit(BATCHES, epochs=5, validation_data=source, validation_steps=2, verbose=0)
    assert len(caught) == 1
    assert model.history.epoch == [0, 1, 2, 3, 4]
    assert [len(model.history.history[name]) for name in ("loss", "val_loss")] == [5, 2]
