"""Imports point down, there are no circles, and `import netlayers` loads little."""

import ast
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import netlayers
from netlayers.arrays.complex_step import ComplexStep
from netlayers.core.binding import Declared

ROOT = Path(netlayers.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# The parts of the package from the ground up. A part imports parts of lower levels and itself.
# Some of those named here are still to come.
LEVELS = [
    ["errors", "_deprecated", "_typing", "_version"],
    ["checks"],
    ["registry", "config", "_optional", "_tables"],
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
    ["checking", "inspection", "rates", "replaying"],  # old places: see _deprecated
    ["testing"],  # loaded when asked for
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
HEAVY += ["tensorboard", "tensorboardX"]
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


# Names ---------------------------------------------------------------------------------------

# The public names of Keras 3's base classes (https://keras.io/api/, classes Layer, Model and
# Sequential, Loss, Optimizer, Metric, Callback and Initializer), with those that Keras 2 still has
# on models: who knows Keras knows these, so they do not count.
KERAS_LAYER = """
    activity_regularizer add_loss add_metric add_variable add_weight autocast build
    build_from_config built call compute_dtype compute_mask compute_output_shape
    compute_output_spec count_params dtype dtype_policy from_config get_build_config get_config
    get_weights input input_dtype input_spec load_own_variables losses metrics metrics_variables
    name non_trainable_variables non_trainable_weights output path quantize save_own_variables
    set_weights stateless_call supports_masking symbolic_call trainable trainable_variables
    trainable_weights variable_dtype variables weights
"""
KERAS = {
    "Layer": KERAS_LAYER,
    "Activation": KERAS_LAYER + "activation",
    "Model": KERAS_LAYER
    + """
    add compile compile_from_config compiled_metrics compute_loss compute_metrics
    distribute_strategy evaluate export fit get_compile_config get_layer get_metrics_result history
    input_shape inputs jit_compile layers load_weights loss make_predict_function
    make_test_function make_train_function metrics_names optimizer output_shape outputs pop predict
    predict_on_batch predict_step reset_metrics reset_states run_eagerly save save_weights stateful
    stop_evaluating stop_predicting stop_training summary test_on_batch test_step to_json
    train_on_batch train_step
    """,
    "Loss": "call dtype from_config get_config name reduction",
    "Optimizer": """
    add_optimizer_variables add_variable add_variable_from_reference apply apply_gradients assign
    assign_add assign_sub build built clipnorm clipvalue ema_momentum ema_overwrite_frequency
    exclude_from_weight_decay finalize_variable_values from_config get_config global_clipnorm
    gradient_accumulation_steps iterations learning_rate load_own_variables loss_scale_factor name
    save_own_variables scale_loss set_weights stateless_apply update_step use_ema variables
    weight_decay
    """,
    "Metric": """
    add_variable add_weight dtype from_config get_config name reset_state result stateless_result
    stateless_reset_state stateless_update_state update_state variables
    """,
    "Callback": """
    model on_batch_begin on_batch_end on_epoch_begin on_epoch_end on_predict_batch_begin
    on_predict_batch_end on_predict_begin on_predict_end on_test_batch_begin on_test_batch_end
    on_test_begin on_test_end on_train_batch_begin on_train_batch_end on_train_begin on_train_end
    params set_model set_params
    """,
    "Initializer": "clone from_config get_config",
}
KERAS = {kind: set(names.split()) for kind, names in KERAS.items()}
NAMES = 25
MODEL_NAMES = 45
# The classes of models, each with its bases that are models too.
MODELS = {c for c in netlayers.Sequential.__mro__ if issubclass(c, netlayers.models.Model)}
MODELS |= {c for c in netlayers.models.Model.__mro__ if c.__name__.endswith("Model")}
FUNCTIONS = {"Kernels"}  # a table of functions, in NumPy or compiled: each name is a kernel


def classes():
    """Return the classes of the package."""
    found = {}
    for module in MODULES:
        if module.startswith("netlayers.kernels.compiled"):  # which needs numba
            continue
        for value in vars(importlib.import_module(module)).values():
            if inspect.isclass(value) and value.__module__ == module:
                found[f"{module}.{value.__qualname__}"] = value
    return [found[name] for name in sorted(found)]


def own_names(cls):
    """Return the public names of a class, its own and inherited, that are not another's.

    Those of Keras's class of that kind, of NumPy's or Python's that it is derived from, and the
    weights of a layer are left out.
    """
    bases = {base.__name__ for base in cls.__mro__}
    bases |= {"Activation"} if "ActivationLayer" in bases else set()
    bases |= {"Model"} if cls in MODELS else set()
    known = set().union(*(KERAS[kind] for kind in bases & set(KERAS)))
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] in {"numpy", *sys.stdlib_module_names}:
            known |= set(dir(base))
    mine = {name for name in dir(cls) if not name.startswith("_")} - known
    return {name for name in mine if not isinstance(inspect.getattr_static(cls, name), Declared)}


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_no_class_has_too_many_names(cls):
    limit = MODEL_NAMES if cls in MODELS else NAMES
    names = own_names(cls)
    if cls.__name__ not in FUNCTIONS:
        assert len(names) <= limit, f"{cls.__name__} has {len(names)} names: {sorted(names)}"


def test_names_are_counted():
    class Wide(netlayers.layers.Layer):
        supports_masking = True  # a name of Keras
        _private = 1

    before = own_names(netlayers.layers.Layer)
    assert {"forward", "backward", "prepare"} <= before
    assert own_names(Wide) == before
    for number in range(NAMES):
        setattr(Wide, f"name_{number}", number)
    assert len(own_names(Wide)) == len(before) + NAMES > NAMES
    model = own_names(netlayers.Sequential)
    assert "diagnose" in model
    assert "fit" not in model
    assert own_names(ComplexStep) == set()
