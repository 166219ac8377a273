"""Every public name has a docstring, and every argument is described.

An argument of a class stands in the ``Args:`` (or ``Attributes:``) of the class or of a base class,
that of a function in its own. That of a method may also stand in a literal of the method's text or
of the class's, such as ``dy`` in a formula; a word of a sentence does not count. Where a docstring
refers to an object (``see :class:`Optimizer```), what stands there counts as well.
"""

import functools
import inspect
import re

import netlayers as nl
import netlayers.trace
from tests.api import signatures

ENTRY = re.compile(r"^    \*{0,2}(\w+(?:, \w+)*):(?: |$)", re.MULTILINE)
SECTION = re.compile(r"^(?:Args|Attributes):\n((?:    .*\n|\n)+)", re.MULTILINE)
LITERAL = re.compile(r"``(.+?)``", re.DOTALL)
LINK = re.compile(r":(?:class|func|meth):`~?(?:netlayers\.)?([\w.]+)`")
PLACES = (nl, nl.layers, nl.losses, nl.metrics, nl.optimizers, nl.models, nl.saving)


def of_package(cls):
    return [c for c in cls.__mro__ if c.__module__.startswith("netlayers")]


def text(value):
    return inspect.getdoc(value) or ""


def referred(doc, module):
    """Return the docstrings of the objects that a docstring refers to."""
    found = []
    for name in LINK.findall(doc):
        for place in (module, *PLACES):
            value = functools.reduce(
                lambda its, part: getattr(its, part, None), name.split("."), place
            )
            if value is not None:
                found.append(text(value))
                break
    return found


def plain(function):
    return function.__func__ if isinstance(function, (staticmethod, classmethod)) else function


def public_objects():
    """Yield each public object and method: name, object, docstrings that describe it."""
    seen = set()
    for module in signatures.modules():
        for name in signatures.names(module):
            value = getattr(module, name)
            if id(value) in seen or inspect.ismodule(value):
                continue
            seen.add(id(value))
            classes = of_package(value) if inspect.isclass(value) else []
            docs = [text(c) for c in classes] or [text(value)]
            if callable(value):
                yield f"{module.__name__}.{name}", value, module, docs
            for member, function in vars(value).items() if classes else ():
                if not member.startswith("_") and inspect.isfunction(plain(function)):
                    own = [text(plain(vars(c)[member])) for c in classes if member in vars(c)]
                    name_there = f"{module.__name__}.{name}.{member}"
                    yield name_there, plain(function), module, own if any(own) else [], docs


def undescribed(function, module, docs, around=None):
    """Return the arguments that no docstring describes; ``around``: those of a method's classes."""
    is_method, around = around is not None, around or ()
    docs = [*docs, *(its for doc in docs for its in referred(doc, module))]
    known = {
        name
        for doc in (*docs, *around)
        for section in SECTION.findall(doc + "\n")
        for entry in ENTRY.findall(section)
        for name in entry.split(", ")
    }
    if is_method:
        literals = LITERAL.findall("\n".join([*docs, *around]))
        known |= set(re.findall(r"\w+", " ".join(literals)))
    if isinstance(function, nl.activations.ActivationFunction):
        return []  # the arguments are those of its layer
    try:
        given = inspect.signature(function).parameters.values()
    except ValueError:  # of a class that is built in
        return []
    left_out = {"self", "cls", "args"}
    return [p.name for p in given if p.name not in known and p.name not in left_out]


def test_every_public_name_has_a_docstring():
    assert [name for name, _, _, docs, *_ in public_objects() if not any(docs)] == []


def test_every_argument_is_described():
    missing = {}
    for name, function, module, docs, *around in public_objects():
        if names := undescribed(function, module, docs, *around):
            missing[name] = names
    assert missing == {}


def test_an_argument_that_nobody_describes_is_found():
    def run(x, speed, *, name=None):
        """Run as :func:`use_kernels` does, with ``x`` at a speed."""

    class Own(nl.layers.Layer):
        """A layer.

        Args:
            units: number of outputs.
        """

        def __init__(self, units, rate, **kwargs):
            super().__init__(**kwargs)

    assert undescribed(run, nl, [text(run)]) == ["x", "speed"]
    assert undescribed(run, nl, [text(run)], []) == ["speed"]
    docs = [text(c) for c in Own.__mro__]
    assert undescribed(Own, nl, docs) == ["rate"]


FORMULA = re.compile(r"``[^`]*(?:\w\]? = |Σ|√|\) / )[^`]*``")
# What a name means, which nobody has to be asked for, and frames for the formulas of others.
DEFINITIONS = {
    "Activation", "Add", "Average", "CategoryEncoding", "Concatenate", "Discretization",
    "ElementwiseLoss", "Exponential", "GetItem", "Identity", "Lambda", "Linear", "Maximum", "Mean",
    "Minimum", "Multiply", "OutputLosses", "Parallel", "Rescaling", "Subtract", "Sum",
    "TimeDistributed",
}  # fmt: skip


def test_every_formula_has_a_source():
    families = (nl.layers, nl.losses, nl.metrics, nl.optimizers, nl.optimizers.schedules)
    families += (nl.initializers, nl.constraints, nl.regularizers)
    without = set()
    for module in families:
        for name in module.__all__:
            value = getattr(module, name)
            doc = text(value).partition("Example:")[0]
            told = "\n".join([text(value), *referred(doc, module)])
            if inspect.isclass(value) and FORMULA.search(doc) and "Source:" not in told:
                without.add(name)
    assert without == DEFINITIONS
