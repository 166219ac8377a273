"""Looking into a model: what it computes, why it does not learn, where its time goes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from netlayers.inspection.trace import Trace, trace_step
from netlayers.models.preparation import batch_of
from netlayers.models.turns import refuse_elsewhere

if TYPE_CHECKING:
    from netlayers._typing import ArrayLike


class Inspected:
    """What looks into a model: for the class ``Model``."""

    def trace(
        self,
        x: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        digits: int = 4,
        rows: int = 6,
        columns: int = 6,
    ) -> Trace:
        """Return one training step with all its numbers: forward, loss, backward, update.

        The step is made on a copy: the model, its optimizer, statistics and random streams stay as
        they are. The numbers are those that ``train_on_batch`` would compute, to the bit.

        Args:
            x: one batch of inputs.
            y: its targets.
            sample_weight: weight of each sample.
            digits: significant digits of the largest number of an array; the others have as many
                decimals, and a smaller one an exponent.
            rows: most rows of an array that are shown; of more, the first and the last, with the
                smallest number, the largest, and the norm of all.
            columns: most columns that are shown.

        Returns:
            A :class:`netlayers.inspection.trace.Trace`: print it, ``save("trace.html")`` it as a
            page to step through with the arrow keys, or read its arrays.

        Raises:
            DataError, ShapeError, NotCompiledError: see :meth:`fit`.
            NonFiniteError: a gradient exploded.
            BusyError: another thread trains the model.

        Example:
            >>> import netlayers as nl
            >>> model = nl.Sequential([nl.layers.Dense(1, "sigmoid", name="out")], dtype="float64")
            >>> model.compile(nl.optimizers.SGD(0.5), "mse")
            >>> model.build((None, 2))
            >>> model.set_weights([[[0.4], [0.45]], [0.6]])
            >>> trace = model.trace([[0.593, 0.597]], [[0.01]])
            >>> trace["out"].y, trace["out"].dz
            (array([[0.75135461]]), array([[0.27700101]]))
        """
        model: Any = self
        model._require_compiled()
        refuse_elsewhere(model, "trace")
        traced = copy.deepcopy(model)
        traced._metrics = ()
        x, y, weight = batch_of(traced, "trace", x, y, sample_weight)
        return trace_step(
            traced.make_steps(y.shape), x, y, weight, digits=digits, rows=rows, columns=columns
        )
