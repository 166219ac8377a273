"""The checks of each family, as functions to call on a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.core.shapes import listed_shapes
from netlayers.errors import ConfigurationError
from netlayers.registry import Configurable
from netlayers.testing import (
    activations,
    arguments,
    callbacks,
    layer_copies,
    layer_gradients,
    layer_memory,
    layer_random,
    layers,
    losses,
    metrics,
    optimizers,
    weights,
)
from netlayers.testing.contract import Case, ContractReport, Example, cases_of, run

if TYPE_CHECKING:
    from collections.abc import Sequence

# The order in which checks run: what others build on comes first.
_MODULES = [
    layers,
    layer_memory,
    layer_gradients,
    losses,
    metrics,
    optimizers,
    weights,
    callbacks,
    activations,
    layer_random,
    arguments,
    layer_copies,
]
_ORDER = {module.__name__: place for place, module in enumerate(_MODULES)}


def list_checks(
    thing: Any, *, examples: Sequence[Any] | None = None, strict: bool = False
) -> list[Case]:
    """Return the checks of a class with the examples they run on, for pytest to run one by one.

    Args:
        thing: a class of any family, or an object of it, whose configuration is then the example.
        examples: what to try it on; by default what ``thing.examples()`` returns.
        strict: also ask for what the layers and losses of netlayers promise and simple classes
            may do without: no large allocation in a steady step, an error for a gradient of the
            wrong shape.

    Example:
        In a file of tests, ``@pytest.mark.parametrize("case", list_checks(MyLayer), ids=str)`` and
        ``def test_contract(case): case()``.

        >>> import netlayers as nl
        >>> from netlayers.testing import list_checks
        >>> cases = list_checks(nl.regularizers.L1)
        >>> str(cases[0])
        'penalty_has_its_gradient-L1(l1=0.25)'
        >>> cases[0]()
    """
    cls = thing if isinstance(thing, type) else type(thing)
    kind = _kind(cls)
    if examples is None and thing is not cls:
        examples = [_as_example(kind, thing)]
    elif examples is None:
        examples = cls.examples()  # type: ignore[attr-defined]
    found = [_example(kind, cls, one) for one in examples]
    if not found:
        raise ConfigurationError(f"{cls.__name__}: examples() returns none; it must return one.")
    for example in found:
        try:
            example.make()
        except Exception as error:
            raise ConfigurationError(
                f"{example}: the example cannot be made ({type(error).__name__}: {error}). Let "
                "examples() return arguments that the constructor takes."
            ) from error
    cases = cases_of(kind, found, strict)
    if thing is not cls:  # one object cannot show every argument
        cases = [case for case in cases if not case.check.whole]
    return sorted(cases, key=lambda case: _ORDER[case.check.function.__module__])


def _checked(kinds: str, thing: Any, options: dict[str, Any]) -> ContractReport:
    """Run the checks of a class that must be of one of the families."""
    collect = options.pop("collect", False)
    cls = thing if isinstance(thing, type) else type(thing)
    if _kind(cls) not in kinds.split():
        raise ConfigurationError(
            f"check_{kinds.split()[0]}: expected a class of that family, or an object of one, got "
            f"{thing!r}, which is of the family {_kind(cls)!r}."
        )
    return run(list_checks(thing, **options), cls.__name__, collect)


def check_layer(thing: Any, **options: Any) -> ContractReport:
    """Check that a class of layers keeps what netlayers promises of a layer.

    Among the promises: gradients are the derivatives of the output, at random weights, in both
    dtypes, alone and in a model, and with ``input_gradient=False``; a batch does not depend on
    earlier ones; inference changes nothing and may come between ``forward`` and ``backward``;
    arrays that are given stay as they are; constructor arguments return from ``get_config`` and
    have an effect; copies, pickles and files give the same bits.

    Args:
        thing: the class, or an object of it, whose configuration is then the example.
        options: ``examples``: what to try it on, by default ``thing.examples()``, a list of pairs
            of constructor arguments and input shape; ``collect=True``: run all checks and return
            the failures in the report, instead of raising the first; ``strict=True``: also the
            checks that simple classes may fail, see :func:`list_checks`.

    Returns:
        A report with ``passed``, ``count`` and ``failures``.

    Raises:
        ContractError: a check failed. It names the class, the check, the example, what was
            expected, what came, and what to do.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.testing import check_layer
        >>> class Half(nl.layers.Layer):
        ...     def forward(self, x, training=False):
        ...         x = self.prepare(x)
        ...         if training:
        ...             self.cache.shape = x.shape
        ...         return x / 2
        ...     def backward(self, dy):
        ...         return self.check_gradient(dy, self.cache.shape) * 2
        >>> report = check_layer(Half, collect=True)
        >>> [failure.check for failure in report.failures]
        ['gradients_are_derivatives', 'gradients_are_derivatives_in_a_model']
    """
    return _checked("layer activation", thing, options)


def check_activation(thing: Any, **options: Any) -> ContractReport:
    """Check a class of activations: as :func:`check_layer`, and in place.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.testing import check_activation
        >>> check_activation(nl.activations.Tanh).passed
        True
    """
    return _checked("activation", thing, options)


def check_loss(thing: Any, **options: Any) -> ContractReport:
    """Check a class of losses; arguments and result as for :func:`check_layer`.

    ``examples()`` returns triples of constructor arguments and the kinds of targets and of
    predictions: ``"numbers"``, ``"shares"`` (0.1 to 0.9), ``"positive"``, ``"counts"``,
    ``"signs"``, ``"one-hot"``, ``"classes"``, ``"column"``, or a function of a generator and a
    shape. Further entries are the sizes of a sample's axes, where the arguments fix them.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.testing import check_loss
        >>> check_loss(nl.losses.Huber).passed
        True
    """
    return _checked("loss", thing, options)


def check_metric(thing: Any, **options: Any) -> ContractReport:
    """Check a class of metrics; arguments and result as for :func:`check_layer`.

    ``examples()`` returns what :func:`check_loss` describes.

    Of a metric of plain values, such as ``Mean``, the kind of the targets is ``None``.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.testing import check_metric
        >>> check_metric(nl.metrics.MeanSquaredError).passed
        True
    """
    return _checked("metric", thing, options)


def check_optimizer(thing: Any, **options: Any) -> ContractReport:
    """Check a class of optimizers; arguments and result as for :func:`check_layer`.

    ``examples()`` returns a list of constructor arguments.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.testing import check_optimizer
        >>> check_optimizer(nl.optimizers.SGD).passed
        True
    """
    return _checked("optimizer", thing, options)


def check_schedule(thing: Any, **options: Any) -> ContractReport:
    """Check a class of schedules; arguments and result as for :func:`check_layer`.

    ``examples()`` returns a list of constructor arguments.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.testing import check_schedule
        >>> check_schedule(nl.optimizers.schedules.Noam).passed
        True
    """
    return _checked("schedule", thing, options)


def check_initializer(thing: Any, **options: Any) -> ContractReport:
    """Check a class of initializers; arguments and result as for :func:`check_layer`.

    ``examples()`` returns a list of constructor arguments.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.testing import check_initializer
        >>> check_initializer(nl.initializers.HeNormal).passed
        True
    """
    return _checked("initializer", thing, options)


def check_regularizer(thing: Any, **options: Any) -> ContractReport:
    """Check a class of regularizers; arguments and result as for :func:`check_layer`.

    ``examples()`` returns a list of constructor arguments.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.testing import check_regularizer
        >>> check_regularizer(nl.regularizers.L2).passed
        True
    """
    return _checked("regularizer", thing, options)


def check_constraint(thing: Any, **options: Any) -> ContractReport:
    """Check a class of constraints; arguments and result as for :func:`check_layer`.

    ``examples()`` returns a list of constructor arguments.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.testing import check_constraint
        >>> check_constraint(nl.constraints.MaxNorm).passed
        True
    """
    return _checked("constraint", thing, options)


def check_callback(thing: Any, **options: Any) -> ContractReport:
    """Check a class of callbacks; arguments and result as for :func:`check_layer`.

    ``examples()`` returns a list of constructor arguments.

    It runs in an empty folder, which is removed afterwards: relative paths are fine.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.testing import check_callback
        >>> check_callback(nl.callbacks.TerminateOnNaN).passed
        True
    """
    return _checked("callback", thing, options)


def _kind(cls: type) -> str:
    for base in cls.__mro__:
        if base in arguments.BASES:
            return arguments.BASES[base]
    raise ConfigurationError(
        "netlayers.testing: expected a class of layers, losses, metrics, optimizers, schedules, "
        f"initializers, regularizers, constraints or callbacks, got {cls.__name__}."
    )


def _example(kind: str, cls: type, given: Any) -> Example:
    """Return an example from what a class, or the user, gives as one."""
    length = {"layer": (2,), "activation": (2,), "loss": (3, 4, 5), "metric": (3, 4, 5)}.get(kind)
    if length is None:
        fits = isinstance(given, dict)
        parts: tuple[Any, ...] = (given,)
    else:
        fits = isinstance(given, (tuple, list)) and len(given) in length
        fits = fits and isinstance(given[0], dict)
        parts = tuple(given) if fits else ()
    if not fits:
        wanted = "a dict of constructor arguments"
        if length is not None:
            wanted = "a pair of constructor arguments and input shape"
        if length == (3, 4, 5):
            wanted = "constructor arguments, kind of targets, and kind of predictions"
        raise ConfigurationError(f"{cls.__name__}: an example must be {wanted}, got {given!r}.")
    return Example(cls, parts[0], parts[1:])


def _as_example(kind: str, thing: Any) -> Any:
    """Return the configuration of an object, with the data of its class's first example."""
    if not isinstance(thing, Configurable):
        raise ConfigurationError(
            f"{type(thing).__name__}: an object has no configuration to make others from; pass "
            "the class."
        )
    config = thing.get_config()
    config.pop("name", None)
    first = type(thing).examples()[0]
    if kind in ("layer", "activation"):
        built: Any = thing
        shape = first[1]
        if built.built:
            shapes = tuple(
                (4, *(size or 3 for size in one[1:])) for one in listed_shapes(built.input_shape)
            )
            shape = shapes if isinstance(built.input_spec, tuple) else shapes[0]
        for name in ("dtype", "trainable", "build_input_shape"):
            config.pop(name, None)
        return config, shape
    return (config, *first[1:]) if kind in ("loss", "metric") else config
