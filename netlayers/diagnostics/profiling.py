"""Where the time of a training step goes: by layer and operation."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._html import html_table, paragraph
from netlayers._notebook import Report
from netlayers._tables import text_table
from netlayers.arrays.convert import shapes_of
from netlayers.checks import check_integer
from netlayers.core.hooks import Uses, call_name, observed, replaced, used_by
from netlayers.layers.containers import Container
from netlayers.layers.dense import Dense
from netlayers.training.samples import one_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlayers._typing import ArrayLike
    from netlayers.core.layer import Layer
    from netlayers.data.batch import Batch
    from netlayers.training.compilation import CompilableModel
    from netlayers.training.step import Steps

__all__ = ["ProfileReport", "ProfileRow", "profile", "profile_steps"]

_WARM_UP = 3  # steps in which buffers are made
_REST = "the rest of the step"


@dataclass
class ProfileRow:
    """What one part of a step takes.

    Attributes:
        name: path of the layer, ``"dense (call 2)"`` for its second use, ``"dense (ReLU)"`` for the
            activation in it, or the name of the loss, a metric or the optimizer.
        kind: class of the part, such as ``"Dense"``.
        forward: seconds of it in a forward pass, without the parts in it.
        backward: seconds of it in a backward pass, without the parts in it.
        update: seconds of it in the update of the weights.
        flop: floating-point operations of its matrix products in one step, two for each
            multiplication with its addition; ``None`` for what makes none, or is not known.
    """

    name: str
    kind: str
    forward: float = 0.0
    backward: float = 0.0
    update: float = 0.0
    flop: int | None = None

    @property
    def seconds(self) -> float:
        """All its seconds in a step."""
        return self.forward + self.backward + self.update


@dataclass
class ProfileReport(Report):
    """Where the time of a training step goes; printed, it is a table.

    Attributes:
        batch: rows of the batch.
        steps: how many steps were watched; each number is the mean over the middle half of them,
            neither the fastest quarter nor the slowest.
        step: seconds of a step that is not watched.
        watching: seconds by which watching made a step longer; they are in none of the rows.
        rows: one :class:`ProfileRow` for each layer and activation in the order of the forward
            pass, each metric, the loss and the optimizer, and one for what is left of the step.
    """

    batch: int
    steps: int
    step: float
    watching: float
    rows: list[ProfileRow] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The sum of the rows; it differs from ``step`` by the noise of the clock and machine."""
        return sum(row.seconds for row in self.rows)

    def share(self, row: ProfileRow) -> float:
        """Return the share of a ``row`` in the sum of all."""
        return row.seconds / self.seconds if self.seconds else 0.0

    def _table(self) -> list[tuple[str, ...]]:
        table: list[tuple[str, ...]] = [
            ("part", "", "forward µs", "backward", "update", "share", "MFLOP", "GFLOP/s")
        ]
        for row in self.rows:
            parts = (row.forward, row.backward, row.update)
            speed = row.flop / row.seconds / 1e9 if row.flop and row.seconds else None
            table.append(
                (
                    row.name,
                    row.kind,
                    *(f"{1e6 * s:,.1f}" if s else "-" for s in parts),
                    f"{self.share(row):.1%}",
                    "-" if row.flop is None else f"{row.flop / 1e6:,.2f}",
                    "-" if speed is None else f"{speed:,.1f}",
                )
            )
        sums = [sum(getattr(r, name) for r in self.rows) for name in _PHASES]
        flop = sum(row.flop or 0 for row in self.rows)
        total = ("all", "", *(f"{1e6 * s:,.1f}" for s in sums), "100.0%", f"{flop / 1e6:,.2f}")
        table.append((*total, f"{flop / self.seconds / 1e9:,.1f}" if self.seconds else "-"))
        return table

    def _sentence(self) -> str:
        return (
            f"A step on {self.batch:,} rows takes {1e6 * self.step:,.1f} µs (mean of the "
            f"middle half of {self.steps}); watching it takes {1e6 * self.watching:,.1f} µs more, "
            "left out above."
        )

    def __str__(self) -> str:
        lines = text_table(self._table(), left=2)
        rule = "-" * len(lines[0])
        lines[1:1] = [rule]
        lines[-1:-1] = [rule]
        return "\n".join([*lines, self._sentence()])

    def _repr_html_(self) -> str:
        table = self._table()
        return html_table(table, left=2, rules=[1, len(table) - 1]) + paragraph(self._sentence())


