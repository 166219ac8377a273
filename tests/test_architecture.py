"""Imports point down, there are no circles, and `import netlayers` loads little."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import netlayers

ROOT = Path(netlayers.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# The parts of the package from the ground up. A part imports parts of lower levels and itself.
# Some of those named here are still to come.
LEVELS = [
    ["errors", "_deprecated", "_typing", "_version", "_warn"],
    ["_printable", "_notebook", "_refused", "_suggestions"],
    ["checks"],
    ["_read_only", "_defined"],
    ["registry", "config", "_optional", "_tables", "_html"],
    ["_serializers", "_remade"],
    ["random"],
    # The pictures know what they draw by its attributes alone.
    ["arrays", "kernels", "initializers", "regularizers", "constraints", "plotting"],
    ["data"],
    ["core"],
    ["activations", "losses", "optimizers"],
    ["layers", "metrics"],
    ["distribution"],
    ["training"],
    ["saving"],
    ["gradient_check", "trace"],
    ["diagnostics"],
    ["callbacks"],
    ["models"],
    ["datasets", "utils"],
    ["backend", "checking", "inspection", "rates", "replaying"],  # old places: see _deprecated
    ["estimators", "testing", "__main__"],  # loaded when asked for
    [""],  # the root, which only gathers
]
LEVELS = {part: level for level, parts in enumerate(LEVELS) for part in parts}
# The families know nothing of each other, but for layers -> activations and metrics -> losses.
FORBIDDEN = {
    "core": {"data"},
    "layers": {"losses", "optimizers"},
    "metrics": {"activations", "optimizers"},
}
HEAVY = ["scipy", "tqdm", "matplotlib", "sklearn", "pandas", "torch", "jax", "tensorflow", "keras"]
HEAVY += ["tensorboard", "tensorboardX", "h5py", "zarr", "pyarrow", "polars"]
LIMIT = 400


def module_name(path):
    parts = ["netlayers", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def part_of(module):
    return module.split(".")[1] if "." in module else ""


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(tree, *, functions=True):
    """Yield the import statements that run, those for type checking left out.

    Args:
        tree: of a file.
        functions: also those in functions.
    """
    for node in tree.body if hasattr(tree, "body") else ():
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif is_type_checking(node):
            yield from (n for n in node.orelse if isinstance(n, (ast.Import, ast.ImportFrom)))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not functions:
            continue
        else:
            yield from imports(node, functions=functions)
            for branch in ("orelse", "finalbody", "handlers"):
                for child in getattr(node, branch, []) or []:
                    yield from imports(ast.Module([child], []), functions=functions)


def modules_of(statements):
    """Return the names of the modules that import statements name."""
    found = set()
    for node in statements:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
            continue
        assert node.level == 0, f"relative import in line {node.lineno}"
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            found.add(full if full in MODULES else node.module)
    return found


def known_modules(source):
    """Return the modules of the package that a file knows in any way.

    That is: those it imports, in functions and for type checking too, and those whose names are
    strings in it, which is how ``importlib`` and ``__getattr__`` of a package load them.
    """
    nodes = list(ast.walk(ast.parse(source)))
    names = modules_of(n for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)))
    names |= {n.value for n in nodes if isinstance(n, ast.Constant)} & (
        set(MODULES) - {"netlayers"}
    )
    return {n for n in names if n == "netlayers" or n.startswith("netlayers.")}


def known(module):
    return known_modules(MODULES[module].read_text())


def violations(graph):
    """What is wrong with ``{module: modules it imports}``."""
    wrong = []
    for module, targets in graph.items():
        here = part_of(module)
        for target in sorted(targets):
            there = part_of(target)
            if here == there:
                continue
            level = LEVELS[here]
            allowed = LEVELS[there] < level and there not in FORBIDDEN.get(here, ())
            if target == "netlayers" or not allowed:
                wrong.append(f"{module} imports {target}")
    return wrong


def circle(graph):
    """Return modules that import each other in a circle, or ``None``."""
    state = {}

    def visit(module, path):
        state[module] = "open"
        for target in sorted(graph.get(module, ())):
            if state.get(target) == "open":
                return [*path[path.index(target) :], target]
            if target not in state:
                found = visit(target, [*path, target])
                if found:
                    return found
        state[module] = "done"
        return None

    for module in graph:
        if module not in state:
            found = visit(module, [module])
            if found:
                return found
    return None


def test_every_part_has_a_level():
    assert {part_of(module) for module in MODULES} <= set(LEVELS)


def test_imports_point_down():
    assert violations({module: known(module) for module in MODULES}) == []


@pytest.mark.parametrize(
    "graph",
    [
        {"netlayers.core.layer": {"netlayers.layers.dense"}},
        {"netlayers.layers.dense": {"netlayers.losses"}},
        {"netlayers.losses.base": {"netlayers.layers.dense"}},
        {"netlayers.optimizers.base": {"netlayers.metrics"}},
        {"netlayers.optimizers.base": {"netlayers.losses"}},
        {"netlayers.metrics": {"netlayers"}},
        {"netlayers.errors": {"netlayers.registry"}},
        {"netlayers.models.model": {"netlayers.datasets"}},
        {"netlayers.diagnostics.profile": {"netlayers.callbacks.progress"}},
        {"netlayers.core.layer": {"netlayers.data.batch"}},
    ],
    ids=str,
)
def test_an_upward_import_is_found(graph):
    assert len(violations(graph)) == 1


def test_no_circles():
    # `from netlayers import x` runs the root first: it is no module that anything else imports.
    graph = {module: known(module) for module in MODULES if module != "netlayers"}
    assert circle(graph) is None


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]


@pytest.mark.parametrize(
    "source",
    [
        "import netlayers.models.model",
        "from netlayers.models import model",
        "def f():\n    from netlayers.models.model import Model",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import netlayers.models.model",
        "import importlib\nimportlib.import_module('netlayers.models.model')",
        "from importlib import import_module as load\nload('netlayers.models.model')",
        "_MODULES = {'Model': 'netlayers.models.model'}",
    ],
)
def test_each_way_to_import_is_seen(source):
    assert known_modules(source) == {"netlayers.models.model"}
    for module in ("netlayers.core.layer", "netlayers.diagnostics"):
        assert len(violations({module: known_modules(source)})) == 1
    graph = {"netlayers.core.layer": known_modules(source)}
    assert circle({**graph, "netlayers.models.model": {"netlayers.core.layer"}})


def test_the_names_of_other_things_are_no_imports():
    source = (
        "path = cache / 'netlayers' / 'models.model'\n'see netlayers.models.model'\nimport numpy"
    )
    assert known_modules(source) == set()


def test_imports_in_functions_are_seen():
    tree = ast.parse(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import a\nelse:\n    import b\n"
        "try:\n    import c\nexcept ImportError:\n    import d\n"
        "class C:\n    def f(self):\n        with x:\n            import e\n"
    )
    names = [node.names[0].name for node in imports(tree)]
    assert names == ["TYPE_CHECKING", "b", "c", "d", "e"]
    assert [n.names[0].name for n in imports(tree, functions=False)][1:] == ["b", "c", "d"]


def test_modules_import_only_numpy_and_the_standard_library():
    """Everything heavier is imported in the function that needs it."""
    known = sys.stdlib_module_names | {"numpy", "netlayers"}
    for path in FILES:
        run = imports(ast.parse(path.read_text()), functions=False)
        tops = {name.split(".")[0] for name in modules_of(run)}
        if path.parent.name == "estimators":  # loaded when asked for, by who has scikit-learn
            tops -= {"sklearn", "scipy"}
        assert tops <= known, f"{path.relative_to(ROOT)} imports {tops - known}"


def in_fresh_process(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
        env={**os.environ, "NETLAYERS_KERNELS": "numpy"},  # numba loads SciPy
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_loads_nothing_heavy():
    names = in_fresh_process(
        "import sys, netlayers\nprint(*{m.partition('.')[0] for m in sys.modules})"
    )
    assert "numpy" in names
    assert not set(names) & set(HEAVY)


def test_import_loads_no_checks_for_classes():
    names = in_fresh_process("import sys, netlayers\nprint(*sys.modules)")
    assert "netlayers.layers.dense" in names
    assert not [name for name in names if name.startswith("netlayers.testing")]


def test_a_step_of_training_loads_nothing_heavy():
    names = in_fresh_process(
        "import sys, netlayers as nl, numpy as np\n"
        "model = nl.Sequential([nl.layers.Dense(2, activation='relu')])\n"
        "model.compile('adam', 'mse')\n"
        "model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)\n"
        "print(*{m.partition('.')[0] for m in sys.modules})"
    )
    assert not set(names) & set(HEAVY)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_too_long(path):
    lines = len(path.read_text().splitlines())
    assert lines <= LIMIT, f"{path.relative_to(ROOT)} has {lines} lines: make it two files"
