"""What can be wrong before the first step: frozen layers, dropout, linear layers, moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.activations.rectifiers import Linear
from netlayers.diagnostics.evidence import Finding
from netlayers.initializers import Constant, Ones, Zeros
from netlayers.layers.activation import Activation
from netlayers.layers.activity import ActivityRegularization
from netlayers.layers.batch_normalization import BatchNormalization
from netlayers.layers.dense import Dense
from netlayers.layers.dropout import AlphaDropout, Dropout, GaussianDropout, GaussianNoise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.core.layer import Layer
    from netlayers.core.parameters import Parameter
    from netlayers.diagnostics.evidence import Evidence

# Srivastava et al., "Dropout", JMLR 15 (2014), appendix A.4, keep 0.5 to 0.8 of the hidden units;
# their figure 9 shows what a network with fewer does not learn any more.
DROPOUT_TOO_HIGH = 0.9
# The square of a gradient of 3e9. In float32, squares above 3e38 overflow or are limited to that.
MOMENT_TOO_LARGE = 1e19

_BETWEEN = (
    *(ActivityRegularization, AlphaDropout, BatchNormalization, Dropout, GaussianDropout),
    *(GaussianNoise, Linear),
)


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield what is wrong with the layers and the optimizer as they are."""
    yield from frozen(evidence)
    yield from moments(evidence)
    yield from dropout(evidence)
    yield from linear_layers(evidence)


# Frozen layers --------------------------------------------------------------------------------


def frozen_layers(model: Layer) -> tuple[list[str], list[str], bool]:
    """Look for layers whose weights no update changes.

    Returns:
        Their paths, the paths of those that were never trained, and whether all layers are frozen.
        Biases and other weights that start at a constant show that a layer was never trained.
    """
    weights: dict[str, list[Parameter]] = {}
    for p in model.parameters.all:
        if not p.statistic:
            weights.setdefault(p.layer.path, []).append(p)
    paths = [path for path, its in weights.items() if not any(map(_learns, its))]
    new = [path for path in paths if _untouched(weights[path])]
    return paths, new, bool(weights) and len(paths) == len(weights)


def _learns(p: Parameter) -> bool:
    return p.trainable and p.learning_rate_multiplier != 0


def _untouched(weights: list[Parameter]) -> bool:
    known = [p for p in weights if isinstance(p.initializer, (Zeros, Ones, Constant))]
    return bool(known) and all(
        np.array_equal(p.value, p.initializer(p.shape, p.dtype))  # type: ignore[arg-type]
        for p in known
    )


def frozen(evidence: Evidence) -> Iterator[Finding]:
    """Find that no layer learns, or that layers are frozen which were never trained."""
    paths, new, every = evidence.frozen
    if every:
        yield Finding(
            "frozen layers",
            paths[0],
            "serious",
            {"layers": len(paths)},
            "no update changes a weight: all layers are frozen (trainable=False, or a "
            "learning_rate_multiplier of 0).",
            "trainable=True for the layers that shall learn, at least the last one.",
            paths,
        )
    elif new:
        yield Finding(
            "frozen layers",
            new[0],
            "warning",
            {"layers": len(new)},
            f"`{new[0]}` is frozen with its initial weights: it was never trained and never will "
            "be.",
            "trainable=True, or the weights of a trained network (load_weights).",
            new,
        )


def moments(evidence: Evidence) -> Iterator[Finding]:
    """Find numbers in the state of the optimizer that let weights learn no more."""
    if evidence.bad_moments:
        bad = sum(evidence.bad_moments.values())
        path = next(iter(evidence.bad_moments))
        yield Finding(
            "moments too large",
            path,
            "serious",
            {"count": bad},
            f"{bad} numbers that the optimizer keeps of earlier gradients are NaN, infinite or "
            f"above {MOMENT_TOO_LARGE:.0e}, as after one huge gradient; they divide the updates, "
            "so their weights learn nothing for thousands of steps.",
            "compile again for a new optimizer, with global_clipnorm=1.0.",
            list(evidence.bad_moments),
        )


def bad_moments(model: Layer, optimizer: Any) -> dict[str, int]:
    """Return how many numbers in the optimizer's state are too large, by layer."""
    wrong = [~(np.abs(v) <= MOMENT_TOO_LARGE) for v in optimizer.state.values()]
    found: dict[str, int] = {}
    if not any(flags.any() for flags in wrong):
        return found
    for p in model.parameters.all:
        if not p.statistic:
            place = model.parameters.own_slice(p)
            bad = sum(int(flags[place].sum()) for flags in wrong)
            if bad:
                found[p.layer.path] = found.get(p.layer.path, 0) + bad
    return found


# Dropout --------------------------------------------------------------------------------------


def dropout(evidence: Evidence) -> Iterator[Finding]:
    """Find dropout that leaves hardly anything."""
    kinds = (Dropout, AlphaDropout, GaussianDropout)
    rates = {
        layer.path: layer.rate
        for layer in evidence.layers
        if isinstance(layer, kinds) and layer.rate >= DROPOUT_TOO_HIGH
    }
    if rates:
        worst = max(rates, key=lambda path: rates[path])
        yield Finding(
            "dropout too high",
            worst,
            "serious",
            {"rate": rates[worst]},
            f"`{worst}` drops {rates[worst]:.4g} of its inputs in every step; what is left says "
            "little about them.",
            "a rate of 0.2 to 0.5.",
            list(rates),
        )


# Linear layers --------------------------------------------------------------------------------


def linear_layers(evidence: Evidence) -> Iterator[Finding]:
    """Find Dense layers that follow each other without an activation between."""
    pairs = [pair for run in evidence.flow.sequences for pair in _linear_pairs(run)]
    if pairs:
        first, second = pairs[0]
        names = list(dict.fromkeys(layer.path for pair in pairs for layer in pair))
        yield Finding(
            "linear layers",
            first.path,
            "warning",
            {"layers": len(names)},
            f"there is no activation between `{first.path}` and `{second.path}`, so together they "
            "compute no more than one Dense layer can.",
            f"activation='relu' in `{first.path}`, or one layer less.",
            names,
        )


def _linear_pairs(run: list[Layer]) -> Iterator[tuple[Dense, Dense]]:
    """Yield Dense layers and their successors in a chain that could be one layer.

    A layer with fewer units than inputs and outputs is none of them: it is a bottleneck, as in a
    linear autoencoder.
    """
    last: Dense | None = None
    for layer in run:
        if isinstance(layer, Dense):
            if last is not None and last.units >= min(len(last.kernel), layer.units):
                yield last, layer
            last = layer if isinstance(layer.activation, Linear) else None
        elif not _is_affine(layer):
            last = None


def _is_affine(layer: Layer) -> bool:
    if isinstance(layer, Activation):
        return isinstance(layer.activation, Linear)
    return isinstance(layer, _BETWEEN)
