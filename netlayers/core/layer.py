"""The ``Layer`` class: ``forward`` computes, ``backward`` turns dL/dy into dL/dx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from netlayers.arrays.convert import as_float
from netlayers.arrays.spec import FLOAT
from netlayers.checks import check_shape, is_several
from netlayers.core.building import checked_build
from netlayers.core.calls import Call
from netlayers.core.inputs import check_shapes, prepared
from netlayers.core.keras_layers import methods_to_write, refuse_sublayers
from netlayers.core.module import Module
from netlayers.core.parameters import Parameters
from netlayers.core.penalties import add_penalty, collect_penalties
from netlayers.core.symbolic import call_layer, recorded_call, symbols_in
from netlayers.errors import ConfigurationError, MissingMethodError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Array, Dtype, Examples, Shape
    from netlayers.arrays.spec import InputSpec, Kind


class Layer(Module):
    """Base class of all layers.

    Subclasses implement :meth:`forward` and :meth:`backward`, :meth:`build` if they have weights,
    and :meth:`compute_output_shape` if the output shape differs from the input shape.

    Args:
        name: unique within a model; by default the class name in snake case, numbered.
        trainable: ``False`` freezes the weights.
        dtype: ``"float32"`` or ``"float64"``; by default that of the model, ``"float32"`` outside
            of a model.
        learning_rate_multiplier: factor on the learning rate of these weights; 0 freezes them.
        autocast: accepted as in Keras, without effect: a model computes in one dtype.
        input_shape: shape of a sample, for the first layer of a ``Sequential``, which is then built
            at once, as with :class:`netlayers.layers.Input`.
        input_dim: the same for samples of one axis: its size.

    Memory: what ``forward`` and ``backward`` return belongs to the layer and is valid until its
    next ``forward`` or ``backward``. Neither changes the array it is given, which is read-only in a
    class of your own.

    State: a class that keeps more than weights and states in its attributes may define
    ``get_state()``, which returns it as numbers, strings, arrays and random generators, in lists
    and dicts, and ``set_state(state)``. Model files and backups then hold it. Losses and optimizers
    may define them too.

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

    # Whether its backward takes input_gradient=False, which skips dL/dx in the first such layer.
    can_skip_input_gradient = False
    # Whether its forward may call add_loss; true in classes of the user.
    _adds_penalty = False
    # Layers whose output is the same in training and inference: no dropout, no batch statistics.
    same_in_training = True
    # Layers whose forward and backward also accept a SciPy CSR matrix as x.
    takes_sparse = False
    # The inputs of forward: one spec, or a tuple of specs for a tuple of arrays.
    input_spec: InputSpec | tuple[InputSpec, ...] = FLOAT
    # Kind of the output: integers and strings have no gradient.
    _output_kind: Kind = "float"
    # Layers whose forward takes mask=, and layers that propagate the mask of their input.
    takes_mask = False
    supports_masking = False
    _any_inputs = False  # whether it takes any number of float inputs, from 2
    _combines_masks = False  # whether it makes its mask of those of its inputs
    _converted = prepared  # what prepare returns for other inputs than ready arrays
    _check_sublayers = refuse_sublayers  # after build
    if TYPE_CHECKING:  # the sublayers of a layer are layers

        @property
        def _sublayers(self) -> Sequence[Layer]: ...
        def _flatten_layers(self) -> Iterator[Layer]: ...

    _reads: ClassVar[dict[str, None]] = dict.fromkeys(("forward", "backward", "compute_mask"))
    # Constructor arguments that are no attributes: the shape of the built model has them.
    _not_stored: tuple[str, ...] = ("input_shape", "input_dim")
    # Number of the active call; see new_call.
    _call_number = 1

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        learning_rate_multiplier: float = 1.0,
        autocast: bool = True,
        input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
    ) -> None:
        super().__init__(
            name=name,
            trainable=trainable,
            dtype=dtype,
            learning_rate_multiplier=learning_rate_multiplier,
        )
        self._first_shape: Shape | None = None
        given = input_shape if input_dim is None else (input_dim,)
        if given is not None:
            self._first_shape = (None, *check_shape(type(self).__name__, "input_shape", given))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith("netlayers."):
            cls._adds_penalty = True
        if "build" in vars(cls):
            cls.build = checked_build(vars(cls)["build"])  # type: ignore

    @staticmethod
    def examples() -> Examples:
        """Return ``[(arguments, input_shape), ...]``: what ``netlayers.testing`` tries it on.

        Together the examples set each optional argument to a value other than its default.
        """
        return [({}, (4, 3))]

    # What a subclass writes ------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Declare the weights with :meth:`add_weight`; nothing is allocated yet.

        Args:
            input_shape: with the batch first, ``None`` for an axis of any length.
        """

    def _after_build(self) -> None:
        """Run after :meth:`build`, when the shapes are known."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output for a shape of the input, both with the batch first.

        Several inputs or outputs have a tuple of shapes. By default the output has the input shape.
        """
        if is_several(input_shape):
            raise ConfigurationError(
                f"{self.owner} ({type(self).__name__}): a layer with several inputs must define "
                "compute_output_shape(input_shape), which takes a tuple of shapes."
            )
        return input_shape

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the output for the batch ``x``; with ``training``, cache what backward needs."""
        if hasattr(self, "call"):
            self.prepare(x)  # the message names the weights, which build() declares
            raise MissingMethodError(methods_to_write(self))
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, training=False)")

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the mask of the output: booleans (batch, time), or ``None`` for no mask.

        Args:
            x: the input of ``forward``.
            mask: its mask, a tuple of masks for several inputs, or ``None``.
        """
        return mask if self.supports_masking and not isinstance(mask, tuple) else None

    def __call__(
        self, inputs: Any, *more: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        """Return :meth:`forward`, as Keras's layers and models are called.

        Args:
            inputs: the input; of several, the first, or a list or tuple of all. Symbolic values
                give a symbolic output; see :func:`netlayers.Input`.
            more: additional inputs; a single boolean is ``training``.
            training: cache what :meth:`backward` needs. In a symbolic call, ``False`` computes the
                layer as at inference in training too; its weights are trained unless frozen.
            mask: for a layer that takes one.

        Raises:
            ConfigurationError: a mask is given, and the layer does not take one.
        """
        if len(more) == 1 and isinstance(more[0], (bool, np.bool_)):
            training, more = bool(more[0]), ()
        inputs = (inputs, *more) if more else inputs
        if symbols_in(inputs):
            return call_layer(self, inputs, training, mask)
        if mask is None and self._adds_penalty:
            return self._with_penalties(inputs, bool(training))
        if mask is None:
            return self.forward(inputs, bool(training))
        if not self.takes_mask:
            raise ConfigurationError(f"{self.owner} ({type(self).__name__}): takes no mask.")
        return self.forward(inputs, bool(training), mask=mask)  # type: ignore[call-arg]

    def backward(self, dy: Array) -> Array:
        """Return dL/dx for ``dy``, dL/dy, and overwrite each ``d_<weight>`` with dL/dweight."""
        raise MissingMethodError(f"{type(self).__name__} must define backward(dy)")

    # What a subclass uses --------------------------------------------------------------------

    def prepare(self, x: Any) -> Any:
        """Return ``x`` as this layer's input: converted, built for, and checked.

        An array of the right dtype and shape is returned unchanged after four comparisons.

        Raises:
            ShapeError: the shape differs from that the layer was built for.
            DataError: the values are invalid for the layer, or ``x`` is sparse and ``takes_sparse``
                is False.
        """
        if (
            type(x) is np.ndarray
            and x.dtype is self._dtype
            and x.shape[1:] == self._row
            and x.flags.c_contiguous
        ):
            return x
        return self._converted(x)

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the layer cannot take ``shape`` (by default: as built)."""
        check_shapes(self, shape)

    def add_loss(self, value: Any) -> None:
        """Add ``value``, usually a mean over the batch, to the loss of the model.

        Call it in ``forward``; ``backward`` adds its gradient to dL/dx. A regularizer of a weight
        is an argument of :meth:`add_weight` instead.

        Raises:
            ConfigurationError: it is an array.

        Example:
            ``L = ... + 0.1 mean x²``: the values should be small.

            >>> import numpy as np, netlayers as nl
            >>> class Small(nl.Layer):
            ...     def forward(self, x, training=False):
            ...         x = self.prepare(x)
            ...         if training:
            ...             self.cache.x = x
            ...         self.add_loss(0.1 * np.mean(x**2))
            ...         return x
            ...     def backward(self, dy):
            ...         x = self.cache.x
            ...         return dy + 0.2 * x / x.size
            >>> nl.check_gradients(Small(), np.ones((4, 3))).passed
            True
        """
        if np.ndim(value):
            raise ConfigurationError(
                f"{self.owner} ({type(self).__name__}): add_loss() takes a number, got an array of "
                f"shape {np.shape(value)}; take its mean over the batch."
            )
        add_penalty(value)

    def buffer(
        self, name: str, shape: tuple[int, ...], training: bool = True, dtype: Dtype | None = None
    ) -> Array:
        """Return an array of ``shape`` to write into: a reused one in ``training``, else a new one.

        Inference writes to nothing that belongs to the layer, so several threads can predict.
        """
        dtype = dtype or self._dtype
        try:
            if not training:
                return np.empty(shape, dtype)
            made = self.workspace.views.get((name, shape, dtype))
            return self.workspace(name, shape, dtype) if made is None else made
        except (MemoryError, ValueError):  # ValueError: more than any array can hold
            text = f"{self.owner}: an array of the shape {shape} does not fit in memory."
            raise MemoryError(text) from None

    def check_gradient(self, dy: Any, shape: tuple[int, ...]) -> Array:
        """Return ``dy`` as an array of this layer's dtype.

        ``None``, the gradient of an unused output, becomes zeros.

        Raises:
            ShapeError: its shape differs from ``shape``, that of the output.
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

    @property
    def parameters(self) -> Parameters:
        """The parameters and the vectors they lie in, as ``optimizer.step`` takes them."""
        if self._parameters is None:
            if self._vector is None:
                self._require_built()
            assert self._vector is not None
            self._parameters = Parameters(self.declared_parameters, self._vector)
        return self._parameters

    # Keras's names ---------------------------------------------------------------------------

    @property
    def input(self) -> Any:
        """The symbolic input of the layer in a model, or the list of several."""
        inputs = recorded_call(self).inputs
        return inputs[0] if len(inputs) == 1 else list(inputs)

    @property
    def output(self) -> Any:
        """The symbolic output of the layer in a model, or several as it returns them.

        ``Model(model.inputs, model.get_layer("hidden").output)`` is the part of a model that ends
        with a hidden layer, with the same weights.

        Raises:
            ConfigurationError: the layer was not called on a symbolic value, or several times.
        """
        return self._as_returned(recorded_call(self).outputs)

    def _as_returned(self, outputs: Sequence[Any]) -> Any:
        """Return one output, or the list of several."""
        return outputs[0] if len(outputs) == 1 else list(outputs)

    @property
    def variables(self) -> list[Array]:
        """The weights, as views; the same as :attr:`weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Array]:
        """The weights that an optimizer changes; the same as :attr:`trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Array]:
        """The weights that none changes; the same as :attr:`non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def losses(self) -> list[float]:
        """The penalties of the weights, one for each regularizer, and of the last call's outputs.

        There are none before the layer is built, and none of outputs before it is called.
        """
        if not self.built:
            return []
        self._bind_alone()
        of_weights: list[float] = [
            p.regularizer(p.value)  # type: ignore[arg-type]
            for p in self.declared_parameters
            if p.regularizer is not None
        ]
        return of_weights + vars(self).get("_penalties", [])

    def _with_penalties(self, x: Any, training: bool) -> Any:
        """Return :meth:`forward`, and keep the penalties of its outputs for :attr:`losses`."""
        y, penalties = collect_penalties(self.forward, x, training)
        self._penalties = penalties
        for value in penalties:  # for the layers around
            add_penalty(value)
        return y

    def new_call(self) -> Call:
        """Return an additional call of this layer: shared weights, its own cache and buffers.

        ``layer.forward`` and ``layer.backward`` are the first call.

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


Layer.build = checked_build(Layer.build)  # type: ignore
