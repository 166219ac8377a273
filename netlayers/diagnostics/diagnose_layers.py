"""What can be wrong in the layers: gradients, units, initial weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from netlayers.activations.rectifiers import Linear
from netlayers.diagnostics.evidence import Finding
from netlayers.diagnostics.layer_statistics import activation_of
from netlayers.diagnostics.slopes import shape_of
from netlayers.layers.activation import Activation
from netlayers.layers.dense import Dense
from netlayers.layers.dropout import Dropout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.core.layer import Layer
    from netlayers.diagnostics.evidence import Evidence

# dL/dy of a layer, divided by the largest of the layers behind it. In fifteen healthy networks of
# the tests, up to twelve layers deep, before and after training, it was 0.07 or more. Four sigmoid
# layers (each with a slope of at most 1/4, Glorot and Bengio 2010) come to about this limit.
VANISHING = 5e-3
# dL/dy divided by the smallest of the layers behind; at most 8 in those networks. Pascanu et al.
# 2013, section 2, describe the growth; the limit is a power of ten well beyond 8.
EXPLODING = 1e3
# At most 0.25 in those networks (twelve layers of ReLU). Of inputs that are all positive, such as
# one feature from 0 to 1, half of the units of a first layer see nothing and the rest learns; in a
# layer of eight units that may be six of them by accident.
DEAD = 0.8
SATURATED = 0.5  # at most 0.1 in those networks; beyond a half, most of a layer does not learn
# Standard deviation of a kernel times the root of its fan-in, divided by what keeps the signal
# (1 for tanh: Glorot and Bengio 2010; the root of 2 for ReLU: He et al. 2015, eq. 10), multiplied
# over the layers that follow each other. Glorot with ReLU gets there in ten layers.
INITIALIZER_DRIFT = 30.0

_HEALERS = "ReLU with he_normal, BatchNormalization after the layers, or Residual blocks."


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield what is wrong in the layers."""
    yield from nonfinite(evidence)
    if not math.isfinite(evidence.loss_before):
        return
    yield from symmetry(evidence)
    yield from dead_units(evidence)
    yield from saturation(evidence)
    yield from gradient_flow(evidence)
    yield from initializers(evidence)


def nonfinite(evidence: Evidence) -> Iterator[Finding]:
    """Name the first layer whose weights, outputs or gradients are not finite."""
    if evidence.bad_weights:
        layer, path, bad = evidence.bad_weights[0]
        yield Finding(
            "not finite",
            layer,
            "serious",
            {"count": bad},
            f"{bad} values of the weight `{path}` are NaN or infinite.",
            "weights that were saved before; then a smaller learning rate or global_clipnorm=1.0.",
            [layer],
        )
        return
    counts = evidence.values["nonfinite"]
    bad_layers = [path for path, count in counts.items() if count]
    if bad_layers or not math.isfinite(evidence.loss_before):
        first = bad_layers[0] if bad_layers else None
        where = f"`{first}` is the first layer with" if first else "the loss is made of"
        yield Finding(
            "not finite",
            first,
            "serious",
            {"loss": evidence.loss_before, "count": counts[first] if first else 1},
            f"{where} numbers that are NaN or infinite (loss {evidence.loss_before:g}).",
            "scaled inputs, a smaller learning rate, global_clipnorm=1.0, or smaller initial "
            "weights.",
            bad_layers,
        )


def symmetry(evidence: Evidence) -> Iterator[Finding]:
    """Layers whose units are all equal, and stay so, as their gradients are equal."""
    if evidence.symmetric:
        path = evidence.symmetric[0]
        yield Finding(
            "symmetry",
            path,
            "serious",
            {"layers": len(evidence.symmetric)},
            f"all units of `{path}` have the same weights and receive the same gradient, so they "
            "stay one and the same unit for ever.",
            "a random kernel_initializer (glorot_uniform, or he_normal for ReLU) instead of a "
            "constant.",
            evidence.symmetric,
        )


