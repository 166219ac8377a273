"""Values and gradients of every loss on ordinary and on extreme data, and what it refuses."""

import numpy as np
import pytest

from netlayers.testing.contract import Example
from netlayers.testing.losses import REDUCTIONS
from netlayers.testing.targets import draw
from tests.classes import concrete
from tests.golden import check_text
from tests.snapshots import (
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
)


def batches(cls, arguments, data):
    """Yield titled arguments of ``forward``: ordinary ones, and then extreme ones."""
    example, loss = Example(cls, arguments, tuple(data)), cls(**arguments)
    for shape in ((4, 1), (5, 3), (3, 2, 4)):
        y, p = draw(example, loss, shape, "float64")
        yield f"{p.shape}", y, p, None
        yield "weights", y, p, 0.5 + np.arange(len(p))
    yield "float32", *draw(example, loss, shape, "float32"), None
    if arguments != cls.examples()[0][0]:
        return
    steps = 0.25 + np.arange(p[..., 0].size).reshape(p.shape[:-1])
    yield "a weight for each step", y, p, steps
    yield "a weight for each output", y, p, np.ones(p.shape)
    yield "a weight too few", y, p, np.ones(len(p) - 1)
    yield "weights of zero", y, p, np.zeros(len(p))
    yield "a negative weight", y, p, -np.ones(len(p))
    yield "the ends", y, (p > 0.5).astype(float), None
    yield "zeros", y, 0 * p, None
    yield "large", y, 1e30 * p, None
    yield "tiny", y, 1e-30 * p, None
    yield "targets of zero", 0 * y, p, None
    yield "perfect", y, (y.reshape(p.shape) if y.size == p.size else p).astype(float), None
    worse = p.copy()
    worse[0] = np.nan
    yield "NaN", y, worse, None
    yield "targets too long", np.concatenate([y, y]), p, None
    yield "one axis more", y[..., None, None], p, None
    yield "odd targets", y + 0.5, p, None
    yield "negative targets", -y - 1, p, None
    yield "signs", np.where(y > 0, 1, -1), p, None
    yield "integers", y.astype(int), p, None
    yield "booleans", y > 0, p, None
    yield "one output", (y.reshape(-1)[:4] > 0) * 1.0, np.abs(numbers(4)), None
    yield "a column", (y.reshape(-1)[:4] > 0)[:, None], np.abs(numbers(4, 1)), None
    yield "no axis", 1.0, 0.5, None
    yield "nothing", y[:0], p[:0], None
    yield "text", np.array(["a"] * len(p)), p, None


@pytest.mark.parametrize("cls", concrete("loss"), ids=lambda cls: cls.__name__)
def test_values_and_gradients(cls):
    lines = []
    for arguments, *data in cls.examples():
        loss = cls(**arguments)
        lines.append(f"{arguments} {loss.name} {loss.target_kind}")
        for title, *batch in batches(cls, arguments, data):
            lines.append(f"  {title}: {outcome(lambda loss=loss, b=batch: loss.forward(*b))}")
            if "Error" not in lines[-1]:
                lines[-1] += f" = {loss.numerator:.6g} / {loss.denominator} | "
                lines[-1] += outcome(loss.backward)
        for reduction in REDUCTIONS:
            loss = cls(**{**arguments, "reduction": reduction})
            for shape in ((5, 3), (3, 2, 4)):
                y, p = draw(Example(cls, arguments, tuple(data)), loss, shape, "float64")
                value = outcome(lambda it=loss, y=y, p=p: it.forward(y, p, 0.5 + np.arange(len(p))))
                lines.append(f"  {reduction}: {value} | {outcome(loss.backward)}")
    check_text(__file__, f"{cls.__name__}.txt", "\n".join(lines))
