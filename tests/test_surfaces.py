"""What properties and methods without arguments give, before and after an object is used, by class.

A new class is written down with ``NETLAYERS_REWRITE=1``; until then it is left out.
"""

import contextlib
import copy
import inspect
import io
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import NetlayersError
from netlayers.registry import snake_case
from netlayers.testing.families import _example
from netlayers.testing.targets import draw
from netlayers.testing.values import built, gradient_like, inputs
from tests.classes import KINDS, concrete
from tests.golden import same
from tests.snapshots import numpy_kernels, shown  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore")
GOLDEN = Path(__file__).parent / "golden"
FAMILIES = (
    "layer", "loss", "metric", "optimizer", "schedule", "initializer", "regularizer", "constraint",
)  # fmt: skip
# Of the base classes, what subclasses override or what depends on their flags.
OF_BASES = (
    "count_params", "denominator", "get_config", "get_state", "hyperparameters", "input_spec",
    "non_trainable_weights", "result", "states", "trainable_weights",
)  # fmt: skip
OTHER_EACH_RUN = ("__", "_rng", "rng", "_lock", "seed_generator", "dtype_policy")


def text(value, depth=2):
    """Return a value as text that is the same in each run."""
    if isinstance(value, (np.ndarray, np.generic)):
        return shown(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (tuple, list)):
        return (
            f"{type(value).__name__}({', '.join(text(v, depth - 1) for v in value)})"
            if depth
            else "..."
        )
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{k}: {text(v, depth - 1)}" for k, v in value.items()) + "}"
            if depth
            else "{}"
        )
    if isinstance(value, (bool, int, str, type(None))):
        return repr(value)
    if isinstance(value, (set, frozenset)):
        return repr(sorted(map(str, value)))
    if type(value).__name__ == "InputSpec":
        return repr(value)
    return type(value).__name__