_PHASES = ("forward", "backward", "update")


def profile(
    model: CompilableModel,
    x: Any,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    steps: int = 30,
) -> ProfileReport:
    """Return where the time of a training step goes, by layer and operation.

    The steps are made on a copy: the model, its optimizer and its random streams do not change. A
    model that is not built is built in the copy alone.

    Args:
        model: a compiled model.
        x: one batch of inputs, as large as in training: shares depend on its size. Of data that
            come in batches, the first is taken.
        y: its targets.
        sample_weight: weight of each sample.
        steps: how many steps are watched; times are means over the middle half of them. As many
            more are timed without watching.

    Returns:
        Printed, it is a table: for each layer and activation its time forward and backward, without
        that of the parts in it, for ``Dense`` the operations of its matrix products too; the loss,
        the metrics, the optimizer; and how long the whole step takes when nobody watches.

    Raises:
        DataError, ShapeError, ConfigurationError, NotCompiledError: as ``fit``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layers = [nl.layers.Dense(64, activation="relu"), nl.layers.Dense(1)]
        >>> model = nl.Sequential(layers, seed=0)
        >>> model.compile("adam", "mse")
        >>> report = model.profile(np.ones((32, 16)), np.ones((32, 1)), steps=5)
        >>> [row.name for row in report.rows][:3]
        ['dense', 'dense (ReLU)', 'dense_1']
        >>> report.rows[0].flop  # 2 * 32 * 16 * 64 for x W, the same for the gradient of W
        131072
    """
    owner = "profile"
    check_integer(owner, "steps", steps, minimum=1)
    model._require_compiled()
    trial = copy.deepcopy(model)
    batch = one_batch(trial, owner, x, y, sample_weight)
    return profile_steps(trial._make_steps(shapes_of(batch.targets)), batch, steps)


def profile_steps(steps: Steps, batch: Batch, count: int = 30) -> ProfileReport:
    """Make training steps on one batch, and return where their time goes.

    Args:
        steps: trains a model, which changes.
        batch: checked data.
        count: how many steps are watched.

    Steps that are watched and steps that are not take turns; means are over the middle half. A
    part's time is the time between the start and the end of its calls without that of the parts
    called in between; what watching a call costs, measured with a function that does nothing, is
    taken off.
    """

    def step() -> None:
        steps.train(batch)

    for _ in range(_WARM_UP):
        step()
    rows, others = _rows(steps)
    names = {(id(part), number): name for part, number, name in _named(steps.model)}
    watch = _Watch()
    methods = [
        (part, name, _watching(getattr(part, name), key, watch)) for part, name, key in others
    ]

    def around(layer: Layer, method: str, given: Any, run: Callable[[], Any]) -> Any:
        name = names.get((id(layer), uses.number(layer))) or names[id(layer), 1]
        result = watch.call((name, method.removesuffix("_logits")), run)
        watch.flop[name] = watch.flop.get(name, 0) + _flop(layer, method, given, result)
        return result

    alone, watched, taken = [], [], []
    for _ in range(count):
        begin = time.perf_counter()
        step()
        alone.append(time.perf_counter() - begin)
        watch.reset()
        with observed(steps.model, around) as uses, replaced(methods):
            begin = time.perf_counter()
            watch.call((_REST, "update"), step)
            watched.append(time.perf_counter() - begin)
        taken.append(watch.seconds)
    for name, row in rows.items():
        for phase in _PHASES:
            setattr(row, phase, fmean(taken[i].get((name, phase), 0.0) for i in _middle(watched)))
        row.flop = watch.flop.get(name) or None
    step_alone = fmean(alone[i] for i in _middle(alone))
    more = max(0.0, median(b - a for a, b in zip(alone, watched, strict=True)))
    shown = [row for row in rows.values() if row.seconds > 0 or row.flop]
    return ProfileReport(batch.size, count, step_alone, more, shown)


def _middle(seconds: list[float]) -> list[int]:
    """Return which are the middle half: not the fastest and the slowest quarter."""
    order = sorted(range(len(seconds)), key=seconds.__getitem__)
    cut = len(order) // 4
    return order[cut : len(order) - cut]


