"""Residual blocks: a chain of layers with a skip connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.core.layer import Layer
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.layers.containers import Chain
from netlayers.layers.dense import Dense
from netlayers.layers.merging import Add
from netlayers.layers.wiring import Node
from netlayers.registry import register, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from netlayers._typing import Examples, Shape
    from netlayers.layers.wiring import Callee, Source


@register("layer")
class Residual(Chain):
    """Layers with a skip connection: ``y = x + f(x)``, with f the chain of the layers.

    The skip connection passes the gradient to x unchanged, however deep f is. Where f changes the
    number of features, x is projected: ``y = x W + f(x)``, with a ``Dense`` layer ``projection``
    that has no bias.

    Shapes: ``x`` (batch, ..., features), ``y`` the shape of f(x), which may differ from x in the
    last axis only.

    Args:
        layers: the layers of f.
        projection: a layer on the skip connection; by default a ``Dense`` layer if the shapes
            differ.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the shapes differ in an axis other than the last.

    Source:
        K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016,
        eq. 1 and 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> block = nl.layers.Residual([nl.layers.Dense(8, "relu"), nl.layers.Dense(4)])
        >>> block.forward(np.ones((2, 4))).shape, block.projection is None
        ((2, 4), True)
    """

    activation = None  # the output is a sum, not the result of an activation
    takes_sparse = False  # x is added to the output

    def __init__(self, layers: Iterable[Any] = (), projection: Any = None, **kwargs: Any) -> None:
        self.projection: Layer | None = None
        self._own_projection = False  # created by this layer, because the shapes differ
        super().__init__(layers, **kwargs)
        if isinstance(projection, dict):
            try:
                projection = resolve("layer", projection, Layer)
            except ConfigurationError as error:
                raise type(error)(f"Residual: projection: {error}") from None
        if projection is not None:
            self._project(projection)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""

        def dense(units: int, activation: str | None = None) -> dict[str, Any]:
            return {"class_name": "Dense", "config": {"units": units, "activation": activation}}

        return [
            ({"layers": [dense(5, "tanh"), dense(3)]}, (4, 3)),
            ({"layers": [dense(2, "relu")]}, (4, 3)),
            ({"layers": [dense(2, "tanh"), dense(5, "sigmoid")]}, (2, 3, 4)),
            ({"layers": []}, (4, 3)),
            ({"layers": [dense(2, "tanh")], "projection": dense(2, "sigmoid")}, (4, 3)),
        ]

    @property
    def _sublayers(self) -> list[Layer]:
        """The layers, and the projection if there is one."""
        return self.layers if self.projection is None else [*self.layers, self.projection]

    def _build_order(self, input_shape: Shape) -> Iterator[tuple[Layer, Shape]]:
        """Yield the layers, then the projection if one is needed."""
        yield from super()._build_order(input_shape)
        shape = self.compute_output_shape(input_shape)
        if shape != input_shape and self.projection is None:
            self._check_shapes(input_shape, shape)
            own = Dense(int(shape[-1] or 0), use_bias=False, name="projection")
            own._auto_named = True  # it yields to a layer of that name
            self._project(own)
            self._own_projection = True
        if self.projection is not None:
            yield self.projection, input_shape
            around = self.projection.compute_output_shape(input_shape)
            if around != shape:
                raise ShapeError(
                    f"{self.owner} (Residual): the layers turn the shape {input_shape} into "
                    f"{shape}, the projection into {around}; they must agree."
                )

    def _unbuild(self) -> None:
        """Remove shapes and weights, and a projection that was created for the shapes."""
        super()._unbuild()
        if self._own_projection:
            self.projection, self._own_projection = None, False

    def _connections(self, calls: Sequence[Callee]) -> tuple[list[Node], tuple[Source, ...]]:
        """``y = x + f(x)``, or ``x W + f(x)``.

        ``dx = dy + f'(dy)``, or ``dy Wᵀ + f'(dy)``.
        """
        nodes = [Node(call, ((number, None),)) for number, call in enumerate(calls)]
        f, way = (len(nodes), None), (0, None)
        if self.projection is not None:
            nodes.append(Node(self.projection, ((0, None),)))
            way = (len(nodes), None)
        nodes.append(Node(Add(self), (way, f)))
        return nodes, ((len(nodes), None),)

    def _project(self, layer: Layer) -> None:
        try:
            # Named separately, because it is not part of the chain.
            self._add_sublayer(layer, "projection")
        except BaseException:
            self._release_sublayers()
            raise
        self.projection = self.layers.pop()
        self.calls.pop()

    def _check_shapes(self, x: Shape, y: Shape) -> None:
        if len(x) != len(y) or x[:-1] != y[:-1] or len(x) < 2 or x[-1] is None:
            raise ShapeError(
                f"{self.owner} (Residual): the layers turn the shape {x} into {y}; only the "
                "last axis may differ from the input's, so that a projection can match it. Put a "
                "Flatten or Reshape before the block."
            )
