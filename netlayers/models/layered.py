"""What all models have as containers of layers: names, symbolic values, copies."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

from netlayers._suggestions import suggestion
from netlayers.checks import check_integer, check_seed
from netlayers.errors import ConfigurationError
from netlayers.models.trainable import TrainableModel
from netlayers.random import Streams
from netlayers.training.lock import between_steps

if TYPE_CHECKING:
    from typing import Self

    from netlayers.core.layer import Layer


class LayeredModel(TrainableModel):
    """A trainable model as a container of layers.

    Args:
        seed: non-negative integer that determines every random number of the model.
        kwargs: those of the layer class that it also is.
    """

    _or_change_it = ""  # what else one may do, in a message
    _own_symbols: tuple[list[Any], list[Any]] | None

    def __init__(self, *args: Any, seed: int | None = None, **kwargs: Any) -> None:
        if seed is not None:
            seed = check_seed(type(self).__name__, seed)
        self.seed = seed
        self._streams = Streams(seed)
        super().__init__(*args, **kwargs)

    def _shown_layers(self) -> list[Layer]:
        return self._layers

    def _refuse_layers(self, value: Any) -> None:
        """Raise an AttributeError: the layers cannot be replaced."""
        raise AttributeError(
            f"{self.owner}: layers cannot be replaced, they are those that the model was made of. "
            f"Make a new model{self._or_change_it}."
        )

    layers = property(_shown_layers, _refuse_layers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or index.

        Raises:
            ConfigurationError: there is no such layer, or not exactly one of the two is given.
        """
        owner = f"model {self.name!r}"
        if (name is None) == (index is None):
            got = "neither" if name is None else f"{name!r} and {index!r}"
            raise ConfigurationError(f"{owner}: get_layer() takes a name or an index, got {got}.")
        if index is not None:
            index = check_integer(owner, "index", index)
            if not -len(self.layers) <= index < len(self.layers):
                raise ConfigurationError(
                    f"{owner}: index must name one of {len(self.layers)} layers, got {index}."
                )
            return self.layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self._layers]
        raise ConfigurationError(
            f"{owner}: no layer is named {name!r}.{suggestion(str(name), names)} The layers are "
            f"{', '.join(names)}."
        )

    # Symbolic values -------------------------------------------------------------------------

    @property
    def inputs(self) -> list[Any]:
        """The symbolic inputs."""
        return self._symbols()[0]

    @property
    def outputs(self) -> list[Any]:
        """The symbolic outputs."""
        return self._symbols()[1]

    @property
    def input(self) -> Any:
        """The symbolic input, or the list of several."""
        return self.inputs[0] if len(self.inputs) == 1 else self.inputs

    @property
    def output(self) -> Any:
        """The symbolic output, or several as the model returns them."""
        return self._as_returned(self.outputs)

    def _symbols(self) -> tuple[list[Any], list[Any]]:
        """Return the symbolic inputs and outputs; the first use makes them."""
        if self._own_symbols is None:
            self._own_symbols = self._call_layers()
        return self._own_symbols

    def _call_symbolically(self) -> None:
        """Call the layers on symbolic values, unless that was done."""
        self._symbols()

    def _call_layers(self) -> tuple[list[Any], list[Any]]:
        """Return symbolic inputs, and the outputs for them."""
        raise NotImplementedError

    # Weights and copies ----------------------------------------------------------------------

    def _set_up(self) -> None:
        super()._set_up()
        self._own_symbols = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        with between_steps(self):
            new = memo[id(self)] = type(self).__new__(type(self))
            new.__setstate__(copy.deepcopy(self._state_to_copy(), memo))
        return new

    def __getstate__(self) -> dict[str, Any]:
        with between_steps(self):
            state = self._state_to_copy()
            # Where another thread may train, arrays are copied before its next step. Models that
            # share layers keep that in common, so theirs are copied while one trains alone.
            shares = any(part._is_shared for part in self._flatten_layers())
            if threading.active_count() < 2 or (shares and "now" not in self._lock):
                return state
            return copy.deepcopy(state, {id(self): self})

    def _state_to_copy(self) -> dict[str, Any]:
        state = {**super().__getstate__(), "_steps": None}
        del state["_lock"], state["_own_symbols"]
        return state
