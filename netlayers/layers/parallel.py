"""Parallel branches with merged outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.arrays.spec import FLOAT
from netlayers.checks import check_choice, check_integer
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.layers.containers import Chain, Container
from netlayers.layers.merging import Add, Average, Concatenate, Maximum, Merge, Multiply
from netlayers.layers.wiring import Node
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlayers._typing import Examples, Shape
    from netlayers.arrays.spec import InputSpec
    from netlayers.layers.wiring import Callee, Source

MERGES = ("concat", "add", "multiply", "average", "maximum")


@register("layer")
class Parallel(Container):
    """Apply branches to the same input and merge their outputs.

    ``y = merge(f_1(x), ..., f_n(x))``: the concatenation (``"concat"``), or the elementwise sum
    (``"add"``), product (``"multiply"``), ``"average"`` or ``"maximum"``.

    Shapes: ``x`` any shape that all branches accept. The output shapes must be equal; with
    ``"concat"`` they may differ in ``axis``.

    Args:
        branches: list of branches; each is a layer, or a list of successive layers. An empty list
            is the identity.
        merge: how the outputs are merged.
        axis: axis of ``"concat"``, not the batch axis.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the outputs cannot be merged.

    Example:
        A network that is wide and deep.

        >>> import numpy as np, netlayers as nl
        >>> deep = [nl.layers.Dense(8, "relu"), nl.layers.Dense(3)]
        >>> nl.layers.Parallel([deep, nl.layers.Dense(2)]).forward(np.ones((4, 6))).shape
        (4, 5)
    """

    can_skip_input_gradient = True

    def __init__(
        self, branches: Iterable[Any], merge: str = "concat", axis: int = -1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.merge = check_choice("Parallel", "merge", merge, MERGES)
        self.axis = check_integer("Parallel", "axis", axis)
        chains: list[Chain] = []
        try:
            if isinstance(branches, (list, tuple)):
                branches = [_branch(branch, chains) for branch in branches]
            self._add_sublayers("branches", branches)
        except BaseException:
            for chain in chains:
                chain._release_sublayers()
            raise
        if not self.layers:
            raise ConfigurationError(f"{self.owner}: branches must hold at least one branch.")

    @property
    def branches(self) -> list[Any]:
        """The branches, as the constructor takes them."""
        return [b.layers if type(b) is Chain else b for b in self.layers]

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""

        def dense(units: int, activation: str | None = None) -> dict[str, Any]:
            return {"class_name": "Dense", "config": {"units": units, "activation": activation}}

        two = [[dense(4, "tanh"), dense(3)], dense(3, "sigmoid")]
        return [
            ({"branches": [dense(2), [dense(4, "tanh"), dense(3)], []]}, (4, 3)),
            ({"branches": [dense(2), dense(2, "relu")], "axis": 1}, (2, 3, 4)),
            *(({"branches": two, "merge": merge}, (4, 3)) for merge in MERGES[1:]),
            ({"branches": [*two, dense(3)], "merge": "multiply"}, (2, 2, 3)),
            ({"branches": [*two, []], "merge": "maximum"}, (4, 3)),
        ]

    @property
    def takes_sparse(self) -> bool:  # type: ignore[override]
        """Whether every branch takes a sparse matrix."""
        return all(branch.takes_sparse for branch in self.layers)

    @property
    def input_spec(self) -> InputSpec | tuple[InputSpec, ...]:  # type: ignore[override]
        """What the first branch takes."""
        return self.layers[0].input_spec if self.layers else FLOAT

    def build(self, input_shape: Shape) -> None:
        """Build every branch for the input."""
        self._build_sublayers((branch, input_shape) for branch in self.layers)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the merged outputs."""
        shapes = [branch.compute_output_shape(input_shape) for branch in self.layers]
        axis = self._axis(len(shapes[0])) if self.merge == "concat" else None
        known = [
            s if axis is None or axis >= len(s) else (*s[:axis], *s[axis + 1 :]) for s in shapes
        ]
        for branch, shape, rest in zip(self.layers, shapes, known, strict=True):
            if rest != known[0] or len(shape) != len(shapes[0]):
                raise ShapeError(
                    f"{self.owner} (Parallel): the branch {branch.name!r} gives the shape "
                    f"{shape}, the branch {self.layers[0].name!r} {shapes[0]}; to {self.merge} "
                    "them they must agree"
                    + ("." if axis is None else f" in all axes but axis {axis}.")
                )
        if axis is None:
            return shapes[0]
        sizes = [shape[axis] for shape in shapes]
        total = None if None in sizes else sum(sizes)  # type: ignore[arg-type]
        return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if a branch does not accept this shape."""
        for branch in self.layers:
            branch.check_input_shape(shape)

    def _connections(self, calls: Sequence[Callee]) -> tuple[list[Node], tuple[Source, ...]]:
        """``y = merge(f_1(x), ..., f_n(x))``.

        ``dx = Σ f_i'(dy_i)``, with ``dy_i`` the gradient of branch i: its slice of dy (concat),
        dy itself (add), ``dy / n`` (average), dy times the other outputs (multiply), or dy where
        the branch has the first maximum.
        """
        nodes = [Node(call, ((0, None),)) for call in calls]
        if len(calls) > 1 or self.merge == "concat":
            outputs = tuple((number, None) for number in range(1, len(nodes) + 1))
            nodes.append(Node(self._merging(), outputs))
        return nodes, ((len(nodes), None),)

    def _merging(self) -> Merge:
        if self.merge == "concat":
            return Concatenate(self, self._axis)
        kinds = {"add": Add, "multiply": Multiply, "average": Average, "maximum": Maximum}
        return kinds[self.merge](self)

    def _axis(self, ndim: int) -> int:
        if not -ndim < self.axis < ndim or self.axis == 0:
            raise ShapeError(
                f"{self.owner} (Parallel): axis={self.axis} is no axis of features in "
                f"outputs with {ndim} axes (the first is the batch)."
            )
        return self.axis % ndim


def _branch(branch: Any, chains: list[Chain]) -> Any:
    """Return a list of layers as a Chain, which is added to ``chains``; anything else unchanged."""
    if not isinstance(branch, (list, tuple)):
        return branch
    chains.append(Chain(branch))
    return chains[-1]
