"""Layers of texts, categories and images on a grid of arguments: words, numbers, refusals."""

import itertools
import re

import numpy as np
import pytest

import netlayers as nl
from tests.golden import check_text
from tests.snapshots import numbers, numpy_kernels, outcome  # noqa: F401

L = nl.layers
TEXTS = ["The cat; the dog!", "a", "", "Cat-cat  dog", None, "dog dog the\tcat é É ..."]
WORDS = ["dog", "cat", "the"]


def grid(**choices):
    """Yield the combinations of arguments."""
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def shown(arguments):
    return " ".join(f"{n}={getattr(v, '__name__', v)}" for n, v in arguments.items())


def lines(cls, cases, calls):
    """Return a line for each call on each object that can be made."""
    found = []
    for arguments in cases:
        found.append(f"{cls.__name__} {shown(arguments)}")
        for name, call in calls.items():
            said = outcome(lambda a=arguments, c=call: c(cls(**a, name="it")))
            said = re.sub(r" at 0x[0-9a-f]+", "", said)
            found.append(f"  {name}: {said[:1500]}")
    return found


def reversed_texts(texts):
    return np.array([t[::-1] for t in texts.tolist()])


def split_at_a(texts):
    return [t.split("a") for t in texts.tolist()]


def adapted(layer, data, *more):
    layer.adapt(data, *more)
    return repr((layer.get_vocabulary(), layer.vocabulary_size(), layer(data).tolist()))


def test_texts():
    calls = {
        "words": lambda it: repr(it.words(TEXTS)),
        "column": lambda it: repr(it(np.array(TEXTS, object)[:, None]).tolist()),
        "one": lambda it: repr(it("the cat").tolist()),
        "square": lambda it: repr(it(np.array([["the", "cat"], ["dog", "dog"]])).tolist()),
        "shapes": lambda it: repr([it.compute_output_shape(s) for s in ((4,), (None, 1))]),
        "wide": lambda it: it.compute_output_shape((4, 2)),
        "arguments": lambda it: repr(sorted(it.get_config().items(), key=str)),
    }
    cases = [
        *grid(
            vocabulary=[WORDS],
            standardize=["lower_and_strip_punctuation", "lower", "strip_punctuation", None],
            split=["whitespace", "character", None],
        ),
        *grid(vocabulary=[WORDS], standardize=[reversed_texts, len], split=[split_at_a, str]),
        *grid(vocabulary=[[*WORDS, "the cat"]], ngrams=[1, 2, (2,), (1, 3), [2, 1]]),
        *grid(
            vocabulary=[WORDS],
            output_mode=["int", "count", "multi_hot", "tf_idf"],
            output_sequence_length=[None, 1, 3],
            idf_weights=[None, [0.5, 1.0, 2.0]],
        ),
        *grid(
            vocabulary=[WORDS],
            output_mode=["count", "multi_hot"],
            max_tokens=[3, 4, 6],
            pad_to_max_tokens=[False, True],
        ),
    ]
    found = lines(L.TextVectorization, cases, calls)
    calls = {"adapted": lambda it: adapted(it, [t or "" for t in TEXTS])}
    cases = grid(max_tokens=[None, 3, 5], ngrams=[None, 2], output_mode=["int", "tf_idf"])
    found += lines(L.TextVectorization, cases, calls)
    check_text(__file__, "grid of texts.txt", "\n".join(found))


@pytest.mark.parametrize("cls", [L.StringLookup, L.IntegerLookup], ids=lambda cls: cls.__name__)
def test_lookups(cls):
    texts = cls is L.StringLookup
    known = ["b", "a", "c"] if texts else [7, 3, 9]
    data = ["a", "z", "b", "", "[UNK]", "c"] if texts else [3, 5, 7, 0, -1, 9]
    mask, other = ("", "[UNK]") if texts else (0, -1)
    calls = {
        "row": lambda it: repr(it(np.array(data)).tolist()),
        "pairs": lambda it: repr(it(np.array(data).reshape(3, 2)).tolist()),
        "vocabulary": lambda it: repr(
            [it.get_vocabulary(), it.get_vocabulary(include_special_tokens=False)]
        ),
        "size": lambda it: repr([it.vocabulary_size(), it.compute_output_shape((None, 2))]),
        "back": lambda it: repr(it(np.arange(7)).tolist()) if it.invert else "",
        "arguments": lambda it: repr(sorted(it.get_config().items(), key=str)),
    }
    modes = ["int", "one_hot", "multi_hot", "count", "tf_idf"]
    cases = [
        *grid(
            vocabulary=[known, [mask, other, *known], [other, *known], [*known, known[0]]],
            num_oov_indices=[0, 1, 2],
            mask_token=[None, mask],
        ),
        *grid(vocabulary=[known], output_mode=modes, num_oov_indices=[0, 1, 3],
              mask_token=[None, mask]),
        *grid(vocabulary=[known], output_mode=["tf_idf"],
              idf_weights=[[1.0, 2.0, 0.5], [1.0], None]),
        *grid(vocabulary=[known], max_tokens=[3, 4, 9], pad_to_max_tokens=[False, True],
              output_mode=["int", "count"]),
        *grid(vocabulary=[known], invert=[True], num_oov_indices=[0, 1, 2], mask_token=[None, mask],
              output_mode=["int", "count"]),
        *grid(vocabulary=[known], oov_token=[other, known[0], data[1]], invert=[False, True]),
    ]  # fmt: skip
    found = lines(cls, cases, calls)
    calls = {"adapted": lambda it: adapted(it, np.array([*data, *data[:3], data[0]]))}
    cases = grid(max_tokens=[None, 3, 4], mask_token=[None, mask], output_mode=["int", "tf_idf"])
    found += lines(cls, cases, calls)
    check_text(__file__, f"grid of {cls.__name__}.txt", "\n".join(found))


