"""Save a model, its weights, or a model with additional data of its training."""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.arrays.convert import all_finite
from netlayers.checks import check_custom_objects, check_flag, check_path
from netlayers.errors import FileError, MissingFileError
from netlayers.optimizers import Optimizer
from netlayers.saving.file_names import check_file_name
from netlayers.saving.format import StoredFile, write_file
from netlayers.saving.names import weights_of
from netlayers.saving.rebuilding import check_weights, compile_again, put_back, rebuild
from netlayers.saving.state import EXTRA, arrays_of, describe, joined, require_finite
from netlayers.saving.values import stored_names
from netlayers.training.lock import between_steps, check_not_busy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netlayers._typing import Array, Dtype
    from netlayers.core.layer import Layer

MODEL, WEIGHTS = "model", "weights"
_EXTRA: ContextVar[Any] = ContextVar("extra", default=None)


@contextmanager
def extra_data(extra: Any) -> Iterator[None]:
    """Context manager: what is saved in it has this ``extra``, if it is given none itself.

    For callers of a model's own ``save``, which takes no such argument.
    """
    token = _EXTRA.set(extra)
    try:
        yield
    finally:
        _EXTRA.reset(token)


def save_model(
    model: Layer,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    *,
    allow_nonfinite: bool = False,
    arrays: Mapping[str, Array] | None = None,
    extra: Any = None,
) -> None:
    """Save a model: architecture, weights, ``compile`` settings, optimizer, random streams.

    :func:`load_model` restores it; training continues with bitwise identical results. The file is
    replaced atomically: if the disk is full or the process is killed, the old file is intact. Any
    safetensors reader can open it. Callbacks may save; another thread may not while the model is
    trained.

    Args:
        model: a model or any layer.
        filepath: the file, which ends in ``.safetensors`` or has no ending; ``~`` is expanded, and
            a missing folder is created.
        overwrite: whether an existing file may be replaced.
        allow_nonfinite: whether NaN or infinite weights may replace an existing file.
        arrays: additional arrays by name; :func:`restore` returns them.
        extra: additional plain data, such as counters of callbacks; numbers need not be finite.

    Raises:
        ConfigurationError: the name has another ending.
        FileError: the file exists and may not be replaced, weights are not finite, or something
            cannot be serialized.
        BusyError: another thread trains the model.
        OSError: the disk is full, or the folder cannot be written to; the old file is intact.
    """
    check_not_busy(model, "save")
    path = _target("save", filepath, overwrite, allow_nonfinite)
    if arrays is None and extra is None:  # not the snapshot of a run, which has all of them
        _warn_of_optimizers(model)
    with between_steps(model):  # another thread may begin to train
        stored, description = describe(path, model)
        _guard(path, stored, description["weights"], allow_nonfinite)
        if arrays:
            stored = joined(path, stored, {EXTRA + name: array for name, array in arrays.items()})
        description["extra"] = _EXTRA.get() if extra is None else extra
        write_file(path, stored, description)


def _warn_of_optimizers(model: Layer) -> None:
    """Warn of optimizers in attributes, such as those of a GAN: a file has that of ``compile``."""
    known = getattr(model, "optimizer", None)
    left = [n for n, v in vars(model).items() if isinstance(v, Optimizer) and v is not known]
    if left:
        warn(
            f"save: {model.owner}: a file holds the optimizer of compile() alone; the state of "
            f"{', '.join(left)} is left out, and starts anew in a loaded model. BackupAndRestore "
            "keeps the state of all, to resume fit()."
        )


def stored(path: str) -> StoredFile:
    """Open a file to load.

    Raises:
        MissingFileError: there is none.
    """
    try:
        return StoredFile(path)
    except FileNotFoundError:
        raise MissingFileError(path) from None


