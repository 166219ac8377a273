"""Base class of layers and models: names, weights, states, sublayers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_dtype, check_flag, check_name, check_number
from netlayers.core import binding
from netlayers.core.building import building
from netlayers.core.cache import Cache
from netlayers.core.changes import LAST_CHANGE
from netlayers.core.parameters import Parameter, copy_into
from netlayers.core.states import declare_state
from netlayers.errors import NotBuiltError
from netlayers.kernels.memory import Workspace
from netlayers.random import Streams
from netlayers.registry import Configurable, snake_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self
    from weakref import ref

    from netlayers._typing import Array, Dtype, Identifier, Shape, Weights
    from netlayers.core.parameters import Parameters, ParameterVector
    from netlayers.core.states import State

_NOT_COPIED = (
    "_views", "_row", "_vector", "_parameters", "_container_refs", "_calls", "cache", "workspace",
    "_call_number", "_symbolic_calls",
)  # fmt: skip


class Module(Configurable):
    """Base class of :class:`~netlayers.core.layer.Layer`, without the computation.

    Args:
        name: unique within a model; by default the class name in snake case, numbered.
        trainable: ``False`` freezes the weights.
        dtype: ``"float32"`` or ``"float64"``; by default the model's, without one ``"float32"``.
        learning_rate_multiplier: factor on the learning rate of these weights; 0 freezes them.

    Attributes:
        input_shape: input shape of the built layer; ``None`` before.
        output_shape: output shape of the built layer.
        declared_parameters: the weights, its own and those of its sublayers.
        states: its own states, by name.
        rng: random generator, if the layer draws random numbers.
        cache: what ``forward`` stores for ``backward``.
        workspace: its buffers.
    """

    # Whether an optimizer changes a weight; set by the weight vector.
    _has_trainable_weights = False
    # Whether it draws random numbers in training, from self.rng.
    random = False

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        learning_rate_multiplier: float = 1.0,
    ) -> None:
        owner = type(self).__name__
        self._auto_named = name is None
        self.name = check_name(owner, name, snake_case(owner))
        self._own_dtype = None if dtype is None else check_dtype(owner, dtype)
        self._dtype: Dtype = self._own_dtype or np.dtype(np.float32)
        self._trainable = check_flag(owner, "trainable", trainable)
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None
        self.declared_parameters: list[Parameter] = []
        self.states: dict[str, State] = {}
        self.rng: np.random.Generator | None = None
        self._set_up()
        self.learning_rate_multiplier = learning_rate_multiplier

    def _set_up(self) -> None:
        """Attributes that a copy does not share with the original."""
        self._views: dict[str, Array] = {}
        self._row: tuple[int | None, ...] | None = None  # row shape that prepare() expects
        self._vector: ParameterVector | None = None
        self._parameters: Parameters | None = None
        self._calls = 1
        self._symbolic_calls: list[Any] = []  # see netlayers.core.symbolic
        self._scope = ""  # names of the containers, each followed by a slash
        self._outer_multiplier = 1.0  # product of their learning-rate multipliers
        self._container_refs: list[ref[Module]] = []  # weak: keeps no layer alive
        self.cache = Cache(f"{self._kind} {self.name!r}")
        self.workspace = Workspace()

    # Names and containers --------------------------------------------------------------------

    @property
    def _kind(self) -> str:
        """Name of the object in messages."""
        return "layer"

    @property
    def owner(self) -> str:
        """Name of the layer in messages: ``"layer 'residual/dense'"``."""
        return self.cache._owner

    @property
    def path(self) -> str:
        """The name with those of the containers, such as ``"residual/dense"``."""
        return self._scope + self.name

    @property
    def _sublayers(self) -> Sequence[Module]:
        return [part for part in vars(self).values() if isinstance(part, Module)]

    def _flatten_layers(self) -> Iterator[Module]:
        """Yield the layer and all its sublayers, each once; a layer before its sublayers."""
        seen: set[int] = set()
        todo: list[Module] = [self]
        while todo:
            here = todo.pop()
            if id(here) not in seen:
                seen.add(id(here))
                yield here
                todo += reversed(here._sublayers)

    def _set_scope(self, scope: str) -> None:
        """Set the scope, the names of the containers, for messages, tables and files."""
        self._scope = scope
        self.cache._owner = f"{self._kind} {self.path!r}"
        for part in self._sublayers:  # an activation: messages name the layer that the user created
            part.cache._owner = self.cache._owner

    @property
    def _containers(self) -> list[Module]:
        """The containers that the layer is in, in the order in which it was added to them."""
        return [found for known in self._container_refs if (found := known()) is not None]

    @property
    def _in_model(self) -> bool:
        return bool(self._containers)

    @property
    def _is_shared(self) -> bool:
        """Whether the layer, or a container around it, is in more than one container."""
        containers = self._containers
        return len(containers) > 1 or any(container._is_shared for container in containers)

    def _leave(self, container: Module) -> None:
        """Remove the layer from a container; its scope is then that of the next one, if any."""
        refs = self._container_refs
        self._container_refs = [known for known in refs if known() not in (None, container)]
        self._outer_multiplier = 1.0
        self._set_scope("")
        for other in self._containers[:1]:
            other._place(self)

    # Weights ---------------------------------------------------------------------------------

    def add_weight(
        self,
        name: str | None = None,
        shape: Sequence[int] | None = None,
        initializer: Identifier = "glorot_uniform",
        regularizer: Identifier = None,
        *,
        trainable: bool = True,
        statistic: bool = False,
        constraint: Identifier = None,
        dtype: str | None = None,
        row_gradient: bool = False,
        autocast: bool = True,
    ) -> Parameter:
        """Declare a weight: ``self.<name>`` and its gradient ``self.d_<name>``.

        ``self.w = self.add_weight(shape=(3,))`` names it ``w``; with another ``name=``, both are
        attributes. In a list, use ``value`` and ``gradient`` of what is returned.

        Args:
            name: attribute name, unused in this layer; may be ``None`` before.
            shape: its shape; a single number by default.
            initializer: fills the weight when it is first bound.
            regularizer: penalty on the weight, part of the model's loss.
            trainable: ``False`` is the same as ``statistic=True``.
            statistic: declare a running statistic, without gradient, which no optimizer changes.
            constraint: constraint applied to it after each update.
            dtype: of a statistic, such as ``"int64"``; trained weights have that of the layer.
            row_gradient: for a table of which a batch uses few rows: ``self.d_<name>`` is then a
                :class:`netlayers.core.gradients.RowGradient`; ``backward`` sets its rows.
            autocast: accepted as in Keras, without effect.

        Raises:
            ConfigurationError: the name is in use, arguments conflict, or build() does not run.
            ShapeError: the size of an axis is unknown.
        """
        statistic = statistic or not check_flag(self.owner, "trainable", trainable)
        options = regularizer, statistic, constraint, dtype, row_gradient
        return binding.declare_weight(self, name, shape, initializer, *options)

    @property
    def built(self) -> bool:
        """Whether the input shape and the shapes of the weights are known."""
        return self.input_shape is not None

    @property
    def trainable(self) -> bool:
        """Whether the weights are trained; ``False`` freezes them."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = check_flag(self.owner, "trainable", value)
        if self._vector is not None:
            self._vector.refresh()

    @property
    def learning_rate_multiplier(self) -> float:
        """Factor on the optimizer's learning rate for the weights of this layer."""
        return self._multiplier

    @learning_rate_multiplier.setter
    def learning_rate_multiplier(self, value: float) -> None:
        self._multiplier = check_number(self.owner, "learning_rate_multiplier", value, minimum=0)
        if self._vector is not None:
            self._vector.refresh()

    @property
    def weights(self) -> list[Array]:
        """The weights, as views: the trainable ones, then the running statistics."""
        return [p.value for p in self._built_parameters()]  # type: ignore[misc]

    @property
    def gradients(self) -> list[Array]:
        """The gradients of the trainable weights, as views, in the order of the weights."""
        return [p.gradient for p in self._built_parameters() if p.trainable]

    @property
    def trainable_weights(self) -> list[Array]:
        """The weights that an optimizer changes, as views."""
        return [p.value for p in self._built_parameters() if p.trainable]  # type: ignore[misc]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """The weights that no optimizer changes, as views: statistics, a frozen layer's."""
        return [p.value for p in self._built_parameters() if not p.trainable]  # type: ignore[misc]

    def count_params(self) -> int:
        """Return the number of values in the weights."""
        self._require_built()
        return sum(p.size for p in self.declared_parameters)

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, in the order of :attr:`weights`."""
        return [w.copy() for w in self.weights]

    def set_weights(self, weights: Weights) -> None:
        """Set the weights by copying; if one does not fit, nothing is changed.

        Raises:
            ShapeError: their number or a shape differs.

        NaN and infinite weights are set with a warning.
        """
        copy_into(self.owner, self._built_parameters(), weights)

    def _built_parameters(self) -> list[Parameter]:
        self._require_built()
        return self._ordered()

    def _ordered(self) -> list[Parameter]:
        return sorted(self.declared_parameters, key=lambda p: p.statistic)

    def _build_if_known(self) -> None:
        """Build the layer if its input shape is already known; by default do nothing."""

    def _require_built(self) -> None:
        if not self.built:
            self._build_if_known()
        if not self.built:
            raise NotBuiltError(
                f"{self.owner} ({type(self).__name__}) has no weights yet: their shapes "
                "depend on the input. Call build(input_shape) with the batch first, such as "
                "build((None, 784)), or forward(x) with data."
            )
        self._bind_alone()

    def _bind_alone(self) -> None:
        """Bind the weights of a layer outside of a model to its own vector."""
        if self._vector is None:
            with building:
                if self._vector is None:
                    self._assemble_alone()

    def _assemble_alone(self) -> None:
        binding.assemble(self, Streams(), keep_streams=True)

    # States and assets -----------------------------------------------------------------------

    def add_state(self, name: str, shape: Sequence[int], dtype: str | None = None) -> None:
        """Declare a state, which the layer keeps from batch to batch; call it in :meth:`build`.

        Args:
            name: its name; :meth:`state` returns the array.
            shape: shape of the row of one sample.
            dtype: name of a dtype; by default that of the layer.

        Raises:
            ConfigurationError: the name is invalid or in use, or the shape is invalid.
        """
        declare_state(self.owner, self.states, name, shape, dtype)

    def state(self, name: str, count: int) -> Array:
        """Return a state, an array (count, *shape) that starts at 0; write the new values into it.

        Raises:
            ShapeError: the state belongs to batches of another size.
        """
        return self.states[name].rows(self.owner, count, self._dtype)

    def reset_states(self) -> None:
        """Reset the states of the layer and its sublayers."""
        for part in self._flatten_layers():
            for state in part.states.values():
                state.value = None

    def get_assets(self) -> dict[str, list[str] | bytes]:
        """Return data of the layer other than numeric arrays, such as a vocabulary."""
        return {}

    def set_assets(self, assets: Mapping[str, list[str] | bytes]) -> None:
        """Restore the ``assets`` that :meth:`get_assets` returned."""

    # Dtype, random numbers, copies -----------------------------------------------------------

    @property
    def dtype(self) -> str:
        """Name of the dtype that the layer computes in, ``"float32"`` or ``"float64"``."""
        return self._dtype.name

    compute_dtype = dtype

    def _argument(self, name: str) -> Any:  # of dtype, what was requested: None for the model's
        own = None if self._own_dtype is None else self._own_dtype.name
        return own if name == "dtype" else super()._argument(name)

    def _set_dtype(self, dtype: Dtype) -> None:
        """Set the dtype of the layer and all sublayers."""
        self._dtype = dtype
        for part in self._sublayers:
            part._set_dtype(dtype)
        self._set_scope(self._scope)

    def _use_streams(self, streams: Streams, keep: bool = False) -> None:
        """Draw from the layer's own stream; a layer with a ``seed`` already has one."""
        keep = keep or self._is_shared
        if self.random and getattr(self, "seed", None) is None and not (keep and self.rng):
            self.rng = streams.get(f"layer/{self.path}")

    def _unbuild(self) -> None:
        """Remove shapes and weights."""
        binding.unbind(self)
        self.declared_parameters, self.states = [], {}
        self.input_shape = self.output_shape = self._row = None

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) is Parameter and "_building" in vars(self) and value.layer is self:
            binding.name_weight(self, name, value)
            return
        views = self.__dict__.get("_views")
        if views and name in views and views[name] is not value:
            raise AttributeError(
                f"{self.owner}: {name} is a view into the model's parameter vector and "
                f"cannot be replaced; write into it: layer.{name}[...] = value."
            )
        object.__setattr__(self, name, value)
        LAST_CHANGE[0] = object()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        LAST_CHANGE[0] = object()

    if TYPE_CHECKING:  # weights are attributes that only build() defines

        def __getattr__(self, name: str) -> Any: ...

    def __copy__(self) -> Self:
        # A copy does not share weights: each layer has views into its own vector.
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        left_out = {*self._views, *_NOT_COPIED}
        return {name: value for name, value in vars(self).items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_up()
        binding.declare_again(self)
        self._set_dtype(self._dtype)
