"""A generative adversarial network of digits, with the chain rule in sight.

Two networks, two optimizers. The discriminator learns to tell digits from what the generator makes
of random numbers; the generator learns from the gradient that comes back through the discriminator:
``discriminator.backward`` returns dL/dfake, and ``generator.backward`` goes on from it.

    python examples/gan.py
    python examples/gan.py --steps 6000 --plot digits.png

Source: I. Goodfellow et al., "Generative adversarial nets", NIPS 2014, algorithm 1; the generator
maximizes log D(G(z)), as section 3 recommends.

Output:

    step     1  generator 0.677  discriminator 0.730  clear to a classifier  98%, kinds of digits 1
    step  1000  generator 0.903  discriminator 0.666  clear to a classifier  27%, kinds of digits 10
    step  2000  generator 0.903  discriminator 0.666  clear to a classifier  26%, kinds of digits 10
    step  3000  generator 0.847  discriminator 0.669  clear to a classifier  36%, kinds of digits 10
"""

import argparse

import numpy as np

import netlayers as nl
from netlayers import layers


def make(latent, seed):
    """Return generator and discriminator."""
    generator = nl.Sequential(
        [nl.Input((latent,)), layers.Dense(128, "relu"), layers.Dense(64, "sigmoid")], seed=seed
    )
    discriminator = nl.Sequential(
        [
            nl.Input((64,)),
            layers.Dense(128, layers.LeakyReLU(0.2)),
            layers.Dropout(0.3),
            layers.Dense(1),
        ],
        seed=seed + 1,
    )
    return generator, discriminator


def step(generator, discriminator, optimizers, digits, z):
    """Update both networks once; return the loss of each."""
    loss = nl.losses.BinaryCrossentropy(from_logits=True)
    n = len(digits)

    # The discriminator: digits are 1, what was generated is 0.
    fake = generator.forward(z, training=True)
    logits = discriminator.forward(np.concatenate([digits, fake]), training=True)
    d_loss = loss.forward(np.repeat([[0.9], [0.0]], n, axis=0), logits)  # 0.9: one-sided smoothing
    discriminator.backward(loss.backward(), input_gradient=False)
    optimizers[1].step(discriminator.parameters)

    # The generator: the discriminator should take it for digits. Its own weights stay.
    logits = discriminator.forward(fake, training=True)
    g_loss = loss.forward(np.ones((n, 1)), logits)
    d_fake = discriminator.backward(loss.backward())
    generator.backward(d_fake, input_gradient=False)
    optimizers[0].step(generator.parameters)
    return g_loss, d_loss


def main():
    """Train, and measure how much the generated digits look like digits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", help="file for a picture of generated digits; needs matplotlib")
    args = parser.parse_args()

    (x, labels), _ = nl.datasets.digits.load_data()
    x = x.reshape(len(x), -1).astype("float32") / 16
    rng = np.random.default_rng(args.seed)
    latent, batch = 16, 64
    generator, discriminator = make(latent, args.seed)
    optimizers = [nl.optimizers.Adam(1e-3, beta_1=0.5), nl.optimizers.Adam(5e-4, beta_1=0.5)]

    judge = nl.Sequential([layers.Dense(64, "relu"), layers.Dense(10, "softmax")], seed=args.seed)
    judge.compile("adam", "sparse_categorical_crossentropy")
    judge.fit(x, labels, epochs=30, verbose=0)
    z_test = rng.standard_normal((1000, latent), "float32")

    def report(number, losses):
        p = judge.predict(generator.predict(z_test))
        kinds = len(np.unique(p.argmax(axis=1)))
        print(
            f"step {number:5}  generator {losses[0]:.3f}  discriminator {losses[1]:.3f}"
            f"  clear to a classifier {np.mean(p.max(axis=1) > 0.9):4.0%}, kinds of digits {kinds}"
        )

    for number in range(1, args.steps + 1):
        rows = rng.integers(0, len(x), batch)
        z = rng.standard_normal((batch, latent), "float32")
        losses = step(generator, discriminator, optimizers, x[rows], z)
        if number == 1 or number % (args.steps // 3 or 1) == 0:
            report(number, losses)
    if args.plot:
        draw(generator.predict(z_test[:144]), args.plot)


def draw(images, path, side=12):
    """Draw generated digits as a square."""
    import matplotlib.pyplot as plt

    tiles = images.reshape(side, side, 8, 8).transpose(0, 2, 1, 3)
    plt.imsave(path, tiles.reshape(8 * side, 8 * side), cmap="gray")


if __name__ == "__main__":
    main()
