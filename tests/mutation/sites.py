"""Where a small fault can be planted in a source file, and what it looks like there."""

import ast
import copy
from dataclasses import dataclass

COMPARISONS = {
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
SWAPPED = {
    "all": "any",
    "any": "all",
    "argmax": "argmin",
    "argmin": "argmax",
    "ceil": "floor",
    "floor": "ceil",
    "isfinite": "isnan",
    "isnan": "isinf",
    "logical_and": "logical_or",
    "logical_or": "logical_and",
    "max": "min",
    "maximum": "minimum",
    "mean": "sum",
    "min": "max",
    "minimum": "maximum",
    "ones": "zeros",
    "ones_like": "zeros_like",
    "sorted": "list",
    "sum": "max",
    "zeros": "ones",
    "zeros_like": "ones_like",
}
# The order of their arguments does not matter.
SYMMETRIC = ("add", "equal", "isinstance", "max", "maximum", "min", "minimum", "multiply", "zip")
# Planted by tests/mutation/faults.py; and what the contracts take as data for their tests.
LEFT_OUT = ("backward", "_backward", "examples")
PARENTHESES = (ast.BinOp, ast.BoolOp, ast.Compare, ast.UnaryOp, ast.IfExp)


@dataclass(frozen=True)
class Fault:
    """One small change of one file; ``function`` is the qualified name, or "" at module level."""

    path: str
    function: str
    line: int
    kind: str
    old: str
    new: str
    span: tuple[int, int]  # bytes of the source that are replaced

    def planted(self, source):
        """Return the source with the fault in it."""
        data = source.encode()
        return (data[: self.span[0]] + self.new.encode() + data[self.span[1] :]).decode()

    def compiles(self, source):
        """Whether the source with the fault in it is Python."""
        try:
            compile(self.planted(source), self.path, "exec")
        except SyntaxError:
            return False
        return True

    @property
    def key(self):
        """What tells a fault from others and stays when its file moves."""
        return f"{self.function or '(module)'} | {self.old} | {self.new}"


def faults(source, path=""):
    """Return the faults that can be planted in ``source``; a few do not compile."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found, data = [], source.encode()
    for function, node, kind, new in _walk(ast.parse(source), []):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        old = " ".join(data[start:end].decode().split())
        found.append(Fault(path, function, node.lineno, kind, old, new, (start, end)))
    return found


def _walk(node, names):
    """Yield (function, node to replace, kind, new text), depth first."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        if node.name.startswith(LEFT_OUT):
            return
        names = [*names, node.name]
    if isinstance(node, (ast.JoinedStr, ast.AnnAssign)):  # texts; annotations of attributes
        node = node.value if isinstance(node, ast.AnnAssign) else None
        if node is None:
            return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    for kind, target, new in _options(node):
        yield ".".join(names), target, kind, new
    called = getattr(getattr(node, "func", None), "id", None)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.keyword) and _says_nothing(called, child):
                continue
            if isinstance(child, ast.AST):
                yield from _walk(child, names)


def _text(node, **fields):
    """Return the source of a copy of ``node`` with other fields."""
    twin = copy.copy(node)
    for name, value in fields.items():
        setattr(twin, name, value)
    text = ast.unparse(twin)
    return f"({text})" if isinstance(twin, PARENTHESES) else text


def _options(node):
    """Yield (kind, node to replace, new text) for one node, its children left as they are."""
    if isinstance(node, ast.Compare):
        for new in COMPARISONS[type(node.ops[0])]:
            yield "comparison", node, _text(node, ops=[new(), *node.ops[1:]])
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in OPERATORS:
        yield "operator", node, _text(node, op=OPERATORS[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        new = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        yield "and / or", node, _text(node, op=new)
        for i in range(len(node.values)):
            rest = [v for k, v in enumerate(node.values) if k != i]
            text = _text(rest[0]) if len(rest) == 1 else _text(node, values=rest)
            yield "operand dropped", node, f"({text})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield "negation dropped", node, f"({_text(node.operand)})"
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    yield from _statements(node)


def _says_nothing(name, keyword):
    """Whether a keyword only checks what the package sees to: lengths of what is zipped."""
    return (name, ast.unparse(keyword)) == ("zip", "strict=True")


def _constants(node):
    if node.value is True or node.value is False:
        yield "constant", node, str(not node.value)
    elif type(node.value) is int:
        yield "constant", node, str(node.value + 1)
        yield "constant", node, f"({node.value - 1})"
    elif type(node.value) is float:
        yield "constant", node, repr(node.value * 1.5 if node.value else 0.5)


def _calls(node):
    name = getattr(node.func, "attr", getattr(node.func, "id", None))
    if name in SWAPPED:
        func = copy.copy(node.func)
        setattr(func, "attr" if isinstance(func, ast.Attribute) else "id", SWAPPED[name])
        yield "function", node.func, ast.unparse(func)
    plain = [a for a in node.args if not isinstance(a, ast.Starred)]
    if len(plain) == len(node.args) >= 2 and name not in SYMMETRIC:
        yield "arguments swapped", node, _text(node, args=[*plain[1::-1], *plain[2:]])
    for i, keyword in enumerate(node.keywords):
        if keyword.arg and not _says_nothing(name, keyword):
            rest = [k for j, k in enumerate(node.keywords) if j != i]
            yield "keyword dropped", node, _text(node, keywords=rest)


def _statements(node):
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield "condition", node.test, f"(not ({_text(node.test)}))"
    if isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield "condition", test, f"(not ({_text(test)}))"
    call = isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Await))
    store = isinstance(node, ast.Assign) and isinstance(
        node.targets[0], (ast.Attribute, ast.Subscript)
    )
    gone = (ast.AugAssign, ast.Raise, ast.Break, ast.Continue, ast.Delete)
    if call or store or isinstance(node, gone):
        yield "statement dropped", node, "pass"
    if isinstance(node, ast.Return) and node.value is not None:
        constants = ["True", "False"] if isinstance(node.value, ast.Compare) else ["None"]
        for value in constants:
            if ast.unparse(node.value) != value:
                yield "return", node, f"return {value}"
