"""Curves and histograms for TensorBoard."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import secrets
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.callbacks.reporting import LogFile, of_a_layer, scalars
from netlayers.checks import check_choice, check_flag, check_integer, check_path
from netlayers.errors import ConfigurationError
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from netlayers._typing import Array, Logs
    from netlayers.training.callback import RunPlan


_RUNS = ("train", "validation")
_POSITIVE = 1e-12 * 1.1 ** np.arange(774)  # up to 1e20, as in TensorFlow
_BINS = np.concatenate([-_POSITIVE[::-1], [0.0], _POSITIVE])  # borders of the bins


class TensorBoard(Callback):
    """Writes logs for TensorBoard; show them with ``tensorboard --logdir logs``.

    Tags and runs are Keras's: ``epoch_<name>`` in the runs ``train`` and ``validation``, with the
    learning rate as ``epoch_learning_rate``; ``batch_<name>`` with a batch ``update_freq``;
    ``evaluation_<name>_vs_iterations`` after each validation; ``<layer>/<weight>/histogram`` of
    the weights. In addition, ``<layer>/<weight>/gradient`` is a histogram of the gradient of the
    last batch of the epoch, after clipping.

    Values of single layers, such as those of a ``GradientMonitor``, keep their names as tags:
    ``dense/gradient_norm``, over the epochs, or over the batches with a batch ``update_freq``.

    Args:
        log_dir: folder to write into.
        histogram_freq: number of epochs between two histograms, 0 for none.
        write_graph: write the model's summary, which TensorBoard shows under Text.
        write_steps_per_second: write ``epoch_steps_per_second`` (and ``batch_...``) too.
        update_freq: ``"epoch"``, ``"batch"``, or a number of batches after which the means of the
            epoch so far are written too.
        write_images, profile_batch, embeddings_freq, embeddings_metadata: must have their defaults;
            for a profile see ``model.profile``.

    Each run writes files of its own. A run that is resumed by
    :class:`~netlayers.callbacks.BackupAndRestore` first cuts off what the files of the run before
    hold beyond the backup, and deletes those that it began later. Files that cannot be written, as
    on a full disk, do not end a run: a warning says so.

    Raises:
        ConfigurationError: tensorboardX is not installed (``pip install
            tensorboardX``); or, before training, ``update_freq`` is one of batches in
            ``fit_lbfgs``.
    """

    first_process_only = True

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        owner = "TensorBoard"
        for name, value in (
            ("write_images", write_images),
            ("profile_batch", profile_batch),
            ("embeddings_freq", embeddings_freq),
            ("embeddings_metadata", embeddings_metadata),
        ):
            if not isinstance(value, (bool, int, type(None))) or value:
                raise ConfigurationError(
                    f"{owner}: {name}={value!r} is not supported; leave it out."
                )
            setattr(self, name, value)
        self.log_dir = check_path(owner, "log_dir", log_dir, folder=True)
        self.histogram_freq = check_integer(owner, "histogram_freq", histogram_freq, minimum=0)
        self.write_graph = check_flag(owner, "write_graph", write_graph)
        self.write_steps_per_second = check_flag(
            owner, "write_steps_per_second", write_steps_per_second
        )
        self.update_freq = update_freq
        if isinstance(update_freq, str):
            check_choice(owner, "update_freq", update_freq, ("epoch", "batch"))
            self._every = int(update_freq == "batch")
        else:
            self._every = check_integer(owner, "update_freq", update_freq, minimum=1)
        self._writers: dict[str, _Events] = {}
        self._written: list[str] = []  # the files of this run, those of processes before included
        self._id = secrets.token_hex(8)  # of the run, in the names of its files
        self._training = False
        self._log = LogFile("TensorBoard")  # of an evaluation without a run
        _tensorboardx("summary")  # fail now rather than in fit

    def check_run(self, plan: RunPlan) -> None:
        """Refuse an ``update_freq`` in batches in ``fit_lbfgs``, which has none."""
        if self._every:
            plan.refuse_lbfgs(f"TensorBoard: update_freq={self.update_freq!r}", "without batches")

    # Refused, unless they have their defaults.
    arguments_without_effect = (
        "write_images",
        "profile_batch",
        "embeddings_freq",
        "embeddings_metadata",
    )

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            {},
            {
                "log_dir": "board",
                "histogram_freq": 1,
                "write_graph": False,
                "write_steps_per_second": True,
                "update_freq": "batch",
            },
        ]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start at batch 0."""
        self._close()
        self._training = True
        self._batch = self._first = 0
        self._written = []
        self._id = secrets.token_hex(8)
        self._log = LogFile("TensorBoard")
        if self.write_graph and not getattr(self, "params", {}).get("resumed", False):
            lines: list[str] = []
            self.model.summary(print_fn=lines.append, expand_nested=True)
            text = "\n".join(
                "    " + line for line in lines
            )  # Markdown keeps the columns of indented text
            self._add("train", 0, "text", "model", text)

    def get_state(self) -> dict[str, Any]:
        """Return the number of batches, the axis of the curves over batches, and the files."""
        self._flush()
        sizes = [os.path.getsize(path) for path in self._written]
        names = [os.path.relpath(path, self.log_dir) for path in self._written]
        return {"batch": self._batch, "id": self._id, "files": names, "sizes": sizes}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the number of batches; cut off and delete what comes again."""
        self._first += state["batch"] - self._batch
        self._batch = state["batch"]
        # Earlier versions did not store the files.
        for name, size in zip(state.get("files", []), state.get("sizes", []), strict=True):
            folder, base = os.path.split(name)
            path = os.path.join(self.log_dir, name)
            if folder in _RUNS and base.startswith("events.") and os.path.isfile(path):
                self._written.append(path)
                if os.path.getsize(path) > size:
                    os.truncate(path, size)
        self._id = state.get("id", self._id)
        self._delete_later_files()

    def _delete_later_files(self) -> None:
        """Delete the files of processes that ended before a backup knew of their files."""
        for run in _RUNS:
            folder = os.path.join(self.log_dir, run)
            with contextlib.suppress(OSError):
                for base in os.listdir(folder):
                    path = os.path.join(folder, base)
                    # An identifier of another form could be part of names of files of others.
                    own = re.fullmatch(r"events\..*\.([0-9a-f]{16})\.\d+\.\d+", base)
                    if own and own[1] == self._id and path not in self._written:
                        os.unlink(path)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._begin, self._first = time.perf_counter(), self._batch

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Start the clock of the batch."""
        self._batch_begin = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write the means so far."""
        self._batch += 1
        if self._every and self._batch % self._every == 0:
            found = scalars(logs)
            if self.write_steps_per_second:
                found["steps_per_second"] = 1 / (time.perf_counter() - self._batch_begin)
            self._write("train", "batch_{}", found, self._batch)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the results of an evaluation over the number of updates."""
        step = int(self.model.optimizer.iterations)
        self._write("validation", "evaluation_{}_vs_iterations", scalars(logs), step)
        if not self._training:
            self._close()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the results of the epoch, and the histograms."""
        found = scalars(logs)
        tests = {k.removeprefix("val_"): v for k, v in found.items() if k.startswith("val_")}
        found = {k: v for k, v in found.items() if not k.startswith("val_")}
        found["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            steps = self._batch - self._first
            found["steps_per_second"] = steps / (time.perf_counter() - self._begin)
        if self._every:  # already written over the batches
            found = {name: value for name, value in found.items() if not of_a_layer(name)}
        self._write("train", "epoch_{}", found, epoch)
        if tests:
            self._write("validation", "epoch_{}", tests, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for p in self.model.parameters.all:
                self._histogram(f"{p.path}/histogram", p.value, epoch)
                if p.trainable:
                    self._histogram(f"{p.path}/gradient", np.asarray(p.gradient), epoch)
        self._flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the files."""
        self._training = False
        self._close()

    def _write(self, run: str, tag: str, numbers: dict[str, float], step: int) -> None:
        for name, value in numbers.items():
            # Values of a layer are grouped with its histograms.
            shown = name if of_a_layer(name) else tag.format(name)
            self._add(run, step, "scalar", shown, value)

    def _histogram(self, tag: str, values: Array, step: int) -> None:
        finite = values[np.isfinite(values)]  # a histogram cannot hold the others
        if finite.size:
            self._add("train", step, "histogram", tag, finite, _BINS)

    def _add(self, run: str, step: int, kind: str, tag: str, *values: Any) -> None:
        """Write a scalar, a text or a histogram."""
        folder = os.path.join(self.log_dir, run)
        with self._log.writing(folder):
            if run not in self._writers:
                self._writers[run] = _Events(folder, self._id)
                self._written.append(self._writers[run].path)
            self._writers[run].add(step, kind, tag, *values)

    def _flush(self) -> None:
        for run, events in self._writers.items():
            with self._log.writing(os.path.join(self.log_dir, run)):
                events.file.flush()

    def _close(self) -> None:
        for run, events in self._writers.items():
            with self._log.writing(os.path.join(self.log_dir, run), end=True):
                events.file.close()
        self._writers = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_writers": {}}


