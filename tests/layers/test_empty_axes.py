"""Inputs with nothing in them: images without pixels, empty lists, indices below 0."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import DataError, ShapeError

L = nl.layers
IMAGES = [
    L.RandomRotation(0.1), L.RandomZoom(0.1), L.RandomTranslation(0.1, 0.1), L.RandomFlip(),
    L.RandomCrop(2, 2), L.CenterCrop(2, 2), L.Resizing(3, 3), L.RandomErasing(), L.MixUp(),
    L.CutMix(), L.RandomContrast(0.1), L.RandomBrightness(0.1), L.Conv2DTranspose(2, 3),
    L.GroupNormalization(1), L.Conv2D(2, 2, padding="same"), L.DepthwiseConv2D(2, padding="same"),
    L.SeparableConv2D(2, 2), L.LayerNormalization(axis=[1, 2], scale=False, center=False),
    L.LayerNormalization(axis=1, rms_scaling=True, scale=False), L.UnitNormalization(axis=[1, 2]),
    L.RMSNormalization(axis=1),
]  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("layer", IMAGES, ids=lambda its: its.name)
def test_images_without_pixels_are_refused(layer, training):
    layer = type(layer).from_config(layer.get_config())
    with pytest.raises(ShapeError, match=f"{type(layer).__name__}.*there is nothing in"):
        layer(np.zeros((2, 0, 6, 3)), training=training)
    if not isinstance(layer, L.CutMix):  # which needs a second image
        assert len(layer(np.zeros((1, 6, 6, 3)), training=training)) == 1


def test_a_size_of_0_is_shown_as_it_is():
    with pytest.raises(ShapeError, match=r"at least one step, got \(batch, 0, 2\)"):
        L.LSTM(3)(np.zeros((4, 0, 2)))


def test_an_empty_list_holds_no_text():
    layer = L.TextVectorization()
    with pytest.raises(DataError, match="the data hold no categories"):
        layer.adapt([])
    layer.adapt(["a text"])
    assert layer([]).shape == (0, 0)
    assert L.StringLookup(vocabulary=["a"])([]).shape == (0,)


def test_a_larger_table_is_no_advice_for_a_negative_index():
    with pytest.raises(DataError, match=r"the integer -1 \(row 0\), expected 0 to 2. Use Int"):
        L.CategoryEncoding(3)([[-1]])
    layer = L.Embedding(10, 2)
    with pytest.raises(DataError, match=r"the index -1 \(row 0\), expected 0 to 9. Map other"):
        layer(np.array([[-1]]))
    with pytest.raises(DataError, match=r"the index 10 .*Increase input_dim=10, or map other"):
        layer(np.array([[10]]))


@pytest.mark.parametrize("rows", [(2, 3), (3, 2), (0, 2), (2, 0)])
@pytest.mark.parametrize("method", ["predict", "predict_on_batch"])
def test_inputs_with_other_numbers_of_rows_are_refused(method, rows):
    a, b = L.Input((3,)), L.Input((3,))
    model = nl.Model([a, b], L.add([a, b]), seed=0)
    x = [np.ones((count, 3)) for count in rows]
    with pytest.raises(DataError, match=rf"x\[0\] has {rows[0]} rows, x\[1\] has {rows[1]} rows"):
        getattr(model, method)(x)
    assert len(getattr(model, method)([x[0], x[0]])) == rows[0]
