"""Gradients of the loss with respect to inputs and intermediate values."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._suggestions import suggestion
from netlayers.arrays.convert import each, shapes_of
from netlayers.checks import is_several, listed
from netlayers.core.hooks import matching_name, observed
from netlayers.errors import ConfigurationError
from netlayers.training.inputs import input_names
from netlayers.training.masks import gives_mask, masked_weights
from netlayers.training.outputs import unfused_loss
from netlayers.training.own_steps import computed_loss
from netlayers.training.samples import one_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, ArrayLike, Dtype
    from netlayers.training.compilation import CompilableModel


def gradients_of(
    model: CompilableModel,
    names: str | Sequence[str],
    x: Any,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> dict[str, Any]:
    """Return dL/dv for inputs v and for outputs v of layers; the model does not change.

    The loss is computed as in the next training step: with its dropout and batch statistics,
    without the penalties of weights. A value that is used several times has the sum of the
    gradients of all its uses.

    Args:
        model: a compiled model.
        names: one or several names of inputs and of layers (``"dense"``, within a container
            ``"residual/dense"``, or ``"dense"`` if there is no other).
        x: inputs of a batch.
        y: its targets.
        sample_weight: its weights.

    Returns:
        The gradients by name, each in the shape of its value; for a layer with several outputs a
        tuple, for one that is called several times a list with an entry for each call. A value that
        the loss does not depend on has zeros.

    Raises:
        ConfigurationError: there is no input or layer of that name.

    Example:
        ``L = (3 a - y)²`` with the output ``3 a`` of a hidden layer: ``dL/da = 6 (3 a - y)``.

        >>> import numpy as np, netlayers as nl
        >>> a = nl.Input((1,), name="a")
        >>> model = nl.Model(a, nl.layers.Rescaling(3.0, name="triple")(a))
        >>> model.compile("sgd", "mse")
        >>> found = model.gradients_of(["a", "triple"], np.array([[1.0]]), np.array([[1.0]]))
        >>> float(found["triple"].item()), float(found["a"].item())
        (4.0, 12.0)
    """
    model._require_compiled()
    trial = copy.deepcopy(model)
    batch = one_batch(trial, "gradients_of", x, y, sample_weight)
    layers = {layer.path: layer for layer in trial._flatten_layers() if layer is not trial}
    inputs = input_names(trial, each(trial.input_spec))
    asked = listed(names)
    wanted = [its if its in inputs else matching_name(its, layers) for its in asked]
    for name in wanted:
        if name not in layers and name not in inputs:
            known = [*inputs, *layers]
            raise ConfigurationError(
                f"gradients_of: no input or layer is named {name!r}.{suggestion(str(name), known)} "
                f"There are {', '.join(dict.fromkeys(known))}."
            )
    # Of each call of a layer, by its number.
    shapes: dict[str, dict[int, Any]] = {name: {} for name in wanted}
    found: dict[str, dict[int, Any]] = {name: {} for name in wanted}

    def around(layer: Any, method: str, given: Any, run: Any) -> Any:
        result = run()
        if layer.path in found:
            number = uses.number(layer)
            if method == "forward":
                shapes[layer.path][number] = shapes_of(result)
            elif method == "backward":
                d = tuple(map(_copied, given)) if isinstance(given, tuple) else _copied(given)
                found[layer.path][number] = d
        return result

    loss = computed_loss(trial, batch.inputs) or unfused_loss(trial, shapes_of(batch.targets))
    with observed(trial, around) as uses:
        masks: list[Any] = []
        options = {"mask_out": masks} if gives_mask(trial) else {}
        y_pred = trial.forward(batch.inputs, training=True, **options)
        weights, _ = masked_weights(loss, batch.weights, masks[0] if masks else None)
        loss.forward(batch.targets, y_pred, weights)
        dx = trial.backward(loss.backward(), input_gradient=True)
    gradients: dict[str, Any] = {}
    for name in wanted:
        if name in inputs:
            place = inputs.index(name)
            given, d = each(batch.inputs)[place], each(dx)[place]
            gradients[name] = np.zeros(given.shape, trial._dtype) if d is None else d.copy()
            continue
        its = shapes[name].items()
        calls = [_filled(found[name].get(number), shape, trial._dtype) for number, shape in its]
        gradients[name] = calls[0] if len(calls) == 1 else calls
    return {its: gradients[name] for its, name in zip(asked, wanted, strict=True)}


def _copied(gradient: Array | None) -> Array | None:
    return None if gradient is None else gradient.copy()


def _filled(gradient: Any, shape: Any, dtype: Dtype) -> Any:
    """Return a gradient, or those of several arrays, with zeros where there is none."""
    if is_several(shape):
        parts = gradient if isinstance(gradient, tuple) else (None,) * len(shape)
        return tuple(_filled(d, its, dtype) for d, its in zip(parts, shape, strict=True))
    return np.zeros(shape, dtype) if gradient is None else gradient
