"""``predict``: its loop, and what it calls, ``forward`` or the ``predict_step`` of a class."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._read_only import read_only
from netlayers.arrays.convert import each
from netlayers.arrays.sparse import is_sparse
from netlayers.checks import overridden
from netlayers.data.batch import is_ready_input
from netlayers.data.own_rows import own_rows_of
from netlayers.data.packing import pack_x_y_sample_weight
from netlayers.errors import ConfigurationError
from netlayers.kernels.exact import exactly
from netlayers.training.batching import prediction_data
from netlayers.training.callback import CallbackList
from netlayers.training.exact import check_exact
from netlayers.training.inference_rows import rows_at_once
from netlayers.training.lock import run_locked
from netlayers.training.predicting_shards import in_shards
from netlayers.training.together import agreed

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array
    from netlayers.data.batch import Batch, Data
    from netlayers.training.batching import BatchSettings


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


def predict_all(
    model: Any, x: Any, settings: BatchSettings, callbacks: list[Any], exact: bool
) -> list[Array]:
    """Return the outputs for all rows of x in new arrays; see :meth:`TrainableModel.predict`.

    Args:
        model: the model.
        x: the inputs.
        settings: how to cut them into batches.
        callbacks: the callbacks.
        exact: compute each row as it is alone.

    Raises:
        DataError, ShapeError, ConfigurationError: see there.
    """
    forward = prediction_of(model, exact)
    shared = getattr(model, "distribution", None)  # a stateful model keeps its rows together
    if model._has_states:
        shared = None
    plain = not (exact or callbacks or settings.steps or shared) and is_ready_input(model, x)
    if plain and len(x) <= (settings.batch_size or rows_at_once(model, x.shape)):
        # Nothing to convert, cut or observe; a layer may return its input.
        return in_turn(model, "predict", lambda: [np.array(a, order="C") for a in each(forward(x))])
    data: Any = prediction_data(model, x, settings)
    if data.rows == 0:  # the output shape of one row
        return [np.array(a[:0]) for a in each(forward(data.row()))]
    with closing(data):
        hooks = CallbackList(callbacks, model, {"steps": data.steps})
        if exact:
            check_exact("predict", model)
        if shared is not None:
            compute = in_shards(model.owner, shared, forward)
            return predict(compute, own_rows_of(data, shared), hooks)
        return in_turn(model, "predict", lambda: predict(lambda b: forward(b.inputs), data, hooks))


def in_turn(model: Any, name: str, run: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``run(*arguments)``; only one call at a time changes the states of a model."""
    return run_locked(model, name, run, *arguments) if model._has_states else run(*arguments)


def own_outputs(model: Any, x: Any) -> list[Any]:
    """Return the outputs for one batch, copied where they may be the input or a state."""
    y = model.forward(x)
    if isinstance(y, tuple):
        return [np.array(a) for a in y]
    if model._has_states:
        return [y.copy()]
    own = type(y) is np.ndarray and y.base is None and y is not x
    if not own and any(is_sparse(its) or np.may_share_memory(y, its) for its in each(x)):
        y = y.copy()
    return [y]


def predict(compute: Callable[[Batch], Any], data: Data, hooks: CallbackList) -> Any:
    """Return the outputs of all batches, a list with a new array for each output."""
    hooks.fire("on_predict_begin", {})
    gathered: list[list[Array]] = []  # for each output
    done = 0
    for number, batch in enumerate(data.batches()):
        hooks.fire("on_predict_batch_begin", number, {})
        part = compute(batch)
        for i, array in enumerate(each(part)):
            if not number:
                gathered.append([])
            parts = gathered[i]
            if data.rows is None:
                parts.append(np.array(array))  # a layer may return its input
            else:
                if not parts:
                    parts.append(np.empty((data.rows, *array.shape[1:]), array.dtype))
                parts[0][done : done + len(array)] = array
        done += len(each(part)[0])
        hooks.fire("on_predict_batch_end", number, {"outputs": part})
        if hooks.callbacks and agreed(hooks.model, "stop_predicting"):
            hooks.model.stop_predicting = False
            break
    hooks.end_of_batches()
    hooks.fire("on_predict_end", {})
    return [parts[0][:done] if len(parts) == 1 else np.concatenate(parts) for parts in gathered]
