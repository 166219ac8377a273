"""LARS."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.optimizers.base import Optimizer
from netlayers.optimizers.clipping import norm
from netlayers.optimizers.settings import patterns_of
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter
    from netlayers.optimizers.rules import Rule
    from netlayers.optimizers.schedules.base import LearningRateSchedule


@register("optimizer", "lars")
class LARS(Optimizer):
    """LARS, gradient descent for large batches: ``m = µ m + lr λ (g + β w)``, ``w -= m``.

    Each parameter has a rate of its own, ``λ = trust_coefficient |w| / (|g| + β |w|)``, with the
    momentum µ and the weight decay β. λ is 1 where one of the norms is 0, and for the parameters of
    ``exclude_from_layer_adaptation``.

    Args:
        learning_rate: a number or a schedule.
        momentum: µ, in [0, 1).
        trust_coefficient: η of the paper.
        exclude_from_layer_adaptation: regular expressions of ``layer/parameter`` names whose λ is
            1, such as ``["bias", "normalization"]``.
        kwargs: see :class:`Optimizer`. The weight decay is part of the gradient, as in the paper.

    Source:
        Y. You, I. Gitman, B. Ginsburg, "Large batch training of convolutional networks",
        arXiv:1708.03888, algorithm 1. Keras does not have it.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.LARS(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.9999, 1.    ], dtype=float32)
    """

    state_names = ("momentum",)
    by_parameter = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.9,
        trust_coefficient: float = 0.001,
        exclude_from_layer_adaptation: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = check_number("LARS", "momentum", momentum, minimum=0, below=1)
        self.trust_coefficient = check_number(
            "LARS", "trust_coefficient", trust_coefficient, above=0
        )
        given = exclude_from_layer_adaptation
        its = () if given is None else given
        self._plain = patterns_of("LARS", its, "exclude_from_layer_adaptation")
        self.exclude_from_layer_adaptation = (
            None if given is None else [p.pattern for p in self._plain]
        )

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        others = {"momentum": 0.5, "trust_coefficient": 0.1}
        return [{}, {**others, "exclude_from_layer_adaptation": ["bias"]}]

    def rule_of(self, p: Parameter) -> Rule:
        """Return the rule that updates a parameter; it includes the weight decay."""
        plain = any(pattern.search(p.path) for pattern in self._plain)
        rule = super().rule_of(p)
        update = partial(self.update, decay=rule.decay, adapts=not plain)
        return rule._replace(update=update, decay=0.0)

    def update(
        self,
        w: Array,
        g: Array,
        lr: float,
        state: tuple[Array, ...],
        scratch: Array,
        decay: float = 0.0,
        adapts: bool = True,
    ) -> None:
        """Update a parameter; see the class.

        Args:
            w: the weights, changed in place.
            g: their gradient.
            lr: the learning rate.
            state: the momentum.
            scratch: memory of the size of w.
            decay: the weight decay of the parameter.
            adapts: whether the rate is scaled by the norms of w and g.
        """
        (m,) = state
        if adapts:
            w_norm, g_norm = norm([w]).value, norm([g]).value
            if w_norm > 0 and g_norm > 0:
                lr *= self.trust_coefficient * w_norm / (g_norm + decay * w_norm)
        np.multiply(m, self.momentum, out=m)
        np.multiply(g, lr, out=scratch)
        np.add(m, scratch, out=m)
        if decay:
            np.multiply(w, lr * decay, out=scratch)
            np.add(m, scratch, out=m)
        np.subtract(w, m, out=w)
