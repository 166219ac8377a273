"""Models as JSON."""

import json
import tracemalloc

import numpy as np
import pytest

import netlayers as nl
from tests.saving.models import Twice, trained

# JSON -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fitted", [False, True])
def test_json(fitted):
    model, _, _ = trained("adam") if fitted else (nl.Sequential([nl.layers.Dense(2)]), 0, 0)
    again = nl.models.model_from_json(model.to_json(indent=2))
    assert again.built is fitted
    assert again.get_config() == model.get_config()
    assert json.loads(model.to_json())["class_name"] == "Sequential"
    assert type(model).from_config(model.get_config()).get_config() == model.get_config()


def test_json_of_numbers_of_numpy():
    model = nl.Sequential([Twice(np.float32(0.5)), Twice(np.inf)])
    again = nl.models.model_from_json(model.to_json(), {"Twice": Twice})
    assert [layer.factor for layer in again.layers] == [0.5, np.inf]
    with pytest.raises(nl.errors.FileError, match="factor: expected plain data"):
        nl.Sequential([Twice(print)]).to_json()


def test_json_of_a_stranger():
    for text in ("[", "{}", "3", '{"class_name": "os.system", "config": {}}', '{"a": 1, "a": 2}'):
        with pytest.raises(nl.errors.FileError):
            nl.models.model_from_json(text)
    with pytest.raises(nl.errors.ConfigurationError, match="must be a string"):
        nl.models.model_from_json(None)


def test_a_name_of_megabytes_costs_little():
    name = "x" * (4 << 20)
    tracemalloc.start()
    with pytest.raises(nl.errors.UnknownNameError) as caught:
        nl.registry.lookup("layer", name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(str(caught.value)) < 10_000
    assert peak < 4 * len(name)  # the name without spaces, and in small letters


def test_integers_of_too_many_digits(path):
    with pytest.raises(nl.errors.FileError, match="14284 bits"):
        nl.saving.write_file(path, {}, {"x": 1 << 14_284})
    nl.saving.write_file(path, {}, {"x": (1 << 14_284) - 1})
    with nl.saving.StoredFile(path) as file:
        assert file.description["x"] == (1 << 14_284) - 1
