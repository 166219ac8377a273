"""Formulas of docstrings on the site: what is one, and what is made of it."""

import importlib
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
mathml = importlib.import_module("formula_parser").mathml
sys.path.pop(0)


def shown(element):
    """Return MathML as a line: fractions as (a)/(b), indices as a_{b}, powers as a^{b}."""
    parts = [shown(part) for part in element]
    text = "".join(parts) + (element.text or "" if not parts else "")
    match element.tag:
        case "mfrac":
            return f"({parts[0]})/({parts[1]})"
        case "msqrt":
            return f"√({text})"
        case "msub":
            return f"{parts[0]}_{{{parts[1]}}}"
        case "msup":
            return f"{parts[0]}^{{{parts[1]}}}"
        case "msubsup":
            return "{}_{{{}}}^{{{}}}".format(*parts)
        case "mover":
            return f"hat({parts[0]})"
    return text.replace("\u2061", "")


def line(text):
    found = mathml(text)
    return found and shown(ElementTree.fromstring(found))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y = x W + b", "y=xW+b"),
        ("y = 1 / (1 + exp(-x))", "y=(1)/(1+exp(−x))"),
        ("y = gamma (x - μ) / √(σ² + epsilon) + beta", "y=(γ(x−μ))/(√(σ^{2}+ε))+β"),
        ("h[t] = activation(x[t] W + h[t-1] U)", "h_{t}=activation(x_{t}W+h_{t−1}U)"),
        ("y[n, p] = Σ x[n, stride p] W[q]ᵀ", "y[n,p]=∑x[n,stridep]W[q]^{⊤}"),
        ("v̂ = v / (1 - beta_2^t)", "hat(v)=(v)/(1−β_{2}^{t})"),
        ("a / b c / d", "(a)/(b)(c)/(d)"),  # from left to right
        ("a / b / c", "(a)/(b)/c"),
        ("(x²/d) / (1 + x²/d)", "(x^{2}/d)/(1+x^{2}/d)"),
        ("q = p / Σ p", "q=(p)/(∑p)"),
        ("l = Σ |d| / m / k", "l=(∑|d|/m)/(k)"),  # each term is divided by its m
        ("w -= lr g", "w←w−lrg"),
        ("w -= a + b", "w←w−(a+b)"),
        ("m = momentum m + g", "m←momentumm+g"),
        ("dx_k = Σ_j dy_j df_j/dx_k", "dx_{k}=∑_{j}dy_{j}df_{j}/dx_{k}"),
        ("r decay_rate^step", "rdecay_rate^{step}"),
        ("m = mean x", "m=meanx"),
        ("max(|t|, 1e-7)", "max(|t|,10^{−7})"),
        ("d_model^(-1/2)", "d_{model}^{−1/2}"),
        ("dx = f_1'(f_2'(... f_n'(dy)))", "dx=f_{1}^{′}(f_{2}^{′}(⋯f_{n}^{′}(dy)))"),
        ("z = x W + h- U", "z=xW+h^{−}U"),
        ("factor Σ_{i≠j} |v_i v_j|", "factor∑_{i≠j}|v_{i}v_{j}|"),
        ("α = sqrt(d + epsilon) g", "α=√(d+ε)g"),
        ("dL/dx", "dL/dx"),
        ("c = W * x + b", "c=W∗x+b"),
        ("⌈n / stride⌉", "⌈(n)/(stride)⌉"),
    ],
)
def test_a_formula_is_read_as_it_is_meant(text, expected):
    assert line(text) == expected


@pytest.mark.parametrize(
    "text",
    """None|-1|1e-7|"relu"|axis=-1|x|dy|units|max_value|(batch, units)|(batch, 2 units)
nl.layers.Dense|model.fit|x[:, 0]|x = np.ones(3)|self.w = None|exact_rows = True|n // 2|2 ** 3
pip install netlayers|python -m netlayers summary
one-hot|read-only|val_loss|f(x)|fit(x, y)|{"a": 1}|a == b|num_bins - 1
entries / one of the window|max pooling of images|x -|(x|x +* y""".replace("\n", "|").split("|"),
)
def test_code_names_and_values_stay(text):
    assert mathml(text) is None


GREEK = dict(zip("alpha beta gamma delta epsilon rho sigma".split(), "αβγδερσ", strict=True))  # noqa: SIM905


def symbols(text):
    """Return the letters, numbers and signs of a formula in their order, without its layout."""
    text = re.sub(r"1e-(\d+)", r"-\1", re.sub(r"'_(\w)", r"_\1'", text))
    for name, letter in GREEK.items():
        text = re.sub(rf"(?<![A-Za-z])(d?){name}(?![A-Za-z])(?!_\w+_)", rf"\1{letter}", text)
    for pair in ("µμ", "Σ∑", "Π∏", "-−", "*∗", "ᵀ⊤", "<=≤", ">=≥"):
        text = text.replace(pair[:-1], pair[-1])
    text = text.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿᵗ₁₂ₛₜ'", "0123456789−nt12st′"))
    return re.sub(r"sqrt|[\s√()\[\]{}_^/⁡\u0302]|10(?=−7|−12)|\.\.\.|⋯", "", text)


def test_no_symbol_of_a_docstring_is_lost():
    """What is shown has the letters and numbers of the source, in the same order."""
    seen, wrong = set(), {}
    for path in (ROOT / "netlayers").rglob("*.py"):
        for text in re.findall(r"``([^`]+)``", path.read_text(encoding="utf-8")):
            text = " ".join(text.split())
            found = None if text in seen else mathml(text)
            seen.add(text)
            if found is None or re.search(r"[-+]= |\.\.\.", text):
                continue
            root = ElementTree.fromstring(found)
            leaves = "".join(root.itertext()).replace("←", "=").replace("^", "")
            if symbols(leaves) != symbols(text):
                wrong[text] = symbols(leaves), symbols(text)
    assert len(seen) > 1500
    assert not wrong
