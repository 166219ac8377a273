"""The weights of a layer or model as lists of arrays, in Keras's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlayers.checks import check_flag, check_number
from netlayers.core.binding import assemble
from netlayers.core.building import building
from netlayers.core.parameters import copy_into
from netlayers.errors import NotBuiltError
from netlayers.random import Streams
from netlayers.registry import Configurable

if TYPE_CHECKING:
    from netlayers._typing import Array, Weights
    from netlayers.core.parameters import Parameter, ParameterVector


class WeightAccess(Configurable):
    """What a layer and a model show of their weights."""

    declared_parameters: list[Parameter]
    _trainable: bool
    _multiplier: float
    _vector: ParameterVector | None

    if TYPE_CHECKING:

        @property
        def owner(self) -> str:
            """What messages call the object."""

        @property
        def built(self) -> bool:
            """Whether the shapes of the weights are known."""

    @property
    def trainable(self) -> bool:
        """Whether the weights are learned; ``False`` freezes them where they are."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = check_flag(self.owner, "trainable", value)
        if self._vector is not None:
            self._vector.refresh()

    @property
    def learning_rate_multiplier(self) -> float:
        """What the optimizer's learning rate is multiplied by for the weights of this layer."""
        return self._multiplier

    @learning_rate_multiplier.setter
    def learning_rate_multiplier(self, value: float) -> None:
        self._multiplier = check_number(self.owner, "learning_rate_multiplier", value, minimum=0)
        if self._vector is not None:
            self._vector.refresh()

    @property
    def weights(self) -> list[Array]:
        """The weights, as views: the learned ones, then the running statistics."""
        self._require_built()
        return [p.value for p in self._ordered()]  # type: ignore[misc]

    @property
    def gradients(self) -> list[Array]:
        """The gradients of the trainable weights, as views, in the order of the weights."""
        self._require_built()
        return [p.gradient for p in self._ordered() if p.trainable]

    @property
    def trainable_weights(self) -> list[Array]:
        """The weights that an optimizer changes, as views."""
        self._require_built()
        return [p.value for p in self._ordered() if p.trainable]  # type: ignore[misc]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """The weights that no optimizer changes, as views: statistics, a frozen layer's."""
        self._require_built()
        return [p.value for p in self._ordered() if not p.trainable]  # type: ignore[misc]

    def count_params(self) -> int:
        """Return the number of single values in the weights."""
        self._require_built()
        return sum(p.size for p in self.declared_parameters)

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, in the order of :attr:`weights`."""
        return [w.copy() for w in self.weights]

    def set_weights(self, weights: Weights) -> None:
        """Copy ``weights`` into this layer's; nothing is changed if any of them does not fit.

        Raises:
            ShapeError: their number or a shape differs.
        """
        self._require_built()
        copy_into(self.owner, self._ordered(), weights)

    def _ordered(self) -> list[Parameter]:
        return sorted(self.declared_parameters, key=lambda p: p.statistic)

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
        assemble(self, Streams(), keep_streams=True)  # type: ignore[arg-type]
