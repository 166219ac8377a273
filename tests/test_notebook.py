"""What a notebook shows, where other programs print; and that names in it are text."""

import os
import pickle
import re
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from netlayers import _notebook
from netlayers.callbacks import reporting

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
# What a name may hold: tags, entities, formulas, quotes, and what means something to Markdown.
NAME = "<img src=x onerror=alert(1)>\"'&amp;|`$1$ \\frac{1}{2} **b** {{title}} <script>"
TAGS = ["table", "thead", "tbody", "tr", "th", "td", "p", "b", "br", "img", "iframe", "pre"]
X, Y = np.linspace(-1, 1, 12).reshape(4, 3), np.array([[0.0], [1.0], [0.0], [1.0]])


class Display:
    """Stands for IPython with a kernel."""

    def __init__(self):
        self.config, self.execution_count, self.shown = {"IPKernelApp": {}}, 1, []

    def display(self, value):
        try:
            value._ipython_display_()
        except NotImplementedError:  # as IPython does, which then asks for the formats
            self.shown.append(value._repr_html_())


@pytest.fixture
def notebook(monkeypatch):
    display = Display()
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: display
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = display.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return display


def trained(name="dense"):
    part = nl.layers.Residual([nl.layers.Dense(3, name=f"{name}2")], name=f"r{name}")
    layers = [nl.layers.Dense(3, "tanh", name=name), part, nl.layers.Dense(1, "sigmoid")]
    model = nl.Sequential(layers, seed=0, name=name)
    metric = nl.metrics.MeanAbsoluteError(name=f"m{name}")
    model.compile(nl.optimizers.SGD(0.1), "mse", metrics=[metric])
    model.fit(X, Y, epochs=3, verbose=0)
    return model


def reports(model):
    yield "model", model
    yield "history", model.history
    yield "diagnosis", model.diagnose(X, Y, verbose=0)
    yield "check", nl.check_gradients(model, X, Y)
    yield "profile", model.profile(X, Y, steps=2)
    yield "activations", model.activation_histograms(X)
    yield "rates", nl.find_learning_rate(model, X, Y, steps=5)
    yield "trace", model.trace(X, Y)


def test_nothing_is_a_notebook_here():
    assert not _notebook.in_notebook()


def test_a_summary_is_shown_as_a_table(notebook, capsys):
    model = trained()
    model.summary()
    model.summary(expand_nested=True, show_trainable=False)
    first, second = notebook.shown
    assert capsys.readouterr().out == ""
    assert first.count("<tr>") == 1 + 3 + 3
    assert second.count("<tr>") == 1 + 4 + 3
    assert "Trainable</th>" in first
    assert "Trainable</th>" not in second
    assert "&nbsp;&nbsp;dense2 (Dense)" in second
    assert "<td style" in first
    lines = []
    model.summary(print_fn=lines.append)  # who wants text gets it
    assert len(lines) == 10
    assert len(notebook.shown) == 2


def test_a_line_within_a_bar(notebook, capsys, monkeypatch):
    written = []
    monkeypatch.setattr("tqdm.tqdm.write", written.append)
    reporting.say("saved")
    assert written == ["saved"]  # tqdm moves its bars away and back
    assert capsys.readouterr().out == ""


def test_a_model_that_is_not_built_says_so():
    text = nl.Sequential([nl.layers.Dense(1)])._repr_html_()
    assert "Not built yet" in text
    assert "not built</td>" in text


def test_a_diagnosis_is_shown_once(notebook, capsys):
    report = trained().diagnose(X, Y)
    assert len(notebook.shown) == 1
    notebook.display(report)  # as the value of the cell
    assert len(notebook.shown) == 1
    notebook.execution_count += 1
    notebook.display(report)  # in the next cell
    assert len(notebook.shown) == 2
    assert capsys.readouterr().out == ""
    assert all(text.startswith("<table") for text in notebook.shown)
    assert "at the first of 20 steps" in notebook.shown[0]


def test_every_report_has_html_and_names_are_text():
    """In all HTML, SVG and Markdown that holds the names of layers, metrics and models."""
    pytest.importorskip("matplotlib")
    for title, report in reports(trained(NAME)):
        text = report._repr_html_()
        assert text.startswith("<"), title
        assert "onerror" in text or title == "rates"
        assert "<img src=x" not in text, title
        assert "</script>" not in re.sub("srcdoc=.*", "", text), title
        for tag in re.findall(r"<(\w+)", text):
            assert tag in TAGS, (title, tag)
        if title not in ("trace", "model"):
            assert "$" not in text or "mathjax_ignore" in text, title


@pytest.mark.parametrize("form", ["html", "markdown", "text"])
def test_names_in_the_forms_of_a_trace_are_text(form):
    text = getattr(trained(NAME).trace(X, Y), form)()
    assert "onerror" in text
    if form == "html":
        assert "<img" not in text
        assert text.count("</script>") == 2
    if form == "markdown":
        outside = re.sub(r"``+ .*? ``+", "", text)
        assert "onerror" not in outside


