"""The wall in the loss surface of a recurrent network: figure 6 of Pascanu et al. (2013).

    python examples/wall.py                    # a second
    python examples/wall.py --plot wall.png    # also draw the surface and two descents

One unit and no input: ``h[t] = sigmoid(w h[t-1] + b)``, from ``h[0] = sigmoid(0.5)``, and the loss
``(h[50] - 0.7)²`` (R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent
neural networks", ICML 2013, section 2.3 and figure 6). Where w is large, h ends near 0 or near 1,
and at the boundary between the two it jumps within a thousandth of b: a wall, at whose foot the
best weights lie. The gradient on the wall is a hundred times larger than around it. A step of
gradient descent that meets it throws the weights far away; a gradient whose norm is clipped
(algorithm 1 of the paper) brings them back down to the foot.

Output:

    plain    largest gradient   95.5, largest move  9.55; the end: w  9.52, b  5.83, loss 0.0900
    clipped  largest gradient  182.3, largest move  0.01; the end: w  4.48, b -2.28, loss 0.0008
    drawn: wall.png
"""

from __future__ import annotations

import argparse

import numpy as np

import netlayers as nl

STEPS, TARGET = 50, 0.7
START = (5.0, -1.8)  # w and b
DESCENTS: dict[str, dict[str, float]] = {"plain": {}, "clipped": {"global_clipnorm": 0.1}}


def sigmoid(z: np.ndarray | float) -> np.ndarray:
    """Return 1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-np.asarray(z)))


def surface(w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the loss for arrays of weights and biases."""
    h = sigmoid(0.5)
    for _ in range(STEPS):
        h = sigmoid(w * h + b)
    return (h - TARGET) ** 2


def make_model() -> nl.Model:
    """Return the same as a network, at the start."""
    no_input, h_0 = nl.Input((STEPS, 1)), nl.Input((1,))
    layer = nl.layers.SimpleRNN(1, "sigmoid", dtype="float64")
    model = nl.Model([no_input, h_0], layer(no_input, initial_state=[h_0]))
    layer.recurrent_kernel[...], layer.bias[...] = START
    return model


def descend(optimizer: nl.optimizers.Optimizer, updates: int) -> tuple[np.ndarray, np.ndarray]:
    """Return w, b and the loss before each update (updates, 3), and the norms of the gradient."""
    x, y = (np.zeros((1, STEPS, 1)), sigmoid(0.5).reshape(1, 1)), np.array([[TARGET]])
    model, loss = make_model(), nl.losses.MeanSquaredError()
    layer = model.layers[-1]
    path, norms = [], []
    for _ in range(updates):
        value = loss.forward(y, model.forward(x, training=True))
        path.append((layer.recurrent_kernel.item(), layer.bias.item(), value))
        model.backward(loss.backward())
        norms.append(np.hypot(layer.d_recurrent_kernel.item(), layer.d_bias.item()))
        optimizer.step(model.parameters)  # clips the gradient, then updates
    return np.array(path), np.array(norms)


def draw(path: str, paths: dict[str, np.ndarray]) -> None:
    """Draw the surface, and both descents seen from above."""
    from netlayers.plotting import figures

    w, b = np.meshgrid(np.linspace(3, 7, 401), np.linspace(-3.5, -1, 401))
    loss = surface(w, b)
    figure = figures.new_figure(height=3.8, layout="constrained")
    left = figure.add_subplot(1, 2, 1, projection="3d")
    left.plot_surface(
        w, b, loss, cmap=figures.SEQUENTIAL, rcount=160, ccount=160, antialiased=False
    )
    left.view_init(elev=30, azim=50)
    left.set(xlabel="w", ylabel="b", yticks=(-3, -2, -1))
    left.set_box_aspect(None, zoom=0.88)
    figures.set_title(left, "the loss")
    right = figure.add_subplot(1, 2, 2)
    mesh = right.pcolormesh(w, b, loss, cmap=figures.SEQUENTIAL, shading="gouraud", rasterized=True)
    figure.colorbar(mesh, label="loss")
    for (title, points), colour in zip(paths.items(), (figures.COLOURS[1], "black"), strict=True):
        figures.outlined(right, points[:, 0], points[:, 1], colour, label=title)
    right.plot(*START, "*", color="white", markersize=13, markeredgecolor="black", label="start")
    right.set(xlim=(3, 7), ylim=(-3.5, -1), xlabel="w", ylabel="b")
    figures.set_title(right, "gradient descent, from above")
    figures.legend_below(right, 3, handlelength=1.6)
    figures.save(figure, path)
    print(f"drawn: {path}")


def main() -> None:
    """Descend with and without clipping, print, and draw."""
    parser = argparse.ArgumentParser(description="The wall of a recurrent network.")
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--plot", metavar="FILE", help="write the plot to this file")
    arguments = parser.parse_args()
    paths = {}
    for title, clipping in DESCENTS.items():
        paths[title], norms = descend(
            nl.optimizers.SGD(arguments.rate, **clipping), arguments.updates
        )
        moves = np.hypot(*np.diff(paths[title][:, :2], axis=0).T)
        w, b, loss = paths[title][-1]
        print(
            f"{title:8} largest gradient {norms.max():6.1f}, largest move {moves.max():5.2f}; "
            f"the end: w {w:5.2f}, b {b:5.2f}, loss {loss:.4f}"
        )
    if arguments.plot:
        draw(arguments.plot, paths)


if __name__ == "__main__":
    main()
