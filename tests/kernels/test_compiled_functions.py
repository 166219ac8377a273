"""exp, tanh and the sigmoid of compiled loops, against NumPy with more digits."""

import importlib.util

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="needs numba")

WIDER = {"float32": np.float64, "float64": np.longdouble}
EXACT = {
    "exp_of": np.exp,
    "tanh_of": np.tanh,
    "sigmoid_of": lambda x: 1 / (1 + np.exp(-x)),
}
# Units of the last digit that the module's docstring allows.
LIMITS = {"exp_of": 1.1, "tanh_of": 2.6, "sigmoid_of": 2.5}
# Where exp, or exp(-x), is neither 0 nor infinite.
RANGES = {"float32": (-103.2, 88.72), "float64": (-744.4, 709.78)}


@pytest.fixture(scope="module")
def loops():
    import numba

    from netlayers.kernels.compiled import functions

    functions.declare()

    def loop(function):
        @numba.njit(**functions.OPTIONS)
        def compiled(x, y):
            for i in range(x.size):
                y[i] = function(x[i])

        return compiled

    return {name: loop(getattr(functions, name)) for name in EXACT}


def computed(loop, x):
    y = np.empty_like(x)
    loop(x, y)
    return y


@pytest.mark.parametrize("dtype", sorted(WIDER))
@pytest.mark.parametrize("name", sorted(EXACT))
def test_the_last_digits_are_right(loops, name, dtype):
    if np.finfo(WIDER[dtype]).eps >= np.finfo(dtype).eps / 100:
        pytest.skip("this machine has no wider numbers")
    rng = np.random.default_rng(0)
    low, high = RANGES[dtype]
    if name == "sigmoid_of":
        low = -high
    for bound in (1e-30, 1e-3, 0.35, 1.0, 5.0, 40.0, 1e3):
        x = rng.uniform(max(-bound, low), min(bound, high), 200_000).astype(dtype)
        exact = EXACT[name](x.astype(WIDER[dtype]))
        unit = np.spacing(np.abs(exact).astype(dtype)).astype(exact.dtype)
        error = np.abs(computed(loops[name], x) - exact) / unit
        assert error.max() <= LIMITS[name], (bound, x[error.argmax()])


@pytest.mark.parametrize("dtype", sorted(WIDER))
@pytest.mark.parametrize("name", sorted(EXACT))
def test_the_ends_of_the_range_are_those_of_numpy(loops, name, dtype):
    numbers = np.finfo(dtype)
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan]
    for size in (numbers.smallest_subnormal, numbers.tiny, 1e-30, 50.0, 1e4, 1e30, numbers.max):
        edges += [size, -size]
    for edge in RANGES[dtype]:
        edges += [edge - 1.5, edge, edge + 1.5]
    x = np.array(edges, dtype)
    with np.errstate(all="ignore"):
        expected = EXACT[name](x)
    np.testing.assert_allclose(
        computed(loops[name], x),
        expected,
        rtol=8 * numbers.eps,
        atol=2 * float(numbers.smallest_subnormal),
    )
    if name == "tanh_of":
        signs = np.signbit(computed(loops[name], np.array([0.0, -0.0], dtype)))
        assert signs.tolist() == [False, True]


def test_they_are_those_of_numpy_in_python():
    from netlayers.kernels.compiled import functions

    x = np.float32(0.3)
    for name, exact in EXACT.items():
        assert getattr(functions, name)(x) == exact(x)


@pytest.mark.parametrize("name", sorted(EXACT))
def test_several_numbers_are_computed_at_a_time(loops, name):
    """The compiled loop has instructions for vectors of 4 numbers or more."""
    loop = loops[name]
    computed(loop, np.zeros(4, np.float32))
    (code,) = (c for types, c in loop.inspect_llvm().items() if "float32" in str(types[0]))
    assert "fdiv contract <" in code or "fmul contract <" in code