def dead_units(evidence: Evidence) -> Iterator[Finding]:
    """Units of a rectifier that no row opens."""
    dead = evidence.values["dead"]
    names = {
        path: its
        for path, its in dead.items()
        if its >= DEAD and path not in evidence.maps and not _saturates(evidence, path)
    }
    if names:
        worst = max(names, key=lambda path: names[path])
        yield Finding(
            "dead units",
            worst,
            "serious" if names[worst] > 0.9 else "warning",
            {"dead": names[worst]},
            f"{names[worst]:.0%} of the units of `{worst}` give no gradient for any row: their "
            f"{_kind(evidence, worst)} is shut everywhere.",
            "he_normal with biases of 0, scaled inputs, a smaller learning rate, or leaky_relu.",
            list(names),
        )


def saturation(evidence: Evidence) -> Iterator[Finding]:
    """Hidden layers that work on the flat ends of their activation."""
    names = {
        path: its
        for path, its in evidence.values["saturated"].items()
        if its >= SATURATED and path not in evidence.output_paths
    }
    if names:
        worst = max(names, key=lambda path: names[path])
        yield Finding(
            "saturation",
            worst,
            "serious" if names[worst] > 0.9 else "warning",
            {"saturated": names[worst]},
            f"the {_kind(evidence, worst)} of `{worst}` is saturated for {names[worst]:.0%} of its "
            "values: there its slope is under a twentieth of the largest one.",
            "scaled inputs, smaller initial weights (glorot_uniform), BatchNormalization before "
            "the activation, or ReLU with he_normal.",
            list(names),
        )


def gradient_flow(evidence: Evidence) -> Iterator[Finding]:
    """Gradients that get lost, or out of hand, on the way back."""
    if evidence.symmetric:
        return  # a constant kernel lets nothing through, which is said already
    # One of several heads may have a gradient that the layers before have no use for.
    signal = {
        p: v
        for p, v in evidence.values["backprop_rms"].items()
        if math.isfinite(v) and p not in evidence.heads
    }
    paths = list(signal)
    low: dict[str, tuple[float, str]] = {}
    high: dict[str, tuple[float, str]] = {}
    for i, path in enumerate(paths[:-1]):
        behind = [other for other in paths[i + 1 :] if evidence.flow.is_behind(path, other)]
        if not behind:
            continue
        largest = max(behind, key=lambda name: signal[name])
        smallest = min(behind, key=lambda name: signal[name])
        if signal[largest] > 0 and signal[path] < VANISHING * signal[largest]:
            low[path] = signal[path] / signal[largest], largest
        if signal[smallest] > 0 and signal[path] > EXPLODING * signal[smallest]:
            high[path] = signal[path] / signal[smallest], smallest
    if low:
        worst = min(low, key=lambda path: low[path][0])
        share, other = low[worst]
        between = [p for p in paths[paths.index(worst) + 1 :] if evidence.flow.is_behind(worst, p)]
        cause = _cause(evidence, [worst, *between])
        yield Finding(
            "vanishing gradient",
            worst,
            "serious",
            {"ratio": share, "backprop_rms": signal[worst]},
            f"`{worst}` receives {share:.0e} of the gradient of `{other}` (dL/dy "
            f"{signal[worst]:.1e} against {signal[other]:.1e}){cause}",
            _HEALERS,
            list(low),
        )
    if high:
        worst = max(high, key=lambda path: high[path][0])
        share, other = high[worst]
        yield Finding(
            "exploding gradient",
            worst,
            "serious",
            {"ratio": share, "backprop_rms": signal[worst]},
            f"the gradient grows on its way back: `{worst}` receives {share:.0e} times that of "
            f"`{other}` (dL/dy {signal[worst]:.1e} against {signal[other]:.1e}).",
            "smaller initial weights (he_normal for ReLU, glorot_uniform for tanh), "
            "BatchNormalization, or clipping by global_clipnorm=1.0.",
            list(high),
        )


