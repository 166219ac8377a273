"""Convolutional LSTM layers that Keras was asked about.

``python -m tests.layers.values.conv_lstm`` writes conv_lstm.npz with the outputs, states and
gradients of Keras 3.15.1 on JAX 0.10.2 in float64. All weights are drawn at random.
"""

from pathlib import Path

import numpy as np

from tests.layers.values.recurrent import draw, name_of

FILE = Path(__file__).with_suffix(".npz")
FILTERS = 2
SIZES = {1: (5,), 2: (4, 3), 3: (3, 3, 3)}
# Steps that are left out: in the middle, at the end.
MASK = np.array([[1, 0, 1], [1, 1, 0]], bool)

OPTIONS = [
    ({"kernel_size": 2}, ""),
    ({"kernel_size": 3, "padding": "same", "return_sequences": True}, "state"),
    ({"kernel_size": 2, "strides": 2, "padding": "same", "use_bias": False}, "mask"),
    ({"kernel_size": 2, "dilation_rate": 2, "return_sequences": True, "go_backwards": True}, ""),
    ({"kernel_size": 3, "return_sequences": True}, "mask state"),
    ({"kernel_size": 2, "recurrent_activation": "hard_sigmoid", "activation": "softsign"}, ""),
]
CASES = [
    (f"ConvLSTM{rank}D", arguments, given)
    for rank, options in ((1, OPTIONS), (2, OPTIONS), (3, OPTIONS[1:4]))
    for arguments, given in options
]
CASES[7:7] = [
    (
        "ConvLSTM2D",
        {"kernel_size": (2, 3), "data_format": "channels_first", "return_sequences": True},
        "mask state",
    )
]


def made(layers, case, **options):
    """Return the layer of a case, of netlayers.layers or keras.layers, built."""
    name, arguments, _ = case
    own = {**options, **arguments}
    layer = getattr(layers, name)(FILTERS, **own, return_state=True, dtype="float64")
    sizes = SIZES[int(name[-2])]
    first = arguments.get("data_format") == "channels_first"
    layer.build((2, 3, *((2, *sizes) if first else (*sizes, 2))))
    return layer


def inputs_of(case, layer, weight_shapes):
    """Return the series, the initial states, or none, and the weights."""
    name, arguments, given = case
    sizes = SIZES[int(name[-2])]
    first = arguments.get("data_format") == "channels_first"
    shape = (2, 3, *((2, *sizes) if first else (*sizes, 2)))
    state = layer.compute_output_shape(shape)[1]
    states = [state] * (2 if "state" in given else 0)
    drawn = draw([shape, *states, *weight_shapes], 1)
    return drawn[0], drawn[1 : 1 + len(states)], drawn[1 + len(states) :]


def from_keras(case):
    """Return outputs and states, and the gradients of series, initial states and weights."""
    import jax
    import keras

    options = {"mask": MASK} if "mask" in case[2] else {}
    # Keras's tanh returns float32, and on JAX its scan over steps takes no masks of images; what
    # it unrolls ignores zero_output_for_mask.
    layer = made(keras.layers, case, activation=jax.numpy.tanh, unroll=bool(options))
    x, states, weights = inputs_of(case, layer, [tuple(w.shape) for w in layer.trainable_weights])
    others = [v.value for v in layer.non_trainable_variables]

    def call(x, states, weights):
        more = {"initial_state": states} if states else {}
        return tuple(layer.stateless_call(weights, others, x, **more, **options)[0])

    outputs, back = jax.vjp(call, x, states, weights)
    dx, d_states, d_weights = back(tuple(draw([y.shape for y in outputs], 2)))
    return [np.asarray(a) for a in (*outputs, dx, *d_states, *d_weights)]


def main():
    """Write conv_lstm.npz."""
    import jax

    jax.config.update("jax_enable_x64", True)
    found = {}
    for case in CASES:
        for i, array in enumerate(from_keras(case)):
            found[f"{name_of(case)}/{i}"] = array
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
