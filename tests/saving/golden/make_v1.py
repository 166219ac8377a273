"""Write the golden files of version 1: ``python -m tests.saving.golden.make_v1``.

It was run once, in a copy of release 0.1.0 that contains this folder, with NumPy kernels, and is
never run again: ``v1/`` holds what that code wrote. A model is ``v1/<name>.safetensors``, an
interrupted run is the folder ``v1/<name>/`` with its backup; ``v1/<name>.npz`` holds the results of
that code when it continued from there, and ``v1/probe.json`` how the machine rounded.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

import netlayers as nl
from tests.saving.golden import v1_cases as cases
from tests.saving.golden import v1_runs as runs

FOLDER = Path(__file__).parent / "v1"


def probe():
    """Return a checksum of each kind of computation, for all shapes that occur.

    Where these are the same, a machine rounds as the one did that wrote the files.
    """
    found = {}
    for dtype in ("float32", "float64"):
        a, b = (cases.numbers(seed, 50 * 24).astype(dtype) for seed in (8, 9))
        digests = {name: hashlib.sha256() for name in ("products", "functions", "sums")}
        for m in range(1, 51):
            for k in range(1, 13):
                for n in range(1, 13):
                    x, w, dy = (
                        v[: r * c].reshape(r, c) for v, r, c in ((a, m, k), (b, k, n), (b, m, n))
                    )
                    for product in (x @ w, x.T @ dy, dy @ w.T):
                        digests["products"].update(product.tobytes())
            x, v = a[: m * 24].reshape(m, 24), np.abs(a[: m * 24]) + a.dtype.type(0.0625)
            for f in (np.exp, np.tanh, np.expm1, np.square):
                digests["functions"].update(f(a[: m * 24]).tobytes())
            for f in (np.log, np.log1p, np.sqrt, np.reciprocal):
                digests["functions"].update(f(v).tobytes())
            for s in (x.sum(0), x.sum(1), x.sum(), x.mean(0), x.var(0), np.vdot(x, x)):
                digests["sums"].update(np.asarray(s).tobytes())
            digests["sums"].update(np.einsum("ij,ij->i", x, x).tobytes())
        found |= {f"{dtype} {name}": digest.hexdigest() for name, digest in digests.items()}
    return found


def main():
    assert nl.__version__ == "0.1.0"
    assert nl.kernels_in_use() == "numpy"
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for name in cases.MODELS:
        model, path = cases.trained(name), FOLDER / f"{name}.safetensors"
        model.save(path)
        if name in cases.WEIGHTS:
            model.save_weights(FOLDER / f"{name}_weights.safetensors")
        model = nl.load_model(path, {"cube": cases.cube})
        np.savez_compressed(FOLDER / f"{name}.npz", **cases.go_on(name, model))
    for name in runs.RUNS:
        folder = FOLDER / name
        folder.mkdir()
        with contextlib.suppress(runs.Cut):
            runs.run(name, folder, cut=True)
        for path in folder.glob("best*"):
            path.unlink()
        with tempfile.TemporaryDirectory() as place:
            other = shutil.copytree(folder, Path(place) / name)
            np.savez_compressed(FOLDER / f"{name}.npz", **runs.run(name, other))
    (FOLDER / "probe.json").write_text(json.dumps(probe(), indent=1) + "\n")


if __name__ == "__main__":
    main()
