"""The compiled kernels are held to those of NumPy; without numba, most of this is skipped."""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers.errors import ConfigurationError
from netlayers.kernels.reference import Kernels
from netlayers.kernels.select import kernels

needs_numba = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="needs numba")
NAMES = sorted(name for name, value in vars(Kernels).items() if isinstance(value, staticmethod))
# Those on windows: see test_windows.py and test_tiles.py.
WINDOWS = {name for name in NAMES if "pool" in name or "conv" in name or "depthwise" in name}
# All steps of recurrent layers: see test_recurrent.py.
RECURRENT = {name for name in NAMES if name.startswith(("gru_", "lstm_", "simple_rnn_"))}
# Those that a compiled one stands for; adaptive_step is AMSGrad's alone.
FAST = [name for name in NAMES if name not in {"adaptive_step", *WINDOWS, *RECURRENT}]
# Those that return several arrays have a test of their own.
SEVERAL = {"column_moments", "column_sums"}
EXTREME = [0.0, -0.0, 1e-40, -1e-40, 1e-30, 1e4, -1e4, 1e30, -1e30, np.nan, np.inf, -np.inf]


@pytest.fixture
def in_use():
    before = nl.kernels_in_use()
    yield
    nl.use_kernels(before)


def case(name, numbers, shape):
    """Return arguments of a kernel, and the size of the terms of each array that it writes."""
    x, y, z, w, g, m = (numbers(shape) for _ in range(6))
    v = np.abs(numbers(shape))
    t = np.arange(x[..., 0].size).reshape(shape[:-1]) * 7 % shape[-1]  # class numbers
    if name in ("gradient_step", "momentum_step", "update_moments", "adam", "sum_of_squares"):
        w, g, m, v = (a.reshape(-1) for a in (w, g, m, v))
    if name in ("scale_and_shift", "batch_gradient"):
        x, y, z = (a.reshape(-1, shape[-1]) for a in (x, y, z))
    rows = [numbers(shape[-1:]) for _ in range(3 if name == "scale_and_shift" else 4)]
    wide = numbers(shape[-1:]).astype(np.float64)
    ROWS = [np.abs(row.astype(np.float64)) for row in rows]
    scratch = np.empty_like(w)
    X, Y, W, G, M, V = (np.abs(a.astype(np.float64)) for a in (x, y, w, g, m, v))
    step = 0.9 * M + 0.01 * G
    D = np.abs(x.astype(np.float64) - y)
    return {
        "sigmoid": lambda: ((x, z), {1: 2}),  # exp in NumPy is off by up to 2.5 last digits
        "tanh": lambda: ((x, z), {1: 1}),
        "sigmoid_gradient": lambda: ((x, y, z), {2: X * Y * (1 + Y)}),
        "tanh_gradient": lambda: ((x, y, z), {2: X * (1 + Y * Y)}),
        # Each of up to some 40 exponentials and their sum is rounded.
        "softmax": lambda: ((x, z, w), {1: 0, 2: 10, -1: 10}),
        "relu": lambda: ((x, z), {1: 0}),
        "relu_gradient": lambda: ((x, y, z), {2: 0}),
        "add": lambda: ((x, y, z, x.flat[0] > 0), {2: 0}),
        "scale_and_shift": lambda: (
            (x, *rows, z),
            {4: (X + ROWS[0]) * ROWS[1] + ROWS[2]},
        ),
        "batch_gradient": lambda: (
            (x, y, *rows, z),
            {6: (X + (Y + ROWS[0]) * ROWS[2] + ROWS[1]) * ROWS[3]},
        ),
        "move_average": lambda: ((rows[0], wide, 0.9), {0: ROWS[0] + np.abs(wide)}),
        "apply_mask": lambda: ((x, y > 0, 1.25, z), {3: 0}),
        "gradient_step": lambda: ((w, g, 0.01, scratch), {0: W + 0.01 * G}),
        "momentum_step": lambda: (
            (w, g, m, 0.01, 0.9, scratch),
            {0: W + step, 2: step},
        ),
        "update_moments": lambda: ((g, m, v, 0.9, 0.999, scratch), {1: M + G, 2: V + G * G}),
        "adam": lambda: (
            (w, g, m, v, 0.9, 0.999, 1e-3, 1e-7, scratch),
            {0: W + 1e-3 * (M + G) / (np.sqrt(0.999 * V + G * G) + 1e-7), 2: M + G, 3: V + G * G},
        ),
        # Sums of many numbers are rounded as many times, in another order; the first in float64.
        "total": lambda: ((x,), {-1: 10 * np.sum(X) * np.finfo(float).eps / np.finfo(x.dtype).eps}),
        "sum_of_squares": lambda: ((g,), {-1: 10 * np.sum(G * G)}),
        "all_below": lambda: ((t - (x.flat[0] > 0), shape[-1] - (y.flat[0] > 0)), {-1: 0}),
        "all_within": lambda: ((x, -1.5 - (y.flat[0] > 0), 2.0 + (z.flat[0] > 0)), {-1: 0}),
        "squared_error": lambda: ((x, y, z), {2: 0, -1: np.mean(D * D, axis=-1)}),
        "scale": lambda: ((x, 0.3, z), {2: 0}),
        "scaled_difference": lambda: ((x, y, 0.3, z), {3: X + Y}),
        "binary_crossentropy": lambda: (
            (x, y, z, w, np.empty_like(w)),
            {2: 1, 3: 10 * (X + X * Y + 1), -1: 10 * np.mean(X + X * Y + 1, axis=-1)},
        ),
        "crossentropy": lambda: (
            (x, v, z, m[..., 0].copy()),
            {2: 10, 3: 10 * V.sum(axis=-1), -1: 10 * ((X.max(axis=-1) * 2 + 10) * V.sum(axis=-1))},
        ),
        "crossentropy_gradient": lambda: (
            (x, y, m[..., 0].copy(), 0.3, z),
            {4: X * M[..., :1] + Y},
        ),
        "sums_by_index": lambda: (
            (np.array(t).reshape(-1).astype(np.intp), x.reshape(t.size, -1)),
            {},
        ),
        "sparse_crossentropy": lambda: ((x, t, z), {2: 10, -1: 10 + X.max(axis=-1)}),
        "sparse_crossentropy_gradient": lambda: ((x, t, 0.3, z), {3: 0.3 * (X + 1)}),
    }[name]()


