"""What SimpleRNN, LSTM and GRU share: they make their cell, and show its weights as theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from netlayers.errors import ConfigurationError
from netlayers.layers.next_step import next_output
from netlayers.layers.recurrent import Recurrent

if TYPE_CHECKING:
    from netlayers._typing import Identifier


class CellLayer(Recurrent):
    """Base class of layers that make a cell of their arguments.

    Weights, gradients and arguments of the cell are attributes of the layer too: ``layer.kernel``
    is ``layer.cell.kernel``.
    """

    def _make_cell(self, kind: Any, *arguments: Any, **options: Any) -> None:
        """Make the cell of arguments of this layer, which errors name, and add it."""
        try:
            cell = kind(*arguments, **options)
        except ConfigurationError as error:
            text = str(error).replace(f"{kind.__name__}:", f"{type(self).__name__}:", 1)
            raise ConfigurationError(text) from None
        self._take_cell(cell)

    def __getattr__(self, name: str) -> Any:
        layers = vars(self).get("layers")
        if not layers or name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(layers[0], name)


class GatedLayer(CellLayer):
    """Base class of SimpleRNN, LSTM and GRU.

    Args: those of the cell and of :class:`Recurrent`.
    """

    _cell_class: ClassVar[Any]

    def __init__(
        self,
        units: int,
        activation: Identifier = "tanh",
        use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal",
        bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None,
        recurrent_regularizer: Identifier = None,
        bias_regularizer: Identifier = None,
        kernel_constraint: Identifier = None,
        recurrent_constraint: Identifier = None,
        bias_constraint: Identifier = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._make_cell(
            self._cell_class,
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            **vars(self).pop("_own_options", {}),
        )

    def forward(
        self, x: Any, training: bool = False, mask: Any = None, mask_out: list[Any] | None = None
    ) -> Any:
        """See :meth:`Recurrent.forward`; what the next step of a stream takes is kept."""
        if self.stateful and not (training or self._given_states) and mask is None:
            y = next_output(self, x)
            if y is not None:
                if mask_out is not None:
                    mask_out.append(None)
                return y
        return super().forward(x, training, mask, mask_out)

    def _state_shapes(self, series: Any = None) -> list[tuple[int, ...]]:
        cell = self.layers[0]
        return [(cell.units,)] * cell._states
