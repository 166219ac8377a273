"""The ``Layer`` class: ``forward`` computes, ``backward`` turns dL/dy into dL/dx."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import constraints, initializers, regularizers
from netlayers.checks import check_dtype, check_flag, check_shape
from netlayers.core.arrays import as_float
from netlayers.core.building import building, checked_build
from netlayers.core.declared import declare, is_taken
from netlayers.core.drafting import drafting
from netlayers.core.parameters import Parameter, ParameterVector
from netlayers.core.random import Streams
from netlayers.core.shapes import shape_hint, shown_shape
from netlayers.core.sparse import as_input, is_sparse, refuse_sparse
from netlayers.core.weights import WeightAccess
from netlayers.core.workspace import Cache, Workspace
from netlayers.errors import ConfigurationError, NotBuiltError, ShapeError
from netlayers.registry import snake_case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, ArrayLike, Dtype, Examples, Identifier, Shape

_FLOAT32 = np.dtype(np.float32)


class Layer(WeightAccess):
    """Base class of all layers.

    A subclass writes :meth:`forward` and, right under it, :meth:`backward`; with weights also
    :meth:`build`, and :meth:`compute_output_shape` if the output has another shape than the input.

    Args:
        name: unique within a model; by default the class name in snake case, numbered.
        trainable: ``False`` freezes the weights.
        dtype: ``"float32"`` or ``"float64"``; by default the model's, alone ``"float32"``.
        learning_rate_multiplier: factor of the optimizer's rate for these weights; 0 keeps them.

    Memory: what ``forward`` and ``backward`` return belongs to the layer and is valid until its
    next ``forward`` or ``backward``. Neither changes the array it is given.

    Example:
        A factor for each feature, learned. It works in a model and alone.

        >>> import numpy as np, netlayers as nl
        >>> class Scale(nl.layers.Layer):
        ...     def build(self, input_shape):
        ...         self.add_weight("scale", (input_shape[-1],), initializer="ones")
        ...     def forward(self, x, training=False):
        ...         x = self.prepare(x)
        ...         if training:
        ...             self.cache.x = x
        ...         return x * self.scale
        ...     def backward(self, dy):
        ...         np.sum(dy * self.cache.x, axis=0, out=self.d_scale)
        ...         return dy * self.scale
        >>> nl.check_gradients(Scale(), np.random.default_rng(0).normal(size=(5, 3))).passed
        True
    """

    # Layers whose backward takes input_gradient=False, which saves the product for dL/dx where
    # nobody needs it: in the first layer with weights.
    can_skip_input_gradient = False
    # Whether an optimizer changes a weight; the vector of the weights says so.
    learns = False
    # Layers whose forward calls add_penalty, which adds to the loss.
    adds_penalty = False
    # Layers that draw random numbers while training, from the generator self.rng.
    random = False
    # Layers whose output with training=True is that of inference: no chance, no batch statistics.
    same_in_training = True
    # Layers whose forward and backward also take a CSR matrix of SciPy as x.
    takes_sparse = False

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        learning_rate_multiplier: float = 1.0,
    ) -> None:
        owner = type(self).__name__
        if name is not None and (not isinstance(name, str) or not name):
            raise ConfigurationError(f"{owner}: name must be a text, got {name!r}.")
        self._auto_named = name is None
        self.name = snake_case(owner) if name is None else name
        self._own_dtype = None if dtype is None else check_dtype(owner, dtype)
        self._dtype = self._own_dtype or _FLOAT32
        self._trainable = check_flag(owner, "trainable", trainable)
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None
        self.slots: list[Parameter] = []
        self.rng: np.random.Generator | None = None
        self._set_up()
        self.learning_rate_multiplier = learning_rate_multiplier

    def _set_up(self) -> None:
        """Attributes that a copy of the layer does not share with it."""
        self._views: dict[str, Array] = {}
        self._row: tuple[int | None, ...] | None = None  # what prepare() compares rows with
        self._vector: ParameterVector | None = None
        self._in_model = False
        self.scope = ""  # names of the containers around it, each with a slash behind it
        self.outer_multiplier = 1.0  # product of their learning-rate multipliers
        self.cache = Cache(f"{self.kind} {self.name!r}")
        self.workspace = Workspace()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = checked_build(vars(cls)["build"])  # type: ignore

    @staticmethod
    def examples() -> Examples:
        """Return ``[(arguments, input_shape), ...]``: what the contract tests try the class on."""
        return [({}, (4, 3))]

    # What a subclass writes ------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Declare the weights with :meth:`add_weight`; nothing is allocated yet.

        Args:
            input_shape: with the batch first, ``None`` for an axis of any length.
        """

    def after_build(self) -> None:
        """Do what has to be done once the shapes are known; for most layers nothing."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output for a shape of the input, both with the batch first."""
        return input_shape

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the output for a batch; with ``training``, remember what backward needs."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, training=False)")

    def __call__(self, x: ArrayLike, training: bool = False) -> Array:
        """Return :meth:`forward`, as Keras's layers and models are called."""
        return self.forward(x, training)  # type: ignore[arg-type]

    def backward(self, dy: Array) -> Array:
        """Return dL/dx for dL/dy, and write dL/dweight into each ``d_<weight>`` (no adding up)."""
        raise NotImplementedError(f"{type(self).__name__} must define backward(dy)")

    # What a subclass uses --------------------------------------------------------------------

    def add_weight(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Identifier = "glorot_uniform",
        regularizer: Identifier = None,
        *,
        statistic: bool = False,
        constraint: Identifier = None,
        row_gradient: bool = False,
    ) -> None:
        """Declare a weight: ``self.<name>`` and its gradient ``self.d_<name>``.

        Args:
            name: a name that is free in this layer.
            shape: its shape.
            initializer: fills it when it is first bound.
            regularizer: penalty on it, part of the model's loss.
            statistic: a running statistic, which optimizers leave alone and which has no gradient.
            constraint: what is true of it after each update.
            row_gradient: for a table of which a batch uses few rows, as an embedding does:
                ``self.d_<name>`` is no array but a :class:`netlayers.core.gradients.RowGradient`;
                ``backward`` calls its ``set(rows, values)``.
        """
        taken = {n for p in self.slots for n in (p.name, "d_" + p.name)} | set(self.__dict__)
        if not name.isidentifier() or any(
            n in taken or is_taken(type(self), n) for n in (name, "d_" + name)
        ):
            raise ConfigurationError(
                f"{self.owner}: a weight can not be named {name!r}; the name must be a free "
                "Python identifier."
            )
        sizes = check_shape(self.owner, f"the shape of {name}", shape)
        if None in sizes:
            raise ShapeError(
                f"{self.owner}: the weight {name!r} would have the shape {sizes}; give the "
                "size of every axis (with layers.Input(shape), or by the first data)."
            )
        if row_gradient and (statistic or not sizes):
            raise ConfigurationError(
                f"{self.owner}: the weight {name!r} can not have row_gradient=True: that is for a "
                "table with rows that an optimizer changes."
            )
        declare(type(self), name)
        self.slots.append(
            Parameter(
                self,
                name,
                tuple(size for size in sizes if size is not None),
                initializers.get(initializer),
                regularizers.get(regularizer),
                statistic,
                constraints.get(constraint),
                row_gradient,
            )
        )

    def prepare(self, x: Any) -> Array:
        """Return ``x`` as this layer's input: converted, built for, and checked.

        An array of the right dtype and shape passes at the cost of three comparisons.

        Raises:
            ShapeError: the shape is not the one the layer was built for.
            DataError: the entries are no numbers, or ``x`` is sparse and the layer has not
                ``takes_sparse``.
        """
        if (
            type(x) is np.ndarray
            and x.dtype is self._dtype
            and x.shape[1:] == self._row
            and x.flags.c_contiguous
        ):
            return x
        if is_sparse(x):
            refuse_sparse(self)
        x = as_input(self.owner, x, self._dtype)
        if not self.built:
            self.build((None, *x.shape[1:]))
        self.check_input_shape(x.shape)
        self._bind_alone()
        return x

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the layer can not take this shape (by default: as built)."""
        assert self.input_shape is not None
        expected = self.input_shape
        fits = len(shape) == len(expected) and all(
            want is None or want == got for want, got in zip(expected[1:], shape[1:], strict=True)
        )
        if not fits:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): expected an input of shape "
                f"{shown_shape(expected)}, got {shown_shape(shape)}. {shape_hint(expected, shape)}"
            )

    def buffer(
        self, name: str, shape: tuple[int, ...], training: bool = True, dtype: Dtype | None = None
    ) -> Array:
        """Return an array to write into: the layer's own while training, else a new one.

        At inference nothing of the layer is written to, so threads may predict side by side.
        """
        if training:
            return self.workspace(name, shape, dtype or self._dtype)
        return np.empty(shape, dtype or self._dtype)

    def check_gradient(self, dy: Any, shape: tuple[int, ...]) -> Array:
        """Return ``dy`` as an array of this layer's dtype.

        Raises:
            ShapeError: it has another shape than the output had.
        """
        if not (type(dy) is np.ndarray and dy.dtype is self._dtype):
            dy = as_float(self.owner, "dy", dy, self._dtype)
        if dy.shape != shape:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): backward() takes dL/dy in the shape "
                f"of the output of the last forward(), {shape}, got {dy.shape}."
            )
        return dy

    # Weights ---------------------------------------------------------------------------------

    @property
    def parameters(self) -> ParameterVector:
        """The vectors of a layer that is in no model, as ``optimizer.step`` takes them."""
        if self._vector is not None and not self._in_model:  # the usual case, in every step
            return self._vector
        self._require_built()
        if self._in_model or self._vector is None:
            raise ConfigurationError(
                f"{self.owner}: its weights are part of the model's vector; use model.parameters."
            )
        return self._vector

    @property
    def built(self) -> bool:
        """Whether the input shape is known, and with it the shapes of the weights."""
        return self.input_shape is not None

    @property
    def dtype(self) -> str | None:
        """Name of the dtype that was asked for, ``None`` for the model's."""
        return None if self._own_dtype is None else self._own_dtype.name

    @property
    def compute_dtype(self) -> str:
        """Name of the dtype that the layer computes in."""
        return self._dtype.name

    @property
    def parts(self) -> list[Layer]:
        """Layers that this one is made of: an activation; for a container, all its layers."""
        return [part for part in vars(self).values() if isinstance(part, Layer)]

    @property
    def kind(self) -> str:
        """What messages call it: ``"layer"``."""
        return "layer"

    @property
    def owner(self) -> str:
        """What messages call the layer: ``"layer 'residual/dense'"``."""
        return self.cache._owner

    @property
    def path(self) -> str:
        """The name with those of the containers around it, such as ``"residual/dense"``."""
        return self.scope + self.name

    def enter(self, scope: str) -> None:
        """Stand in a container: messages, tables and files then name the layer by its path.

        Messages of an activation name the layer that it is part of, which is the one the user made.
        """
        self.scope = scope
        self.cache._owner = f"{self.kind} {self.path!r}"
        for part in self.parts:
            part.cache._owner = self.cache._owner

    def leave(self) -> None:
        """Stand in no container any more."""
        self._in_model, self.outer_multiplier = False, 1.0
        self.enter("")

    def compute_in(self, dtype: Dtype) -> None:
        """Compute in this dtype from now on, with all layers that are part of this one."""
        self._dtype = dtype
        for part in self.parts:
            part.compute_in(dtype)
        self.enter(self.scope)

    def forget(self) -> None:
        """Become unbuilt again: no shapes, no weights."""
        for name in self._views:
            del self.__dict__[name]
        self._views = {}
        self.slots = []
        self.input_shape = self.output_shape = None
        self._vector = self._row = None

    def _require_built(self) -> None:
        if not self.built:
            raise NotBuiltError(
                f"{self.owner} ({type(self).__name__}) has no weights yet: their shapes "
                "depend on the input. Call build(input_shape) with the batch first, such as "
                "build((None, 784)), or forward(x) with data."
            )
        self._bind_alone()

    def _bind_alone(self) -> None:
        """Give a layer that is in no model a vector of its own."""
        if self._vector is None:
            with building:
                if self._vector is None:
                    self._assemble_alone()

    def _assemble_alone(self) -> None:
        self.assemble(Streams(), keep_streams=True)

    def assemble(
        self, streams: Streams, *, keep_streams: bool = False, initialize: bool = True
    ) -> None:
        """Lay all weights into one new vector: those that exist with their values.

        Args:
            streams: random numbers, for the starting values of the others and for :meth:`forward`.
            keep_streams: let layers go on with the random numbers that they draw already.
            initialize: ``False`` leaves new weights at 0, for values that come from a file.
        """
        if drafting():
            return
        new = [p for p in self.slots if p.value is None]
        vector = ParameterVector(self.slots, self._dtype)
        if initialize:
            vector.initialize(new, streams.new)
        self.bind(vector)
        self.use_streams(streams, keep_streams)

    def use_streams(self, streams: Streams, keep: bool = False) -> None:
        """Draw from a stream of the layer's own; a layer with a ``seed`` has one already."""
        if self.random and getattr(self, "seed", None) is None and not (keep and self.rng):
            self.rng = streams.get(f"layer/{self.path}")

    def bind(self, vector: ParameterVector, *, in_model: bool = False) -> None:
        """Take views into ``vector`` as weights; called once everything is declared."""
        self._in_model = in_model
        views: dict[str, Array] = {}
        for p in self.slots:
            views[p.name] = p.value  # type: ignore[assignment]
            if p.gradient is not None:
                views["d_" + p.name] = p.gradient
        self._views = {}  # lifts the guard of __setattr__
        for name, view in views.items():
            setattr(self, name, view)
        self._views = views
        self._vector = vector  # last, as it tells other threads that the weights are there
        if self.input_shape is not None:
            self._row = self.input_shape[1:]

    def __setattr__(self, name: str, value: Any) -> None:
        views = self.__dict__.get("_views")
        if views and name in views and views[name] is not value:
            raise AttributeError(
                f"{self.owner}: {name} is a view into the model's parameter vector and can "
                f"not be replaced; write into it: layer.{name}[...] = value."
            )
        object.__setattr__(self, name, value)

    if TYPE_CHECKING:  # weights are attributes that nobody but build() knows of

        def __getattr__(self, name: str) -> Any: ...

    def __copy__(self) -> Layer:
        # Two layers can not share weights: each has views into a vector of its own.
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in self._views:
            del state[name]
        for name in ("_views", "_row", "_vector", "_in_model", "cache", "workspace"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_up()
        self.compute_in(self._dtype)


Layer.build = checked_build(Layer.build)  # type: ignore
