"""A step that went wrong, run again from its snapshot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.errors import DataError, FileError, ShapeError
from netlayers.saving.snapshots import load_snapshot
from netlayers.training.nonfinite import find_nonfinite

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from netlayers._typing import Array
    from netlayers.training.compilation import CompilableModel
    from netlayers.training.nonfinite import NonFiniteOrigin


@dataclass
class Replay:
    """A step that was run again; printed, it is a sentence.

    Attributes:
        origin: where numbers that are not finite began, ``None`` if all were finite.
        loss: the loss of the batch.
        model: the model as it was before the step.
        x: inputs of the batch.
        y: targets of the batch.
        sample_weight: its weights, or ``None``.
    """

    origin: NonFiniteOrigin | None
    loss: float
    model: CompilableModel
    x: Any
    y: Array
    sample_weight: Array | None

    def __str__(self) -> str:
        if self.origin is None:
            return f"Everything in the step is finite; its loss is {self.loss:g}."
        return str(self.origin)


def replay_snapshot(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None
) -> Replay:
    """Run the step again whose snapshot ``TerminateOnNaN(snapshot=...)`` wrote.

    The step computes the same bits: weights, optimizer, random streams (dropout) and the batch are
    those of the snapshot, with the same version of NumPy on the same kind of processor.

    Args:
        path: the file; :func:`netlayers.load_model` loads its model too.
        custom_objects: as for :func:`netlayers.load_model`.

    Raises:
        FileError: the file is damaged, or no snapshot.
        OSError: it can not be read.

    Example:
        >>> import os, tempfile, numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(2), nl.layers.Activation("exponential")], seed=0)
        >>> model.compile("sgd", "mse")
        >>> x = np.array([[0.0], [1.0], [1e4], [2.0]])
        >>> with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        ...     path = os.path.join(folder, "nan.safetensors")
        ...     stop = nl.callbacks.TerminateOnNaN(raise_error=True, snapshot=path)
        ...     try:
        ...         model.fit(x, np.ones((4, 2)), callbacks=[stop], shuffle=False, verbose=0)
        ...     except nl.errors.NonFiniteError:
        ...         replay = nl.replay_snapshot(path)
        >>> replay.origin.layer, replay.origin.direction, replay.origin.rows
        ('activation', 'forward', [2])
    """
    model, batch, place = load_snapshot(path, custom_objects)
    steps = model._make_steps(batch.targets.shape)
    steps.snapshot.take()
    try:
        with np.errstate(all="ignore"):
            loss = steps.copy_before_step().compute_gradients(batch)
    except (DataError, ShapeError) as error:  # it passed these checks when it was saved
        raise FileError(path, "extra", "a batch of this model", f"an error: {error}") from error
    origin = find_nonfinite(steps.copy_before_step(), batch)
    if origin is not None:
        origin = replace(origin, epoch=place["epoch"], batch=place["batch"])
    return Replay(origin, loss, model, batch.inputs, batch.targets, batch.weights)
