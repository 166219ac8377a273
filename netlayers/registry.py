"""The registry: resolves names such as ``"relu"`` to objects and serializes objects.

Everything that can be given by name or stored in a file is a :class:`Configurable` class decorated
with :func:`register`. The contract tests iterate over the same registry.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from netlayers._defined import check_method_arguments
from netlayers._read_only import guard_methods
from netlayers._refused import EXECUTION_ARGUMENTS, kept_argument, refused_argument
from netlayers._suggestions import shortened, suggestion
from netlayers.checks import is_foreign
from netlayers.errors import ConfigurationError, MissingMethodError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

_REGISTRY: dict[str, dict[str, Callable[..., Any]]] = {}
# The user's classes and functions by the names that Keras gives them, "package>name".
QUALIFIED: dict[str, Any] = {}
# custom_objects of the file that is being read; None when no file is.
_CUSTOM_OBJECTS: ContextVar[Mapping[str, Any] | None] = ContextVar("custom_objects", default=None)
# Additional names of the user: see netlayers.utils.custom_object_scope.
_NONE: Mapping[str, Any] = {}
USER_OBJECTS: ContextVar[Mapping[str, Any]] = ContextVar("user_objects", default=_NONE)
# Whether a configuration is read at once and holds the user's classes, not their names.
BY_CLASS: ContextVar[bool] = ContextVar("by_class", default=False)

Class = TypeVar("Class", bound=type)
Method = TypeVar("Method", bound=Callable[..., Any])


def _constructor_arguments(cls: type) -> dict[str, Any]:
    """Return the arguments of ``cls(...)`` and their defaults, including those in ``**kwargs``."""
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


_all_arguments: Callable[[type], dict[str, Any]] = functools.cache(_constructor_arguments)


def _stored_arguments(cls: type) -> dict[str, Any]:
    """Return the arguments that ``cls(...)`` stores as attributes, and their defaults."""
    others = {*EXECUTION_ARGUMENTS, *getattr(cls, "_not_stored", ())}
    return {k: v for k, v in _all_arguments(cls).items() if k not in others}


constructor_arguments: Callable[[type], dict[str, Any]] = functools.cache(_stored_arguments)


class _ConstructorSignature:
    """Signature that ``help()`` and editors show: the arguments of all constructors of a class."""

    def __get__(self, instance: object, cls: type) -> inspect.Signature:
        if instance is not None:
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
    """An object that is described by its constructor arguments.

    Each constructor argument must be stored in an attribute of the same name.
    """

    __signature__ = _ConstructorSignature()
    # Methods that classes of the user get read-only arrays in, and in which arguments (None: all).
    _reads: ClassVar[Mapping[str, Sequence[int] | None]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        guard_methods(cls, cls._reads, Configurable)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102
        known = _all_arguments(cls)
        if args and not known:  # without an __init__, Python would ignore them
            raise TypeError(f"{cls.__name__}: takes no arguments, got {args!r}.")
        for name in kwargs:
            if name not in known:
                reason = refused_argument(cls, name, kwargs[name]) or (
                    f"unknown argument {shortened(name)}.{suggestion(name, known)} "
                    f"It takes {', '.join(known) or 'no arguments'}."
                )
                raise TypeError(f"{cls.__name__}: {reason}")
        return super().__new__(cls)

    @staticmethod
    def examples() -> list[Any]:
        """Return what ``netlayers.testing`` tries the class on: constructor arguments.

        Together the examples give each optional argument another value than its default. Classes
        that compute on data of some form name it too: see :meth:`Layer.examples`,
        :meth:`Loss.examples` and :meth:`Metric.examples`.
        """
        return [{}]

    def _argument(self, name: str) -> Any:
        """Return the value of a constructor argument, by default the attribute of its name."""
        return kept_argument(self, name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments as a dict of plain values.

        Nested objects become ``{"class_name": ..., "config": ...}``. Tuples stay tuples, as in
        Keras, and become lists in JSON.
        """
        return {name: serialize(self._argument(name)) for name in constructor_arguments(type(self))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Create an object from the result of :meth:`get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        shown, usual = [], ("name", snake_case(type(self).__name__))
        for name, default in constructor_arguments(type(self)).items():
            with contextlib.suppress(ConfigurationError):  # an argument that is not kept
                value = self._argument(name)
                if (name, value) != usual and not same_argument(value, default):
                    shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def serialize(value: Any) -> Any:
    """Return plain data; a :class:`Configurable` becomes its class name and arguments."""
    if isinstance(value, Configurable):
        cls: Any = type(value)
        name = cls if BY_CLASS.get() and is_foreign(cls) else stored_name(cls, cls.__name__)
        return {"class_name": name, "config": value.get_config()}
    if isinstance(value, (list, tuple)):
        items = [serialize(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return value


def same_argument(one: Any, other: Any) -> bool:
    """Whether two arguments are the same; a tuple and a list of the same items are."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same_argument, one, other))
    return bool(serialize(one) == serialize(other))


def snake_case(name: str) -> str:
    """Return ``"mean_squared_error"`` for ``"MeanSquaredError"``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def register(kind: str, *aliases: str) -> Callable[[Class], Class]:
    """Class decorator: register a class by its name, its snake-case name and ``aliases``.

    A class that had one of these names, also a built-in, is no longer found by it.

    Args:
        kind: ``"layer"``, ``"loss"``, ``"optimizer"``, ``"metric"``, ``"initializer"``, ...
        aliases: additional names.

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
        for name in (cls.__name__, *aliases, *spellings(cls.__name__)):
            register_name(kind, name, cls)
        return cls

    return decorate


def register_name(kind: str, name: str, factory: Callable[..., Any]) -> None:
    """Register ``factory`` as ``name``; a later registration replaces an earlier one."""
    _REGISTRY.setdefault(kind, {})[name] = factory


def stored_name(thing: Any, name: str) -> str:
    """Return the name of a class or function in files: its own, or if another has that, Keras's."""
    qualified = next((its for its, known in QUALIFIED.items() if known is thing), name)
    kinds = [known for known in _REGISTRY.values() if known.get(qualified) is thing]
    return name if all(known.get(name) is thing for known in kinds) else qualified


def spellings(name: str) -> tuple[str, ...]:
    """Return the names of a class: ``"LeakyReLU"``, ``"leaky_relu"`` and ``"leakyrelu"``."""
    return name, snake_case(name), name.lower()


def registered(kind: str) -> dict[str, Callable[..., Any]]:
    """Return all names of a kind and the classes or factories they stand for."""
    return dict(_REGISTRY.get(kind, {}))


class names_of_a_file:
    """Context in which names come from an untrusted file.

    A name resolves to a registered class or one of ``custom_objects``. Only classes are
    instantiated; registered functions are never called.

    Args:
        custom_objects: additional classes by name.
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None = None) -> None:
        self._custom = dict(custom_objects or {})

    def __enter__(self) -> None:
        self._token = _CUSTOM_OBJECTS.set(self._custom)

    def __exit__(self, *_: object) -> None:
        _CUSTOM_OBJECTS.reset(self._token)


def reading_a_file() -> bool:
    """Return whether names and settings come from an untrusted file."""
    return _CUSTOM_OBJECTS.get() is not None


def own_function(kind: str, name: Any) -> Any:
    """Return the function of the user that is registered, or in a scope, as ``name``, or None."""
    known = _REGISTRY.get(kind, {})
    found = (custom_object(name) or known.get(name)) if isinstance(name, str) else None
    return found if inspect.isfunction(found) and is_foreign(found) else None


def custom_object(name: str) -> Any:
    """Return what the user calls ``name`` in ``custom_objects`` or a scope, or ``None``."""
    for added in (_CUSTOM_OBJECTS.get(), USER_OBJECTS.get()):
        if added and name in added:
            return added[name]
    return None


def must_define(unless: str = "") -> Callable[[Method], Method]:
    """Mark a method, as a decorator, that a class must override to be used.

    Args:
        unless: another method; a class that overrides that one does not need this one.
    """

    def decorate(method: Method) -> Method:
        method.must_define = (unless, method)  # type: ignore[attr-defined]
        return method

    return decorate


def _check_defined(kind: str, cls: type, provided: tuple[str, ...] = ()) -> None:
    """Check that a class overrides all methods that it must, but for those ``provided``.

    Raises:
        MissingMethodError, ConfigurationError: it does not, or they take others; it names them.
    """
    missing = []
    for name in dir(cls):
        unless, method = getattr(getattr(cls, name, None), "must_define", ("", None))
        if method is None or name in provided:
            continue
        base = next(c for c in cls.__mro__ if vars(c).get(name) is method)
        if not unless or getattr(cls, unless) is getattr(base, unless):
            arguments = ", ".join(list(inspect.signature(method).parameters)[1:])
            missing.append(f"{name}({arguments})")
    check_method_arguments(cls)
    if missing:
        keras = "; call() is a method of Keras, which nothing calls here" * hasattr(cls, "call")
        raise MissingMethodError(
            f"{cls.__name__} must define {' and '.join(missing)} to be used as {kind}{keras}."
        )


check_defined: Callable[..., None] = functools.cache(_check_defined)


def resolve(kind: str, identifier: Any, base: type) -> Any:
    """Return the object that an identifier stands for.

    Args:
        kind: the kind of object, such as ``"loss"``.
        identifier: an instance of ``base`` (returned unchanged), a subclass of it, a name, or a
            dict with ``class_name`` and ``config``.
        base: required class of the result.

    Raises:
        ConfigurationError: it is none of these, or the name is unknown; the message suggests
            similar names.
    """
    if isinstance(identifier, base):
        check_defined(kind, type(identifier), getattr(identifier, "_provides", ()))
        if kind in ("loss", "metric", "optimizer") and not hasattr(identifier, "name"):
            raise ConfigurationError(
                f"{type(identifier).__name__}.__init__() must call super().__init__()."
            )
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, base):
        return resolve(kind, identifier(), base)
    identifier = own_function(kind, identifier) or identifier
    if isinstance(identifier, str):
        return _checked_lookup(kind, identifier, base)()
    if isinstance(identifier, dict) and "class_name" in identifier:
        factory = _checked_lookup(kind, identifier["class_name"], base)
        config = identifier.get("config") or {}
        return getattr(factory, "from_config", lambda c: factory(**c))(config)
    raise ConfigurationError(
        f"{kind} must be a name such as {min(registered(kind), key=len)!r}, or a "
        f"{base.__name__} object, got {shortened(identifier)}."
    )


def _checked_lookup(kind: str, name: str, base: type) -> Any:
    """Like :func:`lookup`, but while a file is read only a subclass of ``base`` is accepted."""
    factory = lookup(kind, name)
    if not _is_kind_of(factory, base):  # a custom object of another kind may have the name
        own = _REGISTRY.get(kind, {}).get(name)
        factory = own if own is not None and _is_kind_of(own, base) else factory
    is_class = _is_kind_of(factory, base)
    if _CUSTOM_OBJECTS.get() is not None and not is_class:
        raise ConfigurationError(
            f"{kind} {name!r}: expected the name of a {base.__name__} class, got {factory!r}."
        )
    return factory


def _is_kind_of(factory: Any, base: type) -> bool:
    return isinstance(factory, type) and issubclass(factory, base)


def lookup(kind: str, name: str) -> Any:
    """Return the class (or factory) called ``name``.

    Raises:
        ConfigurationError: there is none; the message suggests similar names.
    """
    if BY_CLASS.get() and isinstance(name, type):
        return name
    if not isinstance(name, str):
        raise ConfigurationError(f"the name of a {kind} must be a string, got {shortened(name)}.")
    custom = custom_object(name)
    if custom is not None:
        return custom
    known = _REGISTRY.get(kind, {})
    found = known.get(name) or known.get(name.strip().lower())
    if found is None and kind == "layer":  # an activation is a layer
        activation = _REGISTRY.get("activation", {}).get(name)
        found = activation if isinstance(activation, type) else None
    if found is None:
        names = shown_names(kind)
        raise UnknownNameError(
            f"unknown {kind} {shortened(name)}.{suggestion(name, names)} "
            f"Known names: {', '.join(names)}. Register your own class with "
            f"netlayers.register({kind!r}), or pass an object."
        )
    return found


def shown_names(kind: str) -> list[str]:
    """Return the names of a kind for messages: in lower case, and one spelling of each.

    Of spellings that differ in underscores alone, it is the first that was registered: aliases
    stand before the names that follow from that of the class.
    """
    spellings: dict[str, str] = {}
    for name in _REGISTRY.get(kind, {}):
        if name == name.lower() and not name.startswith("_"):
            spellings.setdefault(name.replace("_", ""), name)
    return sorted(spellings.values())
