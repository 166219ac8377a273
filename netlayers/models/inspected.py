"""Looking into a model: what it computes, why it does not learn, where its time goes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from netlayers.checks import check_integer
from netlayers.inspection.profile import ProfileReport, profile_steps
from netlayers.models.preparation import batch_of

if TYPE_CHECKING:
    from netlayers._typing import ArrayLike


class Inspected:
    """What looks into a model: for the class ``Model``."""

    def profile(
        self, x: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, *, steps: int = 30
    ) -> ProfileReport:
        """Return where the time of a training step goes, by layer and operation.

        The steps are made with a copy: the model, its optimizer and its random numbers stay as they
        are. A model that is not built is built in the copy alone.

        Args:
            x: one batch of inputs, as large as in training: shares depend on its size.
            y: its targets.
            sample_weight: weight of each sample.
            steps: how many steps are watched; times are means over the middle half of them. As many
                more are timed without watching.

        Returns:
            A :class:`netlayers.inspection.profile.ProfileReport`; printed, it is a table: for each
            layer and activation its time forward and backward, without that of the parts in it, for
            ``Dense`` the operations of its matrix products too; the loss, the metrics, the
            optimizer; and how long the whole step takes when nobody watches.

        Raises:
            DataError, ShapeError, ConfigurationError, NotCompiledError: see :meth:`fit`.

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
        check_integer("profile", "steps", steps, minimum=1)
        self._require_compiled()  # type: ignore[attr-defined]
        model: Any = copy.deepcopy(self)
        checked = batch_of(model, "profile", x, y, sample_weight)
        return profile_steps(model.make_steps(checked[1].shape), *checked, steps)
