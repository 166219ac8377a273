"""Draw the pictures of the pages that no example draws, and reduce pictures to 256 colours.

python docs/pictures.py                # draw those named below into docs/
python docs/pictures.py docs/xor.png   # only reduce pictures, such as one that an example drew
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

import netlayers as nl

DOCS = Path(__file__).parent
layers = nl.layers


def page(name: str, until: str) -> dict[str, Any]:
    """Run the code of a page up to the block that defines a name; return what it defines."""
    found: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL):
        exec(code, found)
        if until in found:
            return found
    raise LookupError(f"{name} does not define {until}")


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the digits of the package, as rows from 0 to 1."""
    (x, y), _ = nl.datasets.digits.load_data()
    return x.reshape(-1, 64) / 16, y


def gradient_flow(path: Path) -> None:
    """Draw how the gradient vanishes through five sigmoid layers."""
    hidden = [layers.Dense(30, "sigmoid", name=f"hidden_{i}") for i in range(1, 6)]
    model = nl.Sequential([*hidden, layers.Dense(10, name="output")], seed=0)
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nl.optimizers.SGD(0.5), loss)
    monitor = nl.callbacks.GradientMonitor(every=20)
    model.fit(*digits(), epochs=36, verbose=0, callbacks=[monitor])
    monitor.plot("gradient_norm", path)


def loss_surface(path: Path) -> None:
    """Draw the loss in the plane of a run."""
    model = nl.Sequential([layers.Dense(16, "tanh"), layers.Dense(10)], seed=0)
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nl.optimizers.Adam(3e-3), loss)
    model.build((None, 64))
    run = [model.parameters.values.copy()]
    keep = nl.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: run.append(model.parameters.values.copy())
    )
    x, y = digits()
    model.fit(x, y, epochs=12, verbose=0, callbacks=[keep])
    model.loss_surface(x, y, trajectory=run).plot(path, three_dimensional=True)


def graph(path: Path) -> None:
    """Draw two towers."""
    towers, inputs = [], []
    for name, size in (("user", 32), ("item", 24)):
        inputs.append(nl.Input((size,), name=name))
        h = layers.Dense(64, "relu", name=f"{name}_1")(inputs[-1])
        h = layers.Dense(32, "relu", name=f"{name}_2")(h)
        towers.append(layers.Dense(16, name=f"{name}_3")(h))
    score = layers.Dot(axes=1)(towers)
    click = layers.Dense(1, "sigmoid", name="click")(layers.Concatenate()([*towers, score]))
    nl.Model(inputs, {"score": score, "click": click}, name="two towers").plot(path)


def reduce(path: Path) -> None:
    """Write a picture with 256 colours: a third of the bytes."""
    from PIL import Image

    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    reduced.save(path, optimize=True)
    print(f"{path}: {reduced.width} x {reduced.height}, {path.stat().st_size // 1000} kB")


def main() -> None:
    """Draw all, or reduce those named."""
    paths = [Path(name) for name in sys.argv[1:]]
    if not paths:
        nl.use_kernels("numpy")  # as in the tests of the pages
        features = page("features.md", "history")
        drawn = {
            "network": features["net"].plot,
            "training": features["history"].plot,
            "gradient_over_time": lambda path: page("sequences.md", "monitor")[
                "monitor"
            ].plot_time_steps(to_file=path),
            "feature_maps": page("images.md", "maps")["maps"].plot,
            "gradient_flow": gradient_flow,
            "loss_surface": loss_surface,
            "graph": graph,
        }
        paths = [DOCS / f"{name}.png" for name in drawn]
        for path, draw in zip(paths, drawn.values(), strict=True):
            draw(path)
    for path in paths:
        reduce(path)


if __name__ == "__main__":
    main()
