"""An explicit training loop: ``forward``, ``backward``, ``step``.

``model.forward`` returns logits, ``loss.backward`` their gradient, ``model.backward`` carries it
back through the layers, and ``optimizer.step`` changes the weights. ``fit`` does the same.

    python examples/explicit_loop.py
"""

import numpy as np

import netlayers as nl

(x, y), (x_test, y_test) = nl.datasets.digits.load_data()
x, x_test = (images.reshape(-1, 64) / 16 for images in (x, x_test))

model = nl.Sequential([nl.layers.Dense(64, activation="relu"), nl.layers.Dense(10)], seed=0)
loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = nl.optimizers.Adam(learning_rate=2e-3)
rng = np.random.default_rng(0)

for epoch in range(20):
    total = 0.0
    for rows in np.array_split(rng.permutation(len(x)), 45):
        logits = model.forward(x[rows], training=True)  # each layer caches its input
        total += loss.forward(y[rows], logits) * len(rows)
        model.backward(loss.backward())  # the chain rule, from the last layer to the first
        optimizer.step(model.parameters)  # the update rule
    print(f"epoch {epoch + 1:2d}  loss {total / len(x):.4f}")

accuracy = np.mean(model.predict(x_test).argmax(axis=1) == y_test)
print(f"test accuracy {accuracy:.2%}")
