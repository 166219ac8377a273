"""What ``predict`` computes: ``forward``, or the ``predict_step`` that a class overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._read_only import read_only
from netlayers.checks import overridden
from netlayers.data.packing import pack_x_y_sample_weight
from netlayers.errors import ConfigurationError
from netlayers.kernels.exact import exactly

if TYPE_CHECKING:
    from collections.abc import Callable


def prediction_of(model: Any, exact: bool = False) -> Callable[[Any], Any]:
    """Return what ``predict`` calls for the inputs of a batch: ``forward``, or ``predict_step``.

    Args:
        model: the model.
        exact: see :meth:`TrainableModel.predict`.

    Raises:
        ConfigurationError: ``exact`` with an own ``predict_step``, or, when called, that does not
            return the arrays that the model has as outputs.
    """
    if not overridden(model, "predict_step"):
        return exactly(model.forward) if exact else model.forward
    owner = f"{model.owner}: predict_step()"
    if exact:
        raise ConfigurationError(
            f"{owner} of {type(model).__name__} replaces the computation of predict(), so that "
            "exact=True cannot be honoured."
        )

    def predict(x: Any) -> Any:
        found = model.predict_step(pack_x_y_sample_weight(read_only(x)))
        several = tuple(found) if isinstance(found, (list, tuple)) else (found,)
        outputs = tuple(map(np.asarray, several))
        if len(outputs) != model._output_count or not all(array.ndim for array in outputs):
            raise ConfigurationError(
                f"{owner} must return an array with a row for each sample, as forward() does, or a "
                f"tuple of {model._output_count} for as many outputs, got {type(found).__name__}."
            )
        return outputs if len(outputs) > 1 else outputs[0]

    return predict
