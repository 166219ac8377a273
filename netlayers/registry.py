"""Names of classes: strings such as ``"relu"`` become objects, objects become configurations.

Everything that can be named in a string or stored in a file is a :class:`Configurable` class that
was passed through :func:`register`. The contract tests walk the same lists.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from netlayers.errors import ConfigurationError, UnknownNameError

if TYPE_CHECKING:
    from typing import Self

_REGISTRY: dict[str, dict[str, Callable[..., Any]]] = {}
# The classes that a caller adds to it while a file is read; None when no file is.
_ADDED: ContextVar[Mapping[str, Any] | None] = ContextVar("custom_objects", default=None)

Class = TypeVar("Class", bound=type)

# Arguments of Keras that choose only how something is executed. They are accepted where Keras has
# them and change nothing; every other argument is honoured or refused.
EXECUTION_ARGUMENTS = {
    "auto_scale_loss": "there is no mixed precision, whose loss has to be scaled",
    "autocast": "a model computes in one dtype",
    "flash_attention": "there is one way to compute attention",
    "jit_compile": "kernels are chosen for the whole process, by use_kernels",
    "run_eagerly": "everything runs eagerly",
    "steps_per_execution": "a step is one call",
    "unroll": "there is no graph to unroll a loop in",
    "use_cudnn": "there is no GPU",
    "use_multiprocessing": "batches are read ahead by a thread, see read_ahead",
    "workers": "batches are read ahead by a thread, see read_ahead",
}


def _constructor_arguments(cls: Any) -> dict[str, Any]:
    """Arguments that ``cls(...)`` takes with their defaults, those in ``**kwargs`` included."""
    arguments: dict[str, Any] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        for p in parameters:
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
                arguments.setdefault(p.name, p.default)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return arguments


_all_arguments: Callable[[Any], dict[str, Any]] = functools.cache(_constructor_arguments)


def _kept_arguments(cls: Any) -> dict[str, Any]:
    """Arguments that ``cls(...)`` takes and keeps, with their defaults."""
    return {k: v for k, v in _all_arguments(cls).items() if k not in EXECUTION_ARGUMENTS}


constructor_arguments: Callable[[Any], dict[str, Any]] = functools.cache(_kept_arguments)


class _ConstructorSignature:
    """What ``help()`` and editors show of a class: the arguments of all its constructors."""

    def __get__(self, thing: Any, cls: type) -> inspect.Signature:
        if thing is not None:
            raise AttributeError("__signature__")
        own = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
        shown = [p for p in own if p.kind is not p.VAR_KEYWORD]
        names = {p.name for p in shown}
        shown += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, default in constructor_arguments(cls).items()
            if name not in names
        ]
        return inspect.Signature(shown)


class Configurable:
    """An object that can be written down as its constructor arguments.

    The one rule: each constructor argument is kept in an attribute of its own name.
    """

    __signature__ = _ConstructorSignature()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102
        known = _all_arguments(cls)
        if args and not known:  # without an __init__, Python would ignore them
            raise TypeError(f"{cls.__name__}: takes no arguments, got {args!r}.")
        for name in kwargs:
            if name not in known:
                raise TypeError(
                    f"{cls.__name__}: unknown argument {_shown(name)}.{suggestion(name, known)} "
                    f"It takes {', '.join(known) or 'no arguments'}."
                )
        return super().__new__(cls)

    @staticmethod
    def examples() -> list[Any]:
        """Return what ``netlayers.testing`` tries the class on: constructor arguments.

        Together the examples give each optional argument another value than its default. Classes
        that compute on data of some form name it too: see :meth:`Layer.examples`,
        :meth:`Loss.examples` and :meth:`Metric.examples`.
        """
        return [{}]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments as a dict of plain values.

        Nested objects become ``{"class_name": ..., "config": ...}``.
        """
        return {name: serialize(getattr(self, name)) for name in constructor_arguments(type(self))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make an object from what :meth:`get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        shown = []
        for name, default in constructor_arguments(type(self)).items():
            value = getattr(self, name)
            if name == "name" and value == snake_case(type(self).__name__):
                continue  # nobody chose it
            if serialize(value) != serialize(default):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def serialize(value: Any) -> Any:
    """Return ``value`` as plain data: a :class:`Configurable` as its class name and arguments."""
    if isinstance(value, Configurable):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if isinstance(value, (list, tuple)):
        return [serialize(item) for item in value]
    return value


def snake_case(name: str) -> str:
    """Return ``"mean_squared_error"`` for ``"MeanSquaredError"``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def register(kind: str, *aliases: str) -> Callable[[Class], Class]:
    """Class decorator: make a class known by its name, its snake-case name and ``aliases``.

    Args:
        kind: ``"layer"``, ``"loss"``, ``"optimizer"``, ``"metric"``, ``"initializer"``, ...
        aliases: further names.

    Example:
        >>> import netlayers as nl
        >>> @nl.register("initializer", "twos")
        ... class Twos(nl.initializers.Initializer):
        ...     def fill(self, out, rng=None):
        ...         out[...] = 2
        >>> nl.layers.Dense(3, kernel_initializer="twos").kernel_initializer
        Twos()
    """

    def decorate(cls: Class) -> Class:
        names = (cls.__name__, snake_case(cls.__name__), cls.__name__.lower(), *aliases)
        for name in names:
            register_name(kind, name, cls)
        return cls

    return decorate


def register_name(kind: str, name: str, factory: Callable[..., Any]) -> None:
    """Make ``factory`` known as ``name``; a later registration replaces an earlier one."""
    _REGISTRY.setdefault(kind, {})[name] = factory


def registered(kind: str) -> dict[str, Callable[..., Any]]:
    """Every name of a kind, with what it stands for."""
    return dict(_REGISTRY.get(kind, {}))


class names_of_a_file:
    """Within this context, names come from a file, which nobody vouches for.

    A name finds the registered classes and those in ``custom_objects``, and only a class is made
    an object of: a function that is known by a name is never called.

    Args:
        custom_objects: further classes by their names.
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None = None) -> None:
        self._added = dict(custom_objects or {})

    def __enter__(self) -> None:
        self._token = _ADDED.set(self._added)

    def __exit__(self, *_: object) -> None:
        _ADDED.reset(self._token)


def resolve(kind: str, identifier: Any, base: type) -> Any:
    """Turn what a user wrote into an object.

    Args:
        kind: the list to look in.
        identifier: an instance of ``base`` (returned as it is), a subclass of it, a name, or a
            dict with ``class_name`` and ``config``.
        base: the class that the result must have.

    Raises:
        ConfigurationError: it is none of these, or the name is unknown (the close ones are named).
    """
    if isinstance(identifier, base):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, base):
        return identifier()
    if isinstance(identifier, str):
        return _class_in_a_file(kind, identifier, base)()
    if isinstance(identifier, dict) and "class_name" in identifier:
        factory = _class_in_a_file(kind, identifier["class_name"], base)
        config = identifier.get("config") or {}
        return getattr(factory, "from_config", lambda c: factory(**c))(config)
    raise ConfigurationError(
        f"{kind} must be a name such as {min(registered(kind), key=len)!r}, or a "
        f"{base.__name__} object, got {_shown(identifier)}."
    )


def _class_in_a_file(kind: str, name: str, base: type) -> Any:
    """Return what :func:`lookup` finds; where a file is read, a class of the right kind alone."""
    factory = lookup(kind, name)
    if _ADDED.get() is not None and not (isinstance(factory, type) and issubclass(factory, base)):
        raise ConfigurationError(
            f"{kind} {name!r}: expected the name of a {base.__name__} class, but it stands for "
            f"{factory!r}."
        )
    return factory


def lookup(kind: str, name: str) -> Any:
    """Return the class (or factory) called ``name``.

    Raises:
        ConfigurationError: there is none; the message names the close ones.
    """
    if not isinstance(name, str):
        raise ConfigurationError(f"the name of a {kind} must be a text, got {_shown(name)}.")
    added = _ADDED.get()
    if added and name in added:
        return added[name]
    known = _REGISTRY.get(kind, {})
    found = known.get(name) or known.get(name.strip().lower())
    if found is None:
        names = sorted({n for n in known if n == n.lower()})
        raise UnknownNameError(
            f"unknown {kind} {_shown(name)}.{suggestion(name, names)} "
            f"Known names: {', '.join(names)}. A class of your own is made known by "
            f"netlayers.register({kind!r}), or is passed as an object."
        )
    return found


def check_custom_objects(owner: str, value: Any) -> None:
    """Raise a ConfigurationError unless ``value`` is ``None`` or a mapping of names."""
    if value is None or (isinstance(value, Mapping) and all(isinstance(k, str) for k in value)):
        return
    raise ConfigurationError(
        f"{owner}: custom_objects must be a dict such as {{'Mine': Mine}}, got {_shown(value)}."
    )


def _shown(value: Any) -> str:
    """Return what a message shows of a value: a file may name a class in megabytes."""
    text = repr(value[:200] if isinstance(value, str) else value)
    return text if len(text) <= 200 else f"{text[:180]}..."


def suggestion(name: str, known: Any) -> str:
    """`` Did you mean 'relu'?``, or nothing when nothing is close."""
    import difflib  # only errors need it

    if len(name) > 100:  # nobody meant that, and to compare it would take for ever
        return ""
    close = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
