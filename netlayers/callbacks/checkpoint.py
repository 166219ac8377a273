"""Checkpoints: files of the model, saved during training."""

from __future__ import annotations

import contextlib
import os
import string
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.arrays.convert import all_finite
from netlayers.callbacks.monitor import MonitorCallback
from netlayers.callbacks.reporting import say, scalars
from netlayers.callbacks.unsaved import Watch
from netlayers.checks import check_choice, check_flag, check_integer, check_number
from netlayers.errors import ConfigurationError, FileError
from netlayers.saving import StoredFile, check_file_name
from netlayers.saving.models import extra_data
from netlayers.saving.own_state import objects_of

if TYPE_CHECKING:
    from netlayers._typing import Logs
    from netlayers.training.callback import RunPlan


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights alone, after each epoch or every few batches.

    Args:
        filepath: a path that ends in ``.safetensors`` or has no ending. It may be a template with
            the ``epoch``, counted from 1, the ``batch``, and the names in the logs:
            ``"run/{epoch:02d}-{val_loss:.2f}.safetensors"``. Missing folders are created. With a
            ``val_`` name, only epochs with a validation are saved (see ``validation_freq`` of
            ``fit``).
        monitor: name in the logs, for ``save_best_only``.
        verbose: 1 prints what was saved.
        save_best_only: save only when the monitored number has improved.
        save_weights_only: save the weights alone, for ``load_weights``; otherwise the whole model,
            for :func:`netlayers.load_model`.
        mode: ``"min"``, ``"max"``, or ``"auto"`` for the direction of the loss or metric.
        save_freq: ``"epoch"``, or a number of batches between two saves.
        initial_value_threshold: with ``save_best_only``, only better values count as the best.
        keep_last: number of files of this run to keep; older ones are deleted.

    Raises:
        ConfigurationError: ``filepath`` is not a valid template; or, before training, no result has
            the name ``monitor`` or a name in the template, or ``mode`` must be given.

    A value that is not finite is never the best, not even the first. Weights that are not finite
    are not saved; a warning says so. A file is replaced in one step. The methods ``save`` and
    ``save_weights`` of the model are called, also those of a subclass that overrides them.

    A second ``fit`` with the same object starts without a best value, unless it continues a run
    (``initial_epoch`` above 0) or the file with the best value still exists: a better file is not
    replaced by a worse one. The value is stored in the file: in a run with ``initial_epoch`` above
    0, a new object reads it from there, unless the name of the file has a template.

    With ``save_best_only``, a result of the training such as ``"loss"`` is a mean over the batches
    of the epoch, each computed before its update. In an epoch of one batch the value belongs
    exactly to the model before the update, and that is saved. In an epoch of several batches the
    model after the epoch is saved, as in Keras, and its loss may differ. Results of the validation,
    such as ``"val_loss"``, belong to the model after the epoch and have no such gap.

    Example:
        >>> import os, tempfile, numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        >>> model.compile(nl.optimizers.SGD(0.1), "mse")
        >>> x = np.ones((8, 1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "{epoch}-{loss:.1e}.safetensors")
        ...     keep = nl.callbacks.ModelCheckpoint(path, monitor="loss", keep_last=2)
        ...     _ = model.fit(x, 2 * x, epochs=4, callbacks=[keep], verbose=0)
        ...     print(len(os.listdir(folder)), os.path.basename(keep.files[-1])[:2])
        2 4-
    """

    _goes_on = False  # whether the run has an initial epoch above 0
    state_names = (*MonitorCallback.state_names, "files", "_seen_batches")

    _without_monitor = "the model is saved all the same"

    first_process_only = True

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        *,
        keep_last: int | None = None,
    ) -> None:
        owner = "ModelCheckpoint"
        self.filepath = check_file_name(owner, "filepath", filepath)
        self.verbose = check_choice(owner, "verbose", verbose, (0, 1, 2))
        self.save_best_only = check_flag(owner, "save_best_only", save_best_only)
        self.save_weights_only = check_flag(owner, "save_weights_only", save_weights_only)
        if initial_value_threshold is not None:
            initial_value_threshold = check_number(
                owner, "initial_value_threshold", initial_value_threshold
            )
        self.initial_value_threshold = initial_value_threshold
        if keep_last is not None:
            keep_last = check_integer(owner, "keep_last", keep_last, minimum=1)
        self.keep_last = keep_last
        self._fields = self._template_fields()
        if isinstance(save_freq, str):
            check_choice(owner, "save_freq", save_freq, ("epoch",))
            if "batch" in self._fields:
                raise ConfigurationError(
                    f"{owner}: {{batch}} in filepath needs save_freq to be a number of batches."
                )
        else:
            save_freq = check_integer(owner, "save_freq", save_freq, minimum=1)
            # As an attribute, so that other runs pay nothing for the logs of each batch.
            setattr(self, "on_train_batch_end", self._after_batch)  # noqa: B010
        self.save_freq = save_freq
        super().__init__(monitor, mode, min_delta=0)
        if initial_value_threshold is not None and not save_best_only:
            raise ConfigurationError(
                f"{owner}: initial_value_threshold={initial_value_threshold:g} has no effect "
                "without save_best_only=True; pass both, or neither."
            )
        if keep_last not in (None, 1) and not self._fields:
            raise ConfigurationError(
                f"{owner}: keep_last={keep_last} has no effect on the single file "
                f"{self.filepath!r}; pass a template such as '{{epoch}}.safetensors'."
            )
        if save_best_only and save_freq == "epoch" and not monitor.startswith("val_"):
            setattr(self, "on_train_batch_begin", self._before_batch)  # noqa: B010
        watched = {*self._fields, *([self.monitor] if save_best_only else [])}
        if save_freq != "epoch" and (late := sorted(n for n in watched if n.startswith("val_"))):
            raise ConfigurationError(
                f"{owner}: {late[0]!r} is known only after an epoch, so save_freq={save_freq} "
                "would never write a file. Pass save_freq='epoch', or a name of the training."
            )

    def check_run(self, plan: RunPlan) -> None:
        """Check that the run has the names in the template, and that the direction is known.

        As in Keras, the model is saved with a warning after an epoch without the monitored number.

        Raises:
            ConfigurationError: no file would ever be written.
        """
        self._goes_on = plan.epochs.start > 0
        batch = self.save_freq != "epoch"
        if batch:
            plan.refuse_lbfgs(f"ModelCheckpoint: save_freq={self.save_freq}", "without batches")
        known = self.monitor in (*plan.names, *plan.batch_names)
        if self.save_best_only and (batch or known):
            self._check_monitor(plan, batch)
        fields = sorted(self._fields - {"epoch", "batch"})
        plan.check_names("ModelCheckpoint: {!r} in filepath", fields, batch)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        each = {"filepath": "{epoch}.safetensors"}
        return [
            {"filepath": "last.weights.safetensors", "save_weights_only": True, "verbose": 1},
            {**each, "save_freq": 6},
            {**each, "keep_last": 2},
            {**each, "monitor": "mae", "mode": "max", "save_best_only": True},
            {
                **each,
                "monitor": "loss",
                "save_best_only": True,
                "initial_value_threshold": 0.001,
            },
        ]

    def _start(self) -> None:
        super()._start()
        self.best = self.initial_value_threshold
        self.files: list[str] = []
        self._seen_batches = 0
        self._epoch = 0
        self._snapshot: Any = None  # of the step, while this callback has it copy the weights
        self._single = False  # whether the epoch has had a single batch so far

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the state; keep the best value of an earlier ``fit`` while its file is there."""
        whole = self.model is not None and not self.save_weights_only
        things = [thing for _, thing in objects_of(self.model)] if whole else []
        self._watch = Watch("ModelCheckpoint", things)
        best, files = self.best, self.files
        self._start()
        if not self.save_best_only:
            return
        if files and (self._goes_on or os.path.exists(files[-1])):
            self.best, self.files = best, files
        elif self._goes_on and self.best is None:
            self.best = self._stored_best()

    def _stored_best(self) -> float | None:
        """Return the value for which the file was saved in another process, if it is there."""
        if self._fields:
            return None  # the numbers in its name are not known
        try:
            with StoredFile(self.filepath) as file:
                extra = file.description.get("extra")
        except (OSError, FileError):
            return None
        value = extra.get(self.monitor) if isinstance(extra, dict) else None
        return value if isinstance(value, float) else None

    def _before_batch(self, batch: int, logs: Logs | None = None) -> None:
        """Have the model before the step copied in an epoch that may have a single one."""
        self._single = batch == 0
        if batch == 0 and self.params["steps"] in (1, None) and self._is_of_training():
            snapshot = self.model._steps.snapshot
            if not snapshot.include_weights:
                snapshot.include_weights, self._snapshot = True, snapshot
        elif batch == 1:
            self._stop_copying()

    def _stop_copying(self) -> None:
        if self._snapshot is not None:
            self._snapshot.include_weights, self._snapshot = False, None

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Stop copying the model before each step."""
        self._stop_copying()

    def _saved(self) -> list[str]:
        how = "model.load_weights" if self.save_weights_only else "load_model"
        return [f"{how} reads {path!r}, saved by ModelCheckpoint" for path in self.files[-1:]]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the number of the epoch."""
        self._epoch, self._single = epoch, False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save the model."""
        if self.save_freq == "epoch":
            self._consider(epoch, None, logs)
        self._single = False

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._seen_batches += 1
        if self._seen_batches >= int(self.save_freq):
            self._seen_batches = 0
            self._consider(self._epoch, batch, logs)

    def _consider(self, epoch: int, batch: int | None, logs: Logs | None) -> None:
        """Save the model, unless only a better one is to be saved."""
        current, said = None, ""
        if self.save_best_only:
            current = self.value(epoch, logs)
            if current is None:
                if self._lacks_validation([self.monitor], scalars(logs)):
                    return
                said = f": there is no {self.monitor}"
            elif self.is_improvement(current, self.best):
                before = "" if self.best is None else f" from {self.best:g}"
                said = f": {self.monitor} improved{before} to {current:g}"
            else:
                return
        path = self._path(epoch, batch, logs)
        if path is None:
            return
        model = self._chosen_model()
        parameters = model.parameters
        if not (all_finite(parameters.values) and all_finite(parameters.statistics)):
            warn(
                f"ModelCheckpoint: epoch {epoch + 1}: weights are NaN or infinite, so {path!r} was "
                "not written."
            )
            return
        save = model.save_weights if self.save_weights_only else model.save
        try:
            with extra_data(None if current is None else {self.monitor: current}):
                save(path)
        except OSError as error:
            warn(
                f"ModelCheckpoint: epoch {epoch + 1}: {path!r} was not written: {error}. Training "
                "continues."
            )
            return
        if current is not None:
            self.best = current
        if self.verbose:
            say(f"Epoch {epoch + 1}{said}: saved as {path}")
        self._watch.warn_of_changes()
        self._tidy(path)

    def _chosen_model(self) -> Any:
        """Return the model to which the results belong."""
        if self._single and self._is_of_training():  # set for save_best_only alone
            steps = self.model._steps
            if steps.snapshot.has_weights:
                return steps.copy_before_step().model
        return self.model

    def get_state(self) -> dict[str, Any]:
        """Return the state: in an epoch of one batch, with the model before its update."""
        before = None
        if self._single and self._is_of_training() and self.model._steps.snapshot.has_weights:
            steps = self.model._steps
            before = {**steps.snapshot.get_state(), "counters": steps._counters}
        return {**super().get_state(), "before": before}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state; only files in the folder of this callback may be deleted later."""
        super().set_state(state)
        before = state.get("before")  # earlier versions did not have it
        if before is not None:
            steps, before = self.model._steps, dict(before)
            values = steps.model.parameters.values
            if any(
                np.shape(v) != values.shape
                for v in (before["_values"], *before["_vectors"].values())
            ):
                raise ValueError("ModelCheckpoint: not the weights of this model before a step")
            self._single, steps._counters = True, tuple(before.pop("counters"))
            self._snapshot = steps.snapshot
            self._snapshot.include_weights = True
            self._snapshot.set_state(before)
        folder = os.path.dirname(os.path.abspath(self.filepath))
        self.files = [
            path
            for path in self.files
            if isinstance(path, str)
            and os.path.splitext(path)[1] == os.path.splitext(self.filepath)[1]
            and os.path.dirname(os.path.abspath(path)) == folder
        ]

    def _tidy(self, path: str) -> None:
        """Delete the files beyond ``keep_last``."""
        if path in self.files:
            self.files.remove(path)
        self.files.append(path)
        if self.keep_last is not None:
            while len(self.files) > self.keep_last:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.files.pop(0))
        else:
            del self.files[:-1]

    def _path(self, epoch: int, batch: int | None, logs: Logs | None) -> str | None:
        """Return the file for these results, or ``None`` if the epoch was not validated."""
        values: dict[str, Any] = {**scalars(logs), "epoch": epoch + 1}
        if batch is not None:
            values["batch"] = batch + 1
        missing = [name for name in self._fields if name not in values]
        if missing and self._lacks_validation(missing, values):
            return None
        if missing:
            raise ConfigurationError(
                f"ModelCheckpoint: filepath {self.filepath!r} names {', '.join(missing)}, but there"
                f" are only {', '.join(values)}. (Names with val_ need validation data.)"
            )
        return self._format(values)

    def _format(self, values: dict[str, Any]) -> str:
        try:
            return self.filepath.format(**values)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                f"ModelCheckpoint: filepath {self.filepath!r} cannot be formatted: {error}."
            ) from None

    def _template_fields(self) -> set[str]:
        try:
            parsed = list(string.Formatter().parse(self.filepath))
        except ValueError as error:
            raise ConfigurationError(
                f"ModelCheckpoint: filepath {self.filepath!r} is not a valid template: {error}."
            ) from None
        fields = {field for _, field, _, _ in parsed if field is not None}
        wrong = sorted(field for field in fields if not field.isidentifier())
        if wrong:
            raise ConfigurationError(
                f"ModelCheckpoint: filepath {self.filepath!r}: {wrong[0]!r} is not a name; write "
                "{epoch} or {val_loss:.2f}, and {{ for a brace."
            )
        self._format({field: 1 if field in ("epoch", "batch") else 1.0 for field in fields})
        return fields