def attempt(function):
    """Return what a call gives, prints or raises."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), np.errstate(all="ignore"):
        try:
            said = text(function())
        except NetlayersError as error:
            said = f"{type(error).__name__}: {error}".partition(" Known names: ")[0]
        except Exception as error:
            said = type(error).__name__
    said = f"{said} printed {printed.getvalue()[:80]}" if printed.getvalue() else said
    return re.sub(r" at 0x[0-9a-f]+", "", " ".join(said.split()))[:160]


def surface(thing, base):
    """Yield (name, text) for the properties of an object, and its methods without arguments."""
    for name in sorted(dir(type(thing))):
        owner = next(c for c in type(thing).__mro__ if name in vars(c))
        its = vars(owner)[name]
        if name.startswith(OTHER_EACH_RUN) or not owner.__module__.startswith("netlayers."):
            continue
        if issubclass(base, owner) and name not in OF_BASES:
            continue
        if isinstance(its, property):
            yield name, attempt(lambda n=name: getattr(thing, n))
        elif inspect.isfunction(its) and len(inspect.signature(its).parameters) == 1:
            yield f"{name}()", attempt(lambda n=name: getattr(copy.deepcopy(thing), n)())


def named(stage, pairs):
    return ((f"{stage} {name}", its) for name, its in pairs)


def by_stage(*stages):
    """Yield (name, texts), those that are the same as in the stage before as a sign alone."""
    texts = {}
    for stage in stages:
        for name, its in stage:
            texts.setdefault(name, []).append(its)
    for name, its in texts.items():
        signs = [b if a != b else "same" for a, b in zip(["", *its], its, strict=False)]
        yield name, " | ".join(signs)


def odd(x):
    """Yield (name, input) for one that has to be converted."""
    if isinstance(x, np.ndarray):
        yield "list", x.tolist()
        yield "Fortran", np.asfortranarray(x)
        yield "one", x[0]
        yield "none", x[:0]
        if x.dtype.kind not in "fiu":
            return
        yield "float32", x.astype("float32")
        yield "integers", np.rint(x).astype("int16")
        yield "NaN", np.where(np.arange(x.size).reshape(x.shape) == 1, np.nan, x)
    else:
        yield "list", list(x)
        yield "lists", [a.tolist() for a in x]
        yield "one more", (*x, x[0])
        yield "rows", (x[0][:1], *x[1:])
        yield "first", x[0]


def of_layer(example):
    layer = built(example)
    new, ready = (list(surface(its, nl.layers.Layer)) for its in (example.make(name="it"), layer))
    x = inputs(layer, example.data[0])
    for name, its in odd(x):
        yield f"call on {name}", attempt(lambda v=its: layer(v, training=False))
    first = x[0] if isinstance(x, tuple) else x
    rows, columns = (*first.shape, 1)[:2]
    steps = np.arange(rows * columns).reshape(rows, columns) % 3 > 0
    for given in (None, steps, ~steps, steps[:, :1]):
        masks = (given,) * len(x) if isinstance(x, tuple) else given
        yield f"mask of {text(given)}", attempt(lambda m=masks: layer.compute_mask(x, m))
        yield f"masked by {text(given)}", attempt(lambda m=masks: layer(x, training=False, mask=m))
    y = layer.forward(x, training=True)
    layer.backward(gradient_like(y))
    yield from by_stage(new, ready, surface(layer, nl.layers.Layer))


def on_data(example, thing, call):
    """Yield (name, text) for targets and weights of other shapes, forms and values."""
    for shape in ((5, 3), (4, 3, 3)):
        t, p = draw(example, thing, shape, "float32")
        w = np.linspace(0, 1, len(t))
        given = {"lists": (t.tolist(), p.tolist()), "weighted": (t, p, w), "plain": (t, p)}
        for i, other in enumerate((t[:-1], t[..., :1], t * np.nan, t + 100, t[:0])):
            given[f"targets {i}"] = other, p
        for i, other in enumerate((w[:-1], -w, 0 * w, w[:, None], np.ones(t.shape))):
            given[f"weights {i}"] = t, p, other
        yield from ((f"{n} {shape}", attempt(lambda a=its: call(*a))) for n, its in given.items())


def of_loss(example):
    loss = example.make()
    new = list(surface(loss, nl.losses.Loss))
    yield from on_data(example, loss, loss.forward)
    yield from named("dL/dy", on_data(example, loss, lambda *a: (loss(*a), loss.backward())))
    yield from by_stage(new, surface(loss, nl.losses.Loss))


def of_metric(example):
    metric = example.make()
    new = list(surface(metric, nl.metrics.Metric))
    if None not in example.data:
        yield from on_data(example, metric, metric)
    else:
        for values in ([1, 2.5], 3, [], [np.nan], "x", [[1, 2], [3, 4]], [True, False]):
            yield f"values {values}", attempt(lambda v=values: metric(v))
            yield f"weighted {values}", attempt(lambda v=values: metric(v, [0.5, 2]))
    yield from by_stage(new, surface(metric, nl.metrics.Metric))


def of_optimizer(example):
    new = list(surface(example.make(), nl.optimizers.Optimizer))
    model = nl.Sequential([nl.layers.Dense(3, "tanh"), nl.layers.Dense(1)], seed=0)
    model.compile(example.make(), "mse")
    x = np.sin(np.arange(24.0)).reshape(8, 3)
    yield "losses", attempt(lambda: [model.train_on_batch(x, x[:, :1]) for _ in range(3)])
    yield from by_stage(new, surface(model.optimizer, nl.optimizers.Optimizer))


def of_function(example):
    thing = example.make()
    yield from named("new", surface(thing, KINDS[_kind(example.cls)][0]))
    w = np.sin(np.arange(1.0, 13.0)).reshape(4, 3)
    values = [
        w,
        w.astype("float32"),
        w.tolist(),
        np.arange(-3, 3).reshape(3, 2),
        w[0],
        w[:1],
        w[:0],
    ]
    values += [2.0, 7, (3, 2), (2,), (2, 2, 3), w * np.nan, w.reshape(2, 2, 3)]
    for value in values:
        what = f"{type(value).__name__}{np.shape(value)}"
        yield f"call {what}", attempt(lambda v=value: _called(thing, v))


def _called(thing, value):
    if isinstance(thing, nl.initializers.Initializer) and hasattr(thing, "seed"):
        thing.seed = 3
    return thing(value)


def _kind(cls):
    return next(kind for kind in FAMILIES if issubclass(cls, KINDS[kind][0]))


USES = {"layer": of_layer, "loss": of_loss, "metric": of_metric, "optimizer": of_optimizer}


def table(kind, classes):
    """Return {"Class number what": text}."""
    found = {}
    for cls in classes:
        examples = cls.examples()
        for number in sorted({0, len(examples) - 1}):
            example = _example(kind, cls, examples[number])
            for name, its in USES.get(kind, of_function)(example):
                found[f"{cls.__name__} {number} {name}"] = its
    return found


def named_like(text, thing):
    """Return a text with ``<class>`` and ``<name>`` for those of its class."""
    cls = thing.partition(" ")[0]
    words = {cls: "<class>", snake_case(cls): "<name>"}
    return re.sub(rf"\b({'|'.join(words)})\b", lambda found: words[found[0]], text)


def packed(found):
    """Return lines: first what most classes have in common, then what is different in each.

    A text that a class has twice is written once.
    """
    texts, things = {}, {}
    for name, its in found.items():
        thing, what = re.fullmatch(r"(\w+ \d+) (.*)", name).groups()
        texts.setdefault(what, Counter())[named_like(its, thing)] += 1
        things.setdefault(thing, {})[what] = named_like(its, thing)
    counts = {what: its.most_common(1)[0] for what, its in sorted(texts.items())}
    common = {what: text for what, (text, count) in counts.items() if count > 2}
    lines = [f"{what} = {text}" for what, text in common.items()]
    for thing, its in sorted(things.items()):
        lines.append(f"# {thing}")
        known = {}
        for what, text in sorted(its.items()):
            if common.get(what) != text:
                first = known.setdefault(text, what)
                again = first != what and len(first) < len(text)
                lines.append(f"{what} = {f'as {first}' if again else text}")
    return lines


def unpacked(lines):
    """Return what is common, and {"Class number": what it has of its own}."""
    common, things = {}, {}
    into = common
    for line in lines:
        if line.startswith("# "):
            into = things[line[2:]] = {}
        else:
            what, its = line.split(" = ", 1)
            into[what] = into.get(its.removeprefix("as "), its) if its.startswith("as ") else its
    return common, things


@pytest.mark.parametrize("kind", FAMILIES)
def test_surfaces_are_those_written_down(kind):
    path, now = GOLDEN / f"surfaces-{kind}.txt", table(kind, concrete(kind))
    if os.environ.get("NETLAYERS_REWRITE"):
        path.write_text("\n".join(packed(now)) + "\n", encoding="utf-8")
    common, things = unpacked(path.read_text(encoding="utf-8").splitlines())
    changed, seen = [], 0
    for name, its in now.items():
        thing, what = re.fullmatch(r"(\w+ \d+) (.*)", name).groups()
        own = things.get(thing, {})
        written = own.get(what, common.get(what) if thing in things else None)
        seen += what in own
        if written is not None and not same(written, named_like(its, thing)):
            changed.append(f"{name}\n  was {written}\n  now {its}")
    every = sum(map(len, things.values()))
    if changed or every - seen > 0.1 * every:
        pytest.fail(f"{every - seen} are gone\n" + "\n".join(changed), pytrace=False)