def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Return the model that :func:`save_model` wrote.

    Predictions and further training are bitwise identical to those of the saved model: weights,
    statistics, states, assets such as vocabularies, optimizer, random streams. No code of the file
    is run: its names find the classes that are registered or in ``custom_objects``, nothing is
    imported or unpickled. Sizes and shapes are checked before memory is taken, and no byte of it
    can change unnoticed.

    Args:
        filepath: the file.
        custom_objects: custom classes, functions and objects by name, such as metrics and losses.
        compile: whether to compile it as it was.
        safe_mode: accepted as in Keras, without effect: loading is always safe.

    Raises:
        ConfigurationError: an argument has the wrong type.
        FileError: the file is truncated, changed, of another version, or does not contain a model.
        MissingFileError: there is no file: also a FileNotFoundError and a ValueError.
        OSError: it cannot be read.

    Example:
        >>> import os, tempfile, numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(3, "relu"), nl.layers.Dense(1)], seed=0)
        >>> model.compile("adam", "mse")
        >>> x = np.linspace(-1, 1, 32).reshape(16, 2)
        >>> history = model.fit(x, x.sum(axis=1), epochs=2, verbose=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.safetensors")
        ...     model.save(path)
        ...     again = nl.load_model(path)
        >>> bool((again.predict(x) == model.predict(x)).all()), again.optimizer.iterations
        (True, 2)
    """
    check_flag("load_model", "compile", compile)
    check_flag("load_model", "safe_mode", safe_mode)
    check_custom_objects("load_model", custom_objects)
    with stored(check_path("load_model", "filepath", filepath)) as file:
        _check_kind(file, MODEL)
        model = rebuild(file, custom_objects)
        if compile:
            compile_again(file, model, custom_objects)
        file.check_rest()
    return model


def restore(path: Any, model: Layer) -> tuple[dict[str, Array], Any]:
    """Restore a file of :func:`save_model` into a model of the same layers: all or nothing.

    The model and its optimizer continue as the saved ones would have. The ``compile`` settings of
    the model are kept, except for the learning rate.

    Args:
        path: the file.
        model: built, and compiled if the saved one was.

    Returns:
        The additional arrays and data of :func:`save_model`.

    Raises:
        FileError: the file is damaged, or is not of such a model; the model is as it was.
        OSError: it cannot be read.
    """
    with stored(path) as file:
        _check_kind(file, MODEL)
        further = {n[len(EXTRA) :]: file.read(n) for n in file.entries if n.startswith(EXTRA)}
        put_back(file, model)
        return further, file.description.get("extra")


def save_weights(
    model: Layer,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    *,
    allow_nonfinite: bool = False,
    extra: Any = None,
) -> None:
    """Save only the weights and running statistics, and ``extra``.

    Args and errors: see :func:`save_model`.
    """
    check_not_busy(model, "save_weights")
    path = _target("save_weights", filepath, overwrite, allow_nonfinite)
    with between_steps(model):
        arrays = arrays_of(path, model)
        if not arrays and not model.built:
            model._require_built()
        _guard(path, arrays, list(arrays), allow_nonfinite)
        extra = _EXTRA.get() if extra is None else extra
        description: dict[str, Any] = {"kind": WEIGHTS, "weights": list(arrays), "extra": extra}
        if any(p.dtype != p.layer._dtype for p in weights_of(path, model).values()):
            description["format_version"] = 2
        write_file(path, arrays, description)


def load_weights(
    model: Layer,
    filepath: str | os.PathLike[str],
    skip_mismatch: bool = False,
    *,
    strict: bool = False,
) -> None:
    """Load weights by their names from a file of :func:`save_weights` or :func:`save_model`.

    Floats of another precision are converted: float64 weights are rounded in a float32 model.

    Args:
        model: a built model or layer.
        filepath: the file.
        skip_mismatch: keep the weights that the file does not have in this name, shape and dtype,
            with a warning.
        strict: raise for floats of another precision than that of the model.

    Raises:
        FileError: the file is damaged or does not hold the weights of this model, or numbers that
            are too large for its dtype; no weight has changed.
        NotBuiltError: the model is not built.
        BusyError: another thread trains the model.
        OSError: it cannot be read.

    Example:
        >>> import os, tempfile, netlayers as nl
        >>> models = [nl.Sequential([nl.layers.Dense(2)], seed=i) for i in range(2)]
        >>> for model in models:
        ...     model.build((None, 3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     models[0].save_weights(os.path.join(folder, "weights.safetensors"))
        ...     models[1].load_weights(os.path.join(folder, "weights.safetensors"))
        >>> bool((models[0].weights[0] == models[1].weights[0]).all())
        True
    """
    check_not_busy(model, "load_weights")
    check_flag("load_weights", "skip_mismatch", skip_mismatch)
    check_flag("load_weights", "strict", strict)
    path = check_path("load_weights", "filepath", filepath)
    model._require_built()
    with stored(path) as file:
        _check_kind(file, MODEL, WEIGHTS)
        weights = weights_of(file.path, model)
        if skip_mismatch:
            fitting, skipped = {}, []
            for name, p in weights.items():
                try:
                    file.check(name, p.shape, p.dtype, any_float=not strict)
                    fitting[name] = p
                except FileError as error:
                    skipped.append(f"{error.place}: the file has {error.got}")
        else:
            check_weights(file, weights, stored_names(file), any_float=not strict)
            fitting, skipped = weights, []
        values = {name: _converted(file, name, p.dtype) for name, p in fitting.items()}
        file.check_rest()
    with between_steps(model):
        for name, p in fitting.items():
            p.value[...] = values[name]  # type: ignore[index]
    if skipped:
        warn(
            f"load_weights: {len(skipped)} of {len(weights)} weights were left as they are. "
            + "; ".join(skipped[:5])
            + ("; ..." if len(skipped) > 5 else ".")
        )


def _converted(file: StoredFile, name: str, dtype: Dtype) -> Array:
    """Return an array of a file in the dtype of the model.

    Raises:
        FileError: it holds numbers too large for that.
    """
    array = file.read(name)
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    if not all_finite(converted) and all_finite(array):
        largest = f"numbers of up to {np.abs(array).max():.2g}"
        hint = "Make the model with dtype='float64'."
        raise FileError(
            file.path, name, f"numbers of up to {np.finfo(dtype).max:.2g} ({dtype})", largest, hint
        )
    return converted


def _target(owner: str, path: Any, overwrite: bool, allow_nonfinite: bool) -> str:
    check_flag(owner, "overwrite", overwrite)
    check_flag(owner, "allow_nonfinite", allow_nonfinite)
    path = check_file_name(owner, "filepath", path)
    if not overwrite and os.path.exists(path):
        raise FileError(path, "file", "none yet", "one", "Pass overwrite=True to replace it.")
    return path


def _guard(path: str, arrays: dict[str, Array], names: list[str], allow_nonfinite: bool) -> None:
    if not allow_nonfinite and os.path.exists(path):
        require_finite(path, {name: arrays[name] for name in names})


def _check_kind(file: StoredFile, *kinds: str) -> None:
    if file.section.text("kind") not in kinds:
        hint = (
            "These are weights alone: make the model and call load_weights."
            if MODEL in kinds
            else ""
        )
        raise file.section.fail("kind", " or ".join(kinds), hint)
