"""Fashion-MNIST with convolutions, batch normalization and images that are changed at random.

    python examples/fashion_mnist.py                # downloads it (30 MB) unless it is installed
    python examples/fashion_mnist.py --data folder  # a folder with the four IDX files
    python examples/fashion_mnist.py --look folder  # also draw what the network sees

The data set's README lists 91.6 % for two convolutions with pooling, and 83.5 % for people (H.
Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", 2017). In training, half of the images are mirrored;
the learning rate rises and falls again (one cycle).

Output, with compiled kernels (NETLAYERS_KERNELS=numba) and two threads, on two cores:

    Epoch  1/25   19.7 s  loss 1.0587  accuracy 0.6332
    ...
    Epoch  5/25   19.5 s  loss 0.3431  accuracy 0.8733  val_loss 0.3306  val_accuracy 0.8793
    Epoch 10/25   19.7 s  loss 0.2641  accuracy 0.9036  val_loss 0.2816  val_accuracy 0.8948
    Epoch 15/25   19.5 s  loss 0.2178  accuracy 0.9190  val_loss 0.2260  val_accuracy 0.9140
    Epoch 20/25   20.3 s  loss 0.1755  accuracy 0.9344  val_loss 0.2123  val_accuracy 0.9216
    Epoch 25/25   19.7 s  loss 0.1586  accuracy 0.9408  val_loss 0.1993  val_accuracy 0.9281
    test accuracy 92.81%; 476 s (818 s of processor time)
    Shirt 78.0%  T-shirt/top 86.9%  Pullover 89.7%  Coat 90.9%  Dress 93.4%  Ankle boot 95.7%
    Sneaker 97.6%  Sandal 97.8%  Trouser 98.5%  Bag 99.6%
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import netlayers as nl

L = nl.layers
BATCH = 128


def make_model(steps: int, seed: int) -> nl.Sequential:
    """Return the compiled network, for a run of so many updates."""

    def block(filters: int, size: int, *pooling: L.Layer) -> list[L.Layer]:
        convolution = L.Conv2D(filters, size, use_bias=False, kernel_initializer="he_normal")
        return [convolution, *pooling, L.BatchNormalization(), L.ReLU()]

    layers = [
        nl.Input((28, 28, 1)),
        L.RandomFlip("horizontal"),
        *block(32, 3, L.MaxPooling2D(2)),  # 13 x 13
        L.Dropout(0.1),
        *block(64, 3),
        *block(64, 3, L.MaxPooling2D(2)),  # 4 x 4
        L.Dropout(0.2),
        *block(128, 3),
        L.Flatten(),
        L.Dropout(0.4),
        L.Dense(10),
    ]
    model = nl.Sequential(layers, seed=seed)
    rate = nl.optimizers.schedules.OneCycle(3e-3, max(2, steps))
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nl.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def look(model: nl.Sequential, x: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Draw what the network has learned, and what it looks at in an image of each class."""
    folder.mkdir(exist_ok=True)
    first = np.array([np.flatnonzero(labels == i)[0] for i in (0, 1, 3, 5, 7, 8, 9)])
    tools = nl.diagnostics
    tools.filters(model).plot(folder / "filters.png")
    tools.feature_maps(model, x[first], ["re_lu", "re_lu_2"]).plot(folder / "maps.png", image=4)
    tools.saliency(model, x[first]).plot(folder / "saliency.png")
    tools.grad_cam(model, x[first], layer="re_lu_2").plot(folder / "grad_cam.png")
    print(f"drawn: {folder}")


def main() -> None:
    """Train, and print the results."""
    parser = argparse.ArgumentParser(description="Fashion-MNIST with convolutions.")
    parser.add_argument("--data", help="folder with the four files")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--look", metavar="FOLDER", help="draw filters, maps, saliency, Grad-CAM")
    parser.add_argument("--samples", type=int, help="number of training images to use")
    arguments = parser.parse_args()
    (x, y), (x_test, y_test) = nl.datasets.fashion_mnist.load_data(arguments.data)
    x, y = np.float32(x[: arguments.samples])[..., None] / 255, y[: arguments.samples]
    x_test, labels = np.float32(x_test)[..., None] / 255, y_test
    model = make_model(arguments.epochs * -(-len(x) // BATCH), arguments.seed)
    start, processor = time.perf_counter(), time.process_time()
    model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=arguments.epochs,
        verbose=2,
        validation_data=(x_test, labels),
        validation_freq=min(5, arguments.epochs),
    )
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    right = model.predict(x_test, verbose=0).argmax(axis=1) == labels
    print(
        f"test accuracy {right.mean():.2%}; {seconds:.0f} s ({processor:.0f} s of processor time)"
    )
    classes = list(enumerate(nl.datasets.fashion_mnist.CLASSES))
    each = [(right[labels == i].mean(), name) for i, name in classes if (labels == i).any()]
    print("  ".join(f"{name} {share:.1%}" for share, name in sorted(each)))
    if arguments.look:
        look(model, x_test, labels, Path(arguments.look))


if __name__ == "__main__":
    main()
