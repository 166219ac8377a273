"""Write the golden files of version 2; run once, and never again: ``python make_v2.py``.

``numbers.npz`` holds what the models predict and how they go on, so that a later release is
compared with the one that wrote the files.
"""

import importlib.util
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("v2_cases", FOLDER / "v2_cases.py")
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)


def main():
    numbers = {}
    for dtype in ("float32", "float64"):
        model = cases.train(cases.model(dtype), 3)
        model.save(FOLDER / "v2" / f"{dtype}.safetensors")
        model.save_weights(FOLDER / "v2" / f"{dtype}_weights.safetensors")
        for name, array in cases.arrays(model).items():
            numbers[f"{dtype} now {name}"] = array
        cases.train(model, 3)
        for name, array in cases.arrays(model).items():
            numbers[f"{dtype} later {name}"] = array
    np.savez_compressed(FOLDER / "v2" / "numbers.npz", **numbers)


if __name__ == "__main__":
    main()
