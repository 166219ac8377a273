"""Keras's guide "Customizing what happens in fit", written anew, with the backward pass in sight.

1. A ``train_step`` with the loss and metrics of ``compile``, and with sample weights.
2. The same with a loss and metrics of its own.
3. A ``test_step`` for ``evaluate``.

The guide ends with a network that learns against another: that is examples/gan.py.

    python examples/ports/custom_train_step.py

Output:

    loss of compile: loss 0.5093 to 0.2296, mae 0.5906 to 0.3887
    with weights: loss 0.1099 to 0.1022, mae 0.3854 to 0.3733
    loss of its own: loss 0.9677 to 0.2510, mae 0.8601 to 0.4079
    evaluated by test_step: loss 0.3671, mae 0.4933
"""

import numpy as np

import netlayers as nl
from netlayers import layers


class Compiled(nl.Model):
    """Uses the loss and metrics of ``compile``."""

    def train_step(self, data):
        """Make an update; return the results of the epoch so far."""
        x, y, sample_weight = nl.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=y_pred, sample_weight=sample_weight)
        self.backward(self.compute_loss_gradient())
        self.optimizer.step(self.parameters)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred, sample_weight=sample_weight)
        return {m.name: m.result() for m in self.metrics}


class Own(nl.Model):
    """Keeps its loss and metrics itself."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_tracker = nl.metrics.Mean(name="loss")
        self.mae_metric = nl.metrics.MeanAbsoluteError(name="mae")
        self.loss_fn = nl.losses.MeanSquaredError()

    def train_step(self, data):
        """Make an update; return the results of the epoch so far."""
        x, y = data
        y_pred = self(x, training=True)
        loss = self.loss_fn(y, y_pred)
        self.backward(self.loss_fn.backward())
        self.optimizer.step(self.parameters)
        self.loss_tracker.update_state(loss)
        self.mae_metric.update_state(y, y_pred)
        return {"loss": self.loss_tracker.result(), "mae": self.mae_metric.result()}

    @property
    def metrics(self):
        """What is reset before each epoch."""
        return [self.loss_tracker, self.mae_metric]


class Tested(nl.Model):
    """Evaluates by a step of its own."""

    def test_step(self, data):
        """Return the results of the evaluation so far."""
        x, y = data
        y_pred = self(x, training=False)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


def make(cls):
    """Return a model of a class, made of inputs and outputs."""
    inputs = nl.Input(shape=(32,))
    return cls(inputs, layers.Dense(1)(inputs))


def shown(name, history):
    """Print the first and the last epoch."""
    lines = [f"{key} {values[0]:.4f} to {values[-1]:.4f}" for key, values in history.items()]
    print(f"{name}: {', '.join(lines)}")


def main(epochs=5):
    """Run the three; return their histories."""
    nl.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y, weights = rng.random((1000, 32)), rng.random((1000, 1)), rng.random((1000, 1))

    compiled = make(Compiled)
    compiled.compile(optimizer="adam", loss="mse", metrics=["mae"])
    plain = compiled.fit(x, y, epochs=epochs, verbose=0).history
    shown("loss of compile", plain)
    weighted = compiled.fit(x, y, sample_weight=weights, epochs=epochs, verbose=0).history
    shown("with weights", weighted)

    own = make(Own)
    own.compile(optimizer="adam")
    history = own.fit(x, y, epochs=epochs, verbose=0).history
    shown("loss of its own", history)

    tested = make(Tested)
    tested.compile(loss="mse", metrics=["mae"])
    loss, mae = tested.evaluate(x, y, verbose=0)
    print(f"evaluated by test_step: loss {loss:.4f}, mae {mae:.4f}")
    return {"plain": plain, "weighted": weighted, "own": history, "tested": (loss, mae)}


if __name__ == "__main__":
    main()
