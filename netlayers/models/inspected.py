"""Looking into a model: what it computes, why it does not learn, where its time goes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from netlayers.checks import check_choice, check_integer
from netlayers.data.arrays import ArrayData
from netlayers.inspection import diagnosis
from netlayers.models.preparation import columns_of
from netlayers.models.turns import refuse_elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import ArrayLike
    from netlayers.inspection.diagnosis import Diagnosis


class Inspected:
    """What looks into a model: for the class ``Model``."""

    def diagnose(
        self,
        x: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        batch_size: int = 32,
        verbose: int = 1,
    ) -> Diagnosis:
        """Say in plain words why the network does not learn, and what to try.

        A copy of the model looks at up to 512 rows and makes 20 updates with the compiled
        optimizer; nothing of the model, its optimizer or its random streams changes. What is looked
        for: gradients that vanish or explode, dead and saturated units, a learning rate that is too
        high or too low, inputs and targets that are not scaled, initializers that do not go with
        the activation, a loss that does not go with the last activation, labels that are constant,
        and numbers that are not finite. A diagnosis that finds nothing is no proof of health.

        Args:
            x: inputs, (n, ...): arrays as for ``fit``.
            y: targets, n rows.
            sample_weight: weight of each sample.
            batch_size: samples in one update.
            verbose: 0 prints nothing.

        Returns:
            The findings, with their evidence.

        Raises:
            DataError, ShapeError, ConfigurationError, NotCompiledError: as ``fit``.
            BusyError: another thread trains the model.

        Source:
            X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
            networks", AISTATS 2010; K. He et al., "Delving deep into rectifiers", ICCV 2015;
            R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
            networks", ICML 2013. The thresholds, each with its reason, are the constants of
            ``netlayers.inspection.diagnosis_layers`` and ``diagnosis_data``.

        Example:
            >>> import numpy as np, netlayers as nl
            >>> layers = [nl.layers.Dense(20, "sigmoid") for _ in range(10)]
            >>> model = nl.Sequential([*layers, nl.layers.Dense(1)], seed=0)
            >>> model.compile("adam", "mse")
            >>> x = np.random.default_rng(0).normal(size=(200, 3))
            >>> report = model.diagnose(x, x.sum(axis=1), verbose=0)
            >>> report.findings[0].illness, report.findings[0].layer
            ('vanishing gradient', 'dense')
        """
        model: Any = self
        owner = "diagnose"
        size = check_integer(owner, "batch_size", batch_size, minimum=1)
        check_choice(owner, "verbose", verbose, (0, 1, 2))
        refuse_elsewhere(model, owner)
        model._require_compiled()
        trial = copy.deepcopy(model)
        columns = columns_of(trial, owner, x, y, sample_weight)
        rng = trial._streams.get("shuffle")
        look = next(ArrayData(columns, diagnosis.LOOK_ROWS, rng).batches())
        batches = _endless(ArrayData(columns, size, rng))
        steps = trial.make_steps(columns[1].values.shape)  # type: ignore[union-attr]
        report = diagnosis.examine(trial, steps, batches, look, columns[1].values)  # type: ignore[union-attr]
        if verbose:
            print(report, flush=True)
        return report


def _endless(data: ArrayData) -> Iterator[Any]:
    while True:
        yield from data.batches()
