"""Looking into a model: what it computes, why it does not learn, where its time goes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_integer, check_number
from netlayers.inspection.activations import ActivationHistograms, activation_histograms
from netlayers.inspection.surface import LossSurface, loss_surface
from netlayers.models.preparation import batch_of, input_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, ArrayLike


class Inspected:
    """What looks into a model: for the class ``Model``."""

    def activation_histograms(self, x: Any, bins: int = 60) -> ActivationHistograms:
        """Return how the outputs of each layer are distributed for a batch, at inference.

        Args:
            x: inputs, (n, ...).
            bins: bars of each histogram.

        Returns:
            Printed, it is a table with mean, deviation, and shares of dead units and saturated
            outputs; its ``plot(to_file)`` draws the histograms.

        Raises:
            DataError, ShapeError: the input does not fit the model.

        Example:
            >>> import numpy as np, netlayers as nl
            >>> model = nl.Sequential([nl.layers.Dense(8, "relu"), nl.layers.Dense(1)], seed=0)
            >>> found = model.activation_histograms(np.ones((4, 3)))
            >>> [(a.layer, a.kind, int(a.counts.sum())) for a in found.layers]
            [('dense', 'ReLU', 32), ('dense_1', 'Dense', 4)]
        """
        owner: Any = self
        count = check_integer("activation_histograms", "bins", bins, minimum=2)
        return activation_histograms(self, input_of(owner, "activation_histograms", x), count)

    def loss_surface(
        self,
        x: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        size: int = 25,
        span: float = 1.0,
        trajectory: Sequence[Array] | None = None,
        seed: int = 0,
    ) -> LossSurface:
        """Compute the loss in a plane through the weights, on a copy of the model.

        Two random directions span it, each filter of which (a column of a kernel) is as long as
        that of the weights; or, for a trajectory, its two principal directions. The loss is that of
        ``evaluate``, of all rows at once, ``size``² times.

        Args:
            x: inputs, (n, ...).
            y: targets, n rows.
            sample_weight: weight of each sample.
            size: places along each direction.
            span: how far to go: 1 is as far as the weights are long.
            trajectory: weights of a run, copies of ``model.parameters.values``.
            seed: draws the random directions.

        Returns:
            The losses; ``plot(to_file)`` draws them.

        Raises:
            ConfigurationError, DataError, ShapeError, NotCompiledError: the arguments do not fit.

        Source:
            H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, "Visualizing the loss landscape of
            neural nets", NeurIPS 2018, sections 4 and 7.2.

        Example:
            >>> import numpy as np, netlayers as nl
            >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
            >>> model.compile("sgd", "mse")
            >>> x = np.random.default_rng(0).normal(size=(64, 3))
            >>> surface = model.loss_surface(x, x[:, 0], size=5)
            >>> surface.loss.shape, bool(abs(surface.loss[2, 2] - model.evaluate(
            ...     x, x[:, 0], verbose=0)) < 1e-6)
            ((5, 5), True)
        """
        owner = "loss_surface"
        size = check_integer(owner, "size", size, minimum=2)
        span = check_number(owner, "span", span, above=0)
        seed = check_integer(owner, "seed", seed, minimum=0)
        trial: Any = copy.deepcopy(self)
        trial._require_compiled()
        trial._metrics = ()
        given, targets, weight = batch_of(trial, owner, x, y, sample_weight)
        steps = trial.make_steps(targets.shape)
        return loss_surface(
            trial.parameters,
            lambda: steps.test(given, targets, weight),
            np.random.default_rng(seed),
            size,
            span,
            trajectory,
        )
