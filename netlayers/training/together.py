"""What all processes of a run must have in common."""

from __future__ import annotations

import functools
import hashlib
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._version import __version__
from netlayers.errors import ConfigurationError
from netlayers.kernels.select import kernels_in_use
from netlayers.training.state import differences

if TYPE_CHECKING:
    from netlayers.distribution import DataParallel
    from netlayers.training.compilation import CompilableModel

_SHOWN = 5  # differences that a message names
_CALLS = {"stop_training": "fit", "stop_evaluating": "evaluate", "stop_predicting": "predict"}


def check_together(distribution: DataParallel, model: CompilableModel, run: dict[str, Any]) -> None:
    """Check that all processes train the same model on the same data, in the same way.

    Args:
        distribution: the processes.
        model: the model of this process.
        run: what describes the run.

    Raises:
        ConfigurationError: something differs, which the message names.
    """
    if distribution.size == 1:
        return
    weights = model.parameters.values.tobytes() + model.parameters.statistics.tobytes()
    mine = {
        "code of netlayers": _digest_of_code(),
        "code of the script": _digest_of_script(),
        "netlayers": __version__,
        "NumPy": np.__version__,
        "Python": platform.python_version(),
        "processor": _processor(),
        "kernels": kernels_in_use(),
        "seed of the model": model._streams.entropy,
        "optimizer": repr(model.optimizer.get_config()) if model.optimizer else None,
        "layers": [f"{type(its).__name__} {its.path}" for its in model._flatten_layers()],
        "weights": hashlib.blake2b(weights, digest_size=8).hexdigest(),
        "move_shards": distribution.move_shards,
        **run,
    }
    every = distribution.processes.gather(mine, "the start of fit")
    for rank, other in enumerate(every):
        found = [
            f"{place}: {a!r} there, {b!r} here" for place, a, b in differences(every[0], other)
        ]
        if found:
            more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise ConfigurationError(
                f"DataParallel: process {rank} differs from process 0. "
                f"{'; '.join(found[:_SHOWN])}{more} (there: process 0, here: process {rank}). All "
                "processes must run the same script on the same data and kind of processor; give "
                "the model a seed."
            )


def agreed(model: Any, flag: str) -> bool:
    """Return whether a flag of a model, such as stop_training, is set in any process.

    It is then set in all, so that all stop after the same batch.
    """
    distribution = getattr(model, "distribution", None)
    if distribution is not None and distribution.size > 1:
        flags = distribution.processes.gather(getattr(model, flag), _CALLS[flag])
        setattr(model, flag, any(flags))
    found: bool = getattr(model, flag)
    return found


def active_here(callbacks: list[Any], distribution: DataParallel) -> list[Any]:
    """Return the callbacks whose hooks are called in this process: in all but the first, not all.

    Those with ``first_process_only`` print or write files, which the first process does.
    """
    if distribution.rank == 0:
        return callbacks
    return [c for c in callbacks if not getattr(c, "first_process_only", False)]


@functools.cache
def _digest_of_code() -> str:
    digest = hashlib.blake2b(digest_size=8)
    folder = Path(__file__).parents[1]
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _digest_of_script() -> str | None:
    """Return a digest of the file that Python was started with, ``None`` if there is none."""
    try:
        code = Path(sys.modules["__main__"].__file__ or "").read_bytes()
    except (AttributeError, OSError):  # python -c, or a console
        return None
    return hashlib.blake2b(code, digest_size=8).hexdigest()


def _processor() -> str:
    """Return the kind of the processor, and what NumPy found that it can do."""
    features = getattr(np._core._multiarray_umath, "__cpu_features__", {})  # type: ignore[attr-defined]
    can = " ".join(sorted(name for name, has in features.items() if has))
    return f"{platform.machine()} {hashlib.blake2b(can.encode(), digest_size=4).hexdigest()}"
