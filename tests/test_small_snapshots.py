"""What initializers, regularizers and constraints make of arrays of several shapes."""

import numpy as np
import pytest

import netlayers as nl
from tests.classes import concrete
from tests.golden import check_text
from tests.snapshots import numbers, outcome, shown

SHAPES = [(), (5,), (1, 1), (4, 3), (3, 40), (2, 3, 4), (2, 3, 4, 5), (0, 3)]


def filled(initializer, shape, dtype):
    out = np.full(shape, np.nan, dtype)
    initializer.fill(out, np.random.default_rng(5))
    return out


@pytest.mark.parametrize("cls", concrete("initializer"), ids=lambda cls: cls.__name__)
def test_initializers(cls):
    lines = []
    for arguments in cls.examples():
        lines.append(f"{arguments}")
        for shape in SHAPES:
            for dtype in ("float64", "float32"):
                found = outcome(lambda a=arguments, s=shape, d=dtype: filled(cls(**a), s, d))
                lines.append(f"  {shape} {dtype}: {found}")
        wide = filled(cls(**arguments), (40, 50), "float64")
        lines.append(f"  {wide.mean():.5g} {wide.std():.5g} {wide.min():.5g} {wide.max():.5g}")
    check_text(__file__, f"{cls.__name__}.txt", "\n".join(lines))


def arrays():
    for shape in ((5,), (4, 3), (2, 3, 4)):
        yield f"{shape}", numbers(*shape)
        yield f"large {shape}", 7 * numbers(*shape)
    zeros = numbers(4, 3)
    zeros[1], zeros[:, 2] = 0, 0
    yield "zeros", zeros
    yield "all zero", 0 * zeros
    yield "positive", np.abs(zeros)
    yield "tiny", 1e-200 * zeros
    yield "huge", 1e200 * zeros
    yield "nothing", zeros[:0]


@pytest.mark.parametrize("cls", concrete("constraint"), ids=lambda cls: cls.__name__)
def test_constraints(cls):
    lines = []
    examples = cls.examples()
    if "axis" in cls().get_config():
        examples += [{"axis": axis} for axis in (-1, 1, [0, 1], (0, 2), 5)]
    for arguments in examples:
        lines.append(f"{arguments}")
        for title, w in arrays():
            found = outcome(lambda a=arguments, w=w: cls(**a).apply(w))
            lines.append(f"  {title}: {found} {shown(w)}")
    check_text(__file__, f"{cls.__name__}.txt", "\n".join(lines))


@pytest.mark.parametrize("cls", concrete("regularizer"), ids=lambda cls: cls.__name__)
def test_regularizers(cls):
    lines = []
    for arguments in [{}, *cls.examples()]:
        lines.append(f"{arguments}")
        for title, w in arrays():
            gradient = np.ones_like(w)
            lines.append(f"  {title}: {outcome(lambda a=arguments, w=w: cls(**a)(w))}")
            found = outcome(
                lambda a=arguments, w=w, g=gradient: cls(**a).add_gradient(w, g, np.empty_like(w))
            )
            lines[-1] += f" | {found} {shown(gradient)}"
    check_text(__file__, f"{cls.__name__}.txt", "\n".join(lines))


def test_names():
    lines = []
    for module in (nl.initializers, nl.constraints, nl.regularizers, nl.optimizers, nl.losses):
        for name in ("l1", "l2", "l1l2", "zeros", "maxnorm", "adam", "sgd", "mse", None, 3, "no"):
            found = outcome(lambda m=module, n=name: [type(m.get(n)).__name__])
            # More names are known once other tests have registered classes.
            lines.append(
                f"{module.__name__} {name}: {found.partition('. ')[0].partition(' such as')[0]}"
            )
    check_text(__file__, "families.txt", "\n".join(lines))
