"""Recurrent layers on series of series, images or volumes: convolutional LSTM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.core.shapes import shown_shape
from netlayers.errors import ShapeError
from netlayers.layers.conv_lstm_cell import ConvLSTMCell
from netlayers.layers.gated_layer import CellLayer
from netlayers.layers.simple_rnn import CELL_EXAMPLE
from netlayers.layers.spatial import AXES
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Examples, Identifier, Shape


class ConvLSTM(CellLayer):
    """Base class of ConvLSTM1D to 3D; the number of spatial axes is that of a subclass."""

    _rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal",
        bias_initializer: Identifier = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Identifier = None,
        recurrent_regularizer: Identifier = None,
        bias_regularizer: Identifier = None,
        activity_regularizer: None = None,
        kernel_constraint: Identifier = None,
        recurrent_constraint: Identifier = None,
        bias_constraint: Identifier = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            return_sequences,
            return_state,
            go_backwards,
            stateful,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self._make_cell(
            ConvLSTMCell,
            self._rank,
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
        )

    def _check_series(self, shape: Shape) -> None:
        if len(shape) == 3 + self._rank and shape[1] != 0:
            return
        axes = [*AXES[self._rank], "channels"]
        if self.data_format == "channels_first":
            axes = [axes[-1], *axes[:-1]]
        raise ShapeError(
            f"{self.owner} ({type(self).__name__}): expected an input of shape (batch, steps, "
            f"{', '.join(axes)}) with at least one step, got {shown_shape(shape)}."
        )


def _examples(*sizes: int) -> Examples:
    """Return examples on steps of these sizes."""
    last, first = (*sizes, 2), (2, *sizes)
    time = {"return_sequences": True, "go_backwards": True, "zero_output_for_mask": True}
    small = {"filters": 2, "kernel_size": 2}
    return [
        ({**small, "padding": "same"}, (2, 2, *last)),
        ({**small, "strides": 2, "use_bias": False, **time}, (2, 3, *last)),
        (
            {**small, "dilation_rate": 2, "data_format": "channels_first", "return_state": True},
            (2, 2, *first),
        ),
        ({**small, "dropout": 0.3, "recurrent_dropout": 0.5, "seed": 3}, (2, 2, *last)),
        (
            {
                **small,
                "stateful": True,
                "recurrent_activation": "hard_sigmoid",
                "activation": "softsign",
                "unit_forget_bias": False,
            },
            (2, 2, *last),
        ),
        ({**small, **CELL_EXAMPLE}, (2, 2, *last)),
    ]


@register("layer", "conv_lstm1d")
class ConvLSTM1D(ConvLSTM):
    """Convolutional LSTM of series of series: an LSTM at each place, which sees its neighbours.

    For each step t, with ``*`` the convolution and s the recurrent activation: ``(z_i, z_f, z_g,
    z_o) = W * x[t] + U * h[t-1] + b``, ``i = s(z_i)``, ``f = s(z_f)``, ``g = tanh(z_g)``, ``o =
    s(z_o)``, ``c[t] = f c[t-1] + i g``, ``h[t] = o tanh(c[t])``. As in Keras, the gates do not see
    the cell state c (no peepholes).

    Shapes: ``x`` (batch, steps, length, channels), ``W`` = ``kernel`` (*kernel_size,
    channels, 4 filters), ``U`` = ``recurrent_kernel`` (*kernel_size, filters, 4 filters), ``b`` =
    ``bias`` (4 filters,), with the columns of the gates in the order i, f, g, o; the output is the
    last h (batch, new length, filters), or with ``return_sequences`` all (batch, steps,
    new length, filters). The states are h and c.

    Args:
        filters: number of channels of the states.
        kernel_size: length of both kernels.
        strides: distance between neighbouring windows on x, an integer or one for each axis.
        padding: of x: ``"valid"`` for windows inside it, ``"same"`` for zeros on both sides, so
            that the states have the size of x divided by the stride, rounded up. That of h is
            always ``"same"``.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of W, an integer or one for each axis.
        activation: in place of tanh.
        recurrent_activation: s, of the gates i, f and o.
        use_bias: whether to add ``b``.
        kernel_initializer: fills ``W``.
        recurrent_initializer: fills ``U``.
        bias_initializer: fills ``b``.
        unit_forget_bias: whether the bias of f starts at 1, so that c is kept at first.
        kernel_regularizer: penalty on ``W``.
        recurrent_regularizer: penalty on ``U``.
        bias_regularizer: penalty on ``b``.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        kernel_constraint: constraint applied to ``W`` after each update.
        recurrent_constraint: constraint applied to ``U`` after each update.
        bias_constraint: constraint applied to ``b`` after each update.
        dropout: fraction of the entries of x to drop in training, in [0, 1); each gate drops
            others, all steps of a sample the same.
        recurrent_dropout: the same for h where it meets ``U``.
        seed: seed of a random stream for the dropout of this layer alone; by default the stream is
            derived from the model's seed.
        return_sequences: return the output of every step, instead of the last one.
        return_state: return the states after the last step too: a tuple of the output and them.
        go_backwards: start with the last step; the outputs are in the order of their computation.
        stateful: start from the states in which the last batch ended; see :class:`RNN`.
        kwargs: ``zero_output_for_mask``: see :class:`RNN`; ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or a size is unknown.

    Source:
        X. Shi et al., "Convolutional LSTM network: a machine learning approach for precipitation
        nowcasting", NIPS 2015, equation (3), without the terms of c in the gates.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.ConvLSTM1D(4, 3, padding="same")
        >>> layer.forward(np.ones((2, 3, 6, 1)), training=True).shape
        (2, 6, 4)
        >>> layer.backward(np.ones((2, 6, 4))).shape, layer.d_recurrent_kernel.shape
        ((2, 3, 6, 1), (3, 4, 16))
    """

    _rank = 1

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return _examples(5)


@register("layer", "conv_lstm2d")
class ConvLSTM2D(ConvLSTM):
    """Convolutional LSTM of series of images: an LSTM at each place, which sees its neighbours.

    For each step t, with ``*`` the convolution and s the recurrent activation: ``(z_i, z_f, z_g,
    z_o) = W * x[t] + U * h[t-1] + b``, ``i = s(z_i)``, ``f = s(z_f)``, ``g = tanh(z_g)``, ``o =
    s(z_o)``, ``c[t] = f c[t-1] + i g``, ``h[t] = o tanh(c[t])``. As in Keras, the gates do not see
    the cell state c (no peepholes).

    Shapes: ``x`` (batch, steps, height, width, channels), ``W`` = ``kernel`` (*kernel_size,
    channels, 4 filters), ``U`` = ``recurrent_kernel`` (*kernel_size, filters, 4 filters), ``b`` =
    ``bias`` (4 filters,), with the columns of the gates in the order i, f, g, o; the output is the
    last h (batch, new height, new width, filters), or with ``return_sequences`` all (batch, steps,
    new height, new width, filters). The states are h and c.

    Args:
        filters: number of channels of the states.
        kernel_size: height and width of both kernels, an integer for both.
        strides: distance between neighbouring windows on x, an integer or one for each axis.
        padding: of x: ``"valid"`` for windows inside it, ``"same"`` for zeros on both sides, so
            that the states have the size of x divided by the stride, rounded up. That of h is
            always ``"same"``.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of W, an integer or one for each axis.
        activation: in place of tanh.
        recurrent_activation: s, of the gates i, f and o.
        use_bias: whether to add ``b``.
        kernel_initializer: fills ``W``.
        recurrent_initializer: fills ``U``.
        bias_initializer: fills ``b``.
        unit_forget_bias: whether the bias of f starts at 1, so that c is kept at first.
        kernel_regularizer: penalty on ``W``.
        recurrent_regularizer: penalty on ``U``.
        bias_regularizer: penalty on ``b``.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        kernel_constraint: constraint applied to ``W`` after each update.
        recurrent_constraint: constraint applied to ``U`` after each update.
        bias_constraint: constraint applied to ``b`` after each update.
        dropout: fraction of the entries of x to drop in training, in [0, 1); each gate drops
            others, all steps of a sample the same.
        recurrent_dropout: the same for h where it meets ``U``.
        seed: seed of a random stream for the dropout of this layer alone; by default the stream is
            derived from the model's seed.
        return_sequences: return the output of every step, instead of the last one.
        return_state: return the states after the last step too: a tuple of the output and them.
        go_backwards: start with the last step; the outputs are in the order of their computation.
        stateful: start from the states in which the last batch ended; see :class:`RNN`.
        kwargs: ``zero_output_for_mask``: see :class:`RNN`; ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or a size is unknown.

    Source:
        X. Shi et al., "Convolutional LSTM network: a machine learning approach for precipitation
        nowcasting", NIPS 2015, equation (3), without the terms of c in the gates.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.ConvLSTM2D(4, 3, padding="same")
        >>> layer.forward(np.ones((2, 3, 6, 6, 1)), training=True).shape
        (2, 6, 6, 4)
        >>> layer.backward(np.ones((2, 6, 6, 4))).shape, layer.d_recurrent_kernel.shape
        ((2, 3, 6, 6, 1), (3, 3, 4, 16))
    """

    _rank = 2

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return _examples(3, 4)


@register("layer", "conv_lstm3d")
class ConvLSTM3D(ConvLSTM):
    """Convolutional LSTM of series of volumes: an LSTM at each place, which sees its neighbours.

    For each step t, with ``*`` the convolution and s the recurrent activation: ``(z_i, z_f, z_g,
    z_o) = W * x[t] + U * h[t-1] + b``, ``i = s(z_i)``, ``f = s(z_f)``, ``g = tanh(z_g)``, ``o =
    s(z_o)``, ``c[t] = f c[t-1] + i g``, ``h[t] = o tanh(c[t])``. As in Keras, the gates do not see
    the cell state c (no peepholes).

    Shapes: ``x`` (batch, steps, depth, height, width, channels), ``W`` = ``kernel`` (*kernel_size,
    channels, 4 filters), ``U`` = ``recurrent_kernel`` (*kernel_size, filters, 4 filters), ``b`` =
    ``bias`` (4 filters,), with the columns of the gates in the order i, f, g, o; the output is the
    last h (batch, *new sizes, filters), or with ``return_sequences`` all (batch, steps,
    *new sizes, filters). The states are h and c.

    Args:
        filters: number of channels of the states.
        kernel_size: the three sizes of both kernels, an integer for all.
        strides: distance between neighbouring windows on x, an integer or one for each axis.
        padding: of x: ``"valid"`` for windows inside it, ``"same"`` for zeros on both sides, so
            that the states have the size of x divided by the stride, rounded up. That of h is
            always ``"same"``.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of W, an integer or one for each axis.
        activation: in place of tanh.
        recurrent_activation: s, of the gates i, f and o.
        use_bias: whether to add ``b``.
        kernel_initializer: fills ``W``.
        recurrent_initializer: fills ``U``.
        bias_initializer: fills ``b``.
        unit_forget_bias: whether the bias of f starts at 1, so that c is kept at first.
        kernel_regularizer: penalty on ``W``.
        recurrent_regularizer: penalty on ``U``.
        bias_regularizer: penalty on ``b``.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        kernel_constraint: constraint applied to ``W`` after each update.
        recurrent_constraint: constraint applied to ``U`` after each update.
        bias_constraint: constraint applied to ``b`` after each update.
        dropout: fraction of the entries of x to drop in training, in [0, 1); each gate drops
            others, all steps of a sample the same.
        recurrent_dropout: the same for h where it meets ``U``.
        seed: seed of a random stream for the dropout of this layer alone; by default the stream is
            derived from the model's seed.
        return_sequences: return the output of every step, instead of the last one.
        return_state: return the states after the last step too: a tuple of the output and them.
        go_backwards: start with the last step; the outputs are in the order of their computation.
        stateful: start from the states in which the last batch ended; see :class:`RNN`.
        kwargs: ``zero_output_for_mask``: see :class:`RNN`; ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or a size is unknown.

    Source:
        X. Shi et al., "Convolutional LSTM network: a machine learning approach for precipitation
        nowcasting", NIPS 2015, equation (3), without the terms of c in the gates.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.ConvLSTM3D(4, 3, padding="same")
        >>> layer.forward(np.ones((2, 3, 4, 4, 4, 1)), training=True).shape
        (2, 4, 4, 4, 4)
        >>> layer.backward(np.ones((2, 4, 4, 4, 4))).shape, layer.d_recurrent_kernel.shape
        ((2, 3, 4, 4, 4, 1), (3, 3, 3, 4, 16))
    """

    _rank = 3

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return _examples(3, 3, 3)
