"""FeatureSpace: every type of column on every kind of data, and what it refuses, in tables."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.models.feature_types import is_adaptable
from tests.golden import check_text
from tests.snapshots import outcome, shown

L, FS = nl.layers, nl.utils.FeatureSpace
NAMES = (
    "float", "float_normalized", "float_rescaled", "float_discretized", "integer_categorical",
    "string_categorical", "integer_hashed", "string_hashed",
)  # fmt: skip
COLUMNS = {
    "numbers": [0.5, 2.0, -1.0, 3.0], "integers": [1, 3, 1, 2], "words": ["b", "a", "b", ""],
    "column": np.array([[1.0], [2.0], [3.0], [1.0]]), "wide": np.arange(8.0).reshape(4, 2),
    "missing": [1.0, np.nan, 2.0, 1.0], "no word": np.array(["a", None, "b", "a"], object),
    "booleans": np.array([True, False, True, True]), "single": 2.0, "word": "a", "empty": [],
}  # fmt: skip


def made(value):
    """Return a result of every kind as text."""
    if isinstance(value, dict):
        return str({name: made(its) for name, its in value.items()})
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        return f"{value.dtype} {value.tolist()}"
    return shown(value)


@pytest.mark.parametrize("name", NAMES)
def test_types(name):
    lines = []
    for mode in ("concat", "dict"):
        for title, values in COLUMNS.items():
            space = FS({"it": name}, mode, num_discretization_bins=2, hashing_dim=3, name="space")
            learned = outcome(lambda s=space, v=values: s.adapt({"it": v}))
            lines.append(f"{mode} {title}: {learned}")
            lines.append(f"  {outcome(lambda s=space, v=values: made(s({'it': v})))}")
            lines.append(f"  {space.built} {space.output_shape} {space.input_spec}")
            shape = (None, *np.shape(values)[1:])
            found = outcome(lambda s=space, n=shape: repr(s.compute_output_shape((n,))))
            lines.append(f"  {shape} {found}")
            training = outcome(
                lambda s=space, v=values: made(s.forward((np.atleast_1d(np.asarray(v)),), True))
            )
            lines.append(f"  {training}")
    check_text(__file__, f"type {name}.txt", "\n".join(lines))


def test_constructors():
    cases = {
        "float": FS.float(), "named": FS.float("n"), "rescaled": FS.float_rescaled(2.0, 1.0, "n"),
        "plain": FS.float_rescaled(), "normalized": FS.float_normalized("n"),
        "bins": FS.float_discretized(3), "given": FS.float_discretized(None, [0.0], "int", "n"),
        "integers": FS.integer_categorical(), "few": FS.integer_categorical(3, 2, "int", "n"),
        "strings": FS.string_categorical(), "few strings": FS.string_categorical(3, 2, "int", "n"),
        "hashed": FS.string_hashed(4), "hashed integers": FS.integer_hashed(4, "int", "n"),
        "own": FS.feature("float32", L.Identity(name="own"), "float"),
    }  # fmt: skip
    lines = []
    for name, feature in cases.items():
        lines.append(f"{name}: {feature.dtype} {feature.output_mode} {feature.input_dtype}")
        layer = feature.preprocessor
        lines.append(f"  {is_adaptable(layer)} {type(layer).__name__} {layer.get_config()}")
        again = type(feature)(**feature.to_dict())
        assert again.to_dict() == feature.to_dict()
    cross = FS.cross(["a", "b"], 5)
    lines.append(f"{cross.name} {cross.to_dict()} {FS.cross(('a',), 2, 'int').to_dict()}")
    check_text(__file__, "feature-constructors.txt", "\n".join(lines))


def test_refusals():
    names, lines = {"a": "float", "b": "string_hashed", "c": "integer_hashed"}, []
    cases = {
        "none": lambda: FS({}), "list": lambda: FS(["float"]), "word": lambda: FS("float"),
        "number": lambda: FS(3), "type": lambda: FS({"a": "text"}), "none of it": lambda: FS(None),
        "a layer": lambda: FS({"a": L.Identity()}), "mode": lambda: FS(names, "rows"),
        "cross dim": lambda: FS(names, crossing_dim=0), "bins": lambda: FS(names, hashing_dim=0),
        "discretization": lambda: FS(names, num_discretization_bins=0),
        "cross of one": lambda: FS(names, crosses=[("a",)]),
        "cross of none": lambda: FS(names, crosses=[()]),
        "cross of another": lambda: FS(names, crosses=[("b", "z")]),
        "cross of three": lambda: FS(names, crosses=[("b", "c", "b")]).crosses[0].name,
        "cross of a word": lambda: FS(names, crosses=["bc"]),
        "cross of a number": lambda: FS(names, crosses=[3]),
        "cross mode": lambda: FS.cross(("b", "c"), 3, "float"),
        "cross size": lambda: FS.cross(("b", "c"), 0),
        "feature mode": lambda: FS.feature("float32", L.Identity(), "rows"),
        "feature layer": lambda: FS.feature("float32", "identity", "int"),
        "one hot of numbers": lambda: FS({"a": FS.feature("float32", L.Identity(), "one_hot")})(
            {"a": [1.0]}
        ),
        "not encoded": lambda: FS({"b": FS.string_hashed(3, "int"), "a": "float"})(
            {"a": [1.0], "b": ["x"]}
        ),
        "not adapted": lambda: FS({"b": "string_categorical"})({"b": ["x"]}),
        "no moments": lambda: FS({"b": "float_normalized"})({"b": [1.0]}),
        "no bins": lambda: FS({"b": "float_discretized"})({"b": [1.0]}),
        "a column is missing": lambda: FS(names)({"a": [1.0], "b": ["x"]}),
        "two are missing": lambda: FS(names)({"a": [1.0]}),
        "no dict": lambda: FS(names)([1.0, 2.0]), "rows": lambda: FS(names)(
            {"a": [1.0, 2.0], "b": ["x"], "c": [1]}
        ),
        "masked": lambda: FS({"a": "float"})({"a": np.ma.array([1.0, 2.0], mask=[0, 1])}),
        "a mask": lambda: made(FS({"a": "float"})((np.ones((2, 1)),), mask=np.ones((2, 1), bool))),
        "more columns": lambda: made(FS(names)({"a": [1.0], "b": ["x"], "c": [1], "d": [0]})),
        "tuple": lambda: made(FS(names)((np.ones((1, 1)), np.array([["x"]]), np.array([[1]])))),
        "tuple of two": lambda: made(FS(names)((np.ones((1, 1)), np.array([["x"]])))),
        "adapt no dict": lambda: FS({"a": "float_normalized"}).adapt([1.0]),
        "adapt lacks": lambda: FS({"a": "float_normalized"}).adapt({"b": [1.0]}),
        "adapt nothing": lambda: FS({"a": "float_normalized"}).adapt([]),
        "adapt none needed": lambda: FS({"a": "float"}).adapt({"a": ["x"]}),
    }  # fmt: skip
    lines = [f"{name}: {outcome(case)}" for name, case in cases.items()]
    check_text(__file__, "feature-refusals.txt", "\n".join(lines))


def test_crosses_and_gradients():
    data = {"a": [0.5, 1.5, 2.5], "b": ["x", "y", "x"], "c": [1, 2, 3], "d": ["p", "q", "p"]}
    lines = []
    for mode in ("concat", "dict"):
        encoded = "int" if mode == "dict" else "one_hot"
        for crosses in (None, [("b", "c")], [("b", "c", "d"), FS.cross(("c", "b"), 4, encoded)]):
            features = {
                "d": FS.string_categorical(output_mode=encoded, name="d"), "c": "integer_hashed",
                "b": FS.string_hashed(6, encoded, name="b"), "a": "float",
            }  # fmt: skip
            space = FS(features, mode, crosses, 5, 4, name="space")
            space.adapt(data)
            lines.append(f"{mode} {crosses}")
            lines.append(f"  {outcome(lambda s=space: made(s(data)))}")
            lines.append(f"  {space._order()} {[*space.crossers]} {space.can_skip_input_gradient}")
            config = space.get_config()
            lines.append(f"  {config['crosses']} {[*config['features']]} {config['output_mode']}")
            lines.append(
                f"  {outcome(lambda s=space: repr(s.compute_output_shape(((None,),) * 4)))}"
            )
            lines.append(f"  {outcome(lambda s=space: repr(s.get_inputs()))}")
            lines.append(f"  {outcome(lambda s=space: repr(s.get_encoded_features()))}")
            columns = tuple(np.asarray(data[name]) for name in space.features)
            out = []
            y = outcome(lambda s=space, c=columns, o=out: s.forward(c, True, mask_out=o))
            lines.append(f"  {y} {out}")
            if space.built:
                y = space.forward(columns, True)
                dy = tuple(np.ones_like(part) for part in y) if mode == "dict" else np.ones_like(y)
                lines.append(f"  {outcome(lambda s=space, d=dy: repr(s.backward(d)))}")
                wrong = dy[:-1] if mode == "dict" else dy[:, :-1]
                lines.append(f"  {outcome(lambda s=space, d=wrong: repr(s.backward(d)))}")
            again = FS.from_config(config)
            again.adapt(data)
            assert outcome(lambda s=space: made(s(data))) == outcome(lambda s=again: made(s(data)))
    check_text(__file__, "feature-crosses.txt", "\n".join(lines))


PARTS = (slice(0, 1), slice(1, 4))


def test_adapt_in_batches_is_adapt_at_once():
    rows = {"a": [0.0, 2.0, 4.0, 6.0], "b": ["x", "y", "y", "z"]}
    batches = [{name: np.array(its)[part] for name, its in rows.items()} for part in PARTS]
    found = []
    for data in (
        rows,
        lambda: iter(batches),
        [(b, np.zeros(len(b["a"]))) for b in batches],
        batches[0],
    ):
        space = FS({"a": "float_normalized", "b": "string_categorical"})
        space.adapt(data)
        found.append(space(rows))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert found[3].shape == (4, 3)
    space.adapt(rows)  # again: a wider encoding
    np.testing.assert_array_equal(space(rows), found[0])
