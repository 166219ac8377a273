"""Backups of a run, from which a new process resumes it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.callbacks.reporting import say
from netlayers.callbacks.unsaved import Watch
from netlayers.checks import check_choice, check_flag, check_integer, check_number, check_path
from netlayers.errors import ConfigurationError, FileError
from netlayers.kernels.select import kernels_in_use
from netlayers.saving import StoredFile, restore, save_model
from netlayers.saving.description import Section, from_text, to_text
from netlayers.saving.lock import FolderLock
from netlayers.saving.own_state import objects_of, own_state
from netlayers.saving.rollback import unchanged_on_error
from netlayers.saving.settings import ChangedSettingError, restore_settings
from netlayers.saving.state import architecture, compile_settings
from netlayers.training.backup_callback import BackupCallback
from netlayers.training.state import differences, pack, unpack

if TYPE_CHECKING:
    from netlayers.training.trainer import Run

_SHOWN = 5  # differences that a message names


class BackupAndRestore(BackupCallback):
    """Writes backups of a run. The same script, started again, resumes it with the same bits.

    A run that is killed at any moment, even within an epoch, ends as if it had not been: a backup
    holds weights, running statistics, states and vocabularies of layers, the optimizer with its
    moments, averages and accumulated gradients, settings that a callback changed (``trainable`` of
    a layer, ``momentum``), the History, learning rate and schedule, counters
    and best weights of callbacks, the order of the samples, all random streams, metrics of the
    current epoch, and the position in the data. Steps after the last backup are computed again.

    On Ctrl-C and SIGTERM, ``fit`` finishes its step and writes a backup before the process ends.
    Call ``fit`` with the same arguments again to resume; ``epochs`` may differ.

    Args:
        backup_dir: folder for the backups of this run alone; created if it is missing, and then
            deleted at the end with the backups. Other files in it are left alone.
        save_freq: ``"epoch"``, or a number of batches between two backups.
        double_checkpoint: keep the previous backup too, in case the disk loses the last one.
        delete_checkpoint: delete the backups at the end of the run (but not if a time budget ended
            it). Keep them to train for more ``epochs`` later, or if the script could be killed
            after ``fit``.
        seconds: number of seconds between two backups, in place of ``save_freq``; each is written
            after a batch.

    Raises:
        ConfigurationError: in ``fit``: the backup is of another model, other compile settings,
            other data, or other callbacks; the message names what differs. Or the state of a
            callback cannot be stored, which is tried once after ``on_train_begin``.
        FileError: in ``fit``: the backup is damaged.
        BusyError: in ``fit``: another run is using this folder.

    A backup is a file that :func:`netlayers.load_model` loads too. It is replaced in one step: if
    the process is killed while it is written, the previous one remains. If it cannot be written
    (the disk is full, or weights are not finite), a warning is issued and training continues.

    A callback of your own returns its state from ``get_state()`` and takes it in
    ``set_state(state)``. In the new process, ``on_train_begin`` is called, and ``on_epoch_begin``
    in an epoch that had started; then the state is restored. Layers, losses, optimizers, metrics,
    schedules and regularizers of your own may define the same two methods. The states of metrics
    and of the generators of layers are included without that. A warning names attributes of your
    objects that change in the run and are not saved.

    A source of batches may define ``get_state()``, which is called after each batch that is read,
    and ``set_state(state)``, after which ``iter(source)`` (or ``source[i]``) continues with the
    next batch. A sequence without them is assumed to return the same batch for the same index. From
    other sources, a new process reads and skips as many batches as were used; a warning says that
    the bits may differ. They may also differ with another version of NumPy or on another kind of
    processor. With other kernels (:func:`netlayers.use_kernels`) they do, and the run is refused.

    Example:
        >>> import os, tempfile, numpy as np, netlayers as nl
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> def script(folder, callbacks=()):
        ...     layers = [nl.layers.Dense(4), nl.layers.Dropout(0.5), nl.layers.Dense(1)]
        ...     model = nl.Sequential(layers, seed=0)
        ...     model.compile("adam", "mse")
        ...     backup = nl.callbacks.BackupAndRestore(folder, save_freq=3)
        ...     model.fit(x, x[:, 0], epochs=5, callbacks=[backup, *callbacks], verbose=0)
        ...     return model
        >>> def fail(epoch, logs):
        ...     if epoch == 2:
        ...         raise RuntimeError("something happened")
        >>> class Power(nl.callbacks.LambdaCallback):
        ...     pass
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     whole = script(os.path.join(folder, "a"), [Power()])
        ...     try:
        ...         script(os.path.join(folder, "b"), [Power(on_epoch_end=fail)])
        ...     except RuntimeError:
        ...         again = script(os.path.join(folder, "b"), [Power()])
        >>> bool((again.parameters.values == whole.parameters.values).all())
        True
        >>> again.history.epoch, again.history.history == whole.history.history
        ([0, 1, 2, 3, 4], True)
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        *,
        seconds: float | None = None,
    ) -> None:
        owner = "BackupAndRestore"
        self.backup_dir = check_path(owner, "backup_dir", backup_dir, folder=True)
        if isinstance(save_freq, str):
            check_choice(owner, "save_freq", save_freq, ("epoch",))
        else:
            save_freq = check_integer(owner, "save_freq", save_freq, minimum=1)
        self.save_freq = save_freq
        self.double_checkpoint = check_flag(owner, "double_checkpoint", double_checkpoint)
        self.delete_checkpoint = check_flag(owner, "delete_checkpoint", delete_checkpoint)
        if seconds is not None:
            seconds = check_number(owner, "seconds", seconds, above=0)
            if save_freq != "epoch":
                raise ConfigurationError(f"{owner}: give save_freq or seconds, not both.")
        self.seconds = seconds
        self._path = os.path.join(self.backup_dir, "backup.safetensors")
        self._earlier = os.path.join(self.backup_dir, "previous.safetensors")
        self._lock: FolderLock | None = None
        self._run: Run | None = None  # the one that holds the lock
        self._watch: Watch | None = None

    # What the run calls ------------------------------------------------------------------------

    arguments_without_effect = ("seconds",)  # the clock decides

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            {"backup_dir": "backup"},
            {
                "backup_dir": "backup",
                "save_freq": 2,
                "double_checkpoint": True,
                "delete_checkpoint": False,
            },
            {"backup_dir": "backup", "seconds": 0.5},
        ]

    def find(self, run: Run) -> bool:
        """Look for a backup, check that it is of this run, and move the run to its position."""
        for callback in run.hooks.callbacks:
            if isinstance(callback, BackupAndRestore) and callback is not self:
                raise ConfigurationError(
                    "fit: callbacks must hold at most one BackupAndRestore, got two."
                )
        if run.first_process:  # the only one that writes
            self._lock, self._run = FolderLock("BackupAndRestore", self.backup_dir), run
        self._warn_of_other_bits(run)
        self._script = self._describe(run)
        self._seen, self._time = 0, time.monotonic()
        self._written: Any = None  # position of the last backup
        self._found = self._whole_backup()
        if self._found is None:
            return False
        with StoredFile(self._found) as file:
            numpy, extra = file.section.text("numpy"), file.description.get("extra")
        self._check_kind(extra)
        self._check_same(extra["script"], run.steps.optimizer.iterations > 0)
        if numpy != np.__version__:
            warn(
                f"BackupAndRestore: the run was begun with NumPy {numpy}, this is {np.__version__}."
                " It is resumed, but may end with other bits."
            )
        if self._lock is not None:
            self._lock.made |= extra.get("made") is True  # by the process before
        run.go_to(self._checked_place(run, extra["place"]))
        if run.hooks.params.get("verbose") and run.first_process:
            where = f" after {run.batch} batches" if run.batch else ""
            say(f"The run in {self.backup_dir!r} resumes in epoch {run.epoch + 1}{where}")
        return True

    def begun(self, run: Run) -> None:
        """Check that the state can be stored, before there is anything to lose."""
        pack(run.get_state())
        own_state(run.model)
        self._watch = self._watched(run)

    def restore(self, run: Run) -> None:
        """Restore the run from the backup."""
        try:
            with unchanged_on_error(run.model, run.kept_callbacks):
                arrays, extra = restore(self._found, run.model)
                run.set_state(unpack(extra["state"], arrays))
                with StoredFile(self._found) as file:
                    restore_settings(file.path, file.description, run.model)
        except (FileError, ChangedSettingError):
            raise
        except (
            ArithmeticError,
            AssertionError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as e:
            raise self._foreign(f"{type(e).__name__}: {e}") from e
        self._written = run.place()
        self._watch = self._watched(run)

    def after_batch(self, run: Run) -> None:
        """Write a backup if one is due after this batch."""
        if self.seconds is not None:
            if time.monotonic() - self._time >= self.seconds:
                self._write(run)
        elif self.save_freq != "epoch":
            self._seen += 1
            if self._seen >= int(self.save_freq):
                self._seen = 0
                self._write(run)

    def after_epoch(self, run: Run) -> None:
        """Write a backup if one is due after each epoch."""
        if self.save_freq == "epoch" and self.seconds is None:
            self._write(run)

    def interrupted(self, run: Run) -> None:
        """Write a backup before the process ends."""
        self._write(run)

    def _saved(self) -> list[str]:
        if self._run is None or self._written is None:
            return []
        epoch, batch = self._written["epoch"], self._written["batch"]
        when = "of this moment"
        if self._written != self._run.place():
            when = f"of epoch {epoch + 1}, batch {batch}" if batch else f"before epoch {epoch + 1}"
        return [f"the same script continues from the backup {when} in {self.backup_dir!r}"]

    def finished(self, run: Run) -> None:
        """Delete the backups, if the run is complete.

        It is not if a time budget ended it, or if an earlier process trained for more epochs.
        """
        if run.beyond and self.delete_checkpoint:
            warn(
                f"BackupAndRestore: the backup in {self.backup_dir!r} is of epoch {run.epoch + 1}, "
                f"and epochs={run.epochs.stop}, so nothing was trained. It is kept: train with "
                "more epochs, or delete the folder to start again."
            )
            return
        budgets = (getattr(callback, "stopped", False) for callback in run.hooks.callbacks)
        if not self.delete_checkpoint or any(budgets):
            return
        for path in (self._path, self._earlier)[: 1 + self.double_checkpoint]:
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                warn(f"BackupAndRestore: {path!r} could not be deleted: {error}.")
        self.close(run)

    def close(self, run: Run) -> None:
        """Release the folder, if this run has it."""
        if self._lock is not None and self._run is run:
            self._lock.release()
            self._lock = self._run = None

    # Details -----------------------------------------------------------------------------------

    def _write(self, run: Run) -> None:
        if run.place() == self._written and run.logs is None:
            return
        try:
            state, arrays = pack(run.get_state())
            made = self._lock is not None and self._lock.made
            extra = {"script": self._script, "place": run.place(), "state": state, "made": made}
            if self.double_checkpoint and os.path.exists(self._path):
                os.replace(self._path, self._earlier)
            save_model(run.model, self._path, arrays=arrays, extra=extra)
            self._written = run.place()
        except (ConfigurationError, FileError, OSError) as error:
            # A state that can no longer be stored, weights that are not finite, or a full disk.
            warn(
                f"BackupAndRestore: no backup was written after epoch {run.epoch}, batch "
                f"{run.batch or 0}: {error} Training continues; an earlier backup remains."
            )
        self._time = time.monotonic()
        if self._watch is not None:
            self._watch.warn_of_changes()

    def _watched(self, run: Run) -> Watch:
        """Return the attributes of the user's objects as they are now."""
        model = [thing for _, thing in objects_of(run.model)]
        metrics = run.steps.metrics.values()
        return Watch("BackupAndRestore", [*model, *metrics, *run.kept_callbacks])

    def _checked_place(self, run: Run, place: Any) -> dict[str, Any]:
        """Return the position in the backup, which must be one of the run.

        Raises:
            FileError: it is not.
        """
        section = Section(str(self._found), "extra: place", place)
        epoch = section.count("epoch")
        if epoch < run.epochs.start:
            raise section.fail("epoch", f"{run.epochs.start} or more")
        batch = None if place.get("batch", 0) is None else section.count("batch")
        if batch is not None and run.data.steps is not None and batch > run.data.steps:
            raise section.fail("batch", f"at most {run.data.steps}")
        return {"epoch": epoch, "batch": batch}

    def _check_kind(self, extra: Any) -> None:
        """Raise a FileError unless ``extra`` is what a backup holds besides the model."""
        kinds = {"script": dict, "place": dict, "state": dict}
        if not isinstance(extra, dict) or not all(
            isinstance(extra.get(name), kind) for name, kind in kinds.items()
        ):
            raise self._foreign("it holds a model alone")

    def _foreign(self, reason: str) -> FileError:
        error = FileError(str(self._found), "extra", "the state of a run of this script", reason)
        error.add_note(f"Delete the folder {self.backup_dir!r} to start again.")
        return error

    def _whole_backup(self) -> str | None:
        """Return the path of the last undamaged backup; ``None`` if there are no backups.

        Raises:
            FileError: all backups are damaged.
        """
        damaged: FileError | None = None
        for path in (self._path, self._earlier):
            if not os.path.exists(path):
                continue
            try:
                with StoredFile(path) as file:
                    file.check_rest()
            except FileError as error:
                damaged = damaged or error
                continue
            if damaged is not None:
                warn(f"BackupAndRestore: {damaged} The run is resumed from the backup before.")
            return path
        if damaged is None:
            return None
        damaged.add_note(f"Delete the folder {self.backup_dir!r} to start again.")
        raise damaged

    def _warn_of_other_bits(self, run: Run) -> None:
        for name, data in (("x", run.data), ("validation_data", run.validation)):
            doubt = None if data is None else data.reproducibility_warning()
            if doubt is not None:
                warn(
                    f"BackupAndRestore: if this run is resumed in another process, it may end "
                    f"with other bits: {name}, {doubt}. The batches that were used will be read "
                    "again and skipped. Give it get_state() and set_state(), or pass arrays or an "
                    "object with __len__ and __getitem__."
                )

    def _describe(self, run: Run) -> dict[str, Any]:
        """Return what a resumed run must have in common, as it is read from a file."""
        script = {
            "model": architecture(self._path, run.model),
            "compile": compile_settings(self._path, run.model),
            "kernels": kernels_in_use(),  # they round differently
            **run.fingerprint(),
        }
        text = to_text(self._path, "the script", script)
        plain: dict[str, Any] = from_text(self._path, "the script", text)
        return plain

    def _check_same(self, script: Any, trained: bool) -> None:
        found = [
            f"{place}: {was!r} there, {now!r} here"
            for place, was, now in differences(script, self._script)
            # Where fit() is called again in a process, callbacks may have changed the rate.
            if not (trained and place == "compile: optimizer: config: learning_rate")
            # What earlier versions did not store.
            and not (was == "nothing" and (place == "kernels" or place.endswith(": checksum")))
        ]
        if not found:
            return
        shown = "; ".join(found[:_SHOWN])
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ConfigurationError(
            f"BackupAndRestore: the backup in {self.backup_dir!r} is of another run. {shown}{more}."
            " Resume it with the script that wrote it, or delete the folder to start again."
        )
