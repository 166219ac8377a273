"""What can be wrong over the time steps of recurrent layers: gradients that vanish or explode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.diagnostics.evidence import Finding
from netlayers.initializers import Identity, Orthogonal
from netlayers.layers import GRUCell, LSTMCell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.diagnostics.evidence import Evidence

# A step counts as reached if it gets this share of the largest gradient of a step: a weight learns
# from the sum over the steps, in which less is not seen. (Hochreiter and Schmidhuber 1997, section
# 3.1, and Pascanu et al. 2013, section 2: the gradient decays, or grows, by a factor a step.)
REACHED = 1e-3
# A warning if fewer of the steps are reached. Recurrent layers of three kinds over 8 to 30 steps
# with the usual initializers came to 0.43 or more (GRU over 30 steps).
FEWEST_REACHED = 0.4
# Largest gradient of a step, divided by that of the last; at most 5 in those layers.
EXPLODING = 1e3


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield what is wrong over time, for the layers where it is worst."""
    low, high = {}, {}
    layers = {layer.path: layer for layer in evidence.layers}
    for path, norms in evidence.time_steps.items():
        if path not in layers or len(norms) < 2 or not norms.any() or not np.isfinite(norms).all():
            continue
        last = norms[np.flatnonzero(norms)[-1]]
        if norms.max() > EXPLODING * last:
            high[path] = float(norms.max() / last)
        elif _reached(norms) < FEWEST_REACHED * len(norms):
            low[path] = _reached(norms)
    if low:
        worst = min(low, key=lambda path: low[path] / len(evidence.time_steps[path]))
        norms = evidence.time_steps[worst]
        steps, share = len(norms), float(norms[0] / norms.max())
        much = f"{share:.0e} of it" if share else "nothing"
        yield Finding(
            "vanishing gradient over time",
            worst,
            "warning",
            {"reached": low[worst], "steps": steps, "ratio": share},
            f"of {steps} time steps of `{worst}`, {low[worst]} get more than a thousandth of the "
            f"largest gradient, and the first gets {much}: at first the layer hardly learns from "
            "what is so long ago.",
            f"{_longer_memory(layers[worst])}, shorter series, or an output at each step "
            "(return_sequences=True) where there are targets for it.",
            list(low),
        )
    if high:
        worst = max(high, key=lambda path: high[path])
        steps = len(evidence.time_steps[worst])
        clips = getattr(evidence.optimizer, "clips", False)
        but = "; clipping bounds the update" if clips else ""
        kept = "" if clips else "clipping by global_clipnorm=1.0, "
        yield Finding(
            "exploding gradient over time",
            worst,
            "warning" if clips else "serious",
            {"ratio": high[worst], "steps": steps},
            f"the gradient grows on its way back through the {steps} time steps of `{worst}`, to "
            f"{high[worst]:.0e} times that of the last step{but}.",
            f"{kept}{_orthogonal(layers[worst])}or LSTM or GRU.",
            list(high),
        )


def _reached(norms: Array) -> int:
    return int(np.count_nonzero(norms > REACHED * norms.max()))


def _longer_memory(layer: Layer) -> str:
    """Say what lets a gradient get further back."""
    cell = getattr(layer, "cell", None)
    if isinstance(cell, LSTMCell):
        return "a larger bias of the forget gate (2 or 3 instead of 1)"
    if isinstance(cell, GRUCell):
        return "LSTM, a larger bias of the update gate z (1 or 2)"
    return f"LSTM, {_orthogonal(layer)}activation='relu' with recurrent_initializer='identity'"


def _orthogonal(layer: Layer) -> str:
    its = getattr(getattr(layer, "cell", None), "recurrent_initializer", None)
    return "" if isinstance(its, (Orthogonal, Identity)) else "recurrent_initializer='orthogonal', "