def _cause(evidence: Evidence, paths: list[str]) -> str:
    """Say what is to blame for a gradient that is lost on the way through these layers."""
    for measure, words in (
        ("saturated", "saturated for {} of its values"),
        ("dead", "shut for {} of its units"),
    ):
        its = {p: v for p, v in evidence.values[measure].items() if p in paths and v > 0.3}
        its = {p: v for p, v in its.items() if p not in evidence.output_paths}
        if its:
            worst = max(its, key=lambda path: its[path])
            return (
                f"; the {_kind(evidence, worst)} of `{worst}` is "
                + words.format(f"{its[worst]:.0%}")
                + "."
            )
    kinds = [_kind(evidence, path) for path in paths[:-1]]
    squashing = [k for k in kinds if "sigmoid" in k]
    if squashing:
        count = len(squashing)
        return f"; {count} layers of {squashing[0]} lie between, each with a slope of 1/4 at most."
    return "."


def initializers(evidence: Evidence) -> Iterator[Finding]:
    """Find initial kernels that let the signal shrink or grow from layer to layer."""
    if not evidence.fresh:
        return
    for run in _runs(evidence):
        gains = {}
        for layer, ideal in run:
            deviation, fan_in = evidence.kernels[layer.path]
            gains[layer.path] = deviation * math.sqrt(fan_in) / ideal
        total = math.prod(gains.values())
        if 1 / INITIALIZER_DRIFT <= total <= INITIALIZER_DRIFT or total == 0:
            continue
        first = run[0][0]
        kind, own = _kind(evidence, first.path), type(first.kernel_initializer).__name__
        mean = total ** (1 / len(gains))
        good = "he_normal" if run[0][1] > 1 else "glorot_uniform"
        yield Finding(
            "initializer",
            first.path,
            "warning",
            {"gain": mean, "product": total, "layers": len(gains)},
            f"{own} does not go with {kind} here: a layer multiplies the signal by "
            f"{mean:.2g} on average, {len(gains)} layers by {total:.1g}.",
            f"kernel_initializer='{good}'.",
            list(gains),
        )


def _runs(evidence: Evidence) -> Iterator[list[tuple[Dense, float]]]:
    """Yield hidden dense layers that follow each other, with nothing between that scales."""
    for sequence in evidence.flow.sequences:
        run: list[tuple[Dense, float]] = []
        hidden = [layer for layer in sequence if layer.path not in evidence.output_paths]
        for i, layer in enumerate(hidden):
            ideal = _ideal_gain(layer, hidden[i + 1 :]) if isinstance(layer, Dense) else None
            if isinstance(layer, Dense) and ideal is not None:
                run.append((layer, ideal))
            elif not isinstance(layer, (Activation, Dropout)) and activation_of(layer) is not layer:
                yield from [run] if run else []
                run = []
        yield from [run] if run else []


def _ideal_gain(layer: Dense, behind: list[Layer]) -> float | None:
    """Return what keeps the signal through the activation; ``None`` where no rule is known."""
    activation = activation_of(layer)
    if isinstance(activation, Linear) and behind:
        activation = activation_of(behind[0]) if not isinstance(behind[0], Dense) else activation
    name = type(activation).__name__
    return {"ReLU": math.sqrt(2), "Tanh": 1.0, "Softsign": 1.0, "SELU": 1.0}.get(name)


def _layer(evidence: Evidence, path: str) -> Layer:
    return next(layer for layer in evidence.layers if layer.path == path)


def _kind(evidence: Evidence, path: str) -> str:
    """Return what to call the activation of a layer."""
    layer = _layer(evidence, path)
    activation = activation_of(layer)
    return type(activation or layer).__name__.lower().replace("relu", "ReLU")


def _saturates(evidence: Evidence, path: str) -> bool:
    activation = activation_of(_layer(evidence, path))
    return activation is not None and shape_of(activation).saturates
