"""Layers on images, series and volumes that Keras and PyTorch were asked about.

``python -m tests.layers.values.images`` writes images.npz with the outputs and gradients of Keras
3.15.1 on JAX 0.10.2 and of PyTorch 2.13.0, all in float64.
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_suffix(".npz")

# The layer, its arguments, the shape of the input. Sizes are odd, padding is uneven, strides leave
# entries over.
CASES = [
    ("Conv1D", {"filters": 3, "kernel_size": 4, "padding": "same"}, (2, 7, 2)),
    (
        "Conv1D",
        {"filters": 2, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
        (2, 8, 3),
    ),
    ("Conv1D", {"filters": 2, "kernel_size": 2, "strides": 3}, (2, 9, 3)),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "groups": 2, "padding": "causal"}, (1, 6, 6)),
    ("Conv1D", {"filters": 2, "kernel_size": 3, "padding": "causal", "strides": 2}, (2, 7, 5)),
    ("Conv2D", {"filters": 3, "kernel_size": 3}, (2, 5, 7, 2)),
    ("Conv2D", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2}, (2, 6, 7, 3)),
    ("Conv2D", {"filters": 2, "kernel_size": [2, 4], "padding": "same"}, (2, 5, 6, 5)),
    ("Conv2D", {"filters": 2, "kernel_size": 2, "strides": 3}, (2, 7, 9, 3)),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "dilation_rate": [2, 1]}, (2, 7, 5, 2)),
    ("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 3, "strides": 2}, (2, 7, 6, 6)),
    ("Conv2D", {"filters": 3, "kernel_size": 1, "strides": 2}, (2, 5, 6, 4)),
    ("Conv2D", {"filters": 5, "kernel_size": 1}, (2, 3, 4, 6)),
    ("Conv2D", {"filters": 3, "kernel_size": [4, 5]}, (3, 4, 5, 2)),
    ("Conv2D", {"filters": 2, "kernel_size": 5, "padding": "same"}, (2, 3, 3, 6)),
    ("Conv3D", {"filters": 2, "kernel_size": 2, "strides": [1, 2, 1]}, (2, 3, 5, 4, 3)),
    ("Conv3D", {"filters": 3, "kernel_size": [2, 3, 1], "padding": "same"}, (1, 3, 4, 3, 2)),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2}, (2, 5, 3)),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 2, "strides": 4}, (2, 3, 3)),
    (
        "Conv1DTranspose",
        {"filters": 3, "kernel_size": 4, "strides": 3, "padding": "same"},
        (2, 4, 2),
    ),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3}, (2, 4, 3, 2)),
    (
        "Conv2DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"},
        (2, 3, 4, 3),
    ),
    (
        "Conv2DTranspose",
        {
            "filters": 2,
            "kernel_size": 4,
            "strides": [3, 2],
            "padding": "same",
            "output_padding": [1, 0],
        },
        (2, 3, 2, 3),
    ),
    (
        "Conv2DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1},
        (2, 3, 2, 2),
    ),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 2, "dilation_rate": 2}, (2, 3, 4, 3)),
    (
        "Conv3DTranspose",
        {"filters": 2, "kernel_size": 2, "strides": 2, "padding": "same"},
        (1, 2, 3, 2, 2),
    ),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2, "padding": "same"}, (2, 6, 3)),
    ("DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "padding": "same"}, (2, 5, 6, 3)),
    ("DepthwiseConv2D", {"kernel_size": [2, 3], "depth_multiplier": 2}, (2, 4, 5, 3)),
    ("DepthwiseConv2D", {"kernel_size": 2, "dilation_rate": 2}, (2, 5, 4, 2)),
    ("SeparableConv1D", {"filters": 4, "kernel_size": 3, "strides": 2}, (2, 7, 3)),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3, "depth_multiplier": 2}, (2, 4, 5, 3)),
    ("MaxPooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 8, 3)),
    ("MaxPooling2D", {"pool_size": 2}, (2, 5, 6, 3)),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 6, 5, 2)),
    ("MaxPooling2D", {"pool_size": [2, 3], "strides": 1}, (2, 4, 5, 2)),
    ("MaxPooling3D", {"pool_size": 2}, (1, 4, 3, 4, 2)),
    ("AveragePooling1D", {"pool_size": 2, "padding": "same"}, (2, 7, 3)),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 6, 5, 2)),
    ("AveragePooling2D", {"pool_size": 2, "strides": 3}, (2, 5, 6, 2)),
    ("AveragePooling3D", {"pool_size": [1, 2, 2], "strides": 1}, (1, 2, 3, 4, 2)),
    ("GlobalMaxPooling2D", {}, (2, 3, 4, 3)),
    ("GlobalAveragePooling1D", {}, (2, 5, 3)),
    ("GlobalAveragePooling2D", {"keepdims": True}, (2, 3, 4, 3)),
    ("ZeroPadding1D", {"padding": [2, 1]}, (2, 3, 2)),
    ("ZeroPadding2D", {"padding": [[1, 0], [0, 2]]}, (2, 3, 2, 2)),
    ("ZeroPadding3D", {"padding": [1, 0, 2]}, (2, 2, 1, 2, 2)),
    ("Cropping1D", {"cropping": [2, 1]}, (2, 5, 2)),
    ("Cropping2D", {"cropping": [[1, 0], [0, 2]]}, (2, 3, 5, 2)),
    ("Cropping3D", {"cropping": [1, 0, 2]}, (2, 3, 2, 5, 2)),
    ("UpSampling1D", {"size": 3}, (2, 3, 2)),
    ("UpSampling2D", {"size": [2, 3]}, (2, 3, 2, 2)),
    ("UpSampling2D", {"size": [2, 3], "interpolation": "bilinear"}, (2, 3, 4, 2)),
    ("UpSampling2D", {"size": [3, 2], "interpolation": "bicubic"}, (2, 4, 5, 2)),
    ("UpSampling2D", {"size": [2, 1], "interpolation": "lanczos3"}, (2, 7, 5, 2)),
    ("UpSampling2D", {"size": [2, 3], "interpolation": "lanczos5"}, (1, 7, 5, 2)),
    ("UpSampling3D", {"size": [2, 1, 3]}, (2, 2, 3, 1, 2)),
    ("AdaptiveAveragePooling1D", {"output_size": 3}, (2, 7, 2)),
    ("AdaptiveAveragePooling2D", {"output_size": [3, 2]}, (2, 5, 7, 2)),
    ("AdaptiveAveragePooling3D", {"output_size": [2, 3, 1]}, (2, 3, 4, 3, 2)),
    ("AdaptiveMaxPooling1D", {"output_size": 3}, (2, 7, 2)),
    ("AdaptiveMaxPooling2D", {"output_size": [3, 2]}, (2, 5, 7, 2)),
    ("AdaptiveMaxPooling3D", {"output_size": [2, 3, 1]}, (2, 3, 4, 3, 2)),
    ("Resizing", {"height": 3, "width": 8}, (2, 7, 5, 2)),
    ("Resizing", {"height": 3, "width": 8, "interpolation": "nearest"}, (2, 7, 5, 2)),
    ("Resizing", {"height": 4, "width": 3, "antialias": True}, (2, 7, 11, 2)),
    (
        "Resizing",
        {"height": 5, "width": 4, "interpolation": "bicubic", "antialias": True},
        (2, 9, 11, 2),
    ),
    (
        "Resizing",
        {"height": 4, "width": 7, "interpolation": "lanczos3", "crop_to_aspect_ratio": True},
        (2, 9, 6, 2),
    ),
    ("Resizing", {"height": 4, "width": 4, "pad_to_aspect_ratio": True}, (2, 3, 7, 2)),
    ("Resizing", {"height": 6, "width": 4, "interpolation": "nearest"}, (2, 4, 6, 1)),
    ("CenterCrop", {"height": 3, "width": 2}, (2, 4, 5, 2)),
    ("CenterCrop", {"height": 6, "width": 2}, (2, 4, 5, 2)),
]


def name_of(case):
    """Return a readable name of a case."""
    layer, arguments, shape = case
    described = ",".join(f"{k}={v}" for k, v in arguments.items())
    return f"{layer}({described}) on {shape}".replace(" ", "")


def draw(shapes, seed):
    """Return arrays of these shapes, all entries different."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).round(4) for shape in shapes]


