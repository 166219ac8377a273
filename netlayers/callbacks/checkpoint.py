"""Files of the model while it is trained."""

from __future__ import annotations

import contextlib
import os
import string
import warnings
from typing import TYPE_CHECKING, Any

from netlayers.arrays.convert import all_finite
from netlayers.callbacks.monitor import MonitorCallback
from netlayers.callbacks.reporting import say, scalars
from netlayers.checks import check_choice, check_flag, check_integer, check_number, check_path
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from netlayers._typing import Logs

_ENDING = ".safetensors"


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights alone, after each epoch or after so many batches.

    Args:
        filepath: a path that ends in ``.safetensors``. It may be a template with the ``epoch``,
            counted from 1, the ``batch``, and the names in the logs:
            ``"run/{epoch:02d}-{val_loss:.2f}.safetensors"``. Folders are made. With a ``val_``
            name, only epochs that are validated are saved (see ``validation_freq`` of ``fit``).
        monitor: name in the logs, for ``save_best_only``.
        verbose: 1 says what was saved.
        save_best_only: save only when the monitored number has improved.
        save_weights_only: save the weights alone, for ``load_weights``; otherwise the whole model,
            for :func:`netlayers.load_model`.
        mode: ``"min"``, ``"max"``, or ``"auto"`` for the direction of the loss or metric.
        save_freq: ``"epoch"``, or a number: after every so many batches.
        initial_value_threshold: only better values than this count as the best.
        keep_last: keep the last so many files of this run and delete the others.

    Raises:
        ConfigurationError: the template is none, or names something that is not in the logs.

    A value that is not finite is never the best, also not the first. Weights that are not finite
    are not saved, which is a warning. A file is replaced in one step.

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

    state_names = (*MonitorCallback.state_names, "files", "_seen_batches")

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
        self.filepath = check_path(owner, "filepath", filepath)
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
            # As an attribute, so that a run without it pays nothing for the logs of each batch.
            setattr(self, "on_train_batch_end", self._after_batch)  # noqa: B010
        self.save_freq = save_freq
        super().__init__(monitor, mode, min_delta=0)
        watched = {*self._fields, *([self.monitor] if save_best_only else [])}
        if save_freq != "epoch" and (late := sorted(n for n in watched if n.startswith("val_"))):
            raise ConfigurationError(
                f"{owner}: {late[0]} is known after an epoch only, so that save_freq={save_freq} "
                "would never write a file. Pass save_freq='epoch', or a name of the training."
            )

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

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save the model."""
        if self.save_freq == "epoch":
            self._consider(epoch, None, logs)

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._seen_batches += 1
        if self._seen_batches >= int(self.save_freq):
            self._seen_batches = 0
            self._consider(self._epoch, batch, logs)

    def _consider(self, epoch: int, batch: int | None, logs: Logs | None) -> None:
        """Save the model if it is to be saved now."""
        said = ""
        if self.save_best_only:
            current = self.value(epoch, logs)
            if current is None or not self.is_improvement(current, self.best):
                return
            before = "" if self.best is None else f" from {self.best:g}"
            said = f": {self.monitor} improved{before} to {current:g}"
        path = self._path(epoch, batch, logs)
        if path is None:
            return
        parameters = self.model.parameters
        if not (all_finite(parameters.values) and all_finite(parameters.statistics)):
            warnings.warn(
                f"ModelCheckpoint: epoch {epoch + 1}: weights are NaN or infinite, so {path!r} was "
                "not written.",
                stacklevel=2,
            )
            return
        try:
            if self.save_weights_only:
                self.model.save_weights(path)
            else:
                self.model.save(path)
        except OSError as error:
            warnings.warn(
                f"ModelCheckpoint: epoch {epoch + 1}: {path!r} was not written: {error}. Training "
                "goes on.",
                stacklevel=2,
            )
            return
        if self.save_best_only:
            self.best = current
        if self.verbose:
            say(f"Epoch {epoch + 1}{said}: saved as {path}")
        self._tidy(path)

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with these; only files in this callback's own folder may be deleted later."""
        super().set_state(state)
        folder = os.path.dirname(os.path.abspath(self.filepath))
        self.files = [
            path
            for path in self.files
            if isinstance(path, str)
            and path.endswith(".safetensors")
            and os.path.dirname(os.path.abspath(path)) == folder
        ]

    def _tidy(self, path: str) -> None:
        """Delete the files that are too many."""
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
                f" are only {', '.join(values)}. (Names with val_ need validation data, in each "
                "epoch.)"
            )
        try:
            return self.filepath.format(**values)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                f"ModelCheckpoint: filepath {self.filepath!r} can not be filled in: {error}."
            ) from None

    def _template_fields(self) -> set[str]:
        if not self.filepath.endswith(_ENDING):
            raise ConfigurationError(
                f"ModelCheckpoint: filepath must end in {_ENDING!r}, got {self.filepath!r}."
            )
        try:
            parsed = list(string.Formatter().parse(self.filepath))
        except ValueError as error:
            raise ConfigurationError(
                f"ModelCheckpoint: filepath {self.filepath!r} is no template: {error}."
            ) from None
        fields = {field for _, field, _, _ in parsed if field is not None}
        wrong = sorted(field for field in fields if not field.isidentifier())
        if wrong:
            raise ConfigurationError(
                f"ModelCheckpoint: filepath {self.filepath!r}: {wrong[0]!r} is no name; write "
                "{epoch} or {val_loss:.2f}, and {{ for a brace."
            )
        return fields