AUGMENTATIONS = {
    "RandomFlip": {"mode": ["horizontal", "vertical", "horizontal_and_vertical"]},
    "RandomTranslation": {"height_factor": [0.3, (0.1, 0.2)], "width_factor": [0, -0.3],
                          "fill_mode": ["reflect", "wrap", "nearest", "constant"]},
    "RandomRotation": {"factor": [0.1, (-0.3, -0.2)], "fill_mode": ["reflect", "constant"],
                       "fill_value": [0.0, 2.0]},
    "RandomZoom": {"height_factor": [0.3, (0.5, 0.2)], "width_factor": [None, (-0.3, 0.0)],
                   "interpolation": ["nearest", "bilinear"]},
    "RandomCrop": {"height": [2, 4, 7], "width": [3, 5]},
    "RandomContrast": {"factor": [0.5, (0.2, 0.9)], "value_range": [(0, 255), (-0.2, 0.3)]},
    "RandomBrightness": {"factor": [0.5, (-0.9, -0.2)], "value_range": [(0, 255), (-0.5, 0.5)]},
    "RandomErasing": {"factor": [1.0, (0.4, 0.6)], "scale": [0.5, (0.1, 0.9)],
                      "fill_value": [None, 0.5, (1, 2)], "value_range": [(0, 1)]},
    "MixUp": {"alpha": [0.2, 3.0]},
    "CutMix": {"factor": [1.0, (0.2, 0.3)]},
}  # fmt: skip


def on_images(layer):
    """Return what becomes of images, labels and masks, alone and together, and of one image."""
    x = numbers(4, 4, 5, 2)
    x = np.moveaxis(x, -1, 1) if layer.data_format == "channels_first" else x
    masks = (np.abs(x) * 3).astype("uint8")
    masks = np.minimum(masks, 1) if isinstance(layer, nl.layers.MixUp) else masks
    whole = layer({"images": x, "labels": np.eye(4), "segmentation_masks": masks})
    drawn = layer.get_random_transformation({"images": x})
    parts = [layer.transform_images(x, drawn), layer.transform_images(x, drawn, training=False)]
    parts += [
        layer.transform_labels(np.eye(4), drawn),
        layer.transform_labels(np.eye(4), None, False),
    ]
    parts += [layer.transform_segmentation_masks(masks, drawn)]
    parts += [layer.transform_segmentation_masks(masks, drawn, training=False)]
    parts += [
        layer(x, training=False),
        layer(x[0]),
        layer(x, True),
        layer.forward(x, training=True),
    ]
    return tuple(map(np.array, [*whole.values(), *parts]))


def test_images():
    found = []
    calls = {
        "all": on_images,
        "classes": lambda it: it({"images": numbers(2, 4, 5, 2), "labels": [0, 1]})["labels"],
        "key": lambda it: it({"images": numbers(2, 4, 5, 2), "label": [0, 1]}),
        "no images": lambda it: it({"labels": [0, 1]}),
    }
    for name, choices in AUGMENTATIONS.items():
        both = ["channels_last", "channels_first"]
        cases = list(grid(**choices, data_format=["channels_last"], seed=[3]))
        cases += list(
            grid(**{n: v[:1] for n, v in choices.items()}, data_format=both[1:], seed=[4])
        )
        found += lines(getattr(L, name), cases, calls)
    check_text(__file__, "grid of augmentations.txt", "\n".join(found))


def test_sizes():
    x = numbers(2, 5, 4, 3)
    calls = {
        "images": lambda it: it(x),
        "gradient": lambda it: [it.forward(x, training=True), it.backward(numbers(2, 3, 6, 3))][1],
        "one": lambda it: it(x[0]),
        "small": lambda it: it(x[:, :1, :2]),
        "shape": lambda it: repr(it.compute_output_shape((None, None, 4, 3))),
    }
    ratio = [(False, False), (True, False), (False, True)]
    cases = [
        {**one, "crop_to_aspect_ratio": crop, "pad_to_aspect_ratio": pad}
        for crop, pad in ratio
        for one in grid(
            height=[3], width=[6], antialias=[False, True], fill_value=[0.0, 2.0],
            interpolation=["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"],
        )
    ]  # fmt: skip
    found = lines(L.Resizing, cases, calls)
    found += lines(L.CenterCrop, grid(height=[3, 5, 6], width=[6, 2, 4]), calls)
    found += lines(L.RandomCrop, grid(height=[3], width=[6, 4, 2], seed=[1, 2]), calls)
    check_text(__file__, "grid of sizes.txt", "\n".join(found))
