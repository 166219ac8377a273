"""LeNet-5 of 1998: seven layers, 60,000 weights, 32 x 32 pixels.

    python examples/lenet5.py                # downloads MNIST (11 MB) the first time
    python examples/lenet5.py --data folder  # a folder with the four IDX files
    python examples/lenet5.py --distort      # also move, turn and zoom the images in training

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", Proc. IEEE 86 (1998), figure 2 and section III: 6 and 16 maps of 5 x 5, each halved by
a mean with a weight and a bias of its own, then 120, 84 and 10 units; 1.7159 tanh(2/3 z); images of
28 x 28 within 32 x 32, white -0.1 and black 1.175; 20 passes. The paper reports 0.95 % wrong, and
0.8 % with distortions of the images.

Other than in the paper, all 16 maps see all 6, the last layer is a softmax with cross-entropy in
place of distances to drawings of the digits, and stochastic gradient descent with momentum takes
the place of the diagonal second-order method.

Output, on a busy machine, with compiled kernels (NETLAYERS_KERNELS=numba) and one BLAS thread:

    61,750 weights
    Epoch  1/20   20.2 s  loss 0.1803  accuracy 0.9438
    ...
    Epoch 10/20   22.2 s  loss 0.0028  accuracy 0.9994  val_loss 0.0415  val_accuracy 0.9894
    ...
    Epoch 20/20   26.7 s  loss 8.167e-04  accuracy 1.0000  val_loss 0.0424  val_accuracy 0.9891
    test error 1.09%; the paper: 0.95 %; 567 s (175 s of processor time)

The network knows all training images after ten passes. With ``--distort``:

    Epoch  1/20     1:18  loss 0.2850  accuracy 0.9101
    ...
    Epoch 20/20   12.0 s  loss 0.0222  accuracy 0.9928  val_loss 0.0215  val_accuracy 0.9936
    test error 0.64%; the paper: 0.8 %; 2361 s (257 s of processor time)
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import netlayers as nl

L = nl.layers
BATCH = 32


def make_model(steps: int, seed: int, distort: bool) -> nl.Sequential:
    """Return the compiled network, for a run of so many updates."""
    # Section III: initial weights are uniform up to 2.4 / fan_in.
    options = {
        "kernel_initializer": nl.initializers.VarianceScaling(2.4**2 / 3, "fan_in", "uniform")
    }

    def squashed() -> list[L.Layer]:
        return [L.Rescaling(2 / 3), L.Activation("tanh"), L.Rescaling(1.7159)]

    def convolution(filters: int) -> list[L.Layer]:
        halved = [L.AveragePooling2D(2), L.DepthwiseConv2D(1), *squashed()]
        return [L.Conv2D(filters, 5, **options), *squashed(), *halved]

    changes = [
        L.RandomTranslation(2 / 32, 2 / 32, fill_mode="nearest"),
        L.RandomRotation(0.03, fill_mode="nearest"),
        L.RandomZoom(0.1, 0.1, fill_mode="nearest"),
    ]
    layers = [
        nl.Input((32, 32, 1)),
        *(changes if distort else []),
        *convolution(6),  # 14 x 14
        *convolution(16),  # 5 x 5
        L.Flatten(),
        L.Dense(120, **options),
        *squashed(),
        L.Dense(84, **options),
        *squashed(),
        L.Dense(10, "softmax"),
    ]
    model = nl.Sequential(layers, seed=seed)
    rate = nl.optimizers.schedules.CosineDecay(0.02, steps)
    optimizer = nl.optimizers.SGD(rate, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    """Train, and print the results."""
    parser = argparse.ArgumentParser(description="LeNet-5 of 1998.")
    parser.add_argument("--data", help="folder with the four files of MNIST")
    parser.add_argument("--distort", action="store_true", help="change the images in training")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, help="number of training images to use")
    arguments = parser.parse_args()
    (x, y), (x_test, y_test) = nl.datasets.mnist.load_data(arguments.data)
    x, y = x[: arguments.samples], y[: arguments.samples]
    x, x_test = (
        np.pad(
            np.float32(images) / 255 * 1.275 - 0.1, [(0, 0), (2, 2), (2, 2)], constant_values=-0.1
        )
        for images in (x, x_test)
    )
    x, x_test = x[..., None], x_test[..., None]
    model = make_model(arguments.epochs * -(-len(x) // BATCH), arguments.seed, arguments.distort)
    print(f"{model.count_params():,} weights")
    start, processor = time.perf_counter(), time.process_time()
    model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=arguments.epochs,
        verbose=2,
        validation_data=(x_test, y_test),
        validation_freq=min(5, arguments.epochs),
    )
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    wrong = 1 - model.evaluate(x_test, y_test, verbose=0)[1]
    paper = 0.8 if arguments.distort else 0.95
    print(
        f"test error {wrong:.2%}; the paper: {paper} %; {seconds:.0f} s "
        f"({processor:.0f} s of processor time)"
    )


if __name__ == "__main__":
    main()