@needs_numba
@pytest.mark.parametrize("name", [name for name in FAST if name not in SEVERAL])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_compiled_kernel_computes_what_numpy_does(name, data):
    from netlayers.kernels.compiled import compiled_kernels

    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 20), "seed"))
    extreme = data.draw(st.sampled_from([0.0, 0.2]), "share of extreme numbers")
    dtype = np.dtype(data.draw(st.sampled_from(["float32", "float64"]), "dtype"))
    shape = tuple(data.draw(st.lists(st.integers(1, 33), min_size=2, max_size=3), "shape"))

    def numbers(shape):
        x = rng.normal(size=shape)
        places = rng.random(shape) < extreme
        x[places] = rng.choice(EXTREME, places.sum())
        return x.astype(dtype)

    with np.errstate(all="ignore"):
        arguments, terms = case(name, numbers, shape)
        expected, got = [[np.copy(a) if np.ndim(a) else a for a in arguments] for _ in range(2)]
        expected.append(getattr(Kernels, name)(*expected))
        got.append(compiled_kernels()[name](*got))
        for i, size in terms.items():
            assert isinstance(got[i], (bool, float)) or got[i].dtype == dtype
            if name == "softmax" and i == 1:  # a NaN makes the whole row of p one, and no more
                rows = np.isfinite(arguments[0]).all(axis=-1)
                expected[1], got[1] = expected[1][rows], got[1][rows]
            limit = 4 * np.finfo(dtype).eps * size + 4 * np.finfo(dtype).smallest_subnormal * (
                np.asarray(size) > 0
            )
            same = (got[i] == expected[i]) | (np.isnan(got[i]) & np.isnan(expected[i]))
            if name in ("scale_and_shift", "batch_gradient") or name.startswith("crossentropy"):
                # A product that overflows and meets an infinity: NaN, if it was rounded before.
                lost = ~np.isfinite(got[i]) & ~np.isfinite(expected[i])
                same |= lost & ~(np.asarray(size) <= np.finfo(dtype).max)
            near = np.abs(np.asarray(got[i], float) - expected[i]) <= limit
            assert np.all(same | near), (i, got[i], expected[i])
    for i, a in enumerate(arguments):  # what is only read stays as it was
        if np.ndim(a) and i not in terms and i < len(arguments) - SCRATCH.get(name, 0):
            np.testing.assert_array_equal(got[i], a)


