"""Names of a user's classes, as Keras registers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.activations import ActivationLayer
from netlayers.checks import check_custom_objects, is_foreign, takes
from netlayers.constraints import Constraint
from netlayers.core.layer import Layer
from netlayers.errors import ArgumentTypeError, ConfigurationError
from netlayers.initializers import Initializer
from netlayers.losses import Loss
from netlayers.metrics import Metric
from netlayers.optimizers import Optimizer
from netlayers.optimizers.schedules import LearningRateSchedule
from netlayers.registry import (
    QUALIFIED,
    USER_OBJECTS,
    Configurable,
    register_name,
    registered,
    resolve,
    serialize,
    spellings,
)
from netlayers.regularizers import Regularizer
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token

_KINDS: dict[type, str] = {  # the first that fits: an activation is a layer too
    ActivationLayer: "activation",
    Layer: "layer",
    Loss: "loss",
    Metric: "metric",
    Optimizer: "optimizer",
    LearningRateSchedule: "schedule",
    Initializer: "initializer",
    Regularizer: "regularizer",
    Constraint: "constraint",
    Callback: "callback",
}


class CustomObjectScope:
    """Context manager in which names stand for a user's classes.

    ``load_model``, ``from_config`` and arguments such as ``loss="mine"`` find them; other threads
    do not.

    Args:
        custom_objects: the classes by name.

    Example:
        >>> import netlayers as nl
        >>> class Cubed(nl.initializers.Initializer):
        ...     def fill(self, out, rng=None):
        ...         out[...] = 3
        >>> with nl.saving.custom_object_scope({"Cubed": Cubed}):
        ...     nl.initializers.get("Cubed")
        Cubed()
    """

    def __init__(self, custom_objects: Mapping[str, Any]) -> None:
        given = ... if custom_objects is None else custom_objects
        check_custom_objects("CustomObjectScope", given)
        self._objects = dict(custom_objects)
        self._tokens: list[Token[Mapping[str, Any]]] = []

    def __enter__(self) -> None:
        self._tokens.append(USER_OBJECTS.set({**USER_OBJECTS.get(), **self._objects}))

    def __exit__(self, *_: object) -> None:
        USER_OBJECTS.reset(self._tokens.pop())


custom_object_scope = CustomObjectScope  # its other name in Keras


def get_custom_objects() -> dict[str, Any]:
    """Return the classes of :func:`register_keras_serializable` and of the scopes around, by name.

    The result is a copy: to add a name use ``register_keras_serializable``.
    """
    return {**QUALIFIED, **USER_OBJECTS.get()}


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """Class decorator: register a class under the kind of its base class, as Keras does.

    It is found as ``"package>name"``, and by its own name unless that is the name of a class or
    function of netlayers, which keeps it. A function of one argument is registered as an
    activation, one of more as a loss and a metric. To give a built-in name another meaning use
    :func:`netlayers.register`.

    Args:
        package: first part of the name.
        name: second part; by default the name of the class or function.

    Example:
        >>> import netlayers as nl
        >>> @nl.saving.register_keras_serializable("mine")
        ... class Fours(nl.initializers.Initializer):
        ...     def fill(self, out, rng=None):
        ...         out[...] = 4
        >>> nl.initializers.get("mine>Fours"), nl.initializers.get("fours")
        (Fours(), Fours())
    """

    def decorate(thing: Any) -> Any:
        full = f"{package}>{name or thing.__name__}"
        names: tuple[str, ...] = (thing.__name__,)
        if isinstance(thing, type):
            kinds = [kind for base, kind in _KINDS.items() if issubclass(thing, base)][:1]
            names = spellings(thing.__name__)
        else:
            kinds = ["activation"] if takes(thing, 1) else ["loss", "metric"]
        if not kinds:
            raise ConfigurationError(
                f"register_keras_serializable: {thing!r} is no subclass of Layer, Loss, Metric or "
                "another base class of netlayers."
            )
        QUALIFIED[full] = thing
        for its in (full, *(n for n in names if not any(_is_built_in(k, n) for k in kinds))):
            for kind in kinds:
                register_name(kind, its, thing)
        return thing

    return decorate


def _is_built_in(kind: str, name: str) -> bool:
    """Whether netlayers itself has registered a name."""
    kinds = ("layer", "activation") if kind == "layer" else (kind,)  # an activation is a layer
    found = [registered(its).get(name) for its in kinds]
    return any(known is not None and not is_foreign(known) for known in found)


def get_registered_name(obj: Any) -> str:
    """Return the name under which a class or function was registered, else its own name.

    Args:
        obj: the class or function.
    """
    if not callable(obj) or not hasattr(obj, "__name__"):
        raise ArgumentTypeError(
            f"get_registered_name: obj must be a class or a function, got {obj!r}."
        )
    found: str = obj.__name__
    return next((known for known, thing in QUALIFIED.items() if thing is obj), found)


def get_registered_object(name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the class or function of a name, ``None`` if there is none.

    Args:
        name: the name under which it was registered.
        custom_objects: additional classes and functions by name.
    """
    check_custom_objects("get_registered_object", custom_objects)
    if not isinstance(name, str):
        raise ArgumentTypeError(f"get_registered_object: name must be a string, got {name!r}.")
    return {**get_custom_objects(), **(custom_objects or {})}.get(name)


