"""Formulas of a trace: LaTeX for common activations and losses, else from the docstrings."""

from __future__ import annotations

import inspect
import re
from typing import Any

# By class: f(z), and its derivative by z where that is written with y = f(z). {z} and {a} are put
# in; each is the rule that the class's forward and backward state.
ACTIVATIONS = {
    "Sigmoid": (r"\frac{1}{1 + e^{-{z}}}", r"{a} \odot (1 - {a})"),
    "Tanh": (r"\tanh {z}", r"1 - {a} \odot {a}"),
    "ReLU": (r"\max({z}, 0)", r"1\ \mathrm{where}\ {z} > 0,\ 0\ \mathrm{elsewhere}"),
    "Softmax": (r"\frac{e^{{z}}}{\sum e^{{z}}}", None),
    "Exponential": (r"e^{{z}}", r"{a}"),
    "Softplus": (r"\log(1 + e^{{z}})", r"\frac{1}{1 + e^{-{z}}}"),
    "SiLU": (r"\frac{{z}}{1 + e^{-{z}}}", None),
}
# By class: the loss of a batch, and its gradient by what it is computed from, {a}; {t} are the
# targets, n the number of samples, k that of outputs. For the mean over the batch without weights.
LOSSES = {
    "MeanSquaredError": (r"\frac{1}{n k} \sum ({a} - {t})^2", r"\frac{2}{n k} ({a} - {t})"),
    "MeanAbsoluteError": (
        r"\frac{1}{n k} \sum | {a} - {t} |",
        r"\frac{1}{n k} \mathrm{sign}({a} - {t})",
    ),
    "CategoricalCrossentropy": (r"-\frac{1}{n} \sum {t} \log {a}", None),
    "SparseCategoricalCrossentropy": (r"-\frac{1}{n} \sum \log {a}_{t}", None),
    "BinaryCrossentropy": (
        r"-\frac{1}{n k} \sum ({t} \log {a} + (1 - {t}) \log(1 - {a}))",
        None,
    ),
}
# The same where activation and loss are computed together: dL/dz.
FUSED = {
    "CategoricalCrossentropy": r"\frac{1}{n} ({a} - {t})",
    "SparseCategoricalCrossentropy": r"\frac{1}{n} ({a} - \mathrm{onehot}({t}))",
    "BinaryCrossentropy": r"\frac{1}{n k} ({a} - {t})",
}


def activation_formula(activation: Any, z: str, a: str) -> tuple[str, str | None]:
    """Return f(z) and f'(z) in LaTeX; for one that is not in the table φ(z), and ``None``."""
    value, slope = ACTIVATIONS.get(_plain_name(activation), (None, None))
    if value is None:
        return rf"\varphi({z})", None
    return _put_in(value, z=z, a=a), None if slope is None else _put_in(slope, z=z, a=a)


def loss_formula(
    loss: Any, a: str, fused: bool, weighted: bool, t: str = "t"
) -> tuple[str | None, str | None]:
    """Return L and its gradient in LaTeX; ``None`` where the table does not say it exactly."""
    name = type(loss).__name__
    plain = getattr(loss, "reduction", None) in ("sum_over_batch_size", "mean") and not weighted
    plain = plain and not getattr(loss, "label_smoothing", 0.0)
    plain = plain and getattr(loss, "ignore_class", None) is None
    plain = plain and not getattr(loss, "mask_nan", None)
    if not plain or name not in LOSSES or type(loss).__module__.split(".")[0] != "netlayers":
        return None, None
    value, gradient = LOSSES[name]
    if fused or getattr(loss, "from_logits", False):
        gradient = FUSED.get(name)
    target = t if t == "t" else f"{{{t}}}"
    value = _put_in(value.replace("{t}", target), a=a)
    return value, None if gradient is None else _put_in(gradient.replace("{t}", target), a=a)


def documented(thing: Any, method: str) -> str:
    """Return the formula that a method's documentation states, as it is written there.

    Of a container whose calls are wired, ``_connections`` states both, that of forward first.
    Otherwise it is the first paragraph of the docstring of ``method`` (of an optimizer: of its
    class) if it holds code in double backquotes; else nothing.
    """
    wire = getattr(type(thing), "_connections", None)
    if (
        wire is not None
        and method in ("forward", "backward")
        and not _inherited(thing, "_connections")
    ):
        stated = inspect.cleandoc(wire.__doc__ or "").split("\n\n")
        text = stated[method == "backward"] if len(stated) > 1 else ""
        return text.replace("\n", " ").replace("``", "").rstrip(".") if "``" in text else ""
    source = type(thing) if method == "class" else getattr(type(thing), method, None)
    if source is None or (method != "class" and _inherited(thing, method)):
        return ""
    if method == "class":
        kinds = [k for k in type(thing).__mro__ if k.__name__ not in ("Optimizer", "Moments")]
        found = [f for k in kinds for f in re.findall(r"``(.+?)``", _paragraph(k))]
        return ", ".join(dict.fromkeys(found))
    paragraph = _paragraph(source)
    return paragraph.replace("``", "").rstrip(".") if "``" in paragraph else ""


def _paragraph(source: Any) -> str:
    """Return the first paragraph of a docstring, with the next one if that is formulas."""
    paragraphs = [
        p.replace("\n", " ") for p in inspect.cleandoc(source.__doc__ or "").split("\n\n")
    ]
    more = len(paragraphs) > 1 and paragraphs[1].startswith("``")
    return " ".join(paragraphs[: 1 + more])


def shown_name(activation: Any) -> str:
    """Return the name of an activation: ``"sigmoid"``, ``"ReLU"``."""
    name = type(activation).__name__
    return name.lower() if name[1:].islower() else name


def _inherited(thing: Any, method: str) -> bool:
    """Whether the method is that of the base class ``Layer``, which states no formula."""
    for kind in type(thing).__mro__:
        if method in vars(kind):
            return kind.__name__ in ("Layer", "ActivationLayer", "Loss", "Network")

    return True


def _plain_name(activation: Any) -> str:
    """Return the name of the class if the table's formula is the one it computes."""
    name = type(activation).__name__
    if type(activation).__module__.split(".")[0] != "netlayers":
        return ""
    return "" if name == "ReLU" and not activation._plain else name


def _put_in(formula: str, **symbols: str) -> str:
    for name, symbol in symbols.items():
        formula = formula.replace("{" + name + "}", "{" + symbol + "}")
    return formula
