"""Keras's guide "The functional API", written anew with dense layers in place of convolutions.

A classifier as a graph; one graph for two models; models called as layers, and an ensemble; a
residual network; a layer that is shared; features of hidden layers; a layer of one's own.

    python examples/ports/functional_api.py

Output:

    Model: "digits"
    Layer (type)              Output shape  Parameters   Bytes  Trainable
    ---------------------------------------------------------------------
    input_layer (InputLayer)  (None, 64)             0       0  -
    dense (Dense)             (None, 64)         4,160  16,640  yes
    dense_1 (Dense)           (None, 64)         4,160  16,640  yes
    dense_2 (Dense)           (None, 10)           650   2,600  yes
    ---------------------------------------------------------------------
    Total                                        8,970  35,880
    Trainable                                    8,970  35,880
    Not trainable                                    0       0
    classifier: test loss 0.130, accuracy 0.975
    the loaded model predicts the same: True
    autoencoder: test error 0.0219, codes (360, 8)
    nested: ['encoder', 'decoder'] 2920 weights
    residual network: test accuracy 0.964
    a shared table: 16000 weights, outputs [(2, 5, 16), (2, 7, 16)]
    features of 11 layers, the last (3, 10)
    from its description: (None, 10) 50 weights
"""

import os
import tempfile

import numpy as np
from ports_data import digits

import netlayers as nl
from netlayers import layers


def classifier(data, epochs):
    """Train a classifier, save it, and load it from its file alone."""
    (x, y), (x_test, y_test) = data
    inputs = nl.Input(shape=(64,))
    h = layers.Dense(64, activation="relu")(inputs)
    h = layers.Dense(64, activation="relu")(h)
    outputs = layers.Dense(10)(h)
    model = nl.Model(inputs=inputs, outputs=outputs, name="digits")
    model.summary()
    model.compile(
        loss=nl.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=nl.optimizers.RMSprop(),
        metrics=["accuracy"],
    )
    model.fit(x, y, batch_size=64, epochs=epochs, validation_split=0.2, verbose=0)
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"classifier: test loss {loss:.3f}, accuracy {accuracy:.3f}")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "digits.safetensors")
        model.save(path)
        loaded = nl.models.load_model(path)
    same = np.array_equal(loaded.predict(x_test, verbose=0), model.predict(x_test, verbose=0))
    print("the loaded model predicts the same:", same)
    return accuracy, same


def autoencoder(data, epochs):
    """Train an autoencoder; its encoder is another model of the same graph."""
    (x, _), (x_test, _) = data
    image = nl.Input(shape=(64,), name="image")
    h = layers.Dense(32, activation="relu")(image)
    code = layers.Dense(8, name="code")(h)
    h = layers.Dense(32, activation="relu")(code)
    restored = layers.Dense(64, activation="sigmoid")(h)
    encoder = nl.Model(image, code, name="encoder")
    model = nl.Model(image, restored, name="autoencoder")
    model.compile("adam", "mse")
    model.fit(x, x, epochs=epochs, verbose=0)
    error = model.evaluate(x_test, x_test, verbose=0)
    print(f"autoencoder: test error {error:.4f}, codes {encoder.predict(x_test, verbose=0).shape}")
    return error, encoder


def nested(encoder):
    """Call models like layers: a decoder behind the encoder, and the mean of three models."""
    code = nl.Input(shape=(8,), name="code")
    decoder = nl.Model(code, layers.Dense(64, activation="sigmoid")(code), name="decoder")
    image = nl.Input(shape=(64,))
    whole = nl.Model(image, decoder(encoder(image)), name="whole")
    print("nested:", [layer.name for layer in whole.layers[1:]], whole.count_params(), "weights")

    def member():
        inputs = nl.Input(shape=(64,))
        return nl.Model(inputs, layers.Dense(1)(inputs))

    members = [member(), member(), member()]
    inputs = nl.Input(shape=(64,))
    ensemble = nl.Model(inputs, layers.average([m(inputs) for m in members]))
    x = np.ones((2, 64), "float32")
    mean = np.mean([m.predict(x, verbose=0) for m in members], axis=0)
    return float(np.abs(ensemble.predict(x, verbose=0) - mean).max())


