"""Every number that a trace prints, in each of its forms, equals the array that produced it."""

import html.parser
import re
from decimal import Decimal

import numpy as np
import pytest

import netlayers as nl
from netlayers.trace.markdown import WIDEST
from netlayers.trace.math import to_mathml, to_text
from netlayers.trace.numbers import cut, number_format

L = nl.layers
RNG = np.random.default_rng(0)


def small():
    layers = [L.Dense(2, "sigmoid", name="hidden"), L.Dense(1, name="out")]
    model = nl.Sequential(layers, seed=0, name="2-2-1", dtype="float64")
    model.compile(nl.optimizers.SGD(0.5, clipnorm=1e-3), "mse")
    return model.trace([[0.05, 1e-7], [3.0, -2.5]], [0.01, 0.99], [1.0, 0.5], digits=6)


def middle():
    block = L.Residual([L.LayerNormalization(), L.Dense(4, "relu", kernel_regularizer="l1")])
    layers = [L.Dense(4, "tanh"), block, L.Dense(3, "softmax", name="a_b")]
    model = nl.Sequential(layers, seed=0, name="middle <b>")
    model.compile("adam", "sparse_categorical_crossentropy")
    return model.trace(RNG.normal(size=(3, 4)), [0, 2, 1])


def large():
    names = [L.Dense(512, "relu"), L.Dense(512, "relu"), L.Dense(10, "softmax")]
    model = nl.Sequential(names, seed=0, name="mnist")
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = RNG.uniform(size=(128, 784)), RNG.integers(0, 10, 128)
    return model.trace(x, y, rows=4, columns=4)


@pytest.fixture(scope="module", params=[small, middle, large], ids=lambda f: f.__name__)
def trace(request):
    return request.param()


def shown(trace, again=True):
    """All arrays in the order of the story."""
    arrays = [a for step in trace.steps for line in step.lines for a in line.arrays]
    return [a for a in arrays if again or not a.again]


def check_number(text, value):
    """The text is the number, rounded to the last digit that is printed."""
    value = float(value)
    if not np.isfinite(value):
        assert text == str(value)
        return
    printed, exact = Decimal(text), Decimal(value)
    if re.fullmatch(r"-?\d+", text):
        assert printed == exact
        return
    unit = Decimal(1).scaleb(printed.as_tuple().exponent)
    assert abs(printed - exact) <= unit / 2
    assert printed != 0


