"""Keras's example "Image similarity with a siamese network and a contrastive loss", written anew.

Two digits go through one network; the loss pulls those of one number together and pushes others
apart. The network is dense, where Keras's has convolutions. The distance is a ``Lambda`` and the
loss a class, both with their derivatives; without these netlayers would differentiate numerically.

Source: R. Hadsell, S. Chopra, Y. LeCun, "Dimensionality reduction by learning an invariant
mapping", CVPR 2006, equation 4.

    python examples/ports/siamese.py

Output:

    pairs of unseen digits: loss 0.0194, right 97.6%
"""

import numpy as np
from ports_data import digits, pairs

import netlayers as nl
from netlayers import layers

EPSILON = 1e-7


def distance(vectors):
    """Return the Euclidean distance of two vectors, (batch, 1)."""
    a, b = vectors
    return np.sqrt(np.maximum(np.sum((a - b) ** 2, axis=1, keepdims=True), EPSILON))


def distance_gradient(dy, vectors, y):
    """``d|a - b| / da = (a - b) / |a - b|``, and the opposite for b."""
    a, b = vectors
    d = dy * (a - b) / y
    return [d, -d]


class Contrastive(nl.losses.Loss):
    """``(1 - t) p² + t max(margin - p, 0)²``, where t = 1 says that the two differ."""

    def __init__(self, margin=1.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = margin

    def forward_samples(self, y_true, y_pred):
        """Return the loss of each pair."""
        t, p = y_true.reshape(-1, 1), y_pred
        apart = np.maximum(self.margin - p, 0)
        self.cache.t, self.cache.p, self.cache.apart = t, p, apart
        return ((1 - t) * p**2 + t * apart**2)[:, 0]

    def backward_samples(self, dl):
        """``dp = dl (2 (1 - t) p - 2 t max(margin - p, 0))``."""
        t, p, apart = self.cache.t, self.cache.p, self.cache.apart
        return np.reshape(dl, (-1, 1)) * (2 * (1 - t) * p - 2 * t * apart)


def make():
    """Return the network of one digit, and the network of two, which calls it twice."""
    digit = nl.Input((64,))
    h = layers.BatchNormalization()(digit)
    h = layers.Dense(64, activation="tanh")(h)
    h = layers.BatchNormalization()(h)
    tower = nl.Model(digit, layers.Dense(10, activation="tanh")(h), name="tower")
    first, second = nl.Input((64,)), nl.Input((64,))
    merged = layers.Lambda(distance, gradient=distance_gradient)([tower(first), tower(second)])
    merged = layers.BatchNormalization()(merged)
    return tower, nl.Model([first, second], layers.Dense(1, activation="sigmoid")(merged))


def main(epochs=10, count=6000):
    """Train, and tell pairs of unseen digits apart; return the accuracies."""
    nl.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    (x, labels), (x_test, labels_test) = digits()
    model = make()[1]
    model.compile(loss=Contrastive(margin=1.0), optimizer="RMSprop", metrics=["accuracy"])
    unseen = pairs(x_test, labels_test, 1000, rng)
    model.fit(
        *pairs(x, labels, count, rng),
        validation_data=unseen,
        batch_size=16,
        epochs=epochs,
        verbose=0,
    )
    loss, accuracy = model.evaluate(*unseen, verbose=0)
    print(f"pairs of unseen digits: loss {loss:.4f}, right {accuracy:.1%}")
    return {"loss": loss, "accuracy": accuracy}


if __name__ == "__main__":
    main()
