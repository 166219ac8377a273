"""What the diagnostic functions say of wrong arguments, and which layers they call frozen."""

import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics import diagnose_rate
from netlayers.errors import FileError
from netlayers.saving import save_model
from tests.golden import check_text, messages

X = np.linspace(-1, 1, 24).reshape(12, 2)
Y = X[:, 0] - X[:, 1] / 2


def model(*layers, **options):
    its = nl.Sequential(list(layers) or [nl.layers.Dense(1, name="d")], seed=0, name="net")
    its.compile("sgd", "mse", **options)
    return its


WRONG = {
    "find_learning_rate": [
        {"min_rate": 0}, {"min_rate": "a"}, {"max_rate": 1e-9}, {"max_rate": np.inf},
        {"steps": 2}, {"steps": 2.5}, {"batch_size": 0}, {"batch_size": "a"}, {"stop_factor": 1},
        {"stop_factor": None}, {"sample_weight": [1.0]},
    ],
    "diagnose": [
        {"batch_size": 0}, {"batch_size": 1.5}, {"verbose": 3}, {"verbose": "a"},
        {"validation_data": 3}, {"validation_data": (X,)}, {"sample_weight": [1.0]},
    ],
    "loss_surface": [
        {"size": 1}, {"size": 2.5}, {"span": 0}, {"span": "a"}, {"seed": -1}, {"seed": "a"},
        {"sample_weight": [1.0]},
    ],
    "profile": [
        {"steps": 0}, {"steps": "a"}, {"sample_weight": [1.0]},
    ],
    "trace": [{"sample_weight": [1.0]}, {"rows": 1}, {"rows": "a"}],
    "check_gradients": [{"seed": -1}, {"tolerance": 0}, {"sample_weight": [1.0] * 7}],
}  # fmt: skip


def test_wrong_arguments():
    its, bare = model(), nl.Sequential([nl.layers.Dense(1)], name="bare")
    its.train_on_batch(X, Y)
    cases = []
    for name, wrong in WRONG.items():
        for options in wrong:
            run = getattr(its, name, None) or partial(getattr(nl, name), its)
            shown = [f"{k}={'(X,)' if isinstance(v, tuple) else v}" for k, v in options.items()]
            cases.append((f"{name} {shown[0]}", lambda r=run, o=options: r(X, Y, **o)))
        run = getattr(bare, name, None) or partial(getattr(nl, name), bare)
        cases.append((f"{name} of what is not compiled", lambda r=run: r(X, Y)))
    cases += [
        (f"rates of {wrong}", partial(nl.find_learning_rate, wrong, X, Y)) for wrong in (3, "a")
    ]
    check_text(__file__, "arguments.txt", messages(cases))


def frozen(*kinds):
    layers = []
    for i, kind in enumerate(kinds):
        rate = 0.0 if kind in ("no rate", "both") else 1.0
        layers.append(nl.layers.Dense(2, "tanh", name=f"d{i}", learning_rate_multiplier=rate))
        layers[-1].trainable = kind not in ("frozen", "both")
    its = model(*layers, nl.layers.Dense(1, name="last"))
    its.build((None, 2))
    for layer, kind in zip(layers, kinds, strict=True):
        if kind == "loaded":
            layer.trainable = False
            layer.bias[...] = 0.5
    if "last" in kinds[-1:]:
        its.layers[-1].trainable = False
    return its


def test_frozen_layers():
    lines = []
    for kinds in (
        ("learns", "learns"), ("frozen", "learns"), ("no rate", "learns"), ("both", "frozen"),
        ("learns", "frozen"), ("loaded", "learns"), ("loaded", "frozen"), ("frozen", "no rate"),
        ("frozen", "last"), ("both", "both"),
    ):  # fmt: skip
        its = frozen(*kinds)
        if "last" not in kinds and kinds == ("both", "both"):
            its.layers[-1].trainable = False
        found = [f for f in its.diagnose(X, Y, verbose=0).findings if f.illness == "frozen layers"]
        lines.append(f"{kinds}: {[(f.layer, f.severity, f.evidence, f.layers) for f in found]}")
        lines += [f"  {f.text}" for f in found]
    check_text(__file__, "frozen.txt", "\n".join(lines))


def test_a_snapshot_with_another_batch(tmp_path):
    its = model()
    its.build((None, 2))
    path = tmp_path / "snapshot"
    arrays = {"x": np.ones((3, 1), "f4"), "y": np.ones((3, 1), "f4")}
    save_model(its, path, arrays=arrays, extra={"snapshot": {"epoch": 1, "batch": 2}})
    with pytest.raises(FileError) as raised:
        nl.replay_snapshot(path)
    assert str(raised.value).startswith(
        f"{path}: extra: expected a batch of this model, got an error: "
    )


def test_whether_other_rates_are_tried(monkeypatch):
    """From the updates of each layer, in each step, and the gradients."""
    monkeypatch.setattr(diagnose_rate, "compare", lambda start, batches, ratio: ("lower", ratio))
    monkeypatch.setattr(diagnose_rate, "loss_at", lambda s, b, look, factor: ("higher", factor))
    lines = []
    for ratios in (
        [[]], [[0.0, 0.0]], [[0.0, 0.0], [0.0]], [[0.0, 0.0], [0.0, 1e-3]], [[0.02], [0.0]],
        [[1e-5, 2e-5]], [[1e-5], [math.inf]], [[0.5, 0.1], [0.3, 0.7], [0.2]], [[math.nan, 0.3]],
        [[math.inf, 0.3], [0.2, 0.4]], [[], [0.6, math.inf]], [[0.0, 2.0], [3.0, 1.0]],
    ):  # fmt: skip
        for gradients in ([0.0, 0.0], [1.0, 0.0], [1.0, 2.0], [-1.0]):
            for before, after in ((1.0, 2.0), (2.0, 1.0), (1.0, math.nan)):
                named = {f"d{i}": its for i, its in enumerate(ratios)}
                last = {name: its[-1] if its else math.nan for name, its in named.items()}
                size = dict(enumerate(gradients))
                found = SimpleNamespace(
                    ratios=named, lost=False, loss_before=before, loss_after=after, comparison=None,
                    values={"gradient_norm": size, "update_ratio": last}, loss_faster=None,
                )  # fmt: skip
                diagnose_rate.try_others(found, None, [], None)
                shown = found.still, found.lost, found.peak_ratio, found.comparison
                lines.append(f"{ratios} {gradients} {after}: {shown} {found.loss_faster}")
    check_text(__file__, "other rates.txt", "\n".join(lines))