def expected(size, limit):
    """Return the indices that are shown; None for dots."""
    if size <= limit:
        return list(range(size))
    return [*range(limit - limit // 2), None, *range(size - limit // 2, size)]


def check_table(rows, value, trace):
    table = value.reshape(-1, value.shape[-1]) if value.ndim > 1 else value.reshape(1, -1)
    down, across = expected(len(table), trace.rows), expected(table.shape[1], trace.columns)
    assert len(rows) == len(down)
    for texts, i in zip(rows, down, strict=True):
        assert len(texts) == len(across)
        for text, j in zip(texts, across, strict=True):
            if i is None or j is None:
                assert text == "…"
            else:
                check_number(text, table[i, j])


def check_facts(text, value):
    found = dict(re.findall(r"(min|max|norm) (\S+)", text))
    check_number(found["min"], value.min())
    check_number(found["max"], value.max())
    if value.dtype.kind == "f":
        check_number(found["norm"], np.linalg.norm(value.astype(np.float64).ravel()))


def test_every_equation_is_true(trace):
    """What stands before an ``=`` between arrays is what stands behind it."""
    count = 0
    for line in (line for step in trace.steps for line in step.lines):
        if "=" not in line.items or r"\to" in line.items:
            continue
        value, sign, scale = None, "+", 1.0
        for item in line.items[: line.items.index("=")]:
            if item == r"-\eta \cdot":
                scale = -trace.optimizer.learning_rate
            elif isinstance(item, str):
                sign = item
            else:
                array = np.asarray(item.value, np.float64)
                table = array if array.ndim < 2 else array.reshape(-1, array.shape[-1])
                apply = {"+": np.add, r"\odot": np.multiply, r"\cdot": np.matmul}[sign]
                value = scale * table if value is None else apply(value, table)
        result = np.asarray(line.items[-1].value, np.float64)
        rounding = 1e-5 * np.abs(result).max() + 1e-7
        np.testing.assert_allclose(value.reshape(result.shape), result, rtol=1e-4, atol=rounding)
        count += 1
    assert count >= 3 * len([r for r in trace.model.walk() if r.kind == "dense"])


# Text --------------------------------------------------------------------------------------------


def blocks_of(text):
    """Yield symbol, shape, and the lines below, of every array in a text."""
    blocks = []
    for line in text.splitlines():
        if not line.startswith("    "):
            blocks = []
            continue
        cells = [cell.strip() for cell in line[4:].split("│")]
        heads = [re.fullmatch(r"(.+?)(?:  \((.+)\)| = (\S+))", cell) for cell in cells]
        if all(heads):
            blocks = [(h[1], h[2], [] if h[3] is None else [h[3]]) for h in heads]
            yield from blocks
        else:
            for block, cell in zip(blocks, cells, strict=False):
                if cell:
                    block[2].append(cell)


def test_text(trace):
    found, arrays = list(blocks_of(trace.text())), shown(trace, again=False)
    assert len(found) == len(arrays)
    for (symbol, shape, lines), array in zip(found, arrays, strict=True):
        assert symbol == to_text(array.symbol)
        assert (shape or "") == " × ".join(map(str, array.value.shape))
        if lines[-1].startswith("min"):
            check_facts(lines.pop(), array.value)
        check_table([line.split() for line in lines], array.value, trace)
    assert max(map(len, trace.text().splitlines())) <= 100


def test_every_array_of_the_records_is_in_the_text_once(trace):
    arrays = [id(a.value) for a in shown(trace, again=False)]
    assert len(arrays) == len(set(arrays))
    for r in trace.model.walk():
        if r.kind == "dense":
            kept = [r.z if r.z is not r.y else r.y, r.y, r.weights["kernel"].gradient, r.dx]
            assert {id(a) for a in kept} <= set(arrays)


# Markdown ----------------------------------------------------------------------------------------


def test_markdown(trace):
    formulas = re.findall(r"```math\n(.*?)\n```", trace.markdown(), re.DOTALL)
    matrix = r"\\begin\{pmatrix\} (.*?) \\end\{pmatrix\}"
    found = [(m, f) for f in formulas for m in re.findall(matrix, f)]
    arrays = []
    for line in (line for step in trace.steps for line in step.lines):
        seen = [cut(a.value, trace.rows, trace.columns, 4) for a in line.arrays]
        narrow = sum(len(s.rows[0]) for s in seen) <= WIDEST and all(s.whole for s in seen)
        for array, its in zip(line.arrays, seen, strict=True):
            if narrow and array.value.ndim == 0:
                continue
            if narrow or not (its.whole and array.again and array.value.size > 1):
                arrays.append(array)
    assert len(found) == len(arrays) > 10
    for (body, formula), array in zip(found, arrays, strict=True):
        assert array.symbol in formula
        plain = re.sub(r"\\text\{(.*?)\}", r"\1", body).replace(r"\cdots", "…")
        rows = [row.split(" & ") for row in plain.split(r" \\ ")]
        check_table([[cell.strip() for cell in row] for row in rows], array.value, trace)
        known = re.sub(r"\\text\{(.*?)\}", r"\1", formula.rpartition("pmatrix}")[2])
        if "min" in known:
            check_facts(known.replace(" =", "").replace(r",\ ", " ").rstrip(")"), array.value)


def test_markdown_knows_only_latex_that_readers_know(trace):
    names = set(
        re.findall(
            r"\\([a-zA-Z]+)", "".join(re.findall("```math(.*?)```", trace.markdown(), re.DOTALL))
        )
    )
    known = "frac partial odot cdot cdots times sum leftarrow to top sigma varphi eta Delta ell "
    known += "gamma beta exp log max min tanh mathrm text quad begin end pmatrix underset"
    assert names <= set(known.split())


# HTML --------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """Gathers the arrays of a page, and where it points."""

    def __init__(self, text):
        super().__init__()
        self.arrays, self.links, self.cell, self.open = [], [], None, []
        self.facts = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.links += [attributes[a] for a in ("src", "href", "action", "data") if a in attributes]
        if tag == "figure":
            self.arrays.append([attributes["data-symbol"], [], ""])
        elif tag == "tr":
            self.arrays[-1][1].append([])
        elif tag == "td":
            self.cell = attributes.get("title")
            self.arrays[-1][1][-1].append(["", self.cell])
        self.open.append((tag, attributes.get("class")))

    def handle_data(self, data):
        if self.open and self.open[-1][0] == "td":
            self.arrays[-1][1][-1][-1][0] += data
        elif self.open and self.open[-1] == ("span", "facts"):
            self.arrays[-1][2] += data

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass


def test_html(trace):
    page, arrays = Page(trace.html()), shown(trace)
    assert len(page.arrays) == len(arrays)
    for (symbol, rows, known), array in zip(page.arrays, arrays, strict=True):
        assert symbol == to_text(array.symbol)
        check_table([[text for text, _ in row] for row in rows], array.value, trace)
        for title in (title for row in rows for _, title in row if title is not None):
            name, _, number = title.rpartition(" = ")
            index = tuple(map(int, re.findall(r"\d+", name.removeprefix(symbol))))
            assert array.value.dtype.type(number) == array.value[index]
        if known:
            check_facts(known, array.value)


def test_html_needs_nothing_from_outside(trace):
    text = trace.html()
    assert {link for link in Page(text).links if not link.startswith("#step=")} == {"data:,"}
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#arrow-)|fetch|XMLHttp", text)
    assert "{{" not in text
    assert "middle <b>" not in text
    assert len(text) < 1_000_000
    assert text.count("<section") == len(trace.steps)


def test_a_large_network_is_a_cut_out():
    trace = large()
    assert len(trace.text().splitlines()) <= 220
    assert len(trace.html()) < 300_000
    assert len(trace.markdown()) < 60_000


# Pieces ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.15, 0.2, 1.0], ["0.15", "0.20", "1.00"]),
        ([1.0, -2.0, 0.0], ["1", "-2", "0"]),
        ([2e-7, -1.5e-9], ["2.00e-07", "-1.50e-09"]),
        ([1234567.5, 2.0], ["1.23e+06", "2.00e+00"]),
        ([123456.5, 2.0], ["123456.5", "2.0"]),
        ([np.nan, np.inf, -np.inf, 0.5], ["nan", "inf", "-inf", "0.500"]),
        ([0.9999, 0.00004], ["1.000", "4.00e-05"]),
        ([1e300, -1e-300], ["1.00e+300", "-1.00e-300"]),
    ],
)
def test_the_format_of_numbers(values, texts):
    values = np.array(values)
    write = number_format(values, 3)
    assert [write(v) for v in values] == texts


def test_formulas_as_text_and_mathml():
    latex = r"\frac{\partial L}{\partial W^{(12)}} = {a^{(2)}}^\top \sum \sigma'(z_1) \odot -\eta"
    assert to_text(latex) == "∂L/∂W¹² = a²ᵀ ∑ σ'(z₁) ⊙ −η"
    assert to_mathml(r"\frac{1}{n}") == "<math><mfrac><mn>1</mn><mi>n</mi></mfrac></math>"
    assert "moving_mean" in to_mathml(r"\mathrm{moving\_mean}^{(1)}")
    with pytest.raises(KeyError):
        to_text(r"\unknown")


def test_files(tmp_path):
    trace = small()
    for name, form in [("a.html", trace.html), ("b.md", trace.markdown), ("c.TXT", trace.text)]:
        trace.save(tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8").rstrip("\n") == form().rstrip("\n")
    assert str(trace) == trace.text()
    assert "2-2-1" in repr(trace)
