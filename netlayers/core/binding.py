"""Binding: declared weights become views into one vector."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from netlayers import constraints, initializers, regularizers
from netlayers._warn import warn
from netlayers.checks import check_shape, is_several
from netlayers.core.building import building_abstractly
from netlayers.core.parameters import Parameter, ParameterVector, Users
from netlayers.errors import BusyError, ConfigurationError, ShapeError
from netlayers.initializers import GlorotUniform, Initializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlayers._typing import Array, Dtype, Identifier
    from netlayers.core.parameters import WeightHolder
    from netlayers.core.protocols import LayerLike
    from netlayers.random import Streams


_vectors: WeakSet[ParameterVector] = WeakSet()


def assemble(
    layer: LayerLike, streams: Streams, *, keep_streams: bool = False, fill: bool = True
) -> None:
    """Move all weights of a layer or model into a new vector; existing weights keep their values.

    If a layer is in several models, the weights of all of them move together, so that the models
    still see each other's updates.

    Args:
        layer: a built layer or model.
        streams: random streams for the initial values of new weights and for ``forward``.
        keep_streams: layers that have a random stream keep it.
        fill: ``False`` leaves new weights at 0, for values that a file provides.

    Raises:
        BusyError: a model that shares a layer is being trained.
    """
    if building_abstractly():
        return
    new = [p for p in layer.declared_parameters if p.vector is None and p.value is None]
    old = {id(p.vector): p.vector for p in layer.declared_parameters if p.vector is not None}
    mine = {id(p) for p in layer.declared_parameters}
    shared = any(id(p) not in mine for vector in old.values() for p in vector.all)
    users = getattr(layer, "_lock", None)
    users = Users() if users is None else users
    if any(vector.users and vector.users is not users for vector in old.values()):
        raise BusyError(
            f"{layer.owner}: it shares layers with a model that is being trained; build it "
            "before or after the training."
        )
    parameters = layer.declared_parameters
    if shared:  # each model keeps its weights contiguous where possible
        moving = [p for vector in old.values() for p in vector.all]
        known = {id(p) for p in moving}
        parameters = [*moving, *(p for p in layer.declared_parameters if id(p) not in known)]
    vector = ParameterVector(parameters, layer._dtype)
    vector.users = users
    if fill:
        initialize(new, streams.new)
    layer._parameters = None  # its weights may have changed; created again on demand
    for before in old.values():
        for its in list(before.models):
            if all(p.vector is vector for p in its.all):
                its.attach(vector)
        for other in list(before.layers):
            bind_views(other, vector)
    bind(layer, vector)
    layer._use_streams(streams, keep_streams)


def vector_of(weight: Any) -> ParameterVector | None:
    """Return the vector that a view of a weight lies in, or ``None``."""
    if not isinstance(weight, np.ndarray):
        return None
    start = weight.ctypes.data
    for vector in list(_vectors):
        first = vector.values.ctypes.data
        if first <= start and start + weight.nbytes <= first + vector.values.nbytes:
            return vector
    return None


def _fill(p: Parameter, rng: np.random.Generator) -> None:
    """Fill a parameter with its initial value.

    Raises:
        ConfigurationError: a class of the user has not written anything.
        ShapeError: its values do not fit.
    """
    initializer, value = p.initializer, p.value
    assert value is not None
    own = type(initializer).__module__.startswith("netlayers.")
    if not own:
        value.fill(np.nan)
    try:
        initializer.fill(value, rng)
    except ShapeError as error:
        raise ShapeError(f"initializer of {p.path!r}: {error}") from None
    if not own and value.size and np.isnan(value).all():
        raise ConfigurationError(
            f"initializer of {p.path!r}: {type(initializer).__name__}.fill() must write into the "
            "array that it is given, by out[...] = ...; it left it as it was."
        )


def initialize(parameters: Iterable[Parameter], rng: Callable[[str], np.random.Generator]) -> None:
    """Fill parameters with initial values; ``rng`` returns the random stream of a name.

    Warns of two that get the same values from the same seed.
    """
    seeded: dict[Any, Parameter] = {}
    for p in parameters:
        _fill(p, rng(f"initialize/{p.path}"))
        seed = getattr(p.initializer, "seed", None)
        if seed is None:
            continue
        first = seeded.setdefault((seed, p.shape), p)
        if first is not p and np.array_equal(first.value, p.value):  # type: ignore[arg-type]
            warn(
                f"The weights {first.path!r} and {p.path!r} start with the same values, because "
                f"their initializers have the same seed, {seed}. Leave it out: the seed of the "
                "model makes initial values reproducible."
            )


def bind(layer: LayerLike, vector: ParameterVector) -> None:
    """Make the weights of a layer and all its sublayers views into ``vector``."""
    _vectors.add(vector)
    # The container comes last: its vector tells other threads that all weights exist.
    for part in reversed(list(layer._flatten_layers())):
        bind_views(part, vector)
    vector.refresh()


def bind_views(layer: WeightHolder, vector: ParameterVector) -> None:
    """Make the weights of one layer views into ``vector``; views of gradients follow on demand."""
    if layer._vector is not None:
        layer._vector.layers.discard(layer)
    views: dict[str, Array] = {
        name: p.value  # type: ignore[misc]
        for p in own_parameters(layer)
        for name in (p.name, *p.aliases)
    }
    before, layer._views = layer._views, {}  # allows __setattr__
    for name, view in views.items():
        setattr(layer, name, view)
    for name in before.keys() - views.keys():
        vars(layer).pop(name, None)
    layer._views = views
    if "_lock" in vars(layer):
        vars(layer)["_lock"] = vector.users
    layer._row = _plain_row(layer)
    layer.workspace.pool = vector.pool
    vector.layers.add(layer)
    layer._vector = vector  # last: it tells other threads that the weights exist


def unbind(layer: WeightHolder) -> None:
    """Remove the views from the attributes of a layer, which then has no weights."""
    if layer._vector is not None:
        layer._vector.layers.discard(layer)
    for name in layer._views:
        vars(layer).pop(name, None)
    layer._views, layer._vector, layer._parameters = {}, None, None


def _plain_row(layer: WeightHolder) -> Any:
    """Return the row shape for the fast check in ``prepare`` if the layer takes one float array."""
    spec, shape = layer.input_spec, layer.input_shape
    plain = shape is not None and not isinstance(spec, tuple) and spec.dtype == "float"
    return shape[1:] if plain and not is_several(shape) else None  # type: ignore[index]


def own_parameters(layer: WeightHolder) -> list[Parameter]:
    """Return the parameters that a layer itself declares."""
    return [p for p in layer.declared_parameters if p.layer is layer]


def _gradient_view(layer: WeightHolder, name: str, p: Parameter) -> Any:
    """Set the view of a gradient as an attribute of the layer, and return it."""
    layer._views[name] = p.gradient
    vars(layer)[name] = p.gradient
    return p.gradient


class Declared:
    """Descriptor for a weight or its gradient in a layer class: the first access binds the weights.

    Bound weights are instance attributes, which Python finds first. A ``__getattr__`` would do the
    same, but it makes every attribute access slower (three times in Python 3.11, by half in 3.13):
    6 % of a training step of a tiny network.

    Args:
        name: of the attribute.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def add_to(cls, kind: type, name: str) -> None:
        """Add the descriptors for the weight ``name`` and its gradient to a class."""
        for attribute in (name, "d_" + name):
            if not hasattr(kind, attribute):
                setattr(kind, attribute, cls(attribute))

    def __get__(self, layer: LayerLike | None, kind: type[LayerLike]) -> Any:
        if layer is None:
            return self
        name = self.name
        mine = {
            n: p
            for p in own_parameters(layer)
            for attribute in (p.name, *p.aliases)
            for n in (attribute, "d_" + attribute)
        }
        if name in mine:
            if (
                layer._vector is None and building_abstractly()
            ):  # its shape is known, and it is not allocated
                return np.broadcast_to(layer._dtype.type(0), mine[name].shape)
            if layer._vector is None:
                layer._bind_alone()  # unless another thread has just done it
            if name in vars(layer):
                return vars(layer)[name]
            if mine[name].gradient is not None:
                return _gradient_view(layer, name, mine[name])
        hint = ""
        if not layer.built and layer._kind == "layer":
            hint = (
                " (The layer is not built yet; a layer's forward() begins with "
                "x = self.prepare(x), which builds it.)"
            )
        raise AttributeError(f"layer {kind.__name__} has no attribute {name!r}.{hint}")