def from_keras(case):
    """Return output and gradients of a Keras layer, for given weights and dL/dy."""
    import jax
    import keras

    name, arguments, shape = case
    layer = getattr(keras.layers, name)(**arguments, dtype="float64")
    layer.build(shape)
    x, *weights = draw([shape, *(tuple(w.shape) for w in layer.weights)], 1)

    def call(x, weights):
        return layer.stateless_call(weights, [], x)[0]

    y, back = jax.vjp(call, x, weights)
    (dy,) = draw([y.shape], 2)
    dx, d_weights = back(dy)
    return [np.asarray(a) for a in (y, dx, *d_weights)]


def from_torch(case):
    """Return what :func:`from_keras` does, or ``None`` where PyTorch has other options."""
    import torch

    name, arguments, shape = case
    options = dict(arguments)
    if name.startswith(("Adaptive", "UpSampling2D", "Resizing")):
        return _torch_functions(case)
    if options.pop("padding", "valid") != "valid" or not name.startswith(
        ("Conv", "MaxP", "Average")
    ):
        return None
    if name.endswith("Transpose"):
        return None
    rank = len(shape) - 2
    functions = torch.nn.functional
    if name.startswith("Conv"):
        k = np.broadcast_to(options["kernel_size"], rank)
        shapes = [
            shape,
            (*k, shape[-1] // options.get("groups", 1), options["filters"]),
            (options["filters"],),
        ]
    else:
        shapes = [shape]
    x, *weights = (torch.tensor(a, requires_grad=True) for a in draw(shapes, 1))
    moved = torch.movedim(x, -1, 1)
    stride = options.get("strides", options.get("pool_size", 1))
    if weights:
        kernel = torch.movedim(weights[0], (-1, -2), (0, 1))
        y = getattr(functions, f"conv{rank}d")(
            moved,
            kernel,
            weights[1],
            stride,
            0,
            options.get("dilation_rate", 1),
            options.get("groups", 1),
        )
    else:
        pool = "max" if name.startswith("Max") else "avg"
        y = getattr(functions, f"{pool}_pool{rank}d")(moved, options["pool_size"], stride)
    y = torch.movedim(y, 1, -1)
    y.backward(torch.tensor(draw([tuple(y.shape)], 2)[0]))
    return [a.detach().numpy() for a in (y, x.grad, *(w.grad for w in weights))]


def _torch_functions(case):
    """Return outputs and gradients of PyTorch's adaptive pooling and interpolation."""
    import torch

    name, arguments, shape = case
    functions, rank = torch.nn.functional, len(shape) - 2
    x = torch.tensor(draw([shape], 1)[0], requires_grad=True)
    moved = torch.movedim(x, -1, 1)
    if name.startswith("Adaptive"):
        kind = "max" if "Max" in name else "avg"
        function = getattr(functions, f"adaptive_{kind}_pool{rank}d")
        y = function(moved, arguments["output_size"])
    else:
        options = {"height": None, "size": None, "width": None, **arguments}
        mode = options.pop("interpolation", "bilinear" if name == "Resizing" else "nearest")
        factors, size = options.pop("size"), [options.pop("height"), options.pop("width")]
        antialias = options.pop("antialias", False)
        if options or (mode != "bilinear" and not (mode == "bicubic" and antialias)):
            return None
        if factors is not None:
            size = [n * k for n, k in zip(shape[1:-1], factors, strict=True)]
        y = functions.interpolate(moved, size=size, mode=mode, antialias=antialias)
    y = torch.movedim(y, 1, -1)
    y.backward(torch.tensor(draw([tuple(y.shape)], 2)[0]))
    return [y.detach().numpy(), x.grad.numpy()]


def main():
    """Write the file."""
    found = {}
    for case in CASES:
        for source in (from_keras, from_torch):
            for i, array in enumerate(source(case) or []):
                found[f"{source.__name__[5:]}/{name_of(case)}/{i}"] = array
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