class _Events:
    """A file of events, written by the thread that calls.

    tensorboardX's own ``SummaryWriter`` writes in a thread, and waits for ever once that has ended
    with an error. It also gives one name to the files of all runs that begin within a second.

    Args:
        folder: the folder of the file; created if missing.
        run: identifier of the run.
    """

    _count = 0

    def __init__(self, folder: str, run: str) -> None:
        os.makedirs(folder, exist_ok=True)
        _Events._count += 1
        suffix = f".{run}.{os.getpid()}.{_Events._count}"
        writer = _tensorboardx("event_file_writer").EventsWriter
        self.file: Any = writer(os.path.join(folder, "events"), suffix)
        self.path: str = self.file._file_name

    def add(self, step: int, kind: str, *values: Any) -> None:
        """Write what a function of ``tensorboardX.summary`` makes of the values."""
        summary = getattr(_tensorboardx("summary"), kind)(*values)
        event = _tensorboardx("proto.event_pb2").Event(summary=summary, step=step)
        event.wall_time = time.time()
        self.file.write_event(event)


def _tensorboardx(module: str) -> Any:
    """Return a module of tensorboardX."""
    try:
        importlib.import_module("tensorboardX")
        return importlib.import_module(f"tensorboardX.{module}")
    except ImportError as error:
        raise ConfigurationError(
            "TensorBoard: the package tensorboardX is not installed: pip install tensorboardX"
        ) from error
