"""The ``Model`` class: a model that is trained, saved, shown and diagnosed by its methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers import saving
from netlayers.models import keras_names, lbfgs
from netlayers.models.derived import are_symbolic, functional_class, is_described
from netlayers.models.subclassed import SubclassedModel
from netlayers.models.summary import Summary, print_summary
from netlayers.registry import lookup

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from netlayers._typing import Array, ArrayLike
    from netlayers.callbacks import History
    from netlayers.diagnostics import ActivationHistograms, Diagnosis, LossSurface, ProfileReport
    from netlayers.trace import Trace

_SYMBOLS = ("inputs", "outputs")


class Model(SubclassedModel):
    """Base class of models.

    Each method here calls one function, which has the details. Diagnostics, traces and plots are
    loaded on first use: importing them takes longer than importing the rest of the package.

    Attributes:
        optimizer: set by :meth:`compile`.
        loss: set by :meth:`compile`.
        history: the History of the last :meth:`fit`, even if it was interrupted.
        stop_training: a callback sets it to end the run after the current batch.

    ``Model(inputs, outputs)`` of symbolic values makes a :class:`netlayers.models.Functional`. A
    class derived from ``Model`` defines ``forward`` and ``backward``:

    Example:
        >>> import numpy as np, netlayers as nl
        >>> class Gated(nl.Model):
        ...     def __init__(self, units):
        ...         super().__init__(seed=0)
        ...         self.values = nl.layers.Dense(units)
        ...         self.gate = nl.layers.Dense(units, "sigmoid")
        ...     def forward(self, x, training=False):
        ...         a, b = self.values.forward(x, training), self.gate.forward(x, training)
        ...         if training:
        ...             self.cache.a, self.cache.b = a, b
        ...         return a * b
        ...     def backward(self, dy):
        ...         da, db = dy * self.cache.b, dy * self.cache.a
        ...         return self.values.backward(da) + self.gate.backward(db)
        >>> x = np.random.default_rng(0).normal(size=(8, 3))
        >>> nl.check_gradients(Gated(2), x).passed
        True
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return an object of the class; of ``Functional``, for ``Model(inputs, outputs)``."""
        if cls is Model:
            if len(args) + len({"inputs", "outputs"} & set(kwargs)) < 2:
                raise TypeError(
                    "Model(inputs, outputs) takes values of Input() and what layers return for "
                    "them; a class derived from Model has its own forward() and backward()."
                )
            return lookup("layer", "Functional")(*args, **kwargs)
        if are_symbolic(args, kwargs):  # those of Functional, which an object of the class becomes
            kwargs = {name: its for name, its in kwargs.items() if name not in _SYMBOLS}
        return super().__new__(cls, *args, **kwargs)

    def fit_lbfgs(
        self,
        x: Any,
        y: ArrayLike | None = None,
        max_iterations: int = 100,
        *,
        gradient_tolerance: float = 1e-5,
        loss_tolerance: float = 1e-9,
        history_size: int = 10,
        max_line_search: int = 20,
        sample_weight: ArrayLike | None = None,
        validation_data: Any = None,
        callbacks: Sequence[Any] | Any | None = None,
        verbose: int | str | bool = "auto",
    ) -> History:
        """Train with L-BFGS: all data in one batch, a line search instead of a learning rate.

        For small data sets and smooth networks (tanh rather than ReLU). Iterations count as epochs.
        See :func:`netlayers.models.lbfgs.fit_lbfgs`.
        """
        return lbfgs.fit_lbfgs(
            self,
            x,
            y,
            max_iterations,
            gradient_tolerance=gradient_tolerance,
            loss_tolerance=loss_tolerance,
            history_size=history_size,
            max_line_search=max_line_search,
            sample_weight=sample_weight,
            validation_data=validation_data,
            callbacks=callbacks,
            verbose=verbose,
        )

    # Keras's names -----------------------------------------------------------------------------

    @property
    def metrics_names(self) -> list[str]:
        """The names of the results of ``evaluate``; ``["loss"]`` before the first data."""
        names = ["loss"] if self._steps is None else self._steps.log_names()
        return [name for name in names if name != "grad_norm"]

    def reset_metrics(self) -> None:
        """Reset the metrics; ``fit``, ``evaluate`` and the ``..._on_batch`` methods do so too."""
        if self._steps is not None:
            self._steps.reset()

    def predict_step(self, data: Any) -> Any:
        """Return the outputs for ``data``: ``x``, ``(x,)`` or ``(x, y)``."""
        return self.predict_on_batch(data[0] if isinstance(data, (tuple, list)) else data)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return the arguments of :meth:`compile` as plain data; ``None`` before it."""
        return keras_names.compile_config(self)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what :meth:`get_compile_config` returned; the optimizer starts anew.

        Args:
            config: the dict.
        """
        keras_names.compile_from_config(self, config)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Create a model from the result of ``get_config``; it is not compiled.

        Args:
            config: the constructor arguments as plain data.
            custom_objects: additional classes by name.
        """
        with saving.CustomObjectScope(custom_objects or {}):
            if is_described(cls, config):
                made: Any = functional_class(cls)
                return made.from_config(config)
            return super().from_config(config)

    # Show ------------------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        return Summary(self)._repr_html_()

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = True,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print a table of the layers: output shapes, parameters, bytes, trainable or not.

        See :func:`netlayers.models.summary.print_summary`.
        """
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

    @property
    def compiled(self) -> bool:
        """Whether :meth:`compile` was called."""
        return self.optimizer is not None

    def plot(
        self,
        to_file: str | os.PathLike[str] | None = None,
        show_shapes: bool = True,
        show_layer_names: bool = True,
        expand_nested: bool = True,
        dpi: int = 200,
        rankdir: str | None = None,
    ) -> Any:
        """Draw the network as :func:`netlayers.plotting.plot_network`; return the figure.

        Args:
            to_file: path of the image to save; the extension selects the format (png, svg, pdf).
            show_shapes: whether to show output shapes.
            show_layer_names: whether to show layer names in addition to classes.
            expand_nested: whether to draw the layers of nested layers, in frames.
            dpi: resolution in dots per inch.
            rankdir: ``"TB"`` from top to bottom, ``"LR"`` from left to right; by default a chain
                goes down, and a graph goes to the right if it is long or has many inputs.
        """
        from netlayers.plotting.network import plot_network

        flags = show_shapes, show_layer_names, expand_nested
        return plot_network(self, to_file, *flags, dpi, rankdir)

    # Save ------------------------------------------------------------------------------------

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        *,
        allow_nonfinite: bool = False,
    ) -> None:
        """Save architecture, weights, settings of ``compile``, optimizer and random streams.

        :func:`netlayers.load_model` restores the model; training continues with bitwise identical
        results. See :func:`netlayers.saving.save_model`.
        """
        saving.save_model(self, filepath, overwrite, allow_nonfinite=allow_nonfinite)

    def save_weights(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        *,
        allow_nonfinite: bool = False,
    ) -> None:
        """Save only the weights and running statistics by :func:`netlayers.saving.save_weights`.

        Args and errors: see :func:`netlayers.saving.save_model`.
        """
        saving.save_weights(self, filepath, overwrite, allow_nonfinite=allow_nonfinite)

    def load_weights(
        self,
        filepath: str | os.PathLike[str],
        skip_mismatch: bool = False,
        *,
        strict: bool = False,
    ) -> None:
        """Load weights by their names from a file of :meth:`save_weights` or :meth:`save`.

        Floats of another precision are converted; ``strict=True`` raises instead. See
        :func:`netlayers.saving.load_weights`.
        """
        saving.load_weights(self, filepath, skip_mismatch, strict=strict)

    def to_json(self, **kwargs: Any) -> str:
        """Return the architecture, without weights, as JSON.

        :func:`netlayers.models.model_from_json` creates a model from it. ``kwargs`` are those of
        ``json.dumps``, such as ``indent=2``. See :func:`netlayers.saving.model_to_json`.
        """
        return saving.model_to_json(self, **kwargs)

    # Diagnose --------------------------------------------------------------------------------

    def diagnose(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        batch_size: int = 32,
        verbose: int = 1,
        validation_data: Any = None,
    ) -> Diagnosis:
        """Explain why the network does not learn, and what to try.

        A copy of the model is trained for 20 updates or some more; the model does not change.
        ``verbose=0`` prints nothing. ``validation_data`` must have no row of x. See
        :func:`netlayers.diagnostics.diagnose`.

        Example:
            >>> import numpy as np, netlayers as nl
            >>> model = nl.Sequential([nl.layers.Dense(1, kernel_initializer="zeros")], seed=0)
            >>> model.compile("sgd", "mse")
            >>> x = np.random.default_rng(0).normal(size=(200, 3))
            >>> report = model.diagnose(1000 * x, x.sum(axis=1), verbose=0)
            >>> "inputs not scaled" in [finding.illness for finding in report.findings]
            True
        """
        from netlayers.diagnostics import diagnose

        return diagnose(
            self,
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            verbose=verbose,
            validation_data=validation_data,
        )

    def gradients_of(
        self,
        names: str | Sequence[str],
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> dict[str, Any]:
        """Return the gradients of the loss with respect to inputs and outputs of layers.

        See :func:`netlayers.diagnostics.gradients_of`.
        """
        from netlayers.diagnostics import gradients_of

        return gradients_of(self, names, x, y, sample_weight)

    def activation_histograms(self, x: Any, bins: int = 60) -> ActivationHistograms:
        """Return histograms of the outputs of each layer for a batch, at inference.

        See :func:`netlayers.diagnostics.activation_histograms`.
        """
        from netlayers.diagnostics import activation_histograms

        return activation_histograms(self, x, bins)

    def loss_surface(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        size: int = 25,
        span: float = 1.0,
        trajectory: Sequence[Array] | None = None,
        seed: int = 0,
    ) -> LossSurface:
        """Compute the loss in a plane through the weights, on a copy of the model.

        See :func:`netlayers.diagnostics.loss_surface`.
        """
        from netlayers.diagnostics import loss_surface

        return loss_surface(
            self, x, y, sample_weight, size=size, span=span, trajectory=trajectory, seed=seed
        )

    def trace(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        digits: int = 4,
        rows: int = 6,
        columns: int = 6,
    ) -> Trace:
        """Return a trace of one training step, made on a copy.

        Print the result, or ``save("trace.html")`` it as a page to step through. See
        :func:`netlayers.trace.trace_step`.
        """
        from netlayers.trace import trace_step

        return trace_step(self, x, y, sample_weight, digits=digits, rows=rows, columns=columns)

    def profile(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        steps: int = 30,
    ) -> ProfileReport:
        """Profile a training step of a copy; the result prints as a table.

        See :func:`netlayers.diagnostics.profile`.
        """
        from netlayers.diagnostics import profile

        return profile(self, x, y, sample_weight, steps=steps)