# How many of the last arguments are arrays to work in.
SCRATCH = {
    "gradient_step": 1,
    "momentum_step": 1,
    "update_moments": 1,
    "adam": 1,
    "binary_crossentropy": 2,
}


@needs_numba
@pytest.mark.parametrize("order", ["F", "reversed", "read-only"])
@pytest.mark.parametrize(
    "name",
    [
        "sigmoid",
        "tanh_gradient",
        "softmax",
        "squared_error",
        "sparse_crossentropy",
        "scale",
        "apply_mask",
    ],
)
def test_what_is_read_may_be_in_any_order(name, order):
    from netlayers.kernels.compiled import compiled_kernels

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5, 4))
    given_ = {"F": np.asfortranarray(x), "reversed": x[::-1].copy()[::-1], "read-only": x.copy()}
    given_ = given_[order]
    given_.flags.writeable = order != "read-only"
    out = {}
    for kind, table in (("numpy", vars(Kernels)), ("numba", compiled_kernels())):
        arrays = [np.zeros_like(x) for _ in range(2)]
        arguments = {
            "sigmoid": (given_, arrays[0]),
            "apply_mask": (given_, y > 0, 1.25, arrays[0]),
            "tanh_gradient": (given_, y, arrays[0]),
            "softmax": (given_, *arrays),
            "squared_error": (given_, y, arrays[0]),
            "sparse_crossentropy": (given_, np.arange(10)[::2] % 4, arrays[0]),
            "scale": (given_, 0.3, arrays[0]),
        }[name]
        result = getattr(table[name], "__func__", table[name])(*arguments)
        out[kind] = [*arrays, np.resize(result, x.shape) if result is not None else x]
    np.testing.assert_allclose(out["numba"], out["numpy"], rtol=1e-14, atol=1e-16)


def small_model(optimizer, activation):
    layers = [nl.layers.Dense(9, activation=activation), nl.layers.Dense(3)]
    model = nl.Sequential(layers, seed=0, dtype="float64")
    model.compile(optimizer, nl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@needs_numba
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize(
    ("optimizer", "arguments"),
    [
        ("Adam", {"amsgrad": True}),
        ("AdamW", {"weight_decay": 0.1}),
        ("Nadam", {}),
        ("SGD", {}),
        ("SGD", {"momentum": 0.9, "global_clipnorm": 0.1}),
    ],
)
def test_training_is_that_of_numpy(in_use, optimizer, arguments, activation):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
    weights = []
    for name in ("numpy", "numba"):
        nl.use_kernels(name)
        model = small_model(getattr(nl.optimizers, optimizer)(0.01, **arguments), activation)
        model.fit(x, y, epochs=10, verbose=0)
        assert nl.check_gradients(model, x, y).passed
        weights.append(model.parameters.values.copy())
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-9, atol=1e-11)


