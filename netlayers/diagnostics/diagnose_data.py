"""What can be wrong with data and loss: scales, labels, a loss for another kind of output."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import losses
from netlayers.diagnostics.evidence import Finding
from netlayers.diagnostics.layer_statistics import activation_of
from netlayers.diagnostics.slopes import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.diagnostics.evidence import Evidence, Output

# Inputs should be about 0, and all features of about one size, best 1: Y. LeCun et al., "Efficient
# BackProp", 1998, section 4.3. Pixels from 0 to 1 and standardized features are far within these
# limits, pixels up to 255 and salaries beside ages far outside. Sizes are of values that are not 0:
# a pixel that is rarely on is no small feature.
INPUT_TOO_LARGE = 10.0
INPUT_TOO_SMALL = 1e-2
FEATURES_APART = 100.0
OUTPUTS_APART = 1e3  # a gradient that is so small is within what batches differ by
TARGET_TOO_LARGE = 100.0  # an output starts near 0, and has to grow as far as that

REGRESSION = (
    losses.MeanSquaredError,
    losses.MeanAbsoluteError,
    losses.Huber,
    losses.LogCosh,
    losses.MeanAbsolutePercentageError,
    losses.MeanSquaredLogarithmicError,
)
# Losses of positive predictions, such as rates and probabilities.
POSITIVE = (losses.Poisson, losses.KLDivergence)


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield what is wrong with data and loss."""
    yield from inputs(evidence)
    for output in evidence.outputs:
        yield from loss_and_activation(output)
        yield from labels(output)
    yield from balance(evidence)


def inputs(evidence: Evidence) -> Iterator[Finding]:
    """Features that are too large, too small, or of very different sizes."""
    for path, scales in evidence.scales.items():
        if not scales.size:
            continue
        low, high = float(scales.min()), float(scales.max())
        if high <= INPUT_TOO_LARGE and high >= INPUT_TOO_SMALL and high <= FEATURES_APART * low:
            continue
        seen = evidence.images.get(path)
        if seen is not None and seen.high > INPUT_TOO_LARGE:
            yield Finding(
                "inputs not scaled",
                path,
                "warning",
                {"smallest": seen.low, "largest": seen.high},
                f"the images that come to `{path}` have values from {seen.low:.4g} to "
                f"{seen.high:.4g}; about 1 is right.",
                "layers.Rescaling(1 / 255) as the first layer, or x divided by its largest value.",
            )
            continue
        where = "the first Dense layer" if len(evidence.scales) == 1 else f"`{path}`"
        yield Finding(
            "inputs not scaled",
            None if len(evidence.scales) == 1 else path,
            "warning",
            {"smallest": low, "largest": high},
            f"the features that come to {where} have sizes from {low:.2g} to {high:.2g} "
            "(root mean square); about 1 is right for each.",
            "a layers.Normalization() in front, adapted to x, or x divided by its largest value.",
        )


def balance(evidence: Evidence) -> Iterator[Finding]:
    """Find an output whose loss is lost in the sum."""
    its = evidence.first_losses
    if not evidence.fresh or len(its) < 2 or not all(0 < v < math.inf for v in its.values()):
        return
    small, large = min(its, key=lambda n: its[n]), max(its, key=lambda n: its[n])
    if its[large] > OUTPUTS_APART * its[small]:
        yield Finding(
            "outputs not balanced",
            None,
            "warning",
            {"smallest": its[small], "largest": its[large]},
            f"at the start, the loss of the output `{large}` is {its[large]:.3g} and that of "
            f"`{small}` {its[small]:.3g}, weights included: the layers that they share learn for "
            f"`{large}` alone.",
            f"targets of `{large}` with deviation 1, or loss_weights.",
        )


def loss_and_activation(output: Output) -> Iterator[Finding]:
    """Find a loss that is made for another last activation."""
    loss, layer = output.loss, output.layer
    activation = getattr(layer, "activation", None)
    name = type(activation).__name__.lower() if activation is not None else "linear"
    kind = type(loss).__name__
    problem = advice = None
    if isinstance(loss, losses.Crossentropy):
        problem, advice = _crossentropy(loss, kind, name, output.fused)
    elif isinstance(loss, REGRESSION) and name == "softmax":
        problem = (
            f"{kind} of a softmax: its gradient is tiny wherever the softmax is sure, right or "
        )
        problem += "wrong"
        advice = "categorical_crossentropy for classes, or no activation for a regression."
    elif isinstance(loss, POSITIVE) and name in ("linear", "tanh", "softsign"):
        problem = f"{kind} takes the logarithm of the outputs, and {name} makes negative ones"
        advice = "softmax for KLDivergence, exponential or softplus for Poisson."
    elif kind in ("Hinge", "SquaredHinge") and name in ("softmax", "sigmoid", "relu"):
        problem = f"{kind} wants outputs on both sides of 0, and {name} makes none below"
        advice = "a last layer without activation, or binary_crossentropy."
    if problem:
        about = f"output `{output.name}`: " if output.name else ""
        yield Finding(
            "loss and activation",
            layer.path,
            "serious",
            {},
            f"{about}{problem}.",
            str(advice),
            [layer.path],
        )
    elif isinstance(loss, REGRESSION):
        yield from _targets(output, name)


