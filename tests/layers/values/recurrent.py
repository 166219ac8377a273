"""Recurrent layers that Keras and PyTorch were asked about.

``python -m tests.layers.values.recurrent`` writes recurrent.npz with the outputs, states and
gradients of Keras 3.15.1 on JAX 0.10.2 and of PyTorch 2.13.0, all in float64. All weights are
drawn at random, so that no two gates have the same.
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_suffix(".npz")
SHAPE = (3, 5, 2)
UNITS = 4
# Steps that are left out: at the start, in the middle, at the end, for a whole sample.
MASK = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)

# The layer, its arguments, and whether the initial states and a mask are given.
OPTIONS = [
    ({}, ""),
    ({"return_sequences": True}, "state"),
    ({"return_sequences": True, "go_backwards": True, "use_bias": False}, ""),
    ({"return_sequences": True}, "mask"),
    ({"return_sequences": True, "zero_output_for_mask": True}, "mask state"),
    ({"go_backwards": True}, "mask state"),
    ({"activation": "relu", "return_sequences": True}, ""),
]
GATES = [({"recurrent_activation": "hard_sigmoid", "activation": "softsign"}, "mask state")]
BEFORE = [({"reset_after": False, **arguments}, given) for arguments, given in OPTIONS + GATES]
CASES = [
    (layer, arguments, given)
    for layer, options in (
        ("SimpleRNN", OPTIONS),
        ("LSTM", OPTIONS + GATES),
        ("GRU", OPTIONS + GATES + BEFORE),
    )
    for arguments, given in options
]

# Layers in both directions, and stacked cells.
BOTH = [
    ("Bidirectional", {"layer": "LSTM", "merge_mode": "concat", "return_sequences": True}, ""),
    ("Bidirectional", {"layer": "GRU", "merge_mode": "sum"}, "mask"),
    ("Bidirectional", {"layer": "GRU", "merge_mode": "mul", "return_sequences": True}, "mask"),
    ("Bidirectional", {"layer": "SimpleRNN", "merge_mode": "ave"}, ""),
    ("Bidirectional", {"layer": "LSTM", "merge_mode": None, "return_sequences": True}, "state"),
    ("RNN", {"cell": ["GRUCell", "LSTMCell"], "return_sequences": True}, "mask"),
    ("RNN", {"cell": ["LSTMCell", "SimpleRNNCell"], "go_backwards": True}, ""),
]


def made(layers, case, **options):
    """Return the layer of one of BOTH, of netlayers.layers or keras.layers."""
    kind, arguments, _ = case
    its = {k: v for k, v in arguments.items() if k.startswith("return")}
    if kind == "RNN":
        its |= {k: v for k, v in arguments.items() if k == "go_backwards"}
        cells = [getattr(layers, c)(UNITS, **options) for c in arguments["cell"]]
        cell = layers.StackedRNNCells(cells, dtype="float64")
        return layers.RNN(cell, **its, dtype="float64")
    layer = getattr(layers, arguments["layer"])(UNITS, **its, return_state=True, **options)
    return layers.Bidirectional(layer, arguments["merge_mode"], dtype="float64")


def name_of(case):
    """Return a readable name of a case."""
    layer, arguments, given = case
    described = ",".join(f"{k}={v}" for k, v in arguments.items())
    return f"{layer}({described}) {given}".strip()


def draw(shapes, seed):
    """Return arrays of these shapes, all entries different."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).round(3) for shape in shapes]


def inputs_of(case, weight_shapes):
    """Return the series, the initial states, or none, and the weights."""
    layer, arguments, given = case
    count = 2 if "LSTM" in (layer, arguments.get("layer")) else 1
    count *= 2 if layer == "Bidirectional" else 1
    states = [(SHAPE[0], UNITS)] * (count if "state" in given else 0)
    drawn = draw([SHAPE, *states, *weight_shapes], 1)
    return drawn[0], drawn[1 : 1 + len(states)], drawn[1 + len(states) :]


