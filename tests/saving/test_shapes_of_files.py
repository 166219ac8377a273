"""A file that claims a shape which a layer refuses is refused, and says which layer it was."""

import pytest

import netlayers as nl
from netlayers.errors import FileError
from tests.saving import mutations

L = nl.layers


@pytest.mark.parametrize(
    ("layer", "shape", "wrong"),
    [
        (L.Reshape((2, 3), name="it"), (None, 6), [None, 7]),
        (L.RepeatVector(2, name="it"), (None, 6), [None, 6, 1]),
        (L.Dropout(0.5, noise_shape=(None, 1, 4), name="it"), (None, 3, 4), [None, 3, 5]),
        (L.Permute((2, 1), name="it"), (None, 3, 4), [None, 3, 4, 5]),
        (L.GroupNormalization(3, name="it"), (None, 6), [None, 5]),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_shape_that_a_layer_refuses(tmp_path, layer, shape, wrong, nested):
    config = type(layer).from_config(layer.get_config())
    inner = nl.Sequential([config], name="inner") if nested else config
    model = nl.Sequential([inner, L.Flatten(), L.Dense(2)], seed=0)
    model.build(shape)
    path = tmp_path / "model"
    model.save(path)
    assert nl.load_model(path).layers[0].input_shape == shape
    entries, description, body = mutations.opened(path.read_bytes())
    assert list(description["built"]) == [""]
    description["built"] = {"": wrong}
    description = mutations.with_checksums(entries, description, body)
    path.write_bytes(mutations.sealed(entries, description, body))
    with pytest.raises(FileError) as raised:
        nl.load_model(path)
    assert raised.value.path == str(path)
    assert raised.value.place.startswith("model: ")
