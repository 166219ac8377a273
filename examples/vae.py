"""A variational autoencoder of digits: a layer that draws, and that adds to the loss.

The encoder gives a mean and a log-variance for each of two latent numbers; the layer ``Sampling``
draws from that normal distribution, so that dL/dmean and dL/dlog-variance exist (the
reparametrization trick), and adds the Kullback-Leibler divergence from the standard normal
distribution to the loss. The loss is a mean over the 64 pixels, so the divergence is divided by 64.

    python examples/vae.py
    python examples/vae.py --epochs 300 --plot digits.png    # a map of the latent plane

Source: D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014: the objective is
equation 10, the divergence appendix B.

Output:

    gradients of the network are right: True
    epoch   1  loss 0.6322  val_loss 0.5830
    epoch  51  loss 0.3898  val_loss 0.3768
    epoch 100  loss 0.3858  val_loss 0.3721
    test digits with the label of their nearest neighbour in the plane: 68.9%
"""

import argparse

import numpy as np

import netlayers as nl
from netlayers import layers


class Sampling(nl.Layer):
    """``z = m + exp(v / 2) ε``, ε from N(0, 1); the loss grows by ``-½ Σ (1 + v - m² - exp(v))``.

    Inputs: means m and log-variances v, both (batch, latent). At inference ``z = m``.

    Args:
        weight: factor of the divergence.
    """

    input_spec = (nl.InputSpec(name="mean"), nl.InputSpec(name="log_variance"))
    random = True

    def __init__(self, weight=1.0, **kwargs):
        super().__init__(**kwargs)
        self.weight = weight

    def compute_output_shape(self, input_shape):
        """Return the shape of the means."""
        return input_shape[0]

    def forward(self, x, training=False):
        """Return the latent numbers."""
        m, v = self.prepare(x)
        divergence = -0.5 * np.sum(1 + v - m**2 - np.exp(v)) / len(m)
        self.add_loss(self.weight * divergence)
        if not training:
            return m
        noise = self.rng.standard_normal(m.shape, m.dtype) * np.exp(v / 2)
        self.cache.m, self.cache.v, self.cache.noise = m, v, noise
        return m + noise

    def backward(self, dz):
        """``dm = dz + w m / n``; ``dv = dz ε exp(v / 2) / 2 + w (exp(v) - 1) / (2 n)``."""
        m, v, noise = self.cache.m, self.cache.v, self.cache.noise
        share = self.weight / len(m)
        return dz + share * m, dz * noise / 2 + share * (np.exp(v) - 1) / 2


def make(seed):
    """Return the autoencoder, and its two halves, which share its weights."""
    x = nl.Input((64,), name="digit")
    h = layers.Dense(128, "relu")(x)
    mean, log_variance = layers.Dense(2, name="mean")(h), layers.Dense(2, name="log_variance")(h)
    z = Sampling(1 / 64, name="z")([mean, log_variance])
    decoder = nl.Sequential(
        [layers.Dense(128, "relu"), layers.Dense(64, "sigmoid")], name="decoder"
    )
    return nl.Model(x, decoder(z), seed=seed, name="vae"), nl.Model(x, mean), decoder


def main():
    """Train, and show what the latent plane holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", help="file for a map of the latent plane; needs matplotlib")
    args = parser.parse_args()

    (x, labels), (x_test, labels_test) = nl.datasets.digits.load_data()
    x, x_test = (v.reshape(len(v), -1).astype("float32") / 16 for v in (x, x_test))
    vae, encoder, decoder = make(args.seed)
    print("gradients of the network are right:", nl.check_gradients(make(0)[0], x[:4]).passed)

    vae.compile(nl.optimizers.Adam(2e-3), "binary_crossentropy")
    data = {"validation_data": (x_test, x_test), "batch_size": 64}
    history = vae.fit(x, x, epochs=args.epochs, verbose=0, **data).history
    for epoch in (0, args.epochs // 2, args.epochs - 1):
        print(
            f"epoch {epoch + 1:3}  loss {history['loss'][epoch]:.4f}"
            f"  val_loss {history['val_loss'][epoch]:.4f}"
        )
    train, test = encoder.predict(x), encoder.predict(x_test)
    nearest = ((test[:, None] - train[None]) ** 2).sum(axis=2).argmin(axis=1)
    share = np.mean(labels[nearest] == labels_test)
    print(f"test digits with the label of their nearest neighbour in the plane: {share:.1%}")
    if args.plot:
        draw(decoder, args.plot)


def draw(decoder, path, side=12):
    """Draw what the decoder makes of a grid in the latent plane."""
    from matplotlib.image import imsave

    grid = np.linspace(-2, 2, side)
    z = np.stack(np.meshgrid(grid, grid[::-1]), axis=-1).reshape(-1, 2)
    tiles = decoder.predict(z).reshape(side, side, 8, 8).transpose(0, 2, 1, 3)
    picture = tiles.reshape(8 * side, 8 * side).repeat(8, axis=0).repeat(8, axis=1)
    imsave(path, picture, cmap="gray")


if __name__ == "__main__":
    main()
