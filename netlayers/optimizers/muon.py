"""Muon."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag, check_integer, check_number
from netlayers.errors import ConfigurationError
from netlayers.kernels.select import kernels
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


_LARGEST = 1e3  # singular value after the iteration, which should bring all near 1


@register("optimizer")
class Muon(Optimizer):
    """Muon, for the matrices of hidden layers: ``w -= lr rms_rate sqrt(max(rows, columns)) X``.

    X is the momentum made orthogonal. With ``m = momentum m + g``, it starts as ``X = G / |G|`` of
    ``G = g + momentum m`` (without Nesterov momentum, of m). Then ns_steps steps
    ``A = X Xᵀ``, ``X = muon_a X + (muon_b A + muon_c A²) X`` bring all singular values close to 1.

    All parameters that are no matrices are updated by AdamW, as well as those of an embedding and
    of ``exclude_layers``: name the output layer there.

    Args:
        learning_rate: a number or a schedule.
        adam_beta_1: decay of m in AdamW, in [0, 1).
        adam_beta_2: decay of v in AdamW, in [0, 1).
        adam_weight_decay: weight decay of AdamW, or ``None``.
        epsilon: small constant of AdamW for numerical stability.
        weight_decay: weight decay of Muon, or ``None``; both are times ``learning_rate``.
        exclude_layers: regular expressions; AdamW updates parameters whose ``layer/parameter`` name
            contains a match of one.
        exclude_embeddings: whether AdamW updates parameters with ``embedding`` in this name.
        muon_a: see above.
        muon_b: see above.
        muon_c: see above.
        adam_lr_ratio: factor on the learning rate of AdamW.
        momentum: of Muon, in [0, 1).
        ns_steps: number of steps of the iteration, at most 100.
        nesterov: whether to use Nesterov momentum.
        rms_rate: size of a step, as a root mean square over the entries of a full-rank matrix;
            ``None`` leaves out this factor and the square root.
        kwargs: see :class:`Optimizer`.

    Source:
        K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024, with the
        coefficients of the iteration given there; the factor of the step is that of J. Liu et al.,
        "Muon is scalable for LLM training", arXiv:2502.16982, eq. 4.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.Muon(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.9803, 1.0035], dtype=float32)
    """

    state_names = ("momentum", "velocity")
    scratch_rows = 4
    arguments_without_effect = ("exclude_embeddings",)  # in a network without embeddings
    _squares_gradients = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        *,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1.0,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.adam_beta_1 = check_number("Muon", "adam_beta_1", adam_beta_1, minimum=0, below=1)
        self.adam_beta_2 = check_number("Muon", "adam_beta_2", adam_beta_2, minimum=0, below=1)
        if adam_weight_decay is not None:
            adam_weight_decay = check_number(
                "Muon", "adam_weight_decay", adam_weight_decay, minimum=0
            )
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = check_number("Muon", "epsilon", epsilon, above=0)
        given = () if exclude_layers is None else exclude_layers
        self._excluded = patterns_of("Muon", given, "exclude_layers")
        self.exclude_layers = [its.pattern for its in self._excluded]
        self.exclude_embeddings = check_flag("Muon", "exclude_embeddings", exclude_embeddings)
        self.muon_a = check_number("Muon", "muon_a", muon_a)
        self.muon_b = check_number("Muon", "muon_b", muon_b)
        self.muon_c = check_number("Muon", "muon_c", muon_c)
        self.adam_lr_ratio = check_number("Muon", "adam_lr_ratio", adam_lr_ratio, minimum=0)
        self.momentum = check_number("Muon", "momentum", momentum, minimum=0, below=1)
        self.ns_steps = check_integer("Muon", "ns_steps", ns_steps, minimum=0, maximum=100)
        self._check_iteration()
        self.nesterov = check_flag("Muon", "nesterov", nesterov)
        if rms_rate is not None:
            rms_rate = check_number("Muon", "rms_rate", rms_rate, above=0)
        self.rms_rate = rms_rate

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        adam = {"adam_beta_1": 0.5, "adam_beta_2": 0.9, "adam_weight_decay": 0.1, "epsilon": 1e-3}
        muon = {"muon_a": 3.0, "muon_b": -4.0, "muon_c": 2.0, "momentum": 0.5, "ns_steps": 2}
        others = {"nesterov": False, "rms_rate": 0.5, "adam_lr_ratio": 0.5}
        return [{}, {**adam, **muon, **others}, {"exclude_layers": ["kernel"]}]

    def _check_iteration(self) -> None:
        """Check that the iteration stays bounded, for singular values from 0 to 1.

        Raises:
            ConfigurationError: it does not.
        """
        s = np.linspace(0, 1, 1001)
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(self.ns_steps):
                s = self.muon_a * s + self.muon_b * s**3 + self.muon_c * s**5
        if not np.abs(s).max(initial=0) < _LARGEST:
            raise ConfigurationError(
                f"Muon: with muon_a={self.muon_a:g}, muon_b={self.muon_b:g} and "
                f"muon_c={self.muon_c:g} the iteration grows without bound in "
                f"ns_steps={self.ns_steps}; take the coefficients of the default, or fewer steps."
            )

    def uses_adam(self, p: Parameter) -> bool:
        """Return whether AdamW updates a parameter.

        Args:
            p: the parameter.
        """
        if len(p.shape) != 2 or any(pattern.search(p.path) for pattern in self._excluded):
            return True
        return self.exclude_embeddings and "embedding" in p.path.lower()

    def rule_of(self, p: Parameter) -> Rule:
        """Return the rule that updates a parameter."""
        rule = super().rule_of(p)
        if self.uses_adam(p):
            return rule._replace(update=self._update_by_adam)
        return rule._replace(by_parameter=True, shaped=True)

    def decay_of(self, p: Parameter) -> float:
        """Return the weight decay of a parameter, 0 if it is excluded."""
        decay = self.adam_weight_decay if self.uses_adam(p) else self.weight_decay
        return (decay or 0.0) * (not self._is_undecayed(p))

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a matrix; see the class."""
        m, x = state[0], scratch[0].reshape(w.shape)
        np.multiply(m, self.momentum, out=m)
        np.add(m, g, out=m)
        if self.nesterov:
            np.multiply(m, self.momentum, out=x)
            np.add(x, g, out=x)
        else:
            np.copyto(x, m)
        step = self._orthogonalize(x, scratch)
        if self.rms_rate is not None:
            lr *= self.rms_rate * math.sqrt(max(w.shape))
        np.multiply(step, lr, out=step)
        np.subtract(w, step, out=w)

    def _orthogonalize(self, x: Array, scratch: Array) -> Array:
        """Return x with all singular values close to 1; it is overwritten."""
        wide = x.shape[0] <= x.shape[1]
        side = min(x.shape)
        size = norm([x.reshape(-1)])
        np.divide(x, size.largest, out=x)
        np.divide(x, size.relative + 1e-7 / size.largest, out=x)
        other = scratch[1].reshape(x.shape)
        square, polynomial = (row[: side**2].reshape(side, side) for row in scratch[2:])
        for _ in range(self.ns_steps):
            np.matmul(x, x.T, out=square) if wide else np.matmul(x.T, x, out=square)
            np.matmul(square, square, out=polynomial)
            np.multiply(polynomial, self.muon_c, out=polynomial)
            np.multiply(square, self.muon_b, out=square)
            np.add(polynomial, square, out=polynomial)
            np.matmul(polynomial, x, out=other) if wide else np.matmul(x, polynomial, out=other)
            np.multiply(x, self.muon_a, out=x)
            np.add(other, x, out=other)
            x, other = other, x
        return x

    def _update_by_adam(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights as :class:`Adam`, with its decaying sums m and v."""
        t, root = self.iterations, math.sqrt(1 - self.adam_beta_2)
        alpha = lr * self.adam_lr_ratio * math.sqrt(1 - self.adam_beta_2**t)
        alpha *= (1 - self.adam_beta_1) / (1 - self.adam_beta_1**t) / root
        epsilon, (m, v) = self.epsilon / root, state
        kernels.adam(w, g, m, v, self.adam_beta_1, self.adam_beta_2, alpha, epsilon, scratch[0])
