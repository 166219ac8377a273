"""Models that a user writes as a class with ``forward`` and ``backward``."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import each, one, shapes_of
from netlayers.checks import is_foreign
from netlayers.core.building import abstract_build
from netlayers.core.calls import Call
from netlayers.core.hooks import observed
from netlayers.core.inputs import specs_of
from netlayers.core.keras_layers import methods_to_write
from netlayers.core.layer import Layer
from netlayers.core.shapes import any_batch, listed_shapes
from netlayers.errors import ConfigurationError, MissingMethodError
from netlayers.layers.containers import Chain
from netlayers.layers.graph import CallGraph
from netlayers.layers.network import Network
from netlayers.models import derived, keras_names
from netlayers.models.layered import LayeredModel
from netlayers.registry import lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlayers._typing import ArrayLike, Shape

_DTYPES = {"integer": np.int64, "boolean": bool, "string": "U1"}


class SubclassedModel(LayeredModel):
    """What a class derived from ``Model`` needs besides its ``forward`` and ``backward``.

    The layers are the attributes that are layers, and those in attributes that are lists, tuples or
    dicts. The first data build them: ``forward`` runs on one sample of zeros, for the shapes.
    """

    _output: Any = None  # its shape
    activation: Any = None  # forward says how the output is computed

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if derived.are_symbolic(args, kwargs) and is_foreign(type(self)):
            cls: Any = derived.functional_class(type(self))
            if type(self) is not cls:
                self.__class__ = cls
                lookup("layer", "Functional").__init__(self, *args, **kwargs)
                return
        super().__init__(*args, **kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith("netlayers."):
            for name, guard in (("forward", _guarded_forward), ("backward", _guarded_backward)):
                if name in vars(cls):
                    setattr(cls, name, guard(vars(cls)[name]))
            runs = cls.forward is not Network.forward or issubclass(cls, (Chain, CallGraph))
            if "train_step" in vars(cls) and not runs:
                cls.forward = _no_forward  # type: ignore[method-assign, assignment]

    def build(self, input_shape: Shape) -> None:
        """Find the layers, and build them by running ``forward`` on one sample of zeros.

        Args:
            input_shape: input shape with the batch first, such as ``(None, 784)``.

        Raises:
            ConfigurationError: ``forward`` calls a layer twice or not at all, or there is none.
        """
        for layer in self._layers_in_attributes():
            if layer not in self.layers:
                self._add_sublayer(layer)
        if type(self).forward is _no_forward:
            self._take_built_layers(input_shape)
            return
        if not self.layers:
            raise ConfigurationError(
                f"{self.owner}: it has no layers; set them as attributes in __init__()."
            )
        if type(self).forward is Network.forward and not isinstance(self, (Chain, CallGraph)):
            raise MissingMethodError(
                methods_to_write(self)
                if hasattr(self, "call")
                else f"{self.owner} ({type(self).__name__}): it must define forward(x, "
                "training=False) and backward(dy); or call Model(inputs, outputs)."
            )
        counts = {id(layer): 0 for layer in self.layers}

        def count(layer: Layer, method: str, given: Any, run: Callable[[], Any]) -> Any:
            if method == "forward" and id(layer) in counts and not isinstance(layer, Call):
                counts[id(layer)] += 1
            return run()

        shapes = zip(listed_shapes(input_shape), specs_of(self), strict=True)
        x = one(
            [
                np.zeros([size or 1 for size in shape], _DTYPES.get(spec.dtype, self._dtype))
                for shape, spec in shapes
            ]
        )
        before = [layer for layer in self.layers if layer.built]
        try:
            with abstract_build(), observed(self, count):
                y = self.forward(x)
            self._check_calls(counts)
        except BaseException:
            self._built_here = [layer for layer in self.layers if layer not in before]
            self._unbuild()
            raise
        self._output = any_batch(shapes_of(y))
        self._collect_parameters()

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of what ``forward`` returned for one sample."""
        shape: Shape = self._output
        return shape

    # Steps that a class may override ---------------------------------------------------------

    def compute_loss(
        self,
        x: Any = None,
        y: ArrayLike | None = None,
        y_pred: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        training: bool = True,
    ) -> float:
        """Return the loss of predictions, with the penalties of the weights.

        A class may override it, with :meth:`compute_loss_gradient` below it. ``fit`` then calls
        both, and adds the penalties itself, with their gradients.

        Args:
            x: the inputs; the loss of ``compile`` does not need them.
            y: targets.
            y_pred: what the model returned.
            sample_weight: weights of the samples.
            training: whether the batch is trained on.
        """
        return keras_names.compute_loss(self, y, y_pred, sample_weight)

    def compute_loss_gradient(self) -> Any:
        """Return the derivative of the last :meth:`compute_loss` with respect to ``y_pred``.

        That of penalties is not part of it: for regularizers,
        ``self.parameters.add_regularization_gradients()`` adds it after ``backward``; for terms of
        ``add_loss``, ``backward`` of their layers does.

        Example:
            Errors of large targets count less; ``fit`` needs no more than this.

            >>> import numpy as np, netlayers as nl
            >>> class Relative(nl.Sequential):
            ...     def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            ...         self.cache.error = (y_pred - y[:, None]) / np.abs(y[:, None])
            ...         return np.mean(self.cache.error**2)
            ...     def compute_loss_gradient(self):
            ...         error = self.cache.error
            ...         return 2 / error.size * error
        """
        return keras_names.compute_loss_gradient(self)

    def compute_metrics(
        self, x: Any, y: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> dict[str, Any]:
        """Add a batch to the metrics of ``compile``; return the results of all metrics."""
        return keras_names.compute_metrics(self, y, y_pred, sample_weight)

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the results of :attr:`metrics` by their names."""
        return keras_names.metrics_result(self)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Make one update with ``(x, y)`` or ``(x, y, sample_weight)``; return the results.

        ``fit`` and ``train_on_batch`` call it where a class overrides it: it then makes forward
        pass, backward pass and update, and returns a dict of results, those of the epoch so far.
        ``super().train_step(data)`` is the usual step.

        Example:
            >>> import numpy as np, netlayers as nl
            >>> class Noisy(nl.Sequential):
            ...     def train_step(self, data):
            ...         x, y = data
            ...         return super().train_step((x + self.rng.normal(0, 0.1, x.shape), y))
            >>> model = Noisy([nl.layers.Dense(1)], seed=0)
            >>> model.rng = np.random.default_rng(0)
            >>> model.compile("sgd", "mse")
            >>> history = model.fit(np.eye(4), np.ones(4), epochs=2, verbose=0)
            >>> list(history.history)
            ['loss']
        """
        return keras_names.step(self, "train_step", data)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Return the results for ``(x, y)`` or ``(x, y, sample_weight)``.

        ``evaluate``, validations and ``test_on_batch`` call it where a class overrides it.
        """
        return keras_names.step(self, "test_step", data)

    # Details ---------------------------------------------------------------------------------

    def _take_built_layers(self, input_shape: Shape) -> None:
        """Build a model that only has a ``train_step``: its layers must be built."""
        unbuilt = [layer for layer in self.layers if not layer.built]
        if unbuilt:
            raise ConfigurationError(
                f"{self.owner}: its layer {unbuilt[0].name!r} is not built, and there is no "
                "forward() that shows the shape of its input; begin it with nl.Input(shape)."
            )
        self._output = input_shape
        self._collect_parameters()

    def _check_calls(self, counts: dict[int, int]) -> None:
        for layer in self.layers:
            count = counts[id(layer)]
            if count == 1 or (count == 0 and not is_foreign(layer) and not layer.trainable):
                continue
            if count == 0:
                raise ConfigurationError(
                    f"{self.owner}: forward() does not call forward of its layer {layer.name!r}; "
                    "call it, or remove the attribute."
                )
            raise ConfigurationError(
                f"{self.owner}: forward() calls the layer {layer.name!r} {count} times, and each "
                "call overwrites what backward() needs. Write nl.Model(inputs, outputs), which "
                "adds up the gradients of several calls, or make another layer."
            )

    def _layers_in_attributes(self) -> Iterator[Layer]:
        own = ("layers", "calls", "_built_here")
        for name, value in vars(self).items():
            if name in own:
                continue
            if isinstance(value, dict):
                value = list(value.values())
            for item in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(item, Layer):
                    yield item

    def _call_layers(self) -> tuple[list[Any], list[Any]]:
        raise ConfigurationError(
            f"{self.owner}: a model of a class of your own has no symbolic inputs and outputs."
        )


def _no_forward(self: SubclassedModel, x: Any, training: bool = False) -> Any:
    """Raise: a class with ``train_step`` need not have a ``forward``, until it is used."""
    raise ConfigurationError(
        f"{self.owner} ({type(self).__name__}): it has no forward(x, training=False), which "
        "predict() and calls of the model need; call its layers."
    )


def _guarded_forward(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a user's ``forward``: its input is checked, and the model built for it."""

    @functools.wraps(forward)
    def guarded(self: SubclassedModel, x: Any, training: bool = False, **options: Any) -> Any:
        if "_building" not in vars(self):
            x = self.prepare(x)
        y = forward(self, x, training, **options)
        for part in each(y):
            if not isinstance(part, np.ndarray):
                raise ConfigurationError(
                    f"{self.owner} ({type(self).__name__}): forward() must return an array, or a "
                    f"tuple of arrays, got {type(part).__name__}."
                )
        return y

    return guarded


def _guarded_backward(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a user's ``backward``: it need not know that dL/dx is not always needed."""

    @functools.wraps(backward)
    def guarded(self: SubclassedModel, dy: Any, input_gradient: bool = True) -> Any:
        return backward(self, dy)

    return guarded