def serialize_keras_object(obj: Any) -> Any:
    """Return an object as plain data, which :func:`deserialize_keras_object` turns back.

    Args:
        obj: a layer, loss, optimizer or another object with ``get_config``; a registered class or
            function; a number, string, list or dict of these.

    Returns:
        For an object, a dict with its ``module`` (the kind, such as ``"layer"``), ``class_name``
        and ``config``.

    Example:
        >>> import netlayers as nl
        >>> written = nl.saving.serialize_keras_object(nl.regularizers.L2(0.5))
        >>> written
        {'module': 'regularizer', 'class_name': 'L2', 'config': {'l2': 0.5}}
        >>> nl.saving.deserialize_keras_object(written)
        L2(l2=0.5)
    """
    if isinstance(obj, Configurable):
        kind = next((k for base, k in _KINDS.items() if isinstance(obj, base)), None)
        return {"module": kind, **serialize(obj)}
    if isinstance(obj, (list, tuple)):
        return [serialize_keras_object(item) for item in obj]
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    return get_registered_name(obj) if callable(obj) else obj


def deserialize_keras_object(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the object that :func:`serialize_keras_object` described.

    Args:
        config: the description. A list, and a dict without ``class_name``, are converted item by
            item; other values are returned as they are.
        custom_objects: additional classes by name.

    Raises:
        ConfigurationError: nothing is registered under the name, or more than one kind of object
            and there is no ``module`` to say which.
    """
    with CustomObjectScope(custom_objects or {}):
        return _deserialize(config)


def _deserialize(config: Any) -> Any:
    if isinstance(config, (list, tuple)):
        return [_deserialize(item) for item in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config:
        return {key: _deserialize(value) for key, value in config.items()}
    name = config["class_name"]
    known = get_custom_objects().get(name)
    bases = [
        base
        for base, kind in _KINDS.items()
        if config.get("module") == kind
        or (config.get("module") not in _KINDS.values() and _is_known(kind, base, name, known))
    ]
    if len(bases) != 1:
        raise ConfigurationError(
            f"deserialize_keras_object: {len(bases) or 'no'} kinds of object have the class name "
            f"{name!r}; pass 'module' in the description, one of {', '.join(_KINDS.values())}, and "
            "custom_objects for a class of your own."
        )
    return resolve(_KINDS[bases[0]], config, bases[0])


def _is_known(kind: str, base: type, name: Any, known: Any) -> bool:
    """Whether a class of this kind is registered, or given by the user, under a name."""
    if isinstance(known, type):
        return next(b for b in _KINDS if issubclass(known, b)) is base
    return name in registered(kind)
