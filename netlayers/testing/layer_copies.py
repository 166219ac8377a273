"""Layers that are copied, pickled, saved, and frozen between two calls of compile."""

from __future__ import annotations

import copy
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from netlayers.checks import is_several
from netlayers.core.layer import Layer
from netlayers.data.batch import Batch
from netlayers.errors import NoForwardError
from netlayers.layers import Dense
from netlayers.models import Sequential
from netlayers.saving import load_model
from netlayers.testing.arguments import importable
from netlayers.testing.contract import Example, Mismatch, check
from netlayers.testing.layers import KINDS
from netlayers.testing.values import (
    built,
    copies,
    forward,
    inputs,
    normal,
    require,
    rows_of,
    same,
    step,
    with_rows,
    zeros,
)

_STATE = "keep nothing that belongs to one layer in a global or in the class; see __getstate__"


def _twins(layer: Layer, cls: type) -> list[tuple[str, Any]]:
    found = [("copy.deepcopy", copy.deepcopy(layer))]
    if importable(cls):
        found.append(("pickle", pickle.loads(pickle.dumps(layer))))
    return found


@check(*KINDS)
def copies_stand_alone(example: Example) -> None:
    """Check that a copy of a layer, new or used, computes the same with its own weights."""
    for used in (False, True):
        layer = built(example, "float32")
        x = inputs(layer, example.data[0], "float32")
        if used:
            step(layer, x)
        weights = copies(tuple(layer.weights))
        twins = _twins(layer, example.cls)
        expected = step(layer, x)
        for way, again in twins:
            same(again.weights, weights, f"the weights of the original after {way}", _STATE)
            try:
                again.backward(zeros(again.compute_output_shape(example.data[0]), "float32"))
            except NoForwardError:
                pass
            else:
                raise Mismatch(
                    f"a NoForwardError from backward() of a layer from {way}",
                    "no error",
                    "keep what backward() needs in self.cache, which is not copied",
                )
            same(step(again, x), expected, f"the bits of the original after {way}", _STATE)
            _views_alias_the_vector(again)
            for one, other in zip(again.weights, layer.weights, strict=True):
                require(
                    not np.shares_memory(one, other),
                    f"the layer from {way} to have weights of its own",
                    "an array that both share",
                    _STATE,
                )
        _views_alias_the_vector(layer)


def _views_alias_the_vector(layer: Layer) -> None:
    vector = layer.parameters
    hint = "write into weights (self.w[...] = ...); never replace them"
    for p in layer.declared_parameters:
        memory = vector.statistics if p.statistic else vector.values
        aliased = getattr(p.layer, p.name) is p.value
        if p.own_dtype is None:
            aliased = aliased and np.shares_memory(p.value, memory)
        if not p.statistic and not p.row_gradient:
            gradient = getattr(p.layer, "d_" + p.name)
            aliased = aliased and np.shares_memory(gradient, vector.gradients)
        require(
            aliased or not p.size,
            f"the weight {p.path} and its gradient to be views into the vectors of the model",
            "an array beside them",
            hint,
        )
    vector.values[...] = np.arange(vector.values.size)
    vector.statistics[...] = -np.arange(vector.statistics.size)
    flat = [
        p.value.reshape(-1)
        for p in layer.declared_parameters
        if p.value is not None and not p.statistic
    ]
    same(
        [np.concatenate([*flat, []])],
        [np.arange(float(vector.values.size))],
        "the weights to be the parts of the vector, in their order",
        hint,
    )


@check(*KINDS)
def copies_of_a_model_stand_alone(example: Example) -> None:
    """Check that a copy of a model with the layer computes the same with its own weights."""
    model = Sequential([example.make()], seed=0)
    x = inputs(model, example.data[0], "float32")
    model.forward(x)
    for way, again in _twins(model, example.cls):
        same(
            copies(forward(again, x)),
            copies(forward(model, x)),
            f"a model from {way} to compute the bits of the original",
            _STATE,
        )
        again.parameters.values[...] = 7
        again.parameters.statistics[...] = 7
        ours = [w for w, p in zip(again.weights, again._ordered(), strict=True) if not p.own_dtype]
        require(
            all((w == 7).all() for w in ours),
            f"the weights of a model from {way} to be views into its own vector",
            "weights that do not follow it",
            _STATE,
        )


@check(*KINDS, whole=True)
def a_saved_model_comes_back(examples: list[Example]) -> None:
    """Check that a model with the layer is saved and loaded with the same bits."""
    example = examples[0]
    model = Sequential([example.make()], seed=0)
    x = inputs(model, example.data[0], "float32")
    expected = copies(forward(model, x))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path)
        again = load_model(path, custom_objects={example.cls.__name__: example.cls})
    same(again.weights, model.weights, "the weights of the model that was saved", _STATE)
    same(
        copies(forward(again, x)),
        expected,
        "the loaded model to compute the bits of the one that was saved",
        "put everything that forward() depends on into constructor arguments, weights or assets",
    )


@check(*KINDS)
def freezing_is_obeyed(example: Example) -> None:
    """Check that trainable=False keeps the weights as they are from the next compile on."""
    layer = example.make(name="mine")
    if is_several(built(example).compute_output_shape(example.data[0])):
        return  # no loss takes several outputs
    model = Sequential([layer, Dense(2)], seed=0)
    x = inputs(model, with_rows(example.data[0], 16), "float32")
    y = normal(model.forward(x).shape, "float32", seed=9)
    for trainable in (True, False, True):
        layer.trainable = trainable
        before = model.get_weights()
        model.compile("adam", "mse")
        model.reset_states()
        steps = model._make_steps(y.shape)
        for _ in range(6):
            steps.train(Batch(rows_of(x, 0, 8), y[:8], None, 8))
        pairs = zip(before, model.weights, strict=True)
        changes = [bool((a != b).any()) for a, b in pairs]
        for p, change in zip(layer._ordered(), changes, strict=False):
            if not (p.statistic and trainable):  # that is the layer's own affair
                require(
                    change is trainable,
                    f"{p.path} to {'change' if trainable else 'stay as it is'} in training with "
                    f"trainable={trainable}",
                    "a change" if change else "no change",
                    "leave weights to the optimizer; update statistics only where self.trainable",
                )
        require(
            changes[-2:] == [True, True],
            "the layer behind a frozen one to learn",
            "no change",
            "return dL/dx also where the weights are frozen",
        )
        require(
            len(layer.trainable_weights) == len(layer.gradients)
            and (trainable or not layer.trainable_weights),
            "a gradient for each trainable weight, and none of them trainable when frozen",
            f"{len(layer.gradients)} gradients, {len(layer.trainable_weights)} weights",
            "declare weights with add_weight() alone",
        )
