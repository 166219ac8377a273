"""Layers of categories and texts: what each argument makes of each kind of data, in tables."""

import numpy as np
import pytest

import netlayers as nl
from tests.golden import check_text
from tests.snapshots import numbers, outcome, shown

L = nl.layers
NAN = np.nan
OBJECT = {"dtype": object}
WORDS = ["a", "b", "a", "c", "", None, "ä"]
DATA = {
    "words": np.array(WORDS, **OBJECT),
    "column": np.array([["b"], ["a"], [None], ["z"]], **OBJECT),
    "matrix": np.array([["a", "a", "b"], ["c", None, "zz"]], **OBJECT),
    "one": np.array(["b"], **OBJECT),
    "none": np.array([], **OBJECT),
    "bytes": np.array([b"a", b"b"]),
    "unicode": np.array(["a", "q"]),
    "integers": np.array([0, 1, 2, 5, -1, 7]),
    "integer column": np.array([[1], [3], [2]]),
    "integer matrix": np.array([[1, 1, 2], [3, 9, 0]]),
    "floats": np.array([1.0, NAN, 2.0, 0.0]),
    "float matrix": np.array([[1.0, NAN], [NAN, 3.0], [2.0, 2.0]]),
    "halves": np.array([0.5, 1.0]),
    "booleans": np.array([True, False]),
    "large": np.array([2**40, 1]),
    "infinite": np.array([np.inf, 1.0]),
    "list": [["a", "b"], ["c", "a"]],
    "scalar": np.array("a"),
}
FEW = ["a", "b", "c"]
STRINGS = [
    {}, {"vocabulary": FEW}, {"vocabulary": FEW, "mask_token": ""},
    {"vocabulary": FEW, "num_oov_indices": 0}, {"vocabulary": FEW, "num_oov_indices": 3},
    {"vocabulary": FEW, "num_oov_indices": 2, "mask_token": "", "salt": [1, 2]},
    {"vocabulary": FEW, "invert": True}, {"vocabulary": FEW, "invert": True, "mask_token": ""},
    {"vocabulary": FEW, "output_mode": "one_hot"},
    {"vocabulary": FEW, "output_mode": "multi_hot", "num_oov_indices": 2},
    {"vocabulary": FEW, "output_mode": "count", "mask_token": "a"},
    {"vocabulary": FEW, "output_mode": "multi_hot", "max_tokens": 9, "pad_to_max_tokens": True},
    {"vocabulary": FEW, "output_mode": "tf_idf", "idf_weights": [0.5, 1.0, 2.0]},
    {"vocabulary": FEW, "output_mode": "tf_idf"}, {"vocabulary": [*FEW, "a"]}, {"vocabulary": []},
    {"vocabulary": ["[UNK]", *FEW]}, {"vocabulary": ["", "[UNK]", *FEW], "mask_token": ""},
    {"vocabulary": ["a", "[UNK]"]}, {"vocabulary": FEW, "max_tokens": 3},
    {"vocabulary": FEW, "max_tokens": 4}, {"vocabulary": FEW, "vocabulary_size": 4},
    {"vocabulary": FEW, "idf_weights": [1, 2, 3]}, {"vocabulary": FEW, "oov_token": "b"},
]  # fmt: skip
INTEGERS = [
    {}, {"vocabulary": [1, 2, 5]}, {"vocabulary": [1, 2, 5], "mask_token": 0},
    {"vocabulary": [1, 2, 5], "num_oov_indices": 0},
    {"vocabulary": [1, 2, 5], "num_oov_indices": 3},
    {"vocabulary": [1, 2, 5], "num_oov_indices": 2, "mask_token": 0},
    {"vocabulary": [1, 2, 5], "invert": True},
    {"vocabulary": [1, 2, 5], "output_mode": "multi_hot"},
    {"vocabulary": [1, 2, 5], "output_mode": "count", "num_oov_indices": 2},
    {"vocabulary": [1, 2, 5], "output_mode": "tf_idf", "idf_weights": [0.5, 1.0, 2.0]},
    {"vocabulary": [1, 2, 5], "oov_token": 7}, {"vocabulary": [1, 2, 2]}, {"vocabulary": ["a"]},
    {"vocabulary": [-1, 1, 2]}, {"vocabulary": [0, -1, 1], "mask_token": 0},
]  # fmt: skip
CASES = {
    "StringLookup": STRINGS,
    "IntegerLookup": INTEGERS,
    "Hashing": [
        {"num_bins": 3}, {"num_bins": 1}, {"num_bins": 3, "mask_value": "a"},
        {"num_bins": 3, "mask_value": 1}, {"num_bins": 3, "salt": 7},
        {"num_bins": 3, "salt": [1, 2]},
        {"num_bins": 3, "output_mode": "one_hot"}, {"num_bins": 3, "output_mode": "multi_hot"},
        {"num_bins": 3, "output_mode": "count", "mask_value": "a"},
    ],
    "CategoryEncoding": [
        {"num_tokens": 4, "output_mode": mode} for mode in ("one_hot", "multi_hot", "count")
    ],
    "Discretization": [
        {"bin_boundaries": [0.0, 1.0, 2.5]}, {"bin_boundaries": [1.0], "output_mode": "one_hot"},
        {"bin_boundaries": [1.0, 0.0]}, {"bin_boundaries": []}, {"num_bins": 3}, {"num_bins": 1},
        {"bin_boundaries": [0.0, 2.0], "output_mode": "multi_hot"},
        {"bin_boundaries": [0.0, 2.0], "output_mode": "count"}, {"num_bins": 2, "epsilon": 0.0},
        {"num_bins": 4, "epsilon": 0.5}, {}, {"num_bins": 3, "bin_boundaries": [0.0]},
    ],
    "TextVectorization": [
        {}, {"vocabulary": FEW}, {"vocabulary": FEW, "output_sequence_length": 2},
        {"vocabulary": FEW, "output_mode": "multi_hot"},
        {"vocabulary": FEW, "output_mode": "count"},
        {"vocabulary": FEW, "max_tokens": 9, "pad_to_max_tokens": True, "output_mode": "count"},
        {"vocabulary": FEW, "split": "character"}, {"vocabulary": ["a b"], "ngrams": 2},
        {"vocabulary": FEW, "standardize": None, "split": None},
    ],
    "Embedding": [
        {"input_dim": 6, "output_dim": 2}, {"input_dim": 6, "output_dim": 2, "mask_zero": True},
    ],
}  # fmt: skip
CASES = {name: [*cases] for name, cases in CASES.items()}


