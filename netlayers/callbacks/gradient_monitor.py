"""Statistics of gradients, weights and activations of every layer during training."""

from __future__ import annotations

import csv as csv_module
import math
from contextlib import ExitStack
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from netlayers.callbacks.reporting import LogFile, as_cell
from netlayers.checks import check_choice, check_integer, check_list, check_path
from netlayers.diagnostics.layer_statistics import MEASURES, StepMeasures, watched_layers
from netlayers.errors import ConfigurationError
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from netlayers._typing import Array, Logs
    from netlayers.core.layer import Layer
    from netlayers.training.callback import RunPlan


class GradientMonitor(Callback):
    """Measures gradients, weights and activations of every layer in some steps of ``fit``.

    The measured steps are those of the training itself, and their results are the same to the bit.
    The measures are ``gradient_norm``, ``weight_norm``, ``update_ratio``, ``clipped``,
    ``activation_mean``, ``activation_std``, ``backprop_rms``, ``time_ratio``, ``dead``,
    ``saturated`` and ``nonfinite``;
    :class:`netlayers.diagnostics.layer_statistics.StepMeasures` defines them. With ``time_ratio``,
    the gradient at each time step of recurrent layers is kept too.

    The values are available

    - in the attributes of this object, for each measured step;
    - in the logs of the step and, averaged over its measured steps, in the logs of the epoch, under
      names such as ``dense/gradient_norm``. So they are in the ``History``, and a ``CSVLogger`` or
      ``TensorBoard`` that follows in ``callbacks`` writes them too (TensorBoard uses these names as
      tags). The progress bar omits them;
    - in the file ``csv``, with a line for each measured step and layer, on disk at once.

    A second ``fit`` starts a new table, unless it continues a run (``initial_epoch`` above 0).

    A step that raises an error is measured as far as it got, if it computed gradients.

    Args:
        every: ``"epoch"`` for the first step of each epoch, or a number n for the first step and
            every n-th.
        layers: paths of the layers to measure, such as ``["dense", "residual/dense"]``; by default
            all that compute something.
        measures: names of the measures; by default all.
        csv: path of a file to write, with the columns ``epoch`` (from 0), ``step`` (from 1),
            ``layer`` and the measures. Missing values and NaN are empty fields.

    Attributes:
        steps: numbers of the measured steps, counted from 1 over the whole run.
        epochs: the epoch of each, counted from 0.
        values: ``values[measure][layer]`` is the list of the values, one for each of ``steps``.
            Layers are ordered from input to output; those without a measure (norms of weights, for
            a layer without weights) are absent. NaN stands for a value that a step did not compute.
        time_steps: ``time_steps[layer]`` is, of a recurrent layer, the list of the norms of the
            gradient at each time step, an array (time steps,) for each of ``steps``; see
            :class:`netlayers.diagnostics.time_steps.TimeSteps`.

    Raises:
        ConfigurationError: a name is not that of a measure or layer; or, before training, the run
            is one of ``fit_lbfgs``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layers = [nl.layers.Dense(8, activation="tanh"), nl.layers.Dense(1)]
        >>> model = nl.Sequential(layers, seed=0)
        >>> model.compile(nl.optimizers.SGD(0.1), "mse")
        >>> monitor = nl.callbacks.GradientMonitor(every=4)
        >>> x = np.linspace(-1, 1, 64)[:, None]
        >>> history = model.fit(x, x**2, 8, epochs=1, callbacks=[monitor], verbose=0)
        >>> monitor.steps, list(monitor.values["gradient_norm"])
        ([1, 4, 8], ['dense', 'dense_1'])
        >>> len(monitor.values["saturated"]["dense"]), "dense/saturated" in history.history
        (3, True)
    """

    def __init__(
        self,
        every: str | int = "epoch",
        layers: Sequence[str] | None = None,
        measures: Sequence[str] | None = None,
        *,
        csv: str | os.PathLike[str] | None = None,
    ) -> None:
        owner = "GradientMonitor"
        if isinstance(every, str):
            self.every: str | int = check_choice(owner, "every", every, ("epoch",))
        else:
            self.every = check_integer(owner, "every", every, minimum=1)
        self.layers = _names(owner, "layers", layers)
        self.measures = _names(owner, "measures", measures) or list(MEASURES)
        for name in self.measures:
            check_choice(owner, "each of measures", name, tuple(MEASURES))
        self.csv = None if csv is None else check_path(owner, "csv", csv)
        self._start()

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            {},
            {"every": 2, "layers": ["out"], "measures": ["gradient_norm"], "csv": "norms.csv"},
        ]

    _goes_on = False  # whether the run has an initial epoch above 0

    def _start(self) -> None:
        self.steps: list[int] = []
        self.epochs: list[int] = []
        self.values: dict[str, dict[str, list[float]]] = {}
        self.time_steps: dict[str, list[Array]] = {}
        self._step = 0
        self._epoch = 0
        self._first = 0  # the place in steps of the first one of this epoch
        self._new_epoch = True
        self._paths: list[str] = []
        self._measures: StepMeasures | None = None
        self._watching: ExitStack | None = None
        self._file: IO[str] | None = None
        self._log = LogFile("GradientMonitor")

    def check_run(self, plan: RunPlan) -> None:
        """Check the names of the layers; refuse ``fit_lbfgs``, which has no steps to measure."""
        self._goes_on = plan.epochs.start > 0
        plan.refuse_lbfgs("GradientMonitor", "which has no steps to measure")
        self._chosen(self.model)

    @property
    def _adds(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names that it adds to the logs of an epoch."""
        model = self.model
        measures = StepMeasures(model, model.optimizer, self.measures, self._chosen(model))
        return tuple(f"{p}/{m}" for m, its in measures.values.items() for p in its)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start with an empty table, unless the run continues one of the same layers."""
        before = (self._step, self.steps, self.epochs, self.time_steps, self.values)
        self._start()
        model = self.model
        self._measures = StepMeasures(model, model.optimizer, self.measures, self._chosen(model))
        self.values = {
            measure: {path: [] for path in its} for measure, its in self._measures.values.items()
        }
        self.time_steps = {path: [] for path in self.values.get("time_ratio", ())}
        self._paths = self._measures.paths
        if self._goes_on and _names_of(before[-1]) == _names_of(self.values):
            self._step, self.steps, self.epochs, self.time_steps, self.values = before
        self._write_file()

    def _chosen(self, model: Layer) -> list[Layer] | None:
        if self.layers is None:
            return None
        found = {layer.path: layer for layer in watched_layers(model)}
        for name in self.layers:
            check_choice("GradientMonitor", "each of layers", name, tuple(found))
        return [layer for path, layer in found.items() if path in self.layers]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self._epoch, self._first, self._new_epoch = epoch, len(self.steps), True

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Start measuring, if this step is due."""
        self._step += 1
        if self.every == "epoch":
            due, self._new_epoch = self._new_epoch, False
        else:
            due = self._step == 1 or self._step % int(self.every) == 0
        if due:
            assert self._measures is not None
            self._watching = ExitStack()
            self._watching.enter_context(self._measures)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Record the values of this step."""
        if self._watching is not None:
            self._stop_watching()
            values = self._record()
            if logs is not None:
                logs.update(values)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Add the means of the measured steps to the logs."""
        if logs is None:
            return
        for path, measure in self._pairs():
            there = [v for v in self.values[measure][path][self._first :] if v == v]
            if there:
                # Plain sums: an infinite value makes the mean infinite, without a warning.
                logs[f"{path}/{measure}"] = sum(there) / len(there)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Stop measuring, even within a step that raised an error."""
        if self._watching is not None:
            self._stop_watching()
            if self._measures is not None and self._measures.complete:
                self._record()
        if self._file is not None:
            with self._log.writing(str(self.csv), end=True):
                self._file.close()
            self._file = None
        self._measures = None  # it holds buffers as large as the weights

    def plot(
        self, measure: str = "gradient_norm", to_file: str | os.PathLike[str] | None = None
    ) -> Any:
        """Draw a measure of every layer over the measured steps, as lines and as a map.

        Lines go from dark (input) to light (output). From 20 measured steps on they are the means
        of neighbouring values, a tenth of all (geometric means on a logarithmic axis), over thin
        lines for the values; the map always has the values.

        Args:
            measure: name of a measure.
            to_file: path of a picture to write; its ending names the format (png, svg, pdf).

        Returns:
            The ``matplotlib.figure.Figure``; a notebook shows it.

        Raises:
            ConfigurationError: ``measure`` was not measured, there are no values, or matplotlib is
                not installed (``pip install matplotlib``).
        """
        from netlayers.plotting.layers import plot_layers

        check_choice("GradientMonitor", "measure", measure, tuple(self.measures))
        return plot_layers(self.steps, self.values.get(measure, {}), measure, to_file)

    def plot_time_steps(
        self, layer: str | None = None, to_file: str | os.PathLike[str] | None = None
    ) -> Any:
        """Draw the gradient at each time step of a recurrent layer, and how it changes in training.

        Args:
            layer: path of the layer; by default the first one.
            to_file: path of a picture to write; its ending names the format (png, svg, pdf).

        Returns:
            The ``matplotlib.figure.Figure``; a notebook shows it.

        Raises:
            ConfigurationError: there is no such recurrent layer, nothing was measured, or
                matplotlib is not installed (``pip install matplotlib``).
        """
        from netlayers.plotting.time_steps import plot_time_steps

        if not self.time_steps:
            raise ConfigurationError(
                "GradientMonitor: no time steps were measured: the model needs a recurrent layer, "
                "and measures the name 'time_ratio'."
            )
        name = next(iter(self.time_steps)) if layer is None else layer
        check_choice("GradientMonitor", "layer", name, tuple(self.time_steps))
        return plot_time_steps(self.steps, self.time_steps[name], name, to_file)

    def get_state(self) -> dict[str, Any]:
        """Return the table so far."""
        values = [list(self.values[measure][path]) for path, measure in self._pairs()]
        return {
            "step": self._step,
            "steps": list(self.steps),
            "epochs": list(self.epochs),
            "values": values,
            "first": self._first,
            "new_epoch": self._new_epoch,
            "time_steps": [[norms.tolist() for norms in its] for its in self.time_steps.values()],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the table, and rewrite the file without later steps.

        Raises:
            ValueError: it is not a table of numbers, or not one of the layers of this model.
        """
        columns = [list(map(float, values)) for values in state["values"]]
        numbers = [state["steps"], state["epochs"]]
        pairs = self._pairs()
        if len(columns) != len(pairs):
            raise ValueError(
                f"GradientMonitor: {len(columns)} columns, expected {len(pairs)}, one for each "
                "layer and measure"
            )
        times = [[np.array(norms, float) for norms in its] for its in state.get("time_steps", [])]
        if len(times) != len(self.time_steps):
            times = [[np.zeros(0) for _ in state["steps"]] for _ in self.time_steps]  # an old file
        if len({len(column) for column in (*numbers, *columns, *times)}) > 1:
            raise ValueError("GradientMonitor: columns of different lengths")
        if any(type(number) is not int for column in numbers for number in column):
            raise ValueError("GradientMonitor: steps and epochs that are no integers")
        steps, first = state["steps"], state["first"]
        if not all(a < b for a, b in pairwise([0, *steps, state["step"] + 1])):
            raise ValueError("GradientMonitor: steps that do not increase from 1 to the last one")
        if not 0 <= first <= len(steps):
            raise ValueError(f"GradientMonitor: an epoch that starts at place {first} of the steps")
        self._step, self._first, self._new_epoch = state["step"], first, state["new_epoch"]
        self.steps, self.epochs = list(state["steps"]), list(state["epochs"])
        for (path, measure), values in zip(pairs, columns, strict=True):
            self.values[measure][path] = values
        self.time_steps = dict(zip(self.time_steps, times, strict=True))
        self._write_file()

    # Details ----------------------------------------------------------------------------------

    def _pairs(self) -> list[tuple[str, str]]:
        """Return each layer with each of its measures, layer by layer."""
        return [(p, m) for p in self._paths for m, its in self.values.items() if p in its]

    def _stop_watching(self) -> None:
        assert self._watching is not None
        self._watching.close()
        self._watching = None

    def _record(self) -> dict[str, float]:
        """Record the values of the last step; return those that are not NaN."""
        assert self._measures is not None
        self.steps.append(self._step)
        self.epochs.append(self._epoch)
        for path, kept in self.time_steps.items():
            kept.append(self._measures.time_steps.get(path, np.zeros(0)))
        found = {}
        for measure, its in self._measures.values.items():
            for path, value in its.items():
                self.values[measure][path].append(value)
                if value == value:
                    found[f"{path}/{measure}"] = value
        if self._file is not None:
            with self._log.writing(str(self.csv)):
                self._write_rows(-1)
                self._file.flush()
        return found

    def _write_file(self) -> None:
        """Rewrite the file with the whole table."""
        if self.csv is None:
            return
        if self._file is not None:
            self._file.close()
        self._file = open(self.csv, "w", newline="", encoding="utf-8")  # noqa: SIM115
        with self._log.writing(str(self.csv)):
            csv_module.writer(self._file).writerow(["epoch", "step", "layer", *self.values])
            for i in range(len(self.steps)):
                self._write_rows(i)
            self._file.flush()

    def _write_rows(self, i: int) -> None:
        """Write the lines of the i-th measured step, one for each layer."""
        assert self._file is not None
        writer = csv_module.writer(self._file)
        for path in self._paths:
            row = (its[path][i] if path in its else math.nan for its in self.values.values())
            fields = ("" if value != value else repr(value) for value in row)
            writer.writerow([self.epochs[i], self.steps[i], as_cell(path), *fields])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_measures": None, "_watching": None}


def _names_of(values: dict[str, dict[str, list[float]]]) -> dict[str, list[str]]:
    """Return the layers of each measure."""
    return {measure: list(its) for measure, its in values.items()}


def _names(owner: str, argument: str, value: Any) -> list[str] | None:
    """Return names as a list; ``None`` and a single name are allowed."""
    if value is None:
        return None
    names = [value] if isinstance(value, str) else check_list(owner, argument, value, "names")
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{owner}: {argument} must be a list of names, got {value!r}.")
    return names
