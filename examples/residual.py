"""What depth and residual paths do to the gradient: convolutions on 8 x 8 digits.

    python examples/residual.py                     # the digits that ship with the package
    python examples/residual.py --plot residual.png # also draw the gradients and the losses

Three networks of 16 channels at depths 8, 20 and 32, with ReLU and the initial weights of K. He et
al. (2015): plain; with batch normalization; and with paths that skip pairs of these layers, as in
K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition" (CVPR 2016), figure
2. The first number is dL/dy at the output of the first convolution divided by that at the last
one, before any training: 1 means that the gradient arrives as it left.

G. Yang et al., "A Mean Field Theory of Batch Normalization" (ICLR 2019), derive that the gradient
of a deep plain network of ReLU layers with batch normalization grows by a factor of
√(π / (π - 1)) = 1.21 with each layer. Here it is 330 over 31 layers, 1.206 for each.

Output, on two busy cores, with compiled kernels (NETLAYERS_KERNELS=numba):

    network          gradient, first / last    loss  test accuracy  time (processor)
    plain         8                     0.64   0.3571         88.9%       9 s (2 s)
    plain        20                     0.42   0.2942         88.1%      11 s (3 s)
    plain        32                     0.24   1.5931         48.6%      64 s (5 s)
    normalized    8                      6.6   0.5590         97.8%       6 s (1 s)
    normalized   20                       51   0.7115         79.7%      61 s (4 s)
    normalized   32                  3.3e+02   1.4796         46.1%      24 s (6 s)
    residual      8                      7.1   0.5495         97.2%       6 s (1 s)
    residual     20                       20   0.3557         99.2%      13 s (4 s)
    residual     32                       32   0.3736         97.5%      25 s (6 s)
    drawn: residual.png
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import netlayers as nl

L = nl.layers
KINDS = ("plain", "normalized", "residual")


def make_model(kind: str, depth: int, seed: int, width: int = 16) -> nl.Model:
    """Return a compiled network with ``depth`` convolutions."""

    def convolution(h: object, number: int) -> object:
        layer = L.Conv2D(
            width,
            3,
            padding="same",
            use_bias=kind == "plain",
            kernel_initializer="he_normal",
            name=f"conv_{number}",
        )
        h = layer(h)
        return h if kind == "plain" else L.BatchNormalization(momentum=0.9)(h)

    inputs = nl.Input((8, 8, 1))
    h = L.Activation("relu")(convolution(inputs, 1))
    for number in range(2, depth, 2):
        inner = L.Activation("relu")(convolution(h, number))
        inner = convolution(inner, number + 1)
        h = L.Activation("relu")(h + inner if kind == "residual" else inner)
    h = L.Activation("relu")(convolution(h, depth))
    outputs = L.Dense(10, "softmax")(L.GlobalAveragePooling2D()(h))
    model = nl.Model(inputs, outputs, seed=seed)
    model.compile(nl.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def gradients(model: nl.Model, depth: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the root mean square of dL/dy for the output of each convolution."""
    names = [f"conv_{i}" for i in range(1, depth + 1)]
    found = model.gradients_of(names, x, y)
    return np.array([np.sqrt(np.mean(np.square(found[name], dtype=np.float64))) for name in names])


def draw(results: dict[tuple[str, int], tuple[np.ndarray, list[float]]], path: str) -> None:
    """Draw the gradients by layer, and the losses of the deepest networks."""
    from netlayers.plotting import figures

    figure, (left, right) = figures.new_plots(2, height=3.6)
    depths = sorted({depth for _, depth in results})
    entries = {}
    for (kind, depth), (sizes, losses) in results.items():
        k = KINDS.index(kind)
        style = {"color": figures.COLOURS[k], "marker": figures.MARKERS[k], "markersize": 4}
        style["linestyle"] = (":", "--", "-")[depths.index(depth) % 3]
        left.plot(np.arange(1, depth + 1), sizes, markevery=0.1, **style)
        epochs = np.arange(1, len(losses) + 1)
        (entries[f"{kind}, {depth}"],) = right.plot(epochs, losses, markevery=0.1, **style)
    figures.set_title(left, "before training")
    left.set(xlabel="convolution", ylabel="dL/dy, root mean square", yscale="log")
    figures.set_title(right, "in training")
    right.set(xlabel="epoch", ylabel="training loss", yscale="log")
    figures.plain_ticks(right.yaxis)
    figures.shared_legend(figure, entries, len(KINDS))
    figures.save(figure, path)
    print(f"drawn: {path}")


def main() -> None:
    """Measure the gradients, train, and print the results."""
    parser = argparse.ArgumentParser(description="Depth, residual paths and the gradient.")
    parser.add_argument("--depths", type=int, nargs="+", default=[8, 20, 32])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE", help="draw gradients and losses into this file")
    arguments = parser.parse_args()
    (x, y), (x_test, y_test) = nl.datasets.digits.load_data()
    x, x_test = (np.float32(images)[..., None] / 16 for images in (x, x_test))
    results = {}
    print("network          gradient, first / last    loss  test accuracy  time (processor)")
    for kind in KINDS:
        for depth in arguments.depths:
            model = make_model(kind, depth, arguments.seed)
            sizes = gradients(model, depth, x[:128], y[:128])
            start, processor = time.perf_counter(), time.process_time()
            history = model.fit(x, y, batch_size=64, epochs=arguments.epochs, verbose=0).history
            seconds, processor = time.perf_counter() - start, time.process_time() - processor
            accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
            results[kind, depth] = sizes, history["loss"]
            print(
                f"{kind:10} {depth:4} {sizes[0] / sizes[-1]:24.2g} {history['loss'][-1]:8.4f} "
                f"{accuracy:13.1%} {seconds:7.0f} s ({processor:.0f} s)",
                flush=True,
            )
    if arguments.plot:
        draw(results, arguments.plot)


if __name__ == "__main__":
    main()