class _Watch:
    """Adds up the time of calls, each without the calls in it."""

    def __init__(self) -> None:
        self._inside, self._outside = self._cost()
        self.reset()

    def reset(self) -> None:
        """Begin a new step."""
        self.seconds: dict[tuple[str, str], float] = {}
        self.flop: dict[str, int] = {}
        self._open = [0.0]  # for each call under way, the time of the calls in it

    def call(self, key: tuple[str, str], run: Callable[[], Any]) -> Any:
        """Return ``run()``, and add its time to that of ``key``."""
        self._open.append(0.0)
        begin = time.perf_counter()
        result = run()
        taken = time.perf_counter() - begin
        own = max(0.0, taken - self._open.pop() - self._inside)
        self.seconds[key] = self.seconds.get(key, 0.0) + own
        self._open[-1] += taken + self._outside
        return result

    def _cost(self) -> tuple[float, float]:
        """Return what a call costs between the readings of its clock, and around them."""
        self._inside = self._outside = 0.0
        nothing: Any = _Nothing()
        key, uses = ("", ""), Uses()
        for _ in range(2):  # the first time warms up
            self.reset()
            begin = time.perf_counter()
            for _ in range(1000):
                nothing.forward(None)
            bare = (time.perf_counter() - begin) / 1000

            def watched(given: Any) -> Any:
                uses.number(nothing)
                return self.call(key, lambda: nothing.forward(given))

            begin = time.perf_counter()
            for _ in range(1000):
                watched(None)
            whole = (time.perf_counter() - begin) / 1000
        inside = max(0.0, self.seconds[key] / 1000 - bare)
        return inside, max(0.0, whole - bare - inside)


class _Nothing:
    def forward(self, given: Any) -> Any:
        return given


def _flop(layer: Layer, method: str, given: Any, result: Any) -> int:
    """Return the operations of the matrix products of a call, as far as they are known."""
    if not isinstance(layer, Dense) or not method.endswith("_logits"):
        return 0
    x = given if method == "forward_logits" else layer.cache.x
    rows = math.prod(x.shape[:-1])
    dense = 2 * rows * int(layer.kernel.size)
    product = dense if isinstance(x, np.ndarray) else 2 * x.nnz * layer.units  # of a sparse matrix
    if method == "forward_logits":
        return product
    # Without a gradient of the input, the layer gives back what it was given.
    skipped = np.may_share_memory(given, result)
    return product * int(layer.trainable) + (0 if skipped else dense)


def _named(model: Layer) -> Iterator[tuple[Layer, int, str]]:
    """Yield a model and all its parts at any depth, each use with its number and its row's name."""
    yield model, 1, f"{model.name} (itself)"
    yield from _named_below(model, True, "", {})


def _named_below(
    layer: Layer, inside: bool, name: str, counts: dict[int, int]
) -> Iterator[tuple[Layer, int, str]]:
    for part in used_by(layer):
        number = counts[id(part)] = counts.get(id(part), 0) + 1
        its = call_name(part.path, number) if inside else f"{name} ({type(part).__name__})"
        yield part, number, its
        yield from _named_below(part, isinstance(part, Container), its, counts)


# An object, the method of it to be watched, and the row and column for its time.
_Watched = tuple[Any, str, tuple[str, str]]


def _rows(steps: Steps) -> tuple[dict[str, ProfileRow], list[_Watched]]:
    """Return an empty row for each part of a step by its name, and what else is to be watched."""
    parts = [*_named(steps.model)]
    model = parts.pop(0)  # its own time, going from layer to layer, comes after that of its layers
    rows = {name: ProfileRow(name, type(part).__name__) for part, _, name in [*parts, model]}
    methods: list[_Watched] = []

    def add(title: str, part: Any, **columns: str) -> None:
        rows[title] = ProfileRow(title, type(part).__name__)
        methods.extend((part, method, (title, phase)) for method, phase in columns.items())

    add("loss", steps.loss, forward="forward", backward="backward")
    for name, metric in steps.metrics.items():
        add(f"metric {name}", metric, update_state="forward")
    title = "gradient norm, clipping"
    rows[title] = ProfileRow(title, type(steps.optimizer).__name__)
    steps.optimizer.bind(steps.model.parameters)
    methods += [(part, "apply", (title, "update")) for part in steps.optimizer.transforms]
    add("optimizer", steps.optimizer, step="update")
    rows[_REST] = ProfileRow(_REST, "")
    return rows, methods


def _watching(method: Any, key: tuple[str, str], watch: _Watch) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return watch.call(key, lambda: method(*args, **kwargs))

    return call
