"""Losses, targets and weights of models with several outputs."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import losses
from netlayers._suggestions import suggestion
from netlayers.arrays.checks import as_data
from netlayers.arrays.convert import one
from netlayers.checks import overridden
from netlayers.core.shapes import shown_shape
from netlayers.data.structure import arrays_by_name, holds_arrays, label
from netlayers.errors import ConfigurationError
from netlayers.losses.by_output import OutputLosses

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers.layers.network import Network


def output_names(model: Network) -> list[str]:
    """Return the names of the outputs of a model: ``y``, or ``y_0``, ``y_1``, ... without names."""
    names = getattr(model, "output_names", None)
    if names:
        return list(names)
    count = model._output_count
    return ["y"] if count == 1 else [f"y_{i}" for i in range(count)]


def is_by_output(given: Any) -> bool:
    """Whether an argument has an entry for each output: a list, or a dict by their names."""
    return isinstance(given, (list, tuple)) or (
        isinstance(given, dict) and "class_name" not in given
    )


def chosen_loss(model: Network, loss: Any, loss_weights: Any) -> Any:
    """Return the loss of ``compile``; ``"crossentropy"`` is resolved with the shapes.

    Raises:
        ConfigurationError: there is no loss, or its value is not a scalar.
    """
    owner = model.owner
    if loss is None and overridden(model):
        return None
    if loss is None:
        raise ConfigurationError(f"{owner}: compile() needs a loss, for instance loss='mse'.")
    by_output = isinstance(loss, (list, tuple, dict)) or loss_weights is not None
    if by_output or model._output_count > 1:
        loss = losses_by_output(model, loss, loss_weights)
    if isinstance(loss, str) and loss.lower() in losses.BY_SHAPE:
        return loss
    chosen = losses.get(loss)
    if getattr(chosen, "reduction", "sum") in ("none", None):
        raise ConfigurationError(
            f"{owner}: the loss has reduction={chosen.reduction!r}, which gives an array; "
            "training minimizes one number. Use 'sum_over_batch_size' or 'sum'."
        )
    return chosen


def losses_by_output(model: Network, loss: Any, loss_weights: Any) -> Any:
    """Return the loss of ``compile``: :class:`OutputLosses` for several outputs.

    Args:
        model: the model.
        loss: a loss for all outputs, a list with one for each, or a dict by their names; ``None``
            for an output that is not learned.
        loss_weights: numbers in the same form, or ``None``.

    Raises:
        ConfigurationError: they do not match the outputs.
    """
    if isinstance(loss, dict) and not is_by_output(loss):
        loss = losses.get(loss)
    if isinstance(loss, OutputLosses):
        return loss
    owner, names = model.owner, output_names(model)
    if len(names) == 1 and not model.built and is_by_output(loss):
        names = [f"y_{i}" for i in range(len(loss))]  # as many as there are losses
    entries = _entries(owner, "loss", loss, names)
    factors = [1.0] * len(names)
    if loss_weights is not None:
        if len(names) == 1:
            raise ConfigurationError(
                f"{owner}: loss_weights={loss_weights!r} weighs the losses of several outputs; the "
                "model has one. The weights of a SplitLoss are an argument of it."
            )
        if not is_by_output(loss_weights):
            raise ConfigurationError(
                f"{owner}: loss_weights must be a list of {len(names)} numbers, or a dict by the "
                f"names of the outputs, got {loss_weights!r}."
            )
        given = _entries(owner, "loss_weights", loss_weights, names)
        factors = [1.0 if w is None else w for w in given]
    used = [i for i, entry in enumerate(entries) if entry is not None]
    if not used:
        raise ConfigurationError(f"{owner}: compile() needs a loss for at least one output.")
    if len(names) == 1:
        return entries[0]
    chosen = [_own(entries[i], entries[:i]) for i in used]
    for entry in chosen:
        if getattr(entry, "reduction", "sum") in ("none", None):
            raise ConfigurationError(
                f"{owner}: the loss {entry.name!r} has reduction={entry.reduction!r}, which gives "
                "an array; training minimizes one number."
            )
    return OutputLosses(chosen, [factors[i] for i in used], [names[i] for i in used], used)


def _own(entry: Any, before: list[Any]) -> Any:
    """Return the loss of an output; it has its own cache."""
    if isinstance(entry, str) and entry.lower() in losses.BY_SHAPE:
        return entry
    loss = losses.get(entry)
    return copy.deepcopy(loss) if any(entry is other for other in before) else loss


def _entries(owner: str, argument: str, given: Any, names: list[str]) -> list[Any]:
    """Return one entry for each output.

    Raises:
        ConfigurationError: there are others.
    """
    if not is_by_output(given):
        return [given] * len(names)
    if isinstance(given, dict):
        for name in given:
            if name not in names:
                raise ConfigurationError(
                    f"{owner}: {argument} has the key {name!r}, which is no output."
                    f"{suggestion(str(name), names)} The outputs are {', '.join(names)}."
                )
        return [_only(given.get(name)) for name in names]
    if len(given) != len(names):
        raise ConfigurationError(
            f"{owner}: {argument} must have an entry for each of the {len(names)} outputs "
            f"{', '.join(names)}, got {len(given)}."
        )
    return [_only(entry) for entry in given]


def _only(entry: Any) -> Any:
    """Return the only entry of a list, as in ``loss={"y": ["mse"]}``."""
    return entry[0] if isinstance(entry, (list, tuple)) and len(entry) == 1 else entry


def metrics_of_one_output(model: Network, given: Any) -> Any:
    """Return the metrics of a model with one output, also of a dict by its name.

    They are returned as they are if the model has several outputs, or the keys are other names.
    """
    names = output_names(model)
    if len(names) == 1 and isinstance(given, dict) and list(given) == names:
        return given[names[0]]
    return given


def metrics_by_output(owner: str, argument: str, given: Any, loss: OutputLosses) -> tuple[Any, ...]:
    """Return a tuple of metrics for each loss of a model with several outputs.

    Raises:
        ConfigurationError: they do not match the outputs, or an output has metrics and no loss.
    """
    if not given:
        return ()
    names, form = loss.names, f"a dict of metrics by output ({', '.join(loss.names)}), or a list"
    if isinstance(given, dict) and is_by_output(given):
        for name in given:
            if name not in names:
                raise ConfigurationError(
                    f"{owner}: {argument} has the key {name!r}, which is no output with a loss."
                    f"{suggestion(str(name), names)} They are {', '.join(names)}."
                )
        entries = [given.get(name) for name in names]
    elif isinstance(given, (list, tuple)) and len(given) == len(names):
        entries = list(given)
    elif isinstance(given, (list, tuple)) and len(given) > loss.places[-1]:
        entries = [given[place] for place in loss.places]
        left_out = [m for i, m in enumerate(given) if i not in loss.places and m]
        if left_out:
            raise ConfigurationError(
                f"{owner}: {argument}: an output without a loss has metrics, {left_out[0]!r}; give "
                "it a loss with a loss weight of 0."
            )
    else:
        raise ConfigurationError(
            f"{owner}: {argument} must be {form} with an entry for each output, got {given!r}."
        )
    return tuple(
        tuple(entry) if isinstance(entry, (list, tuple)) else () if entry is None else (entry,)
        for entry in entries
    )


def bound_losses(
    model: Network, loss: OutputLosses, target_shape: Any, choose: Callable[..., tuple[Any, bool]]
) -> OutputLosses:
    """Return the losses that a model is trained with, some of them on its logits.

    Args:
        model: a built model.
        loss: its losses.
        target_shape: the shapes of the targets.
        choose: returns the loss for a loss, the shapes of targets and outputs, and the activation,
            and whether it takes the logits.

    Raises:
        ConfigurationError: the model does not have these outputs.
    """
    shapes: Any = model.output_shape
    count = model._output_count
    if loss.places[-1] >= count or count < 2:
        raise ConfigurationError(
            f"{model.owner}: compile() got losses for {len(loss.losses)} outputs, but it has "
            f"{count}, of the shapes {shown_shape(shapes)}."
        )
    its_shapes = (target_shape,) if len(loss.losses) == 1 else target_shape
    activations = model._output_activations()
    chosen, by_logits = [], []
    for part, place, its in zip(loss.losses, loss.places, its_shapes, strict=True):
        found, fused = choose(part, its, shapes[place], activations[place])
        if fused:
            found.fused = True  # its predictions are found.probabilities
            by_logits.append(place)
        chosen.append(found)
    model._use_logits_of(by_logits)
    bound = OutputLosses(chosen, loss.weights, loss.names, loss.places, name=loss.name)
    bound.fused = bool(by_logits)  # type: ignore[attr-defined]
    return bound


def unfused_loss(model: Any, target_shape: Any) -> Any:
    """Return the loss of a compiled and built model, on its outputs rather than on logits."""

    def choose(loss: Any, target_shape: Any, output_shape: Any, _: Any) -> tuple[Any, bool]:
        named = isinstance(loss, str)
        return crossentropy_by_shape(target_shape, output_shape) if named else loss, False

    if isinstance(model.loss, OutputLosses):
        return bound_losses(model, model.loss, target_shape, choose)
    return choose(model.loss, target_shape, model.output_shape, None)[0]


def crossentropy_by_shape(target_shape: Any, output_shape: Any) -> losses.Loss:
    """Resolve ``"crossentropy"`` by the shapes, as Keras does."""
    if output_shape[-1] == 1:
        return losses.BinaryCrossentropy()
    if len(target_shape) == len(output_shape) and target_shape[-1] == output_shape[-1]:
        return losses.CategoricalCrossentropy()
    return losses.SparseCategoricalCrossentropy()


def targets_by_output(loss: Any, owner: str, y: Any, names: list[str]) -> Any:
    """Return the targets of the outputs that have a loss, checked: an array, or a tuple of several.

    Targets of outputs without a loss are left out.
    """
    if isinstance(loss, OutputLosses) and len(loss.names) < len(names):
        if isinstance(y, dict):
            y = {name: its for name, its in y.items() if name in loss.names or name not in names}
        elif isinstance(y, (list, tuple)) and len(y) == len(names) and holds_arrays(y):
            y = [y[place] for place in loss.places]
        names = loss.names
    arrays = arrays_by_name(owner, "y", y, names, "output")
    return one(
        [as_data(owner, label("y", n, names), a) for n, a in zip(names, arrays, strict=True)]
    )


def weights_by_output(loss: Any, owner: str, weight: Any, rows: int) -> Any:
    """Return sample weights, or a tuple of those of each output with a loss.

    Args:
        loss: the loss of the model.
        owner: the caller, for messages.
        weight: an array for all outputs, or a list or dict of arrays; ``None`` in it is 1.
        rows: number of samples.
    """
    if isinstance(loss, OutputLosses) and (isinstance(weight, dict) or _has_parts(weight)):
        names = loss.names
        given = weight
        if isinstance(weight, dict):
            given = {**dict.fromkeys(names), **weight}
        ones = np.ones(rows, np.float32)
        if isinstance(given, dict):
            given = {name: ones if its is None else its for name, its in given.items()}
        else:
            given = [ones if its is None else its for its in given]
        arrays = arrays_by_name(owner, "sample_weight", given, names, "output")
        pairs = zip(names, arrays, strict=True)
        return tuple(as_data(owner, label("sample_weight", n, names), a) for n, a in pairs)
    (weight,) = arrays_by_name(owner, "sample_weight", weight, ["sample_weight"], "array")
    return as_data(owner, "sample_weight", weight)


def _has_parts(weight: Any) -> bool:
    parts = weight if isinstance(weight, (list, tuple)) else ()
    return any(part is None or hasattr(part, "shape") for part in parts)


def parts_of(loss: Any, targets: tuple[Any, ...]) -> list[tuple[str, Any, Any]]:
    """Return an argument name, a loss and an array for each of several arrays of targets."""
    parts = loss.losses if isinstance(loss, OutputLosses) else [loss] * len(targets)
    return [(f"y[{i}]", part, y) for i, (part, y) in enumerate(zip(parts, targets, strict=False))]