def declare_weight(
    layer: LayerLike,
    name: Any,
    shape: Any,
    initializer: Identifier,
    regularizer: Identifier,
    statistic: bool,
    constraint: Identifier,
    dtype: Any,
    row_gradient: bool,
) -> Parameter:
    """Check and declare a weight of a layer; see :meth:`Module.add_weight`."""
    if name is not None and not isinstance(name, str):  # Keras's order: shape, initializer
        name, shape, initializer = None, name, initializer if shape is None else shape
    if "_building" not in vars(layer):
        raise ConfigurationError(
            f"{layer.owner}: add_weight({name!r}) was called outside of build(); define "
            "build(self, input_shape) and call it there."
        )
    auto_named = name is None
    if auto_named:
        names = itertools.chain(["weight"], (f"weight_{i}" for i in itertools.count(1)))
        name = next(n for n in names if not _is_taken(layer, n))
    own_dtype = _own_dtype(layer, name, statistic, dtype)
    free = isinstance(name, str) and name.isidentifier()
    if not free or any(_is_taken(layer, n) for n in (name, "d_" + name)):
        raise ConfigurationError(
            f"{layer.owner}: a weight cannot be named {name!r}; the name must be a free "
            "Python identifier."
        )
    sizes = check_shape(layer.owner, f"the shape of {name}", () if shape is None else shape)
    if None in sizes:
        raise ShapeError(
            f"{layer.owner}: the weight {name!r} would have the shape {sizes}; give the "
            "size of every axis (with layers.Input(shape), or by the first data)."
        )
    if row_gradient and (statistic or not sizes):
        raise ConfigurationError(
            f"{layer.owner}: the weight {name!r} cannot have row_gradient=True: that is for a "
            "table with rows that an optimizer changes."
        )
    p = Parameter(
        layer,
        name,
        tuple(size for size in sizes if size is not None),
        initializer
        if isinstance(initializer, Initializer)
        else initializers.get(initializer) or GlorotUniform(),
        None if regularizer is None else regularizers.get(regularizer),
        statistic,
        None if constraint is None else constraints.get(constraint),
        own_dtype,
        row_gradient,
    )
    p.auto_named = auto_named
    _offer(layer, name)
    layer.declared_parameters.append(p)
    return p


