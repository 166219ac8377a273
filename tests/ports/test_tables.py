"""examples/tables.py on a table that is drawn: the data sets are those of another package."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "examples" / "tables.py"


@pytest.fixture
def tables():
    """Return the example as a module."""
    spec = importlib.util.spec_from_file_location("tables", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def drawn():
    """Return a frame with unknown values, and classes."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pandas.DataFrame(
        {
            "age": rng.normal(40, 10, 400),
            "port": rng.choice(["a", "b", "c"], 400),
            "rooms": rng.integers(1, 5, 400),
        }
    )
    y = ((table["age"] > 40) ^ (table["port"] == "a")).to_numpy().astype(int)
    table.loc[::7, "age"] = np.nan
    table.loc[::11, "port"] = None
    return table, y


def test_unknown_numbers_are_medians_of_the_training_rows(tables, drawn):
    table = drawn[0]
    fill = tables.Filled(table.iloc[:200])
    assert (fill.numbers, fill.categories, fill.partial) == (["age", "rooms"], ["port"], ["age"])
    found = fill(table.iloc[200:])
    unknown = table["age"].iloc[200:].isna().to_numpy()
    assert list(found) == ["no_age", "age", "rooms", "port"]
    np.testing.assert_array_equal(found["no_age"], unknown)
    assert set(found["age"][unknown]) == {table["age"].iloc[:200].median()}
    assert None in found["port"]


@pytest.mark.parametrize("bins", [0, 8])
def test_a_network_learns_from_it(tables, drawn, bins):
    table, y = drawn
    model = tables.Netlayers(bins, seed=0).fit(table.iloc[:300], y[:300])
    rest = table.iloc[300:].copy()
    rest.iloc[0, 1] = "new"
    p = model.predict_proba(rest)
    assert p.shape == (100,)
    assert np.mean((p > 0.5) == y[300:]) > 0.7


def test_beside_scikit_learn(tables, drawn):
    pytest.importorskip("sklearn")
    table, y = drawn
    halves = [(np.arange(200), np.arange(200, 400))]
    for make in (tables.make_mlp, tables.make_boosting):
        (scores,) = tables.validated(lambda m=make: tables.Sklearn(m(0)), table, y, halves)
        assert scores[0] > 0.6
