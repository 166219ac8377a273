"""Snapshots: a model before a step, with the batch of the step, in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._optional import scipy
from netlayers.arrays.sparse import is_malformed, is_sparse
from netlayers.data.batch import Batch
from netlayers.errors import FileError
from netlayers.saving.format import StoredFile
from netlayers.saving.models import load_model, save_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlayers.core.layer import Layer
    from netlayers.training.compilation import CompilableModel

_CSR = ("data", "indices", "indptr", "shape")


def save_snapshot(path: str, model: Layer, batch: Batch, place: dict[str, Any]) -> None:
    """Save a model, which may hold numbers that are not finite, with x, y and sample weights.

    Args:
        path: the file; it may be replaced.
        model: as it was before the step.
        batch: checked data; the inputs are an array or a CSR matrix.
        place: numbers of epoch and batch.
    """
    x, y, sample_weight, _ = batch
    if is_sparse(x):
        arrays = {f"x.{part}": np.asarray(getattr(x, part)) for part in _CSR}
    else:
        arrays = {"x": x}
    arrays["y"] = y
    if sample_weight is not None:
        arrays["sample_weight"] = sample_weight
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_model(model, path, allow_nonfinite=True, arrays=arrays, extra={"snapshot": place})


def load_snapshot(
    path: Any, custom_objects: Mapping[str, Any] | None = None
) -> tuple[CompilableModel, Batch, dict[str, Any]]:
    """Return model, batch and place, as :func:`save_snapshot` wrote them.

    Raises:
        FileError: the file is damaged, or not a snapshot.
        ConfigurationError: its batch is sparse, and SciPy is not installed.
    """
    model = load_model(path, custom_objects)
    with StoredFile(path) as file:
        extra = file.description.get("extra")
        place: Any = extra.get("snapshot") if isinstance(extra, dict) else None
        arrays = {n[len("extra.") :]: file.read(n) for n in file.entries if n.startswith("extra.")}
        whole = "y" in arrays and ("x" in arrays or all(f"x.{part}" in arrays for part in _CSR))
        good = isinstance(place, dict) and all(
            type(place.get(n)) is int for n in ("epoch", "batch")
        )
        if not (whole and good):
            raise FileError(file.path, "extra", "the batch of a snapshot", "none")
    x: Any
    if "x" in arrays:
        x = arrays["x"]
    else:
        csr_matrix = scipy("load_snapshot: the sparse batch of this file", "sparse").csr_matrix
        data, indices, indptr, shape = (arrays[f"x.{part}"] for part in _CSR)
        try:
            x = csr_matrix((data, indices, indptr), shape=tuple(shape.tolist()))
            if is_malformed(x):  # SciPy's own check looks at no entries if the last start is < 0
                raise ValueError("indptr or indices are out of bounds")
        except (ValueError, TypeError, IndexError) as error:
            raise FileError(file.path, "extra", "a sparse matrix", f"an error: {error}") from None
    parts = [x, *(arrays[name] for name in ("y", "sample_weight") if name in arrays)]
    rows = [part.shape[0] if part.shape else 0 for part in parts]
    if rows != [rows[0]] * len(rows) or not rows[0]:
        expected = "inputs, targets and sample weights with the same number of rows"
        raise FileError(file.path, "extra", expected, ", ".join(map(str, rows)))
    if getattr(model, "optimizer", None) is None:
        raise FileError(file.path, "compile", "a compiled model", "one that is not")
    return model, Batch(x, arrays["y"], arrays.get("sample_weight"), x.shape[0]), place