def from_keras(case):
    """Return outputs and states, and the gradients of series, initial states and weights."""
    import jax
    import keras

    name, arguments, given = case
    own = {"activation": jax.numpy.tanh, **arguments}  # Keras's tanh returns float32
    if case in BOTH:
        tanh = keras.saving.register_keras_serializable()(_tanh)
        options = {"activation": tanh, "dtype": "float64"}
        layer = made(keras.layers, case, **options)
    else:
        layer = getattr(keras.layers, name)(UNITS, **own, return_state=True, dtype="float64")
    layer.build(SHAPE)
    x, states, weights = inputs_of(case, [tuple(w.shape) for w in layer.trainable_weights])
    others = [v.value for v in layer.non_trainable_variables]
    options = {"mask": MASK} if "mask" in given else {}

    def call(x, states, weights):
        more = {"initial_state": states} if states else {}
        found = layer.stateless_call(weights, others, x, **more, **options)[0]
        return tuple(found) if isinstance(found, (list, tuple)) else (found,)

    outputs, back = jax.vjp(call, x, states, weights)
    dx, d_states, d_weights = back(tuple(draw([y.shape for y in outputs], 2)))
    return [np.asarray(a) for a in (*outputs, dx, *d_states, *d_weights)]


def _tanh(x):
    import jax

    return jax.numpy.tanh(x)


def from_torch(case):
    """Return what :func:`from_keras` does, or ``None`` where PyTorch has other options."""
    import torch

    name, arguments, given = case
    options = dict(arguments)
    sequences, use_bias = options.pop("return_sequences", False), options.pop("use_bias", True)
    backwards, activation = options.pop("go_backwards", False), options.pop("activation", "tanh")
    if options or "mask" in given or activation != "tanh":
        return None
    gates = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}[name]
    shapes = [(SHAPE[2], gates * UNITS), (UNITS, gates * UNITS)]
    if use_bias:
        shapes.append((2, gates * UNITS) if name == "GRU" else (gates * UNITS,))
    x, states, weights = inputs_of(case, shapes)
    x, *states = (torch.tensor(a, requires_grad=True) for a in (x, *states))
    weights = [torch.tensor(a, requires_grad=True) for a in weights]
    layer = getattr(torch.nn, name.removeprefix("Simple"))(
        SHAPE[2], UNITS, bias=use_bias, batch_first=True, dtype=torch.float64
    )
    # GRU: r, z, n; LSTM as here.
    order = [1, 0, 2] if name == "GRU" else list(range(gates))
    columns = np.concatenate([np.arange(g * UNITS, (g + 1) * UNITS) for g in order])
    own = {"weight_ih_l0": weights[0].T[columns], "weight_hh_l0": weights[1].T[columns]}
    if use_bias and name == "GRU":
        own |= {"bias_ih_l0": weights[2][0, columns], "bias_hh_l0": weights[2][1, columns]}
    elif use_bias:
        bias = weights[2][columns]
        own |= {"bias_ih_l0": bias, "bias_hh_l0": torch.zeros_like(bias)}
    first = tuple(s[None] for s in states) if states else None
    if first and name != "LSTM":
        first = first[0]
    series = x.flip(1) if backwards else x
    y, last = torch.func.functional_call(layer, own, (series, *([first] if states else [])))
    outputs = [y if sequences else y[:, -1]]
    outputs += [s[0] for s in (last if name == "LSTM" else [last])]
    torch.autograd.backward(
        outputs, [torch.tensor(d) for d in draw([tuple(y.shape) for y in outputs], 2)]
    )
    return [a.detach().numpy() for a in outputs] + [a.grad.numpy() for a in (x, *states, *weights)]


def main():
    """Write recurrent.npz."""
    import jax

    jax.config.update("jax_enable_x64", True)
    found = {}
    for case in CASES:
        for source, answer in (("keras", from_keras(case)), ("torch", from_torch(case))):
            for i, array in enumerate(answer or []):
                found[f"{source}/{name_of(case)}/{i}"] = array
    for case in BOTH:
        for i, array in enumerate(from_keras(case)):
            found[f"keras/{name_of(case)}/{i}"] = array
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
