"""Each argument of each public class with each odd value."""

import copy
import inspect

import numpy as np

import netlayers as nl
from netlayers.errors import NetlayersError
from netlayers.registry import constructor_arguments, serialize, snake_case
from netlayers.testing import callbacks, layers, losses, metrics, optimizers, weights
from netlayers.testing.contract import Example
from netlayers.testing.families import _example as as_example
from tests.classes import KINDS, concrete
from tests.uses.odd_values import VALUES
from tests.uses.outcomes import Silent, Use, finite

# What has no effect, or a result that is not finite, and where the documentation says so.
DOCUMENTED = {
    ("AUC", "thresholds"): "AUC: its attribute thresholds includes 0 and 1",
    ("Activation", "activation"): "Activation: None is linear",
    ("Dense", "activation"): "Dense: None is linear",
    ("GetItem", "index"): "GetItem: the configuration holds ... as text",
    **{
        (kind, argument): "StringLookup: text as bytes is decoded, the size is that of a file"
        for kind in ("StringLookup", "IntegerLookup", "TextVectorization")
        for argument in ("vocabulary_size", "mask_token", "oov_token", "vocabulary")
    },
    ("R2Score", "num_regressors"): "R2Score: NaN unless n > p + 1",
    ("SplitLoss", "target_sizes"): "SplitLoss: by default what each loss needs",
}
X = np.random.default_rng(0).normal(size=(8, 3))
Y = np.random.default_rng(1).normal(size=(8, 1))


def observe_metric(example, metric):
    """Return results on the data of the example, whatever the changed argument is."""
    batch = metrics._batch(example, example.make())
    metric.update_state(*batch)
    metric.update_state(*batch, sample_weight=np.arange(8.0) % 3)
    return [np.array(metric.result())]


def observe_schedule(example, schedule):
    return train(nl.optimizers.SGD(schedule))


def observe_optimizer(example, optimizer):
    with np.errstate(over="ignore"):  # in a run, an error tells of what became infinite
        optimizers.observe_optimizer(example, copy.deepcopy(optimizer))
    return train(optimizer)


def train(optimizer):
    """Return the weights after a run; where the loss is infinite, its History says so."""
    model = nl.Sequential([nl.layers.Dense(2), nl.layers.Dense(1)], seed=0)
    model.compile(optimizer, "mse")
    with np.errstate(over="ignore"):
        model.fit(X, Y, batch_size=4, epochs=3, verbose=0)
    return model.get_weights()


OBSERVE = {
    "layer": layers.observe_layer,
    "loss": losses.observe_loss,
    "metric": observe_metric,
    "optimizer": observe_optimizer,
    "schedule": observe_schedule,
    "initializer": weights.observe_initializer,
    "regularizer": weights.observe_regularizer,
    "constraint": weights.observe_constraint,
    "callback": lambda example, callback: callbacks._run(callback, 2),
}


def examples(kind, cls):
    return [as_example(kind, cls, one) for one in cls.examples()]


def arguments_of(cls):
    """Return the arguments of a constructor with their defaults."""
    try:
        return constructor_arguments(cls)
    except TypeError:
        parameters = inspect.signature(cls).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD}


def public(kind):
    exported = {*KINDS[kind][1].__all__, "Sequential"}
    return [cls for cls in concrete(kind) if cls.__name__ in exported]


def uses(kinds=tuple(KINDS), labels=VALUES):
    """Yield the uses."""
    for kind in kinds:
        for cls in public(kind):
            its = examples(kind, cls)
            for argument in arguments_of(cls):
                if (cls.__name__, argument) == ("HashedCrossing", "num_inputs"):
                    continue  # the example has two inputs
                shows = [e for e in its if argument in e.arguments]
                for example in {id(e): e for e in (its[0], *shows[:1])}.values():
                    for label in labels:
                        yield use(kind, example, argument, label)


def use(kind, example, argument, label):
    """Return the use of a class with one argument changed."""
    cls = example.cls

    def run():
        value = VALUES[label]()
        thing = cls(**{**copy.deepcopy(example.arguments), argument: value})
        tried = example
        if kind not in ("loss", "metric") or argument == "mask_nan":
            tried = Example(cls, {**example.arguments, argument: value}, example.data)
        try:
            seen = OBSERVE[kind](tried, thing)
        except NetlayersError as error:  # in use, the name of the object is enough
            if snake_case(cls.__name__) in str(error) or cls.__name__ in str(error):
                error.add_note(argument)
            raise
        kept(thing, argument, value)
        try:
            finite(seen)
        except Silent:
            if kind in ("layer", "loss"):
                said_in_training(kind, thing, tried)
            raise

    words = words_of(argument)
    documented = DOCUMENTED.get((cls.__name__, argument), "")
    return Use(kind, f"{cls.__name__}({argument}={label})", run, words, documented)


def said_in_training(kind, thing, example):
    """Train with it: an error says that a number is not finite, and where that began."""
    if kind == "layer":
        shape = example.data[0]
        x = np.random.default_rng(0).normal(size=shape)
        model = nl.Sequential([copy.deepcopy(thing)], seed=0, dtype=thing.dtype)
        model.compile("sgd", "mse")
        y = np.zeros(model.forward(x.astype(model.dtype or "float32")).shape)
    else:
        model = nl.Sequential([nl.layers.Dense(2 if "NLL" in type(thing).__name__ else 1)])
        model.compile("sgd", thing)
        x, y = X, Y
    model.fit(x, y, epochs=3, verbose=0)


def words_of(argument):
    """Return words one of which an error names: the argument, or the kind of thing it is."""
    last = {"fn": "metric"}.get(argument, argument.rpartition("_")[2])
    return argument, last, last.removesuffix("s"), last.removesuffix("ies") + "y"


def kept(thing, argument, value):
    """Raise Silent unless an object has kept what it was given."""
    if not hasattr(thing, "get_config"):
        return
    default = arguments_of(type(thing)).get(argument)
    if value is None and (argument == "name" or default is None):
        return  # the default, which stands for what is found from the rest
    config = thing.get_config().get(argument, value)
    if isinstance(value, np.ndarray) and isinstance(config, dict):
        config = config["config"]["value"]  # an array as an initializer
    if not alike(config, serialize(value)):
        raise Silent(f"{argument}={value!r:.60} is kept as {config!r:.60}")


def alike(kept, given):
    """Whether a configuration holds what was given, as another kind of number perhaps."""
    if isinstance(given, (set, range)):
        given = list(given)
    try:
        same = bool(np.all(np.asarray(kept) == np.asarray(given))) or str(kept) == str(given)
        return same or kept == [[n, n] for n in given]  # numbers before and after an axis
    except (TypeError, ValueError):
        return str(kept) == str(given)
