"""Values and slopes of every activation at ordinary and at extreme points."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.activations import ActivationLayer
from tests.classes import concrete
from tests.golden import check_text
from tests.snapshots import (
    EDGES,
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
)

CLASSES = [cls for cls in concrete("layer") if issubclass(cls, ActivationLayer)]


def points(dtype):
    """Return one extreme point in each row, beside an ordinary one."""
    narrow = np.finfo(dtype)
    edges = np.clip(np.array(EDGES, "float64"), narrow.min, narrow.max)
    return np.stack([edges, np.full(len(edges), 0.3)], axis=1).astype(dtype)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_values_and_slopes(cls):
    lines = [f"{cls.needs_input} {cls.same_in_training} {cls.random}"]
    for arguments, shape in cls.examples():
        lines.append(f"{arguments}")
        for dtype in ("float32", "float64"):
            layer = cls(**arguments, dtype=dtype, name="it")
            x = points(dtype)
            if "axis" in arguments:
                x = numbers(*shape).astype(dtype)
            with np.errstate(all="ignore"):
                y = layer.forward(x, training=True)
                dx = layer.backward(np.ones_like(y))
            if dtype == "float32":
                lines.append(f"  {outcome(lambda v=y: v)} | {outcome(lambda v=dx: v)}")
                continue
            rows = [a.reshape(len(a), -1).tolist() for a in (x, y, dx)]
            for row in zip(*rows, strict=True):
                texts = [" ".join(f"{v:.7g}" for v in values) for values in row]
                lines.append(f"  {' | '.join(texts)}")
        for other in (shape, (2, 3), (2, 6), (2, 3, 4), (5,), ()):
            layer = cls(**arguments, name="it")
            x = numbers(*other)
            lines.append(f"  {other}: {outcome(lambda it=layer, x=x: it.forward(x))}")
            lines[-1] += (
                f" | {outcome(lambda it=layer, o=other: it.compute_output_shape((None, *o[1:])))}"
            )
    check_text(__file__, f"{cls.__name__}.txt", "\n".join(lines))


def test_names():
    names = (*nl.activations.__all__, "relu", "swish", "Swish", None, "linear", 3)
    lines = [
        f"{name}: {outcome(lambda name=name: [type(nl.activations.get(name)).__name__])}"
        for name in names
    ]
    check_text(__file__, "names.txt", "\n".join(lines))