def residual(data, epochs):
    """Train a network with two skip connections."""
    (x, y), (x_test, y_test) = data
    inputs = nl.Input(shape=(64,), name="digit")
    first = layers.Dense(64, activation="relu")(inputs)
    h = layers.Dense(64, activation="relu")(first)
    h = layers.Dense(64, activation="relu")(h)
    second = layers.add([h, first])
    h = layers.Dense(64, activation="relu")(second)
    h = layers.Dense(64, activation="relu")(h)
    third = layers.add([h, second])
    h = layers.Dropout(0.5)(layers.Dense(128, activation="relu")(third))
    model = nl.Model(inputs, layers.Dense(10)(h), name="residual")
    model.compile(
        optimizer=nl.optimizers.RMSprop(1e-3),
        loss=nl.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["acc"],
    )
    one_hot = nl.utils.to_categorical(y, 10)
    model.fit(x, one_hot, batch_size=64, epochs=epochs, validation_split=0.2, verbose=0)
    accuracy = model.evaluate(x_test, nl.utils.to_categorical(y_test, 10), verbose=0)[1]
    print(f"residual network: test accuracy {accuracy:.3f}")
    return model, accuracy


def shared():
    """Embed two texts by one table."""
    table = layers.Embedding(1000, 16)
    a, b = nl.Input(shape=(None,), dtype="int32"), nl.Input(shape=(None,), dtype="int32")
    model = nl.Model([a, b], [table(a), table(b)])
    shapes = [y.shape for y in model.predict([np.ones((2, 5)), np.ones((2, 7))], verbose=0)]
    print("a shared table:", model.count_params(), "weights, outputs", shapes)
    return model.count_params()


def features(model, x):
    """Return what every layer of a model computes."""
    every = nl.Model(inputs=model.inputs, outputs=[layer.output for layer in model.layers])
    found = every.predict(x[:3], verbose=0)
    print("features of", len(found), "layers, the last", found[-1].shape)
    return len(found)


class CustomDense(layers.Layer):
    """A fully connected layer, from scratch."""

    def __init__(self, units=32, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        """Make the weights."""
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros")

    def compute_output_shape(self, input_shape):
        """Return (batch, units)."""
        return (*input_shape[:-1], self.units)

    def forward(self, x, training=False):
        """Return ``x W + b``."""
        x = self.prepare(x)
        if training:
            self.cache.x = x
        return x @ self.w + self.b

    def backward(self, dy):
        """``dW = xᵀ dy``, ``db = Σ dy``, ``dx = dy Wᵀ``."""
        self.d_w[...] = self.cache.x.T @ dy
        self.d_b[...] = dy.sum(axis=0)
        return dy @ self.w.T

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "units": self.units}


def own_layer():
    """Use it, and make the model again from its description."""
    inputs = nl.Input((4,))
    model = nl.Model(inputs, CustomDense(10)(inputs))
    custom = {"CustomDense": CustomDense}
    again = nl.Model.from_config(model.get_config(), custom_objects=custom)
    print("from its description:", again.output_shape, again.count_params(), "weights")
    return again.count_params()


def main(epochs=20):
    """Run all of it; return what was measured."""
    nl.utils.set_random_seed(0)
    data = digits()
    accuracy, same = classifier(data, epochs)
    error, encoder = autoencoder(data, epochs)
    difference = nested(encoder)
    model, residual_accuracy = residual(data, epochs)
    return {
        "accuracy": accuracy,
        "same": same,
        "error": error,
        "difference": difference,
        "residual": residual_accuracy,
        "shared": shared(),
        "features": features(model, data[0][0]),
        "own": own_layer(),
    }


if __name__ == "__main__":
    main()
