"""Write the golden files of version 2: ``python -m tests.saving.golden.make_v2``.

It was run once and is never run again. ``numbers.npz`` holds what the models predict and how they
continue training, so that a later release is compared with the one that wrote the files.
"""

from pathlib import Path

import numpy as np

from tests.saving.golden import v2_cases as cases

FOLDER = Path(__file__).parent


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
