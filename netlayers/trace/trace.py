"""One training step with all its numbers: as text, as Markdown, and as a page to step through."""

from __future__ import annotations

import copy
import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlayers._html import escaped
from netlayers._notebook import Report
from netlayers.arrays.convert import shapes_of
from netlayers.checks import check_integer, check_path
from netlayers.errors import ConfigurationError
from netlayers.trace.html import to_html
from netlayers.trace.markdown import to_markdown
from netlayers.trace.recording import record_step
from netlayers.trace.records import LayerTrace, LossTrace, OptimizerTrace
from netlayers.trace.steps import Step
from netlayers.trace.story import Story
from netlayers.trace.text import to_text
from netlayers.training.lock import check_not_busy
from netlayers.training.samples import one_batch

if TYPE_CHECKING:
    import os

    from netlayers._typing import ArrayLike
    from netlayers.data.batch import Batch
    from netlayers.training.compilation import CompilableModel
    from netlayers.training.step import Steps

__all__ = [
    "LayerTrace",
    "LossTrace",
    "OptimizerTrace",
    "Step",
    "Trace",
    "trace_batch",
    "trace_step",
]


class Trace(Report):
    """One training step with all its numbers; made by :func:`trace_step`.

    It prints as text. The arrays are copies, named as in the books: ``x``, ``z``, ``y`` (the
    activation a), ``dy`` (dL/da), ``slope`` (activation'(z)), ``dz`` (dL/dz, δ), ``dx``.

    Args:
        name: name of the model.
        top: record of the model.
        loss: what the loss did.
        optimizer: what the optimizer did.
        digits: significant digits of the largest number of an array; the others have as many
            decimals.
        rows: maximum number of rows shown; of a larger array, the first and the last.
        columns: maximum number of columns shown.

    Attributes:
        layers: a :class:`LayerTrace` for each layer; those in a container are its ``parts``.
        loss: a :class:`LossTrace`.
        optimizer: an :class:`OptimizerTrace`.
        steps: the story, a list of :class:`Step`; all three forms show the arrays that it holds.
    """

    def __init__(
        self,
        name: str,
        top: LayerTrace,
        loss: LossTrace,
        optimizer: OptimizerTrace,
        digits: int = 4,
        rows: int = 6,
        columns: int = 6,
    ) -> None:
        self.name = name
        self.model = top
        self.layers = top.parts
        self.loss = loss
        self.optimizer = optimizer
        self.story = Story(top, loss, optimizer)
        self.steps: list[Step] = self.story.steps()
        self.digits = check_integer("trace", "digits", digits, minimum=1)
        self.rows = check_integer("trace", "rows", rows, minimum=2)
        self.columns = check_integer("trace", "columns", columns, minimum=2)

    def __getitem__(self, name: str) -> LayerTrace:
        """Return the record of a layer by its name or path."""
        for record in self.model.walk():
            if name == record.name:
                return record
        names = [record.name for record in self.model.walk() if record.number]
        raise KeyError(f"trace: no layer is named {name!r}; there are {', '.join(names)}")

    def text(self) -> str:
        """Return the trace as plain text."""
        return to_text(self)

    def markdown(self) -> str:
        """Return the trace as Markdown with LaTeX formulas, as GitHub and notebooks show them."""
        return to_markdown(self)

    def html(self) -> str:
        """Return the trace as one page to step through with the arrow keys.

        It is self-contained. Without JavaScript, and in print, all steps are shown.
        """
        return to_html(self, self.story)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace to a file; the extension selects ``.html``, ``.md`` or ``.txt``.

        Raises:
            ConfigurationError: the extension is unknown.
            OSError: the file cannot be written.
        """
        name = check_path("trace.save", "path", path)
        forms = {".html": self.html, ".md": self.markdown, ".txt": self.text}
        ending = Path(name).suffix.lower()
        if ending not in forms:
            raise ConfigurationError(
                f"trace.save: the name must end in .html, .md or .txt, got {name!r}."
            )
        text = forms[ending]()
        Path(name).write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")

    def _repr_html_(self) -> str:
        page = html.escape(self.html())  # the whole page is the value of an attribute
        style = "width:100%;height:760px;border:1px solid rgba(128,128,128,.4)"
        name = escaped(self.name)
        return f'<iframe title="Trace of {name}" style="{style}" srcdoc="{page}"></iframe>'

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # the text is long

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Trace of {self.name!r}: {len(self.steps)} steps, loss {self.loss.total:.6g}>"


def trace_step(
    model: CompilableModel,
    x: Any,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    digits: int = 4,
    rows: int = 6,
    columns: int = 6,
) -> Trace:
    """Return one training step with all its numbers: forward, loss, backward, update.

    The step is made on a copy: the model, its optimizer, statistics and random streams do not
    change. The numbers are those that ``train_on_batch`` would compute, to the bit.

    Args:
        model: a compiled model.
        x: one batch of inputs; of data that come in batches, the first is taken.
        y: its targets.
        sample_weight: weight of each sample.
        digits: significant digits of the largest number of an array; the others have as many
            decimals, and a smaller one an exponent.
        rows: most rows of an array that are shown; of more, the first and the last, with the
            smallest number, the largest, and the norm of all.
        columns: maximum number of columns shown.

    Returns:
        Print it, ``save("trace.html")`` it as a page to step through with the arrow keys, or read
        its arrays.

    Raises:
        DataError, ShapeError, NotCompiledError: as ``fit``.
        NonFiniteError: a gradient exploded.
        BusyError: another thread trains the model.

    Example:
        >>> import netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(1, "sigmoid", name="out")], dtype="float64")
        >>> model.compile(nl.optimizers.SGD(0.5), "mse")
        >>> model.build((None, 2))
        >>> model.set_weights([[[0.4], [0.45]], [0.6]])
        >>> trace = model.trace([[0.593, 0.597]], [[0.01]])
        >>> trace["out"].y, trace["out"].dz
        (array([[0.75135461]]), array([[0.27700101]]))
    """
    owner = "trace"
    model._require_compiled()
    check_not_busy(model, owner)
    trial = copy.deepcopy(model)
    trial._metrics = trial._weighted_metrics = ()
    batch = one_batch(trial, owner, x, y, sample_weight)
    steps = trial._make_steps(shapes_of(batch.targets))
    return trace_batch(steps, batch, digits=digits, rows=rows, columns=columns)


def trace_batch(steps: Steps, batch: Batch, **shown: Any) -> Trace:
    """Train on one batch, and return what was computed.

    Args:
        steps: trains a model, which changes: a copy.
        batch: checked data.
        shown: ``digits``, ``rows`` and ``columns`` of :class:`Trace`.
    """
    steps.loss = copy.deepcopy(steps.loss)
    parts = record_step(steps, batch)
    return Trace(steps.model.name, *parts, **shown)