@needs_numba
def test_an_exploded_gradient_is_still_found(in_use):
    nl.use_kernels("numba")
    model = small_model(nl.optimizers.Adam(0.01), "relu")
    x = np.ones((4, 5))
    x[2, 1] = 1e200
    model.build((None, 5))
    model.layers[1].kernel[...] = 1e200
    before = model.get_weights()
    with pytest.raises(nl.errors.NonFiniteError), np.errstate(all="ignore"):
        model.fit(x, np.zeros(4, int), verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@needs_numba
def test_the_kernels_can_be_chosen_and_given_back(in_use):
    nl.use_kernels("numba")
    assert nl.kernels_in_use() == "numba"
    assert all(getattr(kernels, name) is not getattr(Kernels, name) for name in FAST)
    nl.use_kernels("numpy")
    assert nl.kernels_in_use() == "numpy"
    assert all(getattr(kernels, name) is getattr(Kernels, name) for name in NAMES)


def test_other_kernels_are_refused():
    with pytest.raises(ConfigurationError, match=r"use_kernels: name must be .*'cuda'"):
        nl.use_kernels("cuda")


def run(code, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("NETLAYERS_KERNELS",)}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**kept, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


@pytest.mark.parametrize(
    ("numba", "reason"),
    [
        ("None", "No module named 'numba'|import of numba halted"),
        ("SimpleNamespace(__version__='0.60.0', version_info=version)", "0.60.0 is older"),
    ],
)
def test_without_numba_a_message_says_what_to_install(in_use, monkeypatch, numba, reason):
    done = run(
        "import sys; from types import SimpleNamespace; version = SimpleNamespace(short=(0, 60))\n"
        f"sys.modules['numba'] = {numba}\n"
        "import netlayers as nl\n"
        "try:\n    nl.use_kernels('numba')\n"
        "except nl.errors.ConfigurationError as error:\n    print(error)\n"
        "print(nl.kernels_in_use())\n"
    )
    assert re.search(reason, done.stdout)
    assert "pip install -U numba" in done.stdout
    assert done.stdout.split()[-1] == "numpy", done.stderr


@needs_numba
def test_numba_that_must_not_compile_is_refused():
    done = run("import netlayers as nl; nl.use_kernels('numba')", NUMBA_DISABLE_JIT="1")
    assert "NUMBA_DISABLE_JIT is set. Unset it" in done.stderr


@needs_numba
def test_numba_tells_long_types_apart():
    """Before 0.61 code for other arrays was called, if a type's key had more than 40 bytes."""
    import numba

    size = numba.njit(lambda arrays: arrays[3].itemsize)
    for i in range(3000):
        dtype = ("float32", "float64")[i % 2]
        arrays = [np.zeros(1) for _ in range(10)]
        arrays[3] = arrays[3].astype(dtype)
        assert size(tuple(arrays)) == np.dtype(dtype).itemsize


@needs_numba
def test_the_environment_chooses_and_nothing_else_imports_numba():
    code = "import sys, netlayers as nl; print(nl.kernels_in_use(), 'numba' in sys.modules)"
    assert run(code).stdout.split() == ["numpy", "False"]
    assert run(code, NETLAYERS_KERNELS="numba").stdout.split() == ["numba", "True"]
    assert "name must be" in run(code, NETLAYERS_KERNELS="cuda").stderr


@pytest.mark.slow
@needs_numba
def test_nothing_has_to_be_written_to_the_disk(tmp_path):
    """Compiled code is kept where that is possible, and only there."""
    code = (
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = []\n"  # as where no folder can be written to
        "import numpy as np, netlayers as nl\n"
        "nl.use_kernels('numba')\n"
        "print(nl.activations.sigmoid(np.array([[0.0]])).tolist())"
    )
    done = run(code)
    assert done.stdout.strip() == "[[0.5]]", done.stderr


FOLDER = Path(nl.__file__).parent / "kernels" / "compiled"


COMPILED = {
    path.stem: path.read_text()
    for path in sorted(FOLDER.glob("[a-z]*.py"))
    if path.stem not in ("depthwise", "pooling", "winograd")  # have no loops of their own
}


@pytest.mark.parametrize(
    ("caller", "called"),
    [
        (caller, called)
        for caller, text in COMPILED.items()
        for called in (
            "functions",
            "blas",
            "tile",
            "matrix",
            "calls",
            "transforms",
            "filtering",
            "prefetch",
            "workers",
            "convolution",
            "recurrent",
        )  # whose functions are called by loops
        if re.search(
            rf"compiled\.{called} import|compiled import .*\b{called}\b|\b{called} [0-9a-f]{{12}}",
            text,
        )
    ],
)
def test_a_file_says_what_its_compiled_code_was_compiled_with(caller, called):
    """Or numba would go on with code of an older version after an update."""
    digest = hashlib.sha256(COMPILED[called].encode()).hexdigest()[:12]
    assert f"{called} {digest}" in COMPILED[caller]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_averages_end_at_the_limits_of_their_dtype(dtype):
    limits = np.finfo(dtype)
    average = np.array([limits.tiny, -limits.tiny, limits.tiny / 2, limits.max], dtype)
    Kernels.move_average(average, average.copy(), 0.5)
    np.testing.assert_array_equal(average, [limits.tiny, -limits.tiny, 0, limits.max])
    Kernels.move_average(average, np.full(4, limits.tiny / 4, dtype), 0.5)
    np.testing.assert_array_equal(average[:3], 0)
