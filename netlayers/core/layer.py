"""The ``Layer`` class: ``forward`` computes, ``backward`` turns dL/dy into dL/dx."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import constraints, initializers, regularizers
from netlayers.arrays.convert import as_float
from netlayers.arrays.spec import FLOAT
from netlayers.checks import check_dtype, check_flag, check_shape, is_several
from netlayers.core.binding import declare, is_taken, own, unbind
from netlayers.core.buffers import State, StateAccess
from netlayers.core.building import checked_build
from netlayers.core.cache import Cache
from netlayers.core.calls import Call
from netlayers.core.inputs import check_shapes, prepared
from netlayers.core.naming import Named
from netlayers.core.parameters import Parameter, Parameters
from netlayers.core.weights import WeightAccess
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.initializers import Initializer
from netlayers.kernels.memory import Workspace
from netlayers.registry import snake_case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Dtype, Examples, Identifier, Shape
    from netlayers.arrays.spec import InputSpec
    from netlayers.core.parameters import ParameterVector
    from netlayers.random import Streams

_FLOAT32 = np.dtype(np.float32)
_NOT_COPIED = (
    "_views", "_row", "_vector", "_parameters", "_homes", "_calls", "cache", "workspace", "call"
)  # fmt: skip


class Layer(Named, WeightAccess, StateAccess):
    """Base class of all layers.

    A subclass writes :meth:`forward` and, right under it, :meth:`backward`; with weights also
    :meth:`build`, and :meth:`compute_output_shape` if the output has another shape than the input.

    Args:
        name: unique within a model; by default the class name in snake case, numbered.
        trainable: ``False`` freezes the weights.
        dtype: ``"float32"`` or ``"float64"``; by default the model's, alone ``"float32"``.
        learning_rate_multiplier: factor of the optimizer's rate for these weights; 0 keeps them.
        autocast: accepted as in Keras, without effect: a model computes in one dtype.

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
    has_trainable_weights = False
    # Layers whose forward calls add_penalty, which adds to the loss.
    adds_penalty = False
    # Layers that draw random numbers while training, from the generator self.rng.
    random = False
    # Layers whose output with training=True is that of inference: no chance, no batch statistics.
    same_in_training = True
    # Layers whose forward and backward also take a CSR matrix of SciPy as x.
    takes_sparse = False
    # What forward takes: one input, or a tuple of them for a tuple of arrays.
    input_spec: InputSpec | tuple[InputSpec, ...] = FLOAT
    # Layers whose forward also takes mask=, and those that hand on the mask of their input.
    takes_mask = False
    supports_masking = False
    # Which use of the layer in a network is being computed; see new_call.
    call = 1

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        learning_rate_multiplier: float = 1.0,
        autocast: bool = True,
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
        self.declared_parameters: list[Parameter] = []
        self.states: dict[str, State] = {}
        self.rng: np.random.Generator | None = None
        self._set_up()
        self.learning_rate_multiplier = learning_rate_multiplier

    def _set_up(self) -> None:
        """Attributes that a copy of the layer does not share with it."""
        self._views: dict[str, Array] = {}
        self._row: tuple[int | None, ...] | None = None  # what prepare() compares rows with
        self._vector: ParameterVector | None = None
        self._parameters: Parameters | None = None
        self._calls = 1
        self._set_up_name()
        self.cache = Cache(f"{self.kind} {self.name!r}")
        self.workspace = Workspace()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = checked_build(vars(cls)["build"])  # type: ignore

    @staticmethod
    def examples() -> Examples:
        """Return ``[(arguments, input_shape), ...]``: what ``netlayers.testing`` tries it on.

        Together the examples give each optional argument another value than its default.
        """
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
        """Return the shape of the output for a shape of the input, both with the batch first.

        Several inputs or outputs have a tuple of shapes. By default it is that of the one input.
        """
        if is_several(input_shape):
            raise ConfigurationError(
                f"{self.owner} ({type(self).__name__}): a layer with several inputs must define "
                "compute_output_shape(input_shape), which takes a tuple of shapes."
            )
        return input_shape

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the output for a batch; with ``training``, remember what backward needs."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, training=False)")

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the mask of the output: booleans (batch, time), or ``None`` for no mask.

        Args:
            x: the input of ``forward``.
            mask: its mask, a tuple of masks for several inputs, or ``None``.
        """
        return mask if self.supports_masking and not isinstance(mask, tuple) else None

    def __call__(self, x: Any, *more: Any, training: bool = False, mask: Any = None) -> Any:
        """Return :meth:`forward`, as Keras's layers and models are called.

        Args:
            x: the input; of several, the first, or a list or tuple of them all.
            more: further inputs; a single boolean is ``training``.
            training: remember what :meth:`backward` needs.
            mask: for a layer that takes one.

        Raises:
            ConfigurationError: a mask was given, and the layer does not take one.
        """
        if len(more) == 1 and isinstance(more[0], (bool, np.bool_)):
            training, more = bool(more[0]), ()
        if more:
            x = (x, *more)
        if mask is None:
            return self.forward(x, training)
        if not self.takes_mask:
            raise ConfigurationError(f"{self.owner} ({type(self).__name__}): takes no mask.")
        return self.forward(x, training, mask=mask)  # type: ignore[call-arg]

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
        dtype: str | None = None,
        row_gradient: bool = False,
    ) -> None:
        """Declare a weight: ``self.<name>`` and its gradient ``self.d_<name>``.

        Args:
            name: a name that is free in this layer.
            shape: its shape.
            initializer: fills it when it is first bound.
            regularizer: penalty on it, part of the model's loss.
            statistic: a running statistic, which optimizers leave alone and which has no gradient.
            constraint: constraint applied to it after each update.
            dtype: name of the dtype of a statistic, such as ``"int64"``; by default the layer's,
                which learned weights always have.
            row_gradient: for a table of which a batch uses few rows, as an embedding does:
                ``self.d_<name>`` is no array but a :class:`netlayers.core.gradients.RowGradient`;
                ``backward`` calls its ``set(rows, values)``.
        """
        own_dtype = None if dtype is None else np.dtype(dtype)
        if own_dtype is not None and not statistic:
            raise ConfigurationError(
                f"{self.owner}: the weight {name!r} is learned and has the dtype of the layer; "
                "dtype= is for statistic=True."
            )
        taken = {n for p in self.declared_parameters for n in (p.name, "d_" + p.name)} | set(
            self.__dict__
        )
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
        self.declared_parameters.append(
            Parameter(
                self,
                name,
                tuple(size for size in sizes if size is not None),
                initializer
                if isinstance(initializer, Initializer)
                else initializers.get(initializer),
                None if regularizer is None else regularizers.get(regularizer),
                statistic,
                None if constraint is None else constraints.get(constraint),
                own_dtype,
                row_gradient,
            )
        )

    def prepare(self, x: Any) -> Any:
        """Return ``x`` as this layer's input: converted, built for, and checked.

        An array of the right dtype and shape passes at the cost of three comparisons.

        Raises:
            ShapeError: the shape is not the one the layer was built for.
            DataError: the entries are not what the layer takes, or ``x`` is sparse and the layer
                has not ``takes_sparse``.
        """
        if (
            type(x) is np.ndarray
            and x.dtype is self._dtype
            and x.shape[1:] == self._row
            and x.flags.c_contiguous
        ):
            return x
        return prepared(self, x)

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the layer can not take this shape (by default: as built)."""
        check_shapes(self, shape)

    def buffer(
        self, name: str, shape: tuple[int, ...], training: bool = True, dtype: Dtype | None = None
    ) -> Array:
        """Return an array to write into: the layer's own while training, else a new one.

        At inference nothing of the layer is written to, so threads may predict side by side.
        """
        dtype = dtype or self._dtype
        if not training:
            return np.empty(shape, dtype)
        made = self.workspace.views.get((name, shape, dtype))
        return self.workspace(name, shape, dtype) if made is None else made

    def check_gradient(self, dy: Any, shape: tuple[int, ...]) -> Array:
        """Return ``dy`` as an array of this layer's dtype.

        ``None``, for an output that nobody used, becomes zeros.

        Raises:
            ShapeError: it has another shape than the output had.
        """
        if dy is None:
            return np.zeros(shape, self._dtype)
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
    def parameters(self) -> Parameters:
        """The parameters and the vectors they lie in, as ``optimizer.step`` takes them."""
        if self._parameters is None:
            if self._vector is None:
                self._require_built()
            assert self._vector is not None
            self._parameters = Parameters(self.declared_parameters, self._vector)
        return self._parameters

    def new_call(self) -> Call:
        """Return a further use of this layer: the same weights, and a cache and buffers of its own.

        ``layer.forward`` and ``layer.backward`` are the first use.

        Example:
            >>> import numpy as np, netlayers as nl
            >>> layer = nl.layers.Dense(2)
            >>> again = layer.new_call()
            >>> a = layer.forward(np.ones((1, 3)), training=True)
            >>> b = again.forward(np.zeros((4, 3)), training=True)
            >>> layer.backward(np.ones((1, 2))).shape, again.backward(np.ones((4, 2))).shape
            ((1, 3), (4, 3))
        """
        self._calls += 1
        return Call(self, self._calls)

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
    def sublayers(self) -> list[Layer]:
        """Layers that this one is made of: an activation; for a container, all its layers."""
        return [part for part in vars(self).values() if isinstance(part, Layer)]

    def compute_in(self, dtype: Dtype) -> None:
        """Compute in this dtype from now on, with all layers that are part of this one."""
        self._dtype = dtype
        for part in self.sublayers:
            part.compute_in(dtype)
        self._set_scope(self.scope)

    def unbuild(self) -> None:
        """Become unbuilt again: no shapes, no weights."""
        unbind(self)
        self.declared_parameters, self.states = [], {}
        self.input_shape = self.output_shape = self._row = None

    def use_streams(self, streams: Streams, keep: bool = False) -> None:
        """Draw from a stream of the layer's own; a layer with a ``seed`` has one already."""
        keep = keep or self.shared
        if self.random and getattr(self, "seed", None) is None and not (keep and self.rng):
            self.rng = streams.get(f"layer/{self.path}")

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
        for name in _NOT_COPIED:
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_up()
        for p in own(self):
            declare(type(self), p.name)  # in another process nothing has been built yet
        self.compute_in(self._dtype)


Layer.build = checked_build(Layer.build)  # type: ignore