def test_names_in_a_drawing_are_text(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "net.svg"
    trained(NAME).plot(path)
    text = path.read_text()
    assert "<img" not in text
    assert "<script" not in text


def test_control_characters_are_written_out():
    """No name may hold them, but what a user's callback logs may."""
    with pytest.raises(nl.errors.ConfigurationError, match="printable"):
        nl.layers.Dense(1, name="a\x1b[2J")
    model = trained()
    model.layers[0].name = model.name = "a\x1b[2J\u202eb"
    model.history.history["m\x1b[2J"] = [0.5, 0.4, 0.3]
    model.history._when["m\x1b[2J"] = [0, 1, 2]
    lines = []
    model.summary(print_fn=lines.append)
    texts = ["\n".join(lines), repr(model.history)]
    for title, report in reports(model):
        texts += [report._repr_html_()]
        texts += [] if title in ("model", "history") else [str(report)]
    trace = model.trace(X, Y)
    texts += [trace.markdown(), trace.html(), repr(trace)]
    for text in texts:
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert sum(r"\x1b[2J" in text for text in texts) > 12


def test_the_table_of_a_history():
    history = nl.callbacks.History()
    assert "No epoch" in history._repr_html_()
    for epoch in range(20):
        logs = {"loss": 1 / (epoch + 1), "dense/norm": 1.0, "matrix": np.ones(2)}
        if epoch % 2:
            logs["val_loss"] = 0.5 + (epoch - 9) ** 2
        history.on_epoch_end(epoch, logs)
    text = history._repr_html_()
    assert text.count("<tr>") == 1 + 12
    assert "20 epochs; the lowest val_loss is 0.5000, of epoch 10." in text
    assert "dense/norm" not in text
    assert "matrix" not in text
    assert re.findall(r">(-|[\d.]+)</td></tr>", text)[-2:] == ["-", "100.5000"]
    assert repr(history) == "<History of 20 epochs: loss 0.0500, val_loss 100.5000>"


def test_a_history_of_nan():
    history = nl.callbacks.History()
    history.on_epoch_end(0, {"loss": np.nan})
    assert "<p" in history._repr_html_()
    assert "1 epoch." in history._repr_html_()
    assert repr(history) == "<History of 1 epoch: loss nan>"


def test_figures_show_themselves():
    pytest.importorskip("matplotlib")
    model = trained()
    for figure in (model.plot(), model.history.plot()):
        for its in (figure, pickle.loads(pickle.dumps(figure))):
            png, about = its._repr_png_()
            assert png.startswith(b"\x89PNG")
            assert about == {"width": int(100 * figure.get_figwidth())}  # half of its dots
    surface = model.loss_surface(X, Y, size=3)
    assert surface._repr_png_()[0].startswith(b"\x89PNG")


def test_without_matplotlib_there_are_tables(monkeypatch):
    model = trained()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "<img" not in model.history._repr_html_()
    assert nl.find_learning_rate(model, X, Y, steps=5)._repr_html_().startswith("<pre>")
    assert model.loss_surface(X, Y, size=3)._repr_png_() is None


def test_ipython_on_a_terminal_shows_the_text():
    class Printer:
        def text(self, text):
            self.shown = text

    printer = Printer()
    for title, report in reports(trained()):
        if title not in ("model", "history"):
            report._repr_pretty_(printer, False)
            assert printer.shown == (repr(report) if title == "trace" else str(report))
    trained().loss_surface(X, Y, size=3)._repr_pretty_(printer, False)
    assert printer.shown.startswith("<LossSurface of 3 × 3 losses from ")


def executed(*cells):
    """Run cells in a kernel, and return them with their outputs."""
    pytest.importorskip("ipykernel")
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    if isinstance(cells[0], Path):
        notebook = nbformat.read(cells[0], 4)
    else:
        made = [nbformat.v4.new_code_cell(cell) for cell in cells]
        notebook = nbformat.v4.new_notebook(cells=made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = nbclient.NotebookClient(
            notebook, timeout=120, kernel_name="python3", allow_errors=True
        )
        client.execute(env=os.environ | {"PYTHONPATH": str(ROOT)})
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_of_the_examples_runs():
    pytest.importorskip("matplotlib")
    nbformat = pytest.importorskip("nbformat")
    assert not any(cell.get("outputs") for cell in nbformat.read(NOTEBOOK, 4).cells)
    kinds = []
    for cell in executed(NOTEBOOK):
        (output,) = cell.outputs
        assert output.output_type in ("display_data", "execute_result"), output
        kinds.append([kind for kind in output.data if kind != "text/plain"])
    html, png = ["text/html"], ["image/png"]
    assert kinds == [html, html, png, html, html, html, png, html]


def test_a_run_in_a_notebook():
    """The bar is there or gone, depending on what is installed; lines, interruption and value."""
    code = """
import signal, numpy as np, netlayers as nl
x = np.ones((64, 2))
model = nl.Sequential([nl.layers.Dense(1)], seed=0)
model.compile("sgd", "mse")
model.fit(x, x[:, 0], epochs=2)"""
    interrupted = """
def stop(batch, logs):
    signal.raise_signal(signal.SIGINT)
model.fit(x, x[:, 0], verbose=0, callbacks=[nl.callbacks.LambdaCallback(on_train_batch_end=stop)])
"""
    first, second = executed(code, interrupted)
    printed = [output for output in first.outputs if output.get("name") == "stdout"]
    text = "".join(output.text for output in printed)
    assert len(re.findall(r"Epoch \d/2 +[\d.]+ m?s  loss", text)) == 2
    assert "text/html" in first.outputs[-1].data
    assert second.outputs[-1].traceback == [
        "fit was interrupted in epoch 1 of 1 after batch 1 of 2; nothing was saved; fit(...) "
        "trains on from the weights as they are."
    ]
