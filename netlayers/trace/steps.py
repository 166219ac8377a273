"""The steps of a trace, with formulas and arrays, and the symbols of the arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from netlayers.arrays.several import listed

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.trace.records import LayerTrace, LossTrace, OptimizerTrace, WeightTrace

# The parts of the story, and what they are called.
PHASES = {
    "start": "The batch",
    "forward": "Forward",
    "loss": "Loss",
    "backward": "Backward",
    "update": "Update",
}
SYMBOLS = {
    "kernel": "W",
    "recurrent_kernel": "U",
    "bias": "b",
    "gamma": r"\gamma",
    "beta": r"\beta",
    "alpha": r"\alpha",
}


class TraceView(Protocol):
    """The attributes of a :class:`~netlayers.trace.trace.Trace` that its forms show."""

    name: str
    model: LayerTrace
    layers: list[LayerTrace]
    loss: LossTrace
    steps: list[Step]
    digits: int
    rows: int
    columns: int


@dataclass
class Shown:
    """An array under its symbol.

    Attributes:
        symbol: in LaTeX.
        value: the array.
        again: it, or its transpose, was shown in an earlier step.
    """

    symbol: str
    value: Array
    again: bool = False


@dataclass
class Line:
    """A formula with its numbers.

    Attributes:
        formula: in LaTeX, or nothing.
        items: arrays, and between them signs in LaTeX.
        code: the formula as the class documents it, where there is no LaTeX.
        note: a sentence.
    """

    formula: str = ""
    items: list[Shown | str] = field(default_factory=list)
    code: str = ""
    note: str = ""

    @property
    def arrays(self) -> list[Shown]:
        """The arrays, without the signs."""
        return [item for item in self.items if isinstance(item, Shown)]


@dataclass
class Step:
    """One step of the story.

    Attributes:
        phase: ``"start"``, ``"forward"``, ``"loss"``, ``"backward"`` or ``"update"``.
        title: what happens.
        name: path of the layer; nothing for the loss.
        number: its number, 0 for none.
        text: a sentence that says what to see.
        lines: formulas and arrays.
        time: of a recurrent layer, which time step it is, from 1; 0 for none.
    """

    phase: str
    title: str
    name: str = ""
    number: int = 0
    text: str = ""
    lines: list[Line] = field(default_factory=list)
    time: int = 0


def by(symbol: str) -> str:
    """Return dL/dsymbol in LaTeX."""
    return rf"\frac{{\partial L}}{{\partial {symbol}}}"


class Symbols:
    """Symbols of arrays: ``W^{(1)}`` is the kernel of the first layer.

    Args:
        top: record of the model.
        loss: what the loss did.
        optimizer: what the optimizer did.
    """

    def __init__(self, top: LayerTrace, loss: LossTrace, optimizer: OptimizerTrace) -> None:
        self.top, self.loss, self.optimizer = top, loss, optimizer
        self.numbered = sorted((r for r in top.walk() if r.number), key=lambda r: r.number)
        # Symbols by the identity of the arrays: where an array came from is what it is called.
        # In the dtype of the model, as its first layer is given it.
        inner = [r for r in top.walk() if r is not top]
        taken = {id(a) for r in inner for a in listed(r.x)}
        given = [r.x for r in inner if _as_many(r.x, top.x)]
        itself = not given or any(id(a) in taken for a in listed(top.x))
        self.x = top.x if itself else given[0]
        self.symbols: dict[int, str] = {id(x.value): x.symbol for x in several("x", self.x)}
        # The weights of a layer are called by its first use.
        self._first = {id(r.layer): r for r in reversed(self.numbered)}
        for record in self.numbered:
            if record.y is not record.x or record.kind != "other":
                its = several(self.out(record), record.y)
                self.symbols.update({id(y.value): y.symbol for y in its})
        if loss.fused and not loss.parts:
            self.symbols[id(loss.y_pred)] = self.out(self.numbered[-1])

    def out(self, record: LayerTrace) -> str:
        """Return the symbol of an output."""
        if record.sums_up and linear(record) and self._is_logits(record):
            return self.of("z", record)
        return self.of("a" if record.kind == "activation" or record.sums_up else "y", record)

    def _is_logits(self, record: LayerTrace) -> bool:
        """Whether a loss takes the output of a layer as logits."""
        for its in self.loss.by_output.values():
            if getattr(its.loss, "from_logits", False) and not its.fused:
                last = record.y is its.y_pred if self.loss.parts else record is self.numbered[-1]
                if last:
                    return True
        return False

    def maker(self, loss: LossTrace) -> LayerTrace | None:
        """Return what computed the predictions of a loss."""
        made = [r for r in self.numbered if r.y is loss.y_pred] if self.loss.parts else []
        return made[-1] if made else self.numbered[-1] if self.numbered else None

    def of(self, letter: str, record: LayerTrace) -> str:
        """Return a letter with the number of a layer: ``W^{(1)}``."""
        return f"{letter}^{{({record.number})}}"

    def weight(self, name: str, record: LayerTrace) -> str:
        """Return the symbol of a weight."""
        plain = name.replace("_", r"\_")
        first = self._first[id(record.layer)]
        return self.of(SYMBOLS.get(name, rf"\mathrm{{{plain}}}"), first)

    def part(self, symbol: str, weight: WeightTrace, number: int) -> str:
        """Return dL/dweight as far as it comes from one use of the layer."""
        return by(symbol) + (rf"\ \mathrm{{call}}\ {number}" if len(weight.parts) > 1 else "")

    def loss_symbol(self, letter: str, name: str) -> str:
        """Return a letter with the name of an output, of a model with one output the letter."""
        plain = name.replace("_", r"\_")
        return rf"{letter}_{{\mathrm{{{plain}}}}}" if name else letter

    def inputs(self, record: LayerTrace) -> list[Shown]:
        """Return the inputs of a layer under their symbols."""
        own = several(self.of("x", record), record.x)
        return [Shown(self.symbols.get(id(x.value), x.symbol), x.value) for x in own]

    def into(self, record: LayerTrace) -> str:
        """Return the symbol of an input."""
        return self.symbols.get(id(record.x), self.of("x", record))

    def argument(self, r: LayerTrace) -> str:
        """Return the symbol of what an activation is applied to."""
        return self.into(r) if r.kind == "activation" else self.of("z", r)


def several(symbol: str, value: Any) -> list[Shown]:
    """Return an array under its symbol, or several with numbers, without those there are not."""
    if not isinstance(value, tuple):
        return [] if value is None else [Shown(symbol, value)]
    return [Shown(rf"{symbol}_{{{i}}}", a) for i, a in enumerate(value) if a is not None]


def _as_many(a: Any, b: Any) -> bool:
    """Whether both are single arrays, or tuples of equal length."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b)
    return not isinstance(a, tuple) and not isinstance(b, tuple)


def present(array: Array | None) -> Array:
    """Return an array that must be there."""
    assert array is not None
    return array


def linear(r: LayerTrace) -> bool:
    """Whether a layer that sums up has no activation."""
    return type(r.activation).__name__ == "Linear"


def last_of(r: LayerTrace) -> LayerTrace:
    """Return what made the output of a chain."""
    return last_of(r.parts[-1]) if r.kind == "chain" and r.parts else r


def first_number(r: LayerTrace) -> int:
    """Return the number of the layer that takes the input of a record."""
    return min((part.number for part in r.walk() if part.number), default=0)
