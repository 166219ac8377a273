"""A generative adversarial network of digits, with the chain rule in sight.

Two networks, two optimizers. The discriminator learns to tell digits from what the generator makes
of random numbers; the generator learns from the gradient that comes back through the discriminator:
``discriminator.backward`` returns dL/dfake, and ``generator.backward`` goes on from it. Both
updates are the ``train_step`` of a model, which ``fit`` calls for each batch.

    python examples/gan.py
    python examples/gan.py --epochs 300 --plot digits.png

Source: I. Goodfellow et al., "Generative adversarial nets", NIPS 2014, algorithm 1; the generator
maximizes log D(G(z)), as section 3 recommends.

Output:

    epoch   1  generator 0.984  discriminator 0.595  clear to a judge 100%, kinds of digits 1
    epoch  40  generator 0.921  discriminator 0.655  clear to a judge  35%, kinds of digits 10
    epoch  80  generator 0.875  discriminator 0.667  clear to a judge  36%, kinds of digits 10
    epoch 120  generator 0.853  discriminator 0.670  clear to a judge  36%, kinds of digits 10
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


class GAN(nl.Model):
    """Both networks; ``fit`` calls ``train_step`` for each batch of digits."""

    def __init__(self, generator, discriminator, seed):
        super().__init__(seed=seed)
        self.generator, self.discriminator = generator, discriminator
        self.loss_fn = nl.losses.BinaryCrossentropy(from_logits=True)
        self.seeds = nl.random.SeedGenerator(seed)
        self.g_loss, self.d_loss = (nl.metrics.Mean(name=f"{name}_loss") for name in "gd")

    def compile(self, g_optimizer, d_optimizer):
        """Keep an optimizer for each network."""
        super().compile()
        self.g_optimizer, self.d_optimizer = g_optimizer, d_optimizer

    def train_step(self, digits):
        """Update both networks once; return the mean losses of the epoch."""
        n = len(digits)
        z = nl.random.normal((n, *self.generator.input_shape[1:]), seed=self.seeds)

        # The discriminator: digits are 1, what was generated is 0.
        fake = self.generator(z, training=True)
        logits = self.discriminator(np.concatenate([digits, fake]), training=True)
        labels = np.repeat([[0.9], [0.0]], n, axis=0)  # 0.9: one-sided smoothing
        self.d_loss.update_state(self.loss_fn.forward(labels, logits))
        self.discriminator.backward(self.loss_fn.backward(), input_gradient=False)
        self.d_optimizer.step(self.discriminator.parameters)

        # The generator: the discriminator should take it for digits. Its own weights stay.
        logits = self.discriminator(fake, training=True)
        self.g_loss.update_state(self.loss_fn.forward(np.ones((n, 1)), logits))
        d_fake = self.discriminator.backward(self.loss_fn.backward())
        self.generator.backward(d_fake, input_gradient=False)
        self.g_optimizer.step(self.generator.parameters)
        return {"generator": self.g_loss.result(), "discriminator": self.d_loss.result()}


class Judge(nl.callbacks.Callback):
    """Measures how much the generated digits look like digits to a classifier, the judge."""

    def __init__(self, classifier, z, every):
        self.classifier, self.z, self.every = classifier, z, every

    def on_epoch_end(self, epoch, logs=None):
        """Print a line after the first epoch, and after each ``every`` of them."""
        if epoch and (epoch + 1) % self.every:
            return
        p = self.classifier.predict(self.model.generator.predict(self.z))
        kinds = len(np.unique(p.argmax(axis=1)))
        print(
            f"epoch {epoch + 1:3}  generator {logs['generator']:.3f}"
            f"  discriminator {logs['discriminator']:.3f}"
            f"  clear to a judge {np.mean(p.max(axis=1) > 0.9):4.0%}, kinds of digits {kinds}"
        )


def main():
    """Train, and measure how much the generated digits look like digits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", help="file for a picture of generated digits; needs matplotlib")
    args = parser.parse_args()

    (x, labels), _ = nl.datasets.digits.load_data()
    x = x.reshape(len(x), -1).astype("float32") / 16
    latent = 16
    classifier = nl.Sequential(
        [layers.Dense(64, "relu"), layers.Dense(10, "softmax")], seed=args.seed
    )
    classifier.compile("adam", "sparse_categorical_crossentropy")
    classifier.fit(x, labels, epochs=30, verbose=0)
    z = np.random.default_rng(args.seed).standard_normal((1000, latent), "float32")

    gan = GAN(*make(latent, args.seed), args.seed)
    gan.compile(nl.optimizers.Adam(1e-3, beta_1=0.5), nl.optimizers.Adam(5e-4, beta_1=0.5))
    judge = Judge(classifier, z, every=max(1, args.epochs // 3))
    gan.fit(x, batch_size=64, epochs=args.epochs, verbose=0, callbacks=[judge])
    if args.plot:
        draw(gan.generator.predict(z[:144]), args.plot)


def draw(images, path, side=12):
    """Draw generated digits as a square."""
    from matplotlib.image import imsave

    tiles = images.reshape(side, side, 8, 8).transpose(0, 2, 1, 3)
    picture = tiles.reshape(8 * side, 8 * side).repeat(8, axis=0).repeat(8, axis=1)
    imsave(path, picture, cmap="gray")


if __name__ == "__main__":
    main()
