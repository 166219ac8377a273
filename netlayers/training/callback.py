"""Callbacks: the hooks of the training loop, and the History of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from netlayers._read_only import with_read_only_logs
from netlayers._suggestions import suggestion
from netlayers.checks import is_foreign
from netlayers.errors import ConfigurationError
from netlayers.training.every_few_batches import EveryFewBatches, every_few_batches
from netlayers.training.history_table import history_html, history_text
from netlayers.training.together import active_here

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from netlayers._typing import Logs
    from netlayers.training.compilation import CompilableModel
    from netlayers.training.lbfgs_result import LBFGSResult
    from netlayers.training.step import Steps


@dataclass(frozen=True)
class RunPlan:
    """What is known of a run before it starts, for :meth:`Callback.check_run`.

    Attributes:
        method: ``"fit"`` or ``"fit_lbfgs"``.
        epochs: numbers of the epochs, counted from 0.
        names: names in the logs of an epoch, without what other callbacks add.
        batch_names: names in the logs of a batch.
        validates: whether an epoch of the run ends with a validation.
        added: names that callbacks before add to the logs of an epoch; ``None`` if unknown.
        added_to_batches: the same for the logs of a batch.
    """

    method: str
    epochs: range
    names: tuple[str, ...]
    batch_names: tuple[str, ...]
    validates: bool
    added: tuple[str, ...] | None = ()
    added_to_batches: tuple[str, ...] | None = ()

    @classmethod
    def of(cls, method: str, epochs: range, steps: Steps, validates: bool) -> RunPlan:
        """Return the plan of a run of ``steps``; the other arguments are attributes."""
        if steps.has_own_names:
            return cls(method, epochs, (), (), validates, None, None)
        names = steps.log_names()
        tests = [f"val_{name}" for name in names if name != "grad_norm"] if validates else []
        if method == "fit_lbfgs" and "grad_norm" not in names:
            names.append("grad_norm")
        of_batches = tuple(steps.log_names(each_batch=True))
        return cls(method, epochs, (*names, *tests), of_batches, validates)

    def check_names(self, subject: str, names: Sequence[str], batch: bool) -> None:
        """Check that the run has results of these names.

        Args:
            subject: the callback and its argument, with ``{!r}`` for the name.
            names: the names.
            batch: whether they are read from the logs of a batch rather than of an epoch.

        Raises:
            ConfigurationError: a name is certain to be missing.
        """
        added = self.added_to_batches if batch else self.added
        if added is None or not self.epochs:
            return
        known = [*(self.batch_names if batch else self.names), *added]
        for name in names:
            if name in known:
                continue
            if batch and name in (*self.names, *(self.added or ())):
                advice = "It is known after an epoch: pass save_freq='epoch'."
            elif name.startswith("val_") and not self.validates:
                advice = (
                    "Names with val_ need validation_data, or a validation_split, and a "
                    "validation_freq that is not above epochs."
                )
            else:
                advice = (
                    suggestion(name, known).strip()
                    or "A callback that adds it to the logs must stand before this one."
                )
            raise ConfigurationError(
                f"{subject.format(name)} is not among the results of "
                f"{'a batch' if batch else 'an epoch'}, which are {', '.join(known)}. {advice}"
            )

    def refuse_lbfgs(self, owner: str, reason: str) -> None:
        """Raise a ConfigurationError in a run of ``fit_lbfgs``."""
        if self.method == "fit_lbfgs":
            raise ConfigurationError(
                f"{owner}: it has no effect in fit_lbfgs, {reason}. Leave it out, or train with "
                "fit()."
            )


class Callback:
    """Base class of callbacks: every hook exists and does nothing.

    Hooks get ``epoch`` or ``batch``, its index from 0, and ``logs``, a dict of numbers that the
    callbacks share: an entry that one adds is visible to later callbacks and to the History. Some
    metrics are arrays; costly metrics are not in the logs of batches.

    Attributes:
        model: the model that is trained; ``model.stop_training = True`` ends the run after the
            current batch.
        params: ``epochs``, ``steps`` per epoch, ``verbose``; ``validation_freq`` in a run that has
            validation data; ``resumed`` (true) in a run of ``fit`` that resumes one of another
            process; and ``completed`` (true) in ``on_train_end`` of one that ended without an
            error.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> class Stop(nl.callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         self.model.stop_training = logs["loss"] < 0.1
        >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        >>> model.compile(nl.optimizers.SGD(0.1), "mse")
        >>> x = np.ones((8, 1))
        >>> history = model.fit(x, x, epochs=100, callbacks=[Stop()], verbose=0)
        >>> len(history.epoch) < 100
        True
    """

    model: Any = None  # a callback may call any method of the class of its model
    params: dict[str, Any]
    # Whether a run that resumes in another process must have this callback.
    part_of_run = True

    # Names that on_epoch_end adds to the logs of an epoch, in the callbacks of the package.
    _adds: tuple[str, ...] = ()

    def check_run(self, plan: RunPlan) -> None:
        """Check that the callback can have an effect in the run of ``plan``, before it starts.

        Raises:
            ConfigurationError: it cannot, as with a monitored name that no result has.
        """

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return ``[arguments, ...]``, the examples that ``netlayers.testing`` uses."""
        return [{}]

    def set_params(self, params: dict[str, Any]) -> None:
        """Set the parameters of the run."""
        self.params = params

    def set_model(self, model: CompilableModel) -> None:
        """Set the model."""
        self.model = model

    def _saved(self) -> list[str]:
        """Return what was saved and how to use it, for the message of an interrupted run."""
        return []

    def get_state(self) -> dict[str, Any]:
        """Return the state of the callback, to resume a run in another process.

        Numbers, strings and arrays, in lists and dicts with strings as keys; empty by default. See
        :class:`netlayers.callbacks.BackupAndRestore`.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the ``state`` of :meth:`get_state`; called after :meth:`on_train_begin`."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start of ``fit``."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """End of ``fit``, however it ends, with the logs of the last complete epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start of an epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """End of an epoch; ``logs`` holds its means, those of validation as ``val_...``."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Start of a training batch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """End of a training batch; ``logs`` holds the means of the epoch so far."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Another name of :meth:`on_train_batch_begin`, for a class without that."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Another name of :meth:`on_train_batch_end`, for a class without that."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start of an evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """End of an evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Start of a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """End of a batch of an evaluation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Start of ``predict``."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """End of ``predict``."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Start of a batch of ``predict``."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """End of a batch of ``predict``."""


_SHORT = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList:
    """Calls the hooks of all callbacks, in their order; those that none defines have no cost.

    Args:
        callbacks: objects with Keras's hooks, usually a :class:`Callback`.
        model: passed to the callbacks.
        params: passed to the callbacks.
    """

    def __init__(
        self, callbacks: Sequence[Any], model: CompilableModel, params: dict[str, Any]
    ) -> None:
        self.callbacks = list(callbacks)
        self.model, self.params = model, params
        self.epoch: int | None = None
        self.batch: int | None = None
        self._hooks: dict[str, list[tuple[str, Callable[..., Any]]]] = {}
        self._grouped: list[EveryFewBatches] = []
        for callback in self.callbacks:
            callback.set_params(params)
            callback.set_model(model)

    def check(self, plan: RunPlan) -> None:
        """Call :meth:`Callback.check_run` of all callbacks.

        Raises:
            ConfigurationError: a callback can have no effect in this run.
        """
        for callback in self.callbacks:  # each sees what those before it add, and it itself
            adds = getattr(callback, "_adds", ())
            if plan.added is not None:
                foreign = is_foreign_hook(callback, "on_epoch_end")
                plan = replace(plan, added=None if foreign else (*plan.added, *adds))
            if plan.added_to_batches is not None and _overrides(callback, "on_train_batch_end"):
                foreign = is_foreign_hook(callback, "on_train_batch_end")
                names = None if foreign else (*plan.added_to_batches, *adds)
                plan = replace(plan, added_to_batches=names)
            if hasattr(callback, "check_run"):
                callback.check_run(plan)

    def has(self, hook: str) -> bool:
        """Whether a callback defines the hook."""
        return bool(self._defined(hook))

    def fire(self, hook: str, *args: Any) -> None:
        """Call a hook of every callback that defines it.

        An error of a callback is raised with a note that names the callback and the hook.
        """
        for callback, function in self._defined(hook):
            try:
                function(*args)
            except BaseException as error:
                where = "" if self.epoch is None else f" in epoch {self.epoch}"
                where += "" if self.batch is None else f", batch {self.batch}"
                error.add_note(f"Raised by the callback {callback}, hook {hook}{where}.")
                raise

    def end_of_batches(self) -> None:
        """Call what a last group of fewer than ``steps_per_execution`` batches left uncalled."""
        for function in self._grouped:
            function.finish()

    def fire_all(self, hook: str, *args: Any) -> None:
        """Call a hook of every callback, even if one of them raises; then raise the first error."""
        first: BaseException | None = None
        for callback, function in self._defined(hook):
            try:
                function(*args)
            except BaseException as error:
                error.add_note(f"Raised by the callback {callback}, hook {hook}.")
                first = first or error
        if first is not None:
            raise first

    def _defined(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """Return class name and method of each callback that overrides the hook."""
        if hook not in self._hooks:
            names = [hook, _SHORT.get(hook, hook)]  # the short one of a class without the other
            defined, here = self._hooks.setdefault(hook, []), self.callbacks
            if (distribution := getattr(self.model, "distribution", None)) is not None:
                here = active_here(here, distribution)
            for c in here:
                for name in [name for name in names if _overrides(c, name)][:1]:
                    f = getattr(c, name)
                    if is_foreign(f):
                        f = with_read_only_logs(c, name, f)
                        f = every_few_batches(f, hook, self.model, self._grouped)
                    defined.append((type(c).__name__, f))
        return self._hooks[hook]


def _overrides(callback: Any, hook: str) -> bool:
    function = getattr(callback, hook, None)
    empty = getattr(Callback, hook)
    return function is not None and getattr(function, "__func__", function) is not empty


def is_foreign_hook(callback: Any, hook: str) -> bool:
    """Whether a callback has a hook from outside the package, which may do anything."""
    return _overrides(callback, hook) and is_foreign(getattr(callback, hook))


class History(Callback):
    """The logs of every complete epoch.

    Attributes:
        history: ``{"loss": [...], "accuracy": [...], "val_loss": [...], ...}``, one entry per
            epoch.
        epoch: numbers of the epochs.
        params: settings of the run.
        lbfgs: result of ``fit_lbfgs``; ``None`` after ``fit``.
    """

    lbfgs: LBFGSResult | None = None

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self._when: dict[str, list[int]] = {}  # the epochs of each name; some may lack it

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the logs of the epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._when.setdefault(name, []).append(epoch)

    def get_state(self) -> dict[str, Any]:
        """Return the logs so far."""
        return {"history": self.history, "epoch": self.epoch, "when": self._when}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the logs."""
        lists = [state["epoch"], *state["history"].values(), *state["when"].values()]
        if not all(isinstance(its, list) for its in lists):
            raise ValueError("History: not a list of values for each name")
        self.history, self.epoch, self._when = state["history"], state["epoch"], state["when"]

    def __repr__(self) -> str:
        return f"<History of {history_text(self.history, self.epoch)}>"

    def _repr_html_(self) -> str:
        return history_html(self.history, self.epoch, self._when, self.plot)

    def plot(
        self,
        to_file: str | os.PathLike[str] | None = None,
        metrics: Sequence[str] | str | None = None,
        log_scale: bool = False,
    ) -> Any:
        """Plot loss, metrics and learning rate, training and validation in the same axes.

        A dotted line marks the epoch of the lowest validation loss, without validation of the
        lowest loss.

        Args:
            to_file: path of an image to write; the extension selects the format (png, svg, pdf).
            metrics: names to plot, without ``val_``; by default all scalars but those of layers.
            log_scale: use logarithmic axes where all values are positive, as for the learning rate.

        Returns:
            The ``matplotlib.figure.Figure``; a notebook shows it.

        Raises:
            ConfigurationError: matplotlib is not installed (``pip install matplotlib``), or
                a name is unknown.
        """
        from netlayers.plotting.history import plot_history

        names = [metrics] if isinstance(metrics, str) else metrics
        return plot_history(self.history, self._when, names, log_scale, to_file)
