"""Layers that draw random numbers: when they draw, and from which seed."""

from __future__ import annotations

import copy
import pickle
from typing import Any

from netlayers.checks import is_several
from netlayers.core.calls import generators_of
from netlayers.core.layer import Layer
from netlayers.layers import Activation, Dense, Dropout, GaussianNoise
from netlayers.models import Sequential
from netlayers.testing.arguments import importable
from netlayers.testing.contract import Example, check
from netlayers.testing.layers import KINDS
from netlayers.testing.values import built, copies, normal, require, same

_DRAW = "draw from self.rng, with training=True alone"
_SEED = "set random = True in the class and draw from self.rng, which follows the seeds"


def _draws(example: Example) -> bool:
    return bool(example.cls.random) and example.arguments.get("rate") != 0


def _unseeded(example: Example) -> Example:
    return example.without("seed")


def _values(example: Example) -> Any:
    """Return an input with so many samples that no two draws are the same."""

    def large(shape: Any) -> Any:
        if is_several(shape):
            return tuple(map(large, shape))
        return normal((64, *shape[1:]), "float32")

    return large(example.data[0])


def _outputs(layer: Layer, x: Any, times: int = 3) -> list[Any]:
    """Return what a layer gives in training, one step after the other."""
    return [a for _ in range(times) for a in copies(layer.forward(x, training=True))]


@check(*KINDS)
def randomness_is_declared(example: Example) -> None:
    """Check that a layer with a generator says random = True, and not same_in_training."""
    layer: Layer = built(example)
    require(
        layer.random is bool(generators_of(layer))
        and not (layer.random and layer.same_in_training),
        "random = True, and same_in_training = False, in the class of a layer that draws",
        f"random = {layer.random}, same_in_training = {layer.same_in_training}, "
        f"{len(generators_of(layer))} generators",
        "set both in the class, and draw from self.rng",
    )


@check(*KINDS, when=_draws)
def draws_in_each_step_and_never_at_inference(example: Example) -> None:
    """Check that each training step draws other numbers, and inference none."""
    layer = built(example, "float32")
    x = _values(example)
    first, *others = _outputs(layer, x, 5)  # two may be equal by chance, such as crops
    differ = any((first != other).any() for other in others)
    require(differ, "other numbers in each training step", "the same", _DRAW)
    states = [g.bit_generator.state for g in generators_of(layer).values()]
    layer.forward(x)
    require(
        states == [g.bit_generator.state for g in generators_of(layer).values()],
        "no draw at inference",
        "a generator that has moved on",
        _DRAW,
    )


@check(*KINDS, when=_draws)
def follows_the_seed_of_its_model(example: Example) -> None:
    """Check that models with the same seed draw the same numbers, and with another seed others."""
    example = _unseeded(example)
    x = _values(example)
    one, twin, other = (Sequential([example.make()], seed=s) for s in (5, 5, 6))
    expected = _outputs(one, x)
    same(_outputs(twin, x), expected, "the same numbers from a model with the same seed", _SEED)
    require(
        all((a != b).any() for a, b in zip(_outputs(other, x), expected, strict=True)),
        "other numbers from a model with another seed",
        "the same",
        _SEED,
    )


@check(*KINDS, when=_draws)
def follows_a_seed_of_its_own(example: Example) -> None:
    """Check that with a seed argument, the numbers do not depend on the model."""
    example = _unseeded(example)
    x = _values(example)
    alone = _outputs(example.make(seed=4), x)
    for seed in (5, None):
        same(
            _outputs(Sequential([example.make(seed=4)], seed=seed), x),
            alone,
            f"a layer with seed=4 to draw the same in a model with seed={seed} as alone",
            _SEED,
        )
    require(
        (_outputs(example.make(seed=3), x, 1)[0] != alone[0]).any(),
        "other numbers from another seed",
        "the same",
        _SEED,
    )


@check(*KINDS, when=_draws)
def a_copy_continues_with_the_same_numbers(example: Example) -> None:
    """Check that a copy or pickle draws what the original draws next."""
    for in_model in (True, False):
        thing = Sequential([example.make()], seed=1) if in_model else example.make()
        x = _values(example)
        _outputs(thing, x, 2)
        twins = [copy.deepcopy(thing)]
        if importable(example.cls):
            twins.append(pickle.loads(pickle.dumps(thing)))
        expected = _outputs(thing, x)
        for again in twins:
            same(_outputs(again, x), expected, "a copy to draw what the original draws", _SEED)
            if in_model:  # and a copy that is assembled again too
                again.add(Dense(1))
                other = copy.deepcopy(thing)
                same(
                    _outputs(again.layers[0], x),
                    _outputs(other.layers[0], x),
                    "a copy to draw the same after a layer was added",
                    _SEED,
                )


@check(*KINDS, when=_draws)
def layers_of_a_model_draw_different_numbers(example: Example) -> None:
    """Check that two layers of a model draw different numbers."""
    example = _unseeded(example)
    model = Sequential([example.make(), example.make()], seed=1)
    x = _values(example)
    model.forward(x)
    first, second = (_outputs(layer, x, 1)[0] for layer in model.layers)
    require((first != second).any(), "other numbers in each layer", "the same", _SEED)


@check(*KINDS, when=_draws)
def draws_do_not_depend_on_other_layers(example: Example) -> None:
    """Check that layers before or behind it do not change what a layer draws."""
    x = _values(example)
    alone = Sequential([example.make(name="mine")], seed=1)
    before = [Activation("relu"), Dropout(0.5), GaussianNoise(1.0)]
    among = Sequential([*before, example.make(name="mine")], seed=1)
    for model in (alone, among):
        model.forward(x, training=True)
    expected = _outputs(alone.layers[0], x, 4)
    promise = "a layer to draw the same alone as among others"
    same(_outputs(among.layers[3], x, 2), expected[:2], promise, _SEED)
    among.add(Dense(1))  # lays out the weights anew, and no stream starts again
    same(_outputs(among.layers[3], x, 2), expected[2:], promise, _SEED)
