"""Compares netlayers with the names of Keras, and makes the tables of ``docs/keras_names.md``.

What they say of arguments and defaults is computed from ``keras_facts.txt`` and the code; what to
use instead of something that is missing stands in ``keras_notes.py``.
"""

import ast
import importlib.util
import inspect
import operator
import re
from pathlib import Path

import netlayers as nl
from netlayers.registry import EXECUTION_ARGUMENTS, _all_arguments
from tests.api.keras_facts import read
from tests.api.keras_notes import ARGUMENTS, INSTEAD

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "keras_names.md"
FREE = object()  # the default of an argument that has none
NAMES = ("name", "dtype", "trainable", "autocast")  # of every layer; nobody passes them by position


def built():
    """Return a model that has all its attributes."""
    model = nl.Sequential([nl.layers.Input((2,)), nl.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


MODEL = built()
OBJECTS = {  # the objects whose methods are compared
    "Model": MODEL,
    "Sequential": MODEL,
    "Layer": MODEL.layers[0],
    "Loss": nl.losses.MeanSquaredError(),
    "Metric": nl.metrics.Mean(),
    "Optimizer": MODEL.optimizer,
    "Callback": nl.callbacks.Callback(),
}


def theirs(signature):
    """Return ``{argument: default}`` of a signature of Keras, and those taken by position."""
    found = ast.parse(f"def f{signature or '()'}: pass").body[0].args
    positional = [a.arg for a in found.args]
    defaults = [FREE] * (len(positional) - len(found.defaults))
    defaults += [ast.literal_eval(d) for d in found.defaults]
    arguments = dict(zip(positional, defaults, strict=True))
    for argument, default in zip(found.kwonlyargs, found.kw_defaults, strict=True):
        arguments[argument.arg] = FREE if default is None else ast.literal_eval(default)
    return arguments, positional


def ours(value):
    """Return the same of a class or function of netlayers."""
    if isinstance(value, nl.activations.ActivationFunction):
        order = ["x", *value._order]
        arguments = {"x": FREE, **_all_arguments(value._layer), **value._defaults}
        arguments = {name: arguments[name] for name in order}
        return {n: FREE if d is inspect.Parameter.empty else d for n, d in arguments.items()}, order
    parameters = inspect.signature(value).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    arguments = {p.name: p.default for p in parameters if p.kind not in (2, 4)}
    if inspect.isclass(value) or hasattr(value, "metric"):  # or a metric as a function
        arguments |= _all_arguments(getattr(value, "metric", value))
    arguments = {n: FREE if d is inspect.Parameter.empty else d for n, d in arguments.items()}
    return arguments, [n for n in positional if n != "self"]


def same(a, b):
    """Whether two defaults mean the same: 1 and (1, 1), "zeros" and "Zeros"."""
    if a is FREE or b is FREE:
        return a is b
    if isinstance(a, tuple) != isinstance(b, tuple):
        (several, one) = (a, b) if isinstance(a, tuple) else (b, a)
        return all(same(v, one) for v in several)
    if isinstance(a, str) and isinstance(b, str):
        return a.lower() == b.lower()
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def difference(signature, value):
    """Return how the arguments differ, as the text of a cell; empty if they do not."""
    if not signature or not callable(value):
        return ""
    (keras, order), (own, positions) = theirs(signature), ours(value)
    parts = []
    renamed = {} if inspect.isclass(value) else dict(zip(order, positions, strict=False))
    renamed = {a: b for a, b in renamed.items() if a not in own and b not in keras}
    others = {**EXECUTION_ARGUMENTS, **renamed}
    lacking = [n for n in keras if n not in own and n not in others]
    if lacking:
        parts.append("no " + words(lacking))
    parts += [f"`{a}` is called `{b}`" for a, b in renamed.items()]
    for name in keras:
        if name in own and name != "name" and not same(keras[name], own[name]):
            parts.append(f"`{name}`: default {shown(own[name])}, in Keras {shown(keras[name])}")
    order = [n for n in order if n in own and n not in NAMES]
    positions = [n for n in positions if n in order]
    if order[: len(positions)] != positions:
        first = next(a for a, b in zip(order, positions, strict=False) if a != b)
        parts.append(f"from `{first}` on in another order: pass them by name")
    elif len(order) - len(positions) > 3:
        parts.append(f"from `{order[len(positions)]}` on by name only")
    elif len(order) > len(positions):
        parts.append(f"by name only: {words(order[len(positions) :])}")
    return "; ".join(parts)


def shown(default):
    return "none" if default is FREE else f"`{default!r}`"


def words(names):
    return ", ".join(f"`{n}`" for n in names)


def find(section, name):
    """Return what has this name in netlayers, or ``FREE``."""
    if section.startswith("methods of "):
        return getattr(OBJECTS[section.removeprefix("methods of ")], name, FREE)
    if section in {"modules", "datasets"}:  # some are loaded only when they are asked for
        path = f"netlayers.{name}" if section == "modules" else f"netlayers.datasets.{name}"
        return path if importlib.util.find_spec(path) else FREE
    return getattr(operator.attrgetter(section)(nl), name, FREE)


def compare(section, names):
    """Return the names of a section that are the same, the others by difference, those missing."""
    alike, differing, missing = [], {}, []
    for name, signature in names.items():
        value = find(section, name)
        if value is FREE:
            missing.append(name)
            continue
        if signature.startswith("="):
            signature = names[signature[2:]]
        text = difference(signature, value)
        if text:
            differing.setdefault(text, []).append(name)
        else:
            alike.append(name)
    return alike, differing, missing


def notes_of(section):
    """Return ``{name: what to use instead}``."""
    notes = INSTEAD.get(section, {})
    return {name: text for names, text in notes.items() for name in names.split()}


def in_behaviour():
    """Return the names, some with a module, that ``docs/keras.md`` says behave otherwise."""
    text = (DOCS / "keras.md").read_text(encoding="utf-8")
    text = text.partition("## What differs on purpose")[2].partition("## Layers of your own")[0]
    first = "".join(line.split(" | ")[0] for line in text.splitlines() if line.startswith("| "))
    codes = re.findall(r"`([^`]+)`", first)
    names = {re.match(r"[\w.]*", code).group() for code in codes}
    return names | {name for code in codes for name in re.findall(r"\b[A-Z]\w+", code)}


INTRODUCTION = """\
# Every name of Keras

What netlayers has of the public names of Keras {version}, argument by argument. A test compares
these tables with the code. [Coming from Keras](keras.md) says how to begin, and what behaves
otherwise.

- *Same*: the name takes the arguments of Keras in Keras's order, with its defaults. Those that only
  choose how something is executed ({execution})
  are accepted where Keras has them, without effect.
- *Behaves otherwise*: the arguments are the same; see [what
  differs](keras.md#what-differs-on-purpose).
- `activity_regularizer`, `sparse` of layers, `ragged`, `renorm` and `synchronized` are
  taken with Keras's default alone; another value is an error that says what to use.
- `name`, `dtype` and `trainable` are passed by name.
- netlayers has [more](features.md) than is listed here.

| | same | other arguments | missing |
| --- | ---: | ---: | ---: |
"""


def page():
    """Return the text of the page."""
    facts = read()
    version = next(iter(facts)).removeprefix("version ")
    execution = words(sorted(EXECUTION_ARGUMENTS))
    text = INTRODUCTION.format(version=version, execution=execution)
    found = {s: compare(s, names) for s, names in facts.items() if names}
    other, rest = in_behaviour(), ""
    for section, (alike, differing, missing) in found.items():
        anchor = section.lower().replace(".", "").replace(" ", "-")
        counts = [len(alike), sum(map(len, differing.values())), len(missing)]
        text += f"| [{section}](#{anchor}) | {' | '.join(map(str, counts))} |\n"
        rest += f"\n## {section}\n"
        behaving = [n for n in alike if section != "modules" and {n, f"{section}.{n}"} & other]
        plain = [n for n in alike if n not in behaving]
        if plain:
            rest += f"\n*Same*: {words(plain)}.\n"
        if behaving:
            rest += f"\n*Behaves otherwise*: {words(behaving)}.\n"
        if differing:
            rest += "\n| other arguments | here |\n| --- | --- |\n"
            rest += "".join(f"| {words(n)} | {how} |\n" for how, n in differing.items())
        if missing:
            notes, grouped = notes_of(section), {}
            for name in missing:
                grouped.setdefault(notes.get(name, "?"), []).append(name)
            rest += "\n| missing | instead |\n| --- | --- |\n"
            rest += "".join(f"| {words(n)} | {instead} |\n" for instead, n in grouped.items())
    rest += "\n## Arguments that are missing\n\n| argument | instead |\n| --- | --- |\n"
    rest += "".join(f"| {words(names.split())} | {text} |\n" for names, text in ARGUMENTS.items())
    return text + rest


def lacking_arguments():
    """Return the arguments of Keras that something here does not have."""
    cells = (how for section, names in read().items() for how in compare(section, names)[1])
    parts = {part for how in cells for part in how.split("; ") if part.startswith("no ")}
    return {name for part in parts for name in re.findall(r"`(\w+)`", part)}
