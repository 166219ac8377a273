"""Protocol of a layer, for modules that ``Layer`` itself imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from netlayers.core.parameters import WeightHolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from netlayers._typing import Dtype, Shape
    from netlayers.core.cache import Cache
    from netlayers.core.states import State
    from netlayers.kernels.memory import Workspace
    from netlayers.random import Streams


class LayerLike(WeightHolder, Protocol):
    """A layer: :class:`netlayers.core.layer.Layer` has all of this."""

    name: str
    output_shape: Shape | None
    states: dict[str, State]
    rng: np.random.Generator | None
    cache: Cache
    workspace: Workspace
    random: bool
    _building: int  # the thread that builds it, while it does
    _calls: int
    _call_number: int

    @property
    def built(self) -> bool: ...  # noqa: D102
    @property
    def takes_sparse(self) -> bool: ...  # noqa: D102
    @property
    def _sublayers(self) -> Sequence[LayerLike]: ...
    @property
    def _kind(self) -> str: ...
    @property
    def _in_model(self) -> bool: ...
    @property
    def _adds_penalty(self) -> bool: ...

    def _flatten_layers(self) -> Iterator[LayerLike]: ...
    def build(self, input_shape: Shape) -> None: ...  # noqa: D102
    def check_input_shape(self, shape: Shape) -> None: ...  # noqa: D102
    def compute_output_shape(self, input_shape: Shape) -> Shape: ...  # noqa: D102
    def _check_sublayers(self) -> None: ...
    def _after_build(self) -> None: ...
    def _bind_alone(self) -> None: ...
    def _set_dtype(self, dtype: Dtype) -> None: ...
    def _use_streams(self, streams: Streams, keep: bool = False) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