def listed(y):
    """Return an array as a list, with its dtype: every entry counts."""
    if not isinstance(y, np.ndarray) or y.dtype.kind == "f":
        return shown(y)
    return f"{y.dtype.name} {y.tolist()}"


def like(y):
    return np.ones(np.shape(y), np.float32)


def tables(make):
    """Return the lines of a layer for all data."""
    lines = []
    for name, data in DATA.items():
        layer = make()
        found = outcome(lambda it=layer, d=data: listed(it(d)))
        lines.append(f"  {name}: {found}")
        if layer.built:
            lines.append(f"    {layer.output_shape} {layer.input_spec.dtype} {layer.depth_known()}")
            lines.append(f"    {outcome(lambda it=layer, d=data: listed(it.forward(d, True)))}")
            back = outcome(lambda it=layer, d=data: listed(it.backward(like(it.forward(d)))))
            lines.append(f"    {back}")
    return lines


@pytest.mark.parametrize("name", CASES)
def test_tables(name):
    cls = getattr(L, name)

    class Shown(cls):
        def depth_known(self):
            return getattr(self, "depth", None)

    lines = []
    for arguments in CASES[name]:
        weights = {} if name != "Embedding" else {"embeddings_initializer": "ones"}

        def make(its=arguments, more=weights):
            return Shown(**its, **more, name="it")

        lines.append(f"{arguments}")
        config = outcome(lambda m=make: repr(m().get_config()))
        lines.append(f"  {config}")
        if "{" not in config[:2]:
            continue
        layer = make()
        lines += [
            f"  {method} {outcome(lambda m=method, it=layer: repr(getattr(it, m)()))}"
            for method in ("get_vocabulary", "vocabulary_size", "get_assets", "depth_known")
            if hasattr(layer, method)
        ]
        lines += [
            f"  {shape} {outcome(lambda s=shape, it=layer: repr(it.compute_output_shape(s)))}"
            for shape in ((None,), (None, 1), (None, 3), (None, None), (2, 3, 4))
        ]
        lines += tables(make)
    text = "\n".join(lines).replace("Shown", name)
    check_text(__file__, f"categories of {name}.txt", text)


ADAPTED = {
    "words": DATA["words"], "matrix": DATA["matrix"], "integers": DATA["integers"],
    "float matrix": DATA["float matrix"], "numbers": 3 * numbers(20), "columns": numbers(8, 2),
    "batches": [DATA["words"], DATA["one"]], "empty": DATA["none"], "missing": [None, None],
    "ties": np.array(["b", "a", "c", "a", "b"], **OBJECT), "constant": np.ones(5),
    "texts": np.array(["a b a", "c", "", "b b, B!"], **OBJECT),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("StringLookup", [{}, {"max_tokens": 3}, {"max_tokens": 2}, {"mask_token": "a"},
                          {"output_mode": "tf_idf"}, {"output_mode": "count", "max_tokens": 3},
                          {"output_mode": "tf_idf", "num_oov_indices": 2, "max_tokens": 4},
                          {"oov_token": "a"}, {"vocabulary": FEW}]),
        ("IntegerLookup", [{}, {"max_tokens": 3}, {"mask_token": 0}, {"output_mode": "tf_idf"},
                           {"num_oov_indices": 0}, {"oov_token": 5}]),
        ("Discretization", [{"num_bins": 2}, {"num_bins": 4}, {"num_bins": 3, "epsilon": 0.3},
                            {"num_bins": 7, "output_mode": "one_hot"}]),
        ("TextVectorization", [{}, {"max_tokens": 4}, {"output_mode": "tf_idf"}, {"ngrams": 2},
                               {"output_mode": "tf_idf", "ngrams": (1, 2), "max_tokens": 6}]),
    ],
)  # fmt: skip
def test_adapted(name, options):
    lines = []
    for arguments in options:
        lines.append(f"{arguments}")
        for title, data in ADAPTED.items():
            layer = getattr(L, name)(**arguments, name="it")
            lines.append(f"  {title}: {outcome(lambda it=layer, d=data: it.adapt(d))}")
            assets = outcome(lambda it=layer: repr(it.get_assets()))
            lines.append(f"    {assets[:200]}")
            if hasattr(layer, "bin_boundaries"):
                bins = getattr(layer, "_bins", layer.bin_boundaries)
                lines.append(f"    {shown(np.asarray(bins if bins is not None else [], float))}")
            else:
                lines.append(f"    {outcome(lambda it=layer: repr(it.get_vocabulary()))}")
            lines.append(f"    {outcome(lambda it=layer, d=data: listed(it(d)))}")
            other = getattr(L, name)(**arguments, name="other")
            restored = outcome(lambda it=layer, o=other: o.set_assets(it.get_assets()))
            again = outcome(lambda o=other, d=data: listed(o(d)))
            lines.append(f"    {restored} {again}")
    check_text(__file__, f"adapted {name}.txt", "\n".join(lines))