def name_weight(layer: LayerLike, attribute: str, p: Parameter) -> None:
    """Make a declared weight an attribute: ``self.<attribute> = self.add_weight(...)``.

    A weight without a name gets that of the attribute; else the attribute is another name for it.
    """
    if attribute in (p.name, *p.aliases):
        return
    if any(_is_taken(layer, n) for n in (attribute, "d_" + attribute)):
        raise ConfigurationError(
            f"{layer.owner}: a weight cannot be self.{attribute}, which is taken; assign it to "
            "another attribute."
        )
    _offer(layer, attribute)
    if p.auto_named:
        p.name, p.auto_named = attribute, False
    else:
        p.aliases = (*p.aliases, attribute)


def declare_again(layer: LayerLike) -> None:
    """Let a layer of another process, where nothing has been built yet, bind its weights."""
    for p in own_parameters(layer):
        for name in (p.name, *p.aliases):
            Declared.add_to(type(layer), name)


def _offer(layer: LayerLike, attribute: str) -> None:
    """Let the first access to an attribute, which may have been set to ``None``, bind weights."""
    for name in (attribute, "d_" + attribute):
        vars(layer).pop(name, None)
    Declared.add_to(type(layer), attribute)


def _own_dtype(layer: LayerLike, name: str, statistic: bool, dtype: Any) -> Dtype | None:
    """Return the dtype of a statistic that was given one.

    Raises:
        ConfigurationError: it is no dtype, or a trained weight would have another than the layer.
    """
    if dtype is None:
        return None
    try:
        own = np.dtype(dtype)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"{layer.owner}: dtype of the weight {name!r} must be the name of a dtype, got "
            f"{dtype!r:.100}."
        ) from None
    if statistic:
        return own
    if own != layer._dtype:
        raise ConfigurationError(
            f"{layer.owner}: the weight {name!r} is trained and has the dtype of the layer, "
            f"{layer._dtype}, got dtype={own.name!r}; one vector holds the weights of a model. "
            "Pass dtype= to the model, or trainable=False for a weight that is not trained."
        )
    return None


def _is_taken(layer: LayerLike, attribute: str) -> bool:
    """Whether a layer or its class has an attribute, or declared a weight, of this name.

    ``self.w = None`` in a constructor leaves the name free.
    """
    if vars(layer).get(attribute) is not None:
        return True
    if any(
        attribute in (n, "d_" + n) for p in layer.declared_parameters for n in (p.name, *p.aliases)
    ):
        return True
    kind = type(layer)
    return hasattr(kind, attribute) and not isinstance(getattr(kind, attribute), Declared)
