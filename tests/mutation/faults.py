"""Plants faults in every ``backward`` of layers, activations and losses: does the check see them?

``python tests/mutation/faults.py [words]`` plants all (of classes whose name holds a word), prints
what became of them, and writes ``RESULTS.md`` beside this file when nothing is left out.
"""

import ast
import collections
import copy
import inspect
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np

import netlayers as nl
from netlayers.gradient_check.gradients import _function
from netlayers.kernels import moments
from netlayers.kernels.reference import Kernels

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))  # where this file is run as a script
from netlayers.testing.contract import Example  # noqa: E402
from netlayers.testing.losses import SHAPES  # noqa: E402
from netlayers.testing.targets import draw  # noqa: E402
from netlayers.testing.values import built, inputs, normal  # noqa: E402
from tests.classes import concrete  # noqa: E402

BACKWARD = ("backward", "_backward_logits", "_backward_probabilities")
HELPERS = {"_split", "_distance_term", "_backward", "_unclipped", "_broadcastable"}
SWAPPED = {
    "add": "subtract",
    "subtract": "add",
    "multiply": "divide",
    "divide": "multiply",
    "greater": "less",
    "less": "greater",
    "minimum": "maximum",
    "maximum": "minimum",
    "greater_equal": "less_equal",
    "negative": "positive",
    "not_equal": "equal",
    "equal": "not_equal",
    "exp": "positive",
    "sign": "positive",
    "tanh": "positive",
    "logical_and": "logical_or",
    "logical_not": "logical_and",
    "sqrt": "positive",
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Gt: ast.Lt,
    ast.Lt: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


def faults(tree):
    """Yield (kind, line, mutated tree); each has one fault."""
    nodes = list(ast.walk(tree))
    for place, node in enumerate(nodes):
        for kind, change in changes(node):
            mutant = copy.deepcopy(tree)
            twin = list(ast.walk(mutant))[place]
            change(twin)
            yield kind, getattr(node, "lineno", 0), ast.fix_missing_locations(mutant)


def changes(node):
    """Yield (kind, function that plants the fault in a copy of the node)."""
    operator = getattr(node, "op", None)
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(operator) in OPERATORS:
        new = OPERATORS[type(operator)]
        yield "operator", lambda n: setattr(n, "op", new())
    if isinstance(node, ast.UnaryOp) and isinstance(operator, ast.USub):
        yield "sign", lambda n: setattr(n, "op", ast.UAdd())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        new = OPERATORS[type(node.ops[0])]
        yield "comparison", lambda n: setattr(n, "ops", [new(), *n.ops[1:]])
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield "constant + 1", lambda n: setattr(n, "value", n.value + 1)
        if node.value:
            yield "factor 1.01", lambda n: setattr(n, "value", n.value * 1.01)
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transpose", lambda n: n.__dict__.update(attr="view", ctx=ast.Load())
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in SWAPPED:
            new = SWAPPED[node.func.attr]
            yield "function", lambda n: setattr(n.func, "attr", new)
        if node.func.attr in ("multiply", "divide", "add", "subtract") and len(node.args) == 2:
            neutral = 1 if node.func.attr in ("multiply", "divide") else 0
            yield "term or mask dropped", lambda n: n.args.__setitem__(1, ast.Constant(neutral))
    for field in ("body", "orelse"):
        for i, child in enumerate(getattr(node, field, []) if isinstance(node, ast.stmt) else []):
            call = isinstance(child, ast.Expr) and isinstance(child.value, ast.Call)
            store = isinstance(child, ast.Assign) and isinstance(child.targets[0], ast.Subscript)
            if call or store or isinstance(child, ast.AugAssign):
                yield (
                    "statement dropped",
                    lambda n, f=field, i=i: getattr(n, f).__setitem__(i, ast.Pass()),
                )


def uses():
    """Return {(owner, function name): classes that it is the backward of}."""
    found = collections.defaultdict(list)
    for kind in ("layer", "loss"):
        for cls in concrete(kind):
            for name in dir(cls):
                if not (name.startswith(BACKWARD) or name in HELPERS):
                    continue
                owner = next(c for c in cls.__mro__ if name in vars(c))
                if inspect.isfunction(vars(owner)[name]) and owner.__module__.startswith(
                    ("netlayers.layers", "netlayers.activations", "netlayers.losses")
                ):
                    found[owner, name].append(cls)
    for name in ("BatchNormalization", "LayerNormalization", "GroupNormalization"):
        cls = getattr(nl.layers, name)
        found[moments, "standardize_backward"].append(cls)
    for name, cls in {
        "sigmoid_gradient": nl.activations.Sigmoid,
        "tanh_gradient": nl.activations.Tanh,
        "relu_gradient": nl.activations.ReLU,
        "batch_gradient": nl.layers.BatchNormalization,
        "column_sums": nl.layers.BatchNormalization,
        "scale": nl.losses.MeanSquaredError,
        "scaled_difference": nl.losses.BinaryCrossentropy,
        "crossentropy_gradient": nl.losses.CategoricalCrossentropy,
        "sparse_crossentropy_gradient": nl.losses.SparseCategoricalCrossentropy,
    }.items():
        found[Kernels, name].append(cls)
    return found


def cases(cls, seed=0):
    """Yield the arguments of check_gradients for a class's examples."""
    if issubclass(cls, nl.losses.Loss):
        for kwargs, *data in cls.examples():
            example = Example(cls, kwargs, tuple(data))
            for shape in SHAPES[1:]:
                y_true, y_pred = draw(example, example.make(), shape, "float64")
                for weight in (None, np.arange(1.0, shape[0] + 1)):
                    yield example.make(), y_pred, y_true, weight
                if data[1] == "shares" and cls is not nl.losses.SplitLoss:
                    clipped = y_pred.copy()  # beyond what losses clip shares to
                    clipped.flat[::5] = 1.5 if "Focal" not in cls.__name__ else 1 - 1e-9
                    yield example.make(), clipped, y_true, None
        return
    if cls is nl.Sequential:  # the last activation and the loss in one, as in training
        model = nl.Sequential(
            [nl.layers.Dense(4, "tanh"), nl.layers.Dense(3, "softmax")], seed=seed
        )
        model.compile("sgd", "sparse_categorical_crossentropy")
        yield model, normal((5, 4), seed=seed), np.array([0, 1, 2, 1, 0]), None
    for kwargs, shape in cls.examples():
        layer = built(Example(cls, kwargs, (shape,)), seed=seed)
        x = inputs(layer, shape, seed=seed + 1)
        for scale in (1, 4):  # the larger numbers reach where functions are cut off
            yield layer, _scaled(x, scale), None, None


def _scaled(x, scale):
    """Return inputs times a number; indices stay as they are."""
    if isinstance(x, tuple):
        return tuple(_scaled(a, scale) for a in x)
    return scale * x if x.dtype.kind == "f" else x


def caught(classes):
    """Whether the check fails on an example, or the faulty code raises."""
    for cls in classes:
        for thing, x, y, weight in cases(cls):
            try:
                report = nl.check_gradients(thing, x, y, sample_weight=weight)
            except Exception:
                return True
            if not report.passed:
                return True
    return False


def gradients(classes, seeds=(0, 3, 5)):
    """Return all gradients of the examples and of other random numbers."""
    got = []
    for cls in classes:
        for seed in seeds:
            for thing, x, y, weight in cases(cls, seed):
                rng = np.random.default_rng(seed)
                function = _function(thing, copy.deepcopy(x), y, None, weight, 0, rng)
                function.value()
                got += function.gradients()
    return got


def plant(owner, name, tree):
    """Put the mutated function in the place of the old; return what undoes it."""
    before = vars(owner)[name]
    old = getattr(before, "__func__", before)
    space = {**old.__globals__, "_cls": owner}
    exec(compile(tree, "<mutant>", "exec"), space)
    if owner is moments:  # other modules hold the function itself
        code = old.__code__
        old.__code__ = space[name].__code__
        return lambda: setattr(old, "__code__", code)
    setattr(owner, name, space[name] if before is old else staticmethod(space[name]))
    return lambda: setattr(owner, name, before)


def parsed(owner, name):
    """Return the syntax tree of a function, its docstring and annotations left out."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(vars(owner)[name])))
    function = tree.body[0]
    function.decorator_list = []
    function.returns = None
    for argument in function.args.args:
        argument.annotation = None
    if ast.get_docstring(function):
        function.body = function.body[1:] or [ast.Pass()]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "super":
            node.args = [ast.Name("_cls", ast.Load()), ast.Name("self", ast.Load())]
    return ast.fix_missing_locations(tree)


def run(words=(), every=1):
    """Plant the faults; return rows (owner, function, line, kind, outcome, text)."""
    rows, number = [], 0
    for (owner, name), classes in uses().items():
        title = owner.__name__.rpartition(".")[2]
        if words and not any(word.lower() in title.lower() for word in words):
            continue
        good = None
        for kind, line, tree in faults(parsed(owner, name)):
            number += 1
            if number % every:
                continue
            undo = plant(owner, name, tree)
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    outcome = "caught" if caught(classes) else "survived"
                    if outcome == "survived":
                        faulty = gradients(classes)
            finally:
                undo()
            if outcome == "survived":
                good = gradients(classes) if good is None else good
                if all(
                    a.shape == b.shape and np.allclose(a, b, rtol=1e-12, atol=1e-14)
                    for a, b in zip(good, faulty, strict=True)
                ):
                    outcome = "equivalent"
            rows.append((title, name, line, kind, outcome))
    return rows


def table(rows, column):
    """Return a Markdown table of the outcomes by a column."""
    names = sorted({row[column] for row in rows})
    lines = ["| | faults | caught | equivalent | survived |", "| --- | --: | --: | --: | --: |"]
    for name in [*names, None]:
        here = [row for row in rows if name in (None, row[column])]
        counts = [sum(r[4] == o for r in here) for o in ("caught", "equivalent", "survived")]
        lines.append(f"| {name or 'all'} | {len(here)} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def main(words):
    """Print, and write down."""
    rows = run(words)
    odd = [f"- {r[4]}: `{r[0]}.{r[1]}`, line {r[2]}, {r[3]}" for r in rows if r[4] != "caught"]
    text = "\n\n".join(
        [
            "# Faults planted in every backward",
            "Written by `python tests/mutation/faults.py`. Equivalent: all gradients are equal to "
            "1e-12 on the examples and on other random numbers; the fault changes no value there. "
            "That includes code that a check does not run: `input_gradient=False`, which training "
            "alone uses.",
            *(["## By kind", table(rows, 3), "## By class", table(rows, 0)] if rows else []),
            "## Not caught (line within the function)",
            "\n".join(odd),
        ]
    )
    if not words:
        (HERE / "RESULTS.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
