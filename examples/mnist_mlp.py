"""The ``mnist_mlp`` example of Keras: 784-512-512-10, ReLU, dropout 0.2, RMSprop.

    python examples/mnist_mlp.py                    # downloads MNIST (11 MB) the first time
    python examples/mnist_mlp.py --data folder      # a folder with the four IDX files

Output of three runs, on two cores (Keras's page of this example reports 98.40 %):

    Model: "sequential"
    Layer (type)              Output shape  Parameters      Bytes  Trainable
    ------------------------------------------------------------------------
    input_layer (InputLayer)  (None, 784)            0          0  -
    dense (Dense)             (None, 512)      401,920  1,607,680  yes
    dropout (Dropout)         (None, 512)            0          0  -
    dense_1 (Dense)           (None, 512)      262,656  1,050,624  yes
    dropout_1 (Dropout)       (None, 512)            0          0  -
    dense_2 (Dense)           (None, 10)         5,130     20,520  yes
    ------------------------------------------------------------------------
    Total                                      669,706  2,678,824
    Trainable                                  669,706  2,678,824
    Not trainable                                    0          0
    ...
    Epoch 20/20    1.9 s  loss 0.0094  accuracy 0.9966  val_loss 0.0849  val_accuracy 0.9850
    seed 0: test loss 0.0849, accuracy 98.50%, 54 s
    seed 1: test loss 0.0849, accuracy 98.31%, 57 s
    seed 2: test loss 0.0861, accuracy 98.34%, 77 s
    mean of 3 seeds: 98.38%
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import netlayers as nl


def make_model(seed: int) -> nl.Sequential:
    """Return the compiled network of the example."""
    model = nl.Sequential(
        [
            nl.layers.Input((784,)),
            nl.layers.Dense(512, activation="relu"),
            nl.layers.Dropout(0.2),
            nl.layers.Dense(512, activation="relu"),
            nl.layers.Dropout(0.2),
            nl.layers.Dense(10, activation="softmax"),
        ],
        seed=seed,
    )
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    """Train, and print the results."""
    parser = argparse.ArgumentParser(description="The mnist_mlp example of Keras.")
    parser.add_argument("--data", help="folder with the four files of MNIST")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1, help="number of runs; the mean is printed")
    parser.add_argument("--samples", type=int, help="number of training images to use")
    arguments = parser.parse_args()
    (x_train, y_train), (x_test, y_test) = nl.datasets.mnist.load_data(arguments.data)
    x_train, y_train = x_train[: arguments.samples], y_train[: arguments.samples]
    x_train, x_test = (np.float32(x).reshape(len(x), 784) / 255 for x in (x_train, x_test))
    y_train, y_test = np.eye(10)[y_train], np.eye(10)[y_test]
    accuracies = []
    for seed in range(arguments.seeds):
        model = make_model(seed)
        if seed == 0:
            model.summary()
        start = time.perf_counter()
        model.fit(
            x_train,
            y_train,
            batch_size=128,
            epochs=arguments.epochs,
            verbose=2 if seed == 0 else 0,
            validation_data=(x_test, y_test),
        )
        loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
        seconds = time.perf_counter() - start
        print(f"seed {seed}: test loss {loss:.4f}, accuracy {accuracy:.2%}, {seconds:.0f} s")
        accuracies.append(accuracy)
    if arguments.seeds > 1:
        print(f"mean of {arguments.seeds} seeds: {np.mean(accuracies):.2%}")


if __name__ == "__main__":
    main()
