"""Symbolic values: what calling a layer on :func:`netlayers.Input` returns.

A symbolic value has a shape and knows the call that computes it, and no numbers. A functional model
follows these calls from its outputs back to its inputs.
"""

from __future__ import annotations

from operator import add, mul, sub, truediv
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from netlayers.checks import is_several
from netlayers.core.building import abstract_build
from netlayers.core.shapes import shown_shape
from netlayers.errors import ConfigurationError
from netlayers.registry import lookup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlayers._typing import Shape
    from netlayers.core.protocols import LayerLike


_OPERATIONS = {"add": add, "subtract": sub, "multiply": mul, "divide": truediv}


_DTYPES = {"integer": "int64", "boolean": "bool"}


class SymbolicCall(NamedTuple):
    """One call of a layer.

    Attributes:
        layer: the layer.
        inputs: what it was called on; none for the layer of an input.
        outputs: the values it returned.
        options: further arguments of ``forward``; ``training=False`` computes it as at inference in
            training too.
    """

    layer: LayerLike
    inputs: tuple[SymbolicValue, ...]
    outputs: list[SymbolicValue]
    options: dict[str, Any]


class SymbolicValue:
    """The value that a call of a layer will have, without its numbers.

    ``+``, ``-``, ``*``, ``/``, ``**`` and indexing make further layers: ``a + b`` is
    ``Add()([a, b])``, ``2 * a`` is ``Rescaling(2)(a)``, ``a[:, 0]`` is ``GetItem``.

    Args:
        shape: with the batch first, which is ``None``.
        call: the call that computes it.
        item: which of several outputs it is; ``None`` if there is one.

    Attributes:
        shape: its shape.

    Example:
        >>> import netlayers as nl
        >>> x = nl.Input((3,))
        >>> nl.layers.Dense(2)(x) + 1
        <SymbolicValue (batch, 2) of layer 'rescaling'>
    """

    def __init__(self, shape: Shape, call: SymbolicCall, item: int | None = None) -> None:
        self.shape, self.call, self.item = shape, call, item

    def __repr__(self) -> str:
        return f"<SymbolicValue {shown_shape(self.shape)} of {self.call.layer.owner}>"

    @property
    def ndim(self) -> int:
        """Number of axes, including the batch."""
        return len(self.shape)

    @property
    def name(self) -> str:
        """Name of the layer that computes it."""
        return self.call.layer.name

    @property
    def dtype(self) -> str:
        """Name of the dtype that it will have."""
        layer: Any = self.call.layer
        kind = layer._output_kind if self.call.inputs else layer.input_spec.dtype
        return str(layer.compute_dtype) if kind == "float" else _DTYPES.get(kind, kind)

    # Operators -------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return self._with("Add", other) or self._rescaled(1.0, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._with("Subtract", other) or self._rescaled(1.0, -other)

    def __rsub__(self, other: Any) -> Any:
        return self._rescaled(-1.0, other)

    def __mul__(self, other: Any) -> Any:
        return self._with("Multiply", other) or self._rescaled(other, 0.0)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, SymbolicValue):
            self._refuse("divided by another; write Lambda(lambda x: x[0] / x[1])([a, b])")
        return self._rescaled(1.0 / other, 0.0)

    def __pow__(self, exponent: Any) -> Any:
        if not isinstance(exponent, int) or exponent < 2:
            self._refuse(f"raised to {exponent!r}; only to an integer of at least 2")
        return made("Multiply")([self] * exponent)

    def __neg__(self) -> Any:
        return self._rescaled(-1.0, 0.0)

    def __getitem__(self, index: Any) -> Any:
        return made("GetItem", index=index)(self)

    def _with(self, kind: str, other: Any) -> Any:
        return made(kind)([self, other]) if isinstance(other, SymbolicValue) else None

    def _rescaled(self, scale: Any, offset: Any) -> Any:
        return made("Rescaling", scale=scale, offset=offset)(self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Return ``number * value`` and the like, where the number is one of NumPy."""
        operation = _OPERATIONS.get(ufunc.__name__)
        numbers = [v for v in inputs if not isinstance(v, SymbolicValue)]
        if method != "__call__" or operation is None or options or any(map(np.ndim, numbers)):
            self.__array__()
        scalars = (np.generic, np.ndarray)  # arrays of no axis
        return operation(*(v.item() if isinstance(v, scalars) else v for v in inputs))

    # What needs numbers ----------------------------------------------------------------------

    def __bool__(self) -> bool:
        return True  # also of "value or other"; comparisons are by identity

    def __iter__(self) -> NoReturn:
        self._refuse("iterated over; take parts of it by an index, such as value[:, 0]")

    def __float__(self) -> NoReturn:
        self._refuse("turned into a number")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse(
            "used in a NumPy function. Use a layer, such as Add, Multiply or Lambda, which also "
            "has a derivative"
        )

    def _refuse(self, what: str) -> NoReturn:
        raise ConfigurationError(f"{self!r} has no numbers yet and cannot be {what}.")


def made(kind: str, **config: Any) -> Any:
    """Return a new layer of a registered class."""
    return lookup("layer", kind)(**config)


def symbols_in(x: Any) -> list[SymbolicValue]:
    """Return the symbolic values in a value, a list or tuple, or a dict."""
    if isinstance(x, SymbolicValue):
        return [x]
    if isinstance(x, dict):
        x = list(x.values())
    return [v for v in x if isinstance(v, SymbolicValue)] if isinstance(x, (list, tuple)) else []


def call_layer(layer: LayerLike, x: Any, training: bool | None, mask: Any, **options: Any) -> Any:
    """Build a layer for symbolic values, and return its symbolic output, or a list of several.

    Args:
        layer: the layer; its weights are declared, and allocated in a model or on first use.
        x: a symbolic value, a list or tuple, or a dict by the names of the layer's inputs.
        training: ``False`` for the output at inference, in training too.
        mask: must be ``None``: masks follow the values.
        options: further arguments of ``forward`` and ``compute_output_shape``; the layer is built.

    Raises:
        ConfigurationError: arrays and symbolic values are mixed, or an argument is not supported.
        ShapeError: the layer does not take these shapes.
    """
    if "_symbolic_calls" not in vars(layer):
        raise ConfigurationError(
            f"{type(layer).__name__}.__init__() must call super().__init__(**kwargs)."
        )
    if training or mask is not None:
        argument = f"training={training}" if training else "mask"
        raise ConfigurationError(
            f"{layer.owner}: {argument} is no argument of a symbolic call: fit() trains, predict() "
            "does not, and masks follow the values."
        )
    several = not isinstance(x, SymbolicValue)
    if isinstance(x, dict):
        x = _by_name(layer, x)
    values = tuple(x) if several else (x,)
    others = [v for v in values if not isinstance(v, SymbolicValue)]
    if others:
        raise ConfigurationError(
            f"{layer.owner}: symbolic values and {type(others[0]).__name__} cannot be mixed in a "
            "call. A constant is an argument of a layer, such as Rescaling(scale, offset)."
        )
    if several and len(values) == 1 and not isinstance(layer.input_spec, tuple):
        several = False
    shapes: Any = tuple(v.shape for v in values) if several else values[0].shape
    with abstract_build():
        if not layer.built:
            layer.build(shapes)
        elif not options:
            layer.check_input_shape(shapes)
        out = layer.compute_output_shape(shapes, **options)
    given = {"training": False} if training is False else {}
    return record(layer, values, out, {**given, **options})


def record(
    layer: LayerLike, inputs: tuple[SymbolicValue, ...], shape: Any, options: dict[str, Any]
) -> Any:
    """Record a call of a layer; return its output, or the list of its outputs."""
    call = SymbolicCall(layer, inputs, [], options)
    if is_several(shape):
        call.outputs.extend(SymbolicValue(one, call, i) for i, one in enumerate(shape))
    else:
        call.outputs.append(SymbolicValue(tuple(shape), call))
    layer._symbolic_calls.append(call)
    return layer._as_returned(call.outputs)


def recorded_call(layer: LayerLike) -> SymbolicCall:
    """Return the symbolic call of a layer; a model that was loaded or copied is called again.

    Raises:
        ConfigurationError: there is none, or there are several.
    """
    calls: list[SymbolicCall] = layer._symbolic_calls
    if not calls:
        for container in layer._containers:
            getattr(container, "_call_symbolically", lambda: None)()
    if len(calls) != 1:
        count = f"was called {len(calls)} times" if calls else "was not called on a symbolic value"
        raise ConfigurationError(
            f"{layer.owner}: it {count}, so it has no single input and output. Take the values "
            "that its calls returned, or that of another layer."
        )
    return calls[0]


def _by_name(layer: LayerLike, given: Mapping[str, Any]) -> list[Any]:
    names = getattr(layer, "input_names", None)
    if names is None or set(names) != set(given):
        takes = f"takes inputs by the names {', '.join(names)}" if names else "takes no dict"
        raise ConfigurationError(f"{layer.owner}: it {takes}, got {', '.join(map(str, given))}.")
    return [given[name] for name in names]


def calls_up_to(outputs: list[SymbolicValue], inputs: list[SymbolicValue]) -> list[SymbolicCall]:
    """Return the calls between inputs and outputs, each after those that it depends on.

    Depth-first search in postorder: a topological order.

    Source:
        T. H. Cormen, C. E. Leiserson, R. L. Rivest, C. Stein, "Introduction to Algorithms", 3rd
        edition, 2009, section 22.4.

    Raises:
        ConfigurationError: an output depends on an input that is not among ``inputs``.
    """
    given = {id(value) for value in inputs}
    done: set[int] = set()
    order: list[SymbolicCall] = []
    for output in outputs:
        todo: list[tuple[SymbolicValue, bool]] = [(output, False)]
        while todo:
            value, inner_done = todo.pop()
            call = value.call
            if id(value) in given or id(call) in done:
                continue
            if inner_done:
                done.add(id(call))
                order.append(call)
                continue
            if not call.inputs:
                raise ConfigurationError(
                    f"Model: the outputs depend on the input {call.layer.name!r}, which is not "
                    "among inputs; add it to them."
                )
            todo.append((value, True))
            todo += [(v, False) for v in reversed(call.inputs)]
    return order