def _crossentropy(loss: Any, kind: str, name: str, fused: bool) -> tuple[str | None, str | None]:
    if fused:
        return None, None
    if loss.from_logits:
        if name in ("softmax", "sigmoid"):
            return (
                f"{kind}(from_logits=True) applies a {loss.link} of its own, and `{name}` was "
                "applied already",
                "from_logits=False, or a last layer without activation.",
            )
        if name in ("relu", "tanh"):
            return (
                f"{kind}(from_logits=True) wants any number, and {name} cuts them off",
                "a last layer without activation.",
            )
        return None, None
    if name == loss.link:
        return None, None
    return (
        f"{kind} wants probabilities, the outputs of a {loss.link}, and the last activation is "
        f"{name}",
        f"activation='{loss.link}' in the last layer"
        + (", or from_logits=True." if name == "linear" else ".")
        + (
            " For one class of several: softmax with a categorical one."
            if name == "softmax"
            else ""
        ),
    )


def _targets(output: Output, name: str) -> Iterator[Finding]:
    """Targets that the last activation can not reach, or that are far away."""
    y = np.asarray(output.y, np.float64)
    y = y[~np.isnan(y)]  # which a loss with mask_nan=True leaves out
    if not y.size:
        return
    low, high = float(y.min()), float(y.max())
    path = output.layer.path
    activation = activation_of(output.layer)
    if activation is not None and name != "linear":
        shape = shape_of(activation)
        if low < shape.low or high > shape.high:
            limits = f"from {shape.low:g} to {shape.high:g}"
            yield Finding(
                "target range",
                path,
                "serious",
                {"low": low, "high": high},
                f"the targets{output.of} go from {low:.3g} to {high:.3g}, the {name} of `{path}` "
                f"only {limits}.",
                "a last layer without activation, or targets scaled into that range.",
                [path],
            )
            return
    size = float(np.sqrt(np.mean(y**2)))
    if size > TARGET_TOO_LARGE:
        yield Finding(
            "targets not scaled",
            None,
            "warning",
            {"size": size},
            f"the targets{output.of} have the size {size:.3g} (root mean square), and outputs "
            "start near 0.",
            "targets with mean 0 and deviation 1, (y - y.mean()) / y.std().",
        )


def labels(output: Output) -> Iterator[Finding]:
    """Labels of which there is only one kind, or of which some do not occur."""
    y: Array = np.asarray(output.y)
    if len(y) < 2:
        return
    columns = y.reshape(len(y), -1)
    outputs = int(output.shape[-1] or 1)
    if (columns == columns[0]).all():
        yield Finding(
            "constant labels",
            None,
            "serious",
            {"value": float(columns[0, 0])},
            f"all {len(y)} targets{output.of} are the same, so there is nothing to learn from x.",
            "look at how y was made; shuffle before cutting off a part.",
        )
        return
    missing: list[int] = []
    if isinstance(output.loss, losses.SparseCategoricalCrossentropy):
        missing = sorted(set(range(outputs)) - set(np.unique(y).astype(int).tolist()))
    elif isinstance(output.loss, losses.CategoricalCrossentropy):
        missing = np.flatnonzero(~y.reshape(-1, y.shape[-1]).any(axis=0)).tolist()
    elif columns.shape[1] > 1:
        missing = np.flatnonzero((columns == columns[0]).all(axis=0)).tolist()
        if missing:
            yield Finding(
                "constant labels",
                None,
                "warning",
                {"columns": len(missing)},
                f"the targets{output.of} in column {_listed(missing)} are the same in all rows."
                if output.name
                else f"the targets of output {_listed(missing)} are the same in all rows.",
                "look at how y was made, or leave these outputs away.",
            )
        return
    if missing:
        yield Finding(
            "missing classes",
            None,
            "warning",
            {"missing": len(missing), "classes": outputs},
            f"there is no row of class {_listed(missing)}{output.of}, and the model has {outputs} "
            "outputs.",
            "data with all classes, or as many outputs as there are classes.",
        )


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:10]))
    return shown + (", ..." if len(numbers) > 10 else "")