def test_assets_that_are_not_valid():
    lines = []
    weights = np.ones(3).tobytes()
    for name, arguments in (
        ("StringLookup", {}),
        ("StringLookup", {"output_mode": "tf_idf"}),
        ("StringLookup", {"max_tokens": 4}),
        ("StringLookup", {"vocabulary": FEW}),
        ("IntegerLookup", {}),
        ("TextVectorization", {"max_tokens": 5}),
    ):
        for assets in (
            {}, {"vocabulary": FEW}, {"vocabulary": ["1", "2"]}, {"vocabulary": ["a", "a"]},
            {"vocabulary": [*FEW, "d"]}, {"vocabulary": FEW, "idf_weights": weights},
            {"vocabulary": FEW, "idf_weights": weights[:-8]},
            {"vocabulary": FEW, "idf_weights": np.full(3, np.nan).tobytes()},
            {"vocabulary": FEW, "idf_weights": np.ones(4).tobytes()}, {"vocabulary": []},
        ):  # fmt: skip
            layer = getattr(L, name)(**arguments)
            before = outcome(lambda it=layer: repr(it.get_vocabulary()))
            try:
                said = repr(layer.set_assets(assets))
            except Exception as error:
                said = type(error).__name__
            after = outcome(lambda it=layer: repr(it.get_vocabulary()))
            lines.append(f"{name} {arguments} {assets}: {said}")
            lines.append(f"  {'as before' if after == before else after}")
    layer = L.StringLookup()
    layer.adapt(["x", "y"])
    layer.set_assets({})
    lines.append(f"emptied {layer._entries} {layer._numbers} {layer._idf}")
    check_text(__file__, "assets refused.txt", "\n".join(lines))


def test_a_vocabulary_in_a_file_is_read_as_utf_8(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("ä\n中\nb\r\n".encode())
    for given in (path, str(path)):
        assert L.StringLookup(vocabulary=given).get_vocabulary() == ["[UNK]", "ä", "中", "b"]


def test_crossings():
    lines = []
    a, b = DATA["unicode"], np.array(["x", "y"])
    pairs = {
        "words": (a, b), "column": (a[:, None], b[:, None]), "integers": (np.array([1, 2]),) * 2,
        "mixed": (a, np.array([3, 4])), "booleans": (a, np.array([True, False])),
        "floats": (a, np.array([1.0, NAN])), "missing": (np.array(["a", None], **OBJECT), b),
        "three": (a, b, a), "one": (a,), "negative": (np.array([-1, 2]), np.array([0, 2**40])),
        "matrix": (DATA["matrix"], DATA["matrix"]), "shapes": (a, b[:, None]),
        "bytes": (np.array([b"a", b"q"]), b), "halves": (a, DATA["halves"]), "plain": a,
    }  # fmt: skip
    for arguments in (
        {"num_bins": 7}, {"num_bins": 3, "output_mode": "one_hot"},
        {"num_bins": 7, "num_inputs": 3},
        {"num_bins": 1}, {"num_bins": 5, "num_inputs": 1}, {"num_bins": 5, "num_inputs": 1001},
    ):  # fmt: skip
        for name, xs in pairs.items():
            made = outcome(lambda a=arguments, x=xs: listed(L.HashedCrossing(**a, name="it")(x)))
            lines.append(f"{arguments} {name}: {made}")
    layer = L.HashedCrossing(7, name="it")
    layer((a, b))
    lines.append(f"built for two, got three: {outcome(lambda: listed(layer((a, b, a))))}")
    lines.append(f"{layer.num_inputs} {len(layer.input_spec)} {layer.depth}")
    y = layer.forward((a, b), training=True)
    lines.append(f"{y.dtype} {layer.backward(np.ones(2, np.float32))}")
    lines.append(f"{layer.compute_output_shape(((None,), (None,)))}")
    check_text(__file__, "crossings.txt", "\n".join(lines))
