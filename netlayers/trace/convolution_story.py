"""The steps of a convolution: all of it, and one of its outputs number by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers.layers.convolution import Convolution
from netlayers.layers.depthwise import DepthwiseConvolution
from netlayers.trace.formulas import documented
from netlayers.trace.steps import Line, Shown, Step, by, linear, present

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.trace.records import LayerTrace
    from netlayers.trace.steps import Symbols

_AXES = {1: ("place",), 2: ("row", "column"), 3: ("slice", "row", "column")}


class Patch(NamedTuple):
    """One output of a convolution, and what it is computed from.

    Arrays have the axes of the kernel and the channels that the output sees; channels are last.

    Attributes:
        at: sample, place and filter of the output.
        x: the patch of the input.
        kernel: the weights of the filter.
        z: the output, before the activation.
        bias: the bias of the filter, ``None`` without one.
        channel: of these channels, the one whose products have the largest sum.
        dx: dL/dx of the patch, from all outputs; ``None`` where there is none.
        d_kernel: dL/dkernel of the filter, from all outputs; ``None`` for a frozen layer.
        dz: dL/dz of the output; ``None`` where no gradient arrives.
    """

    at: tuple[int, ...]
    x: Array
    kernel: Array
    z: Any
    bias: Any
    channel: int
    dx: Array | None
    d_kernel: Array | None
    dz: Any

    @property
    def products(self) -> Array:
        """Patch times kernel."""
        return self.x * self.kernel


def convolved(symbols: Symbols, r: LayerTrace) -> Iterator[Step]:
    """Yield the steps of the forward pass, up to the sums z."""
    z = symbols.out(r) if linear(r) else symbols.of("z", r)
    x = symbols.into(r)
    items: list[Shown | str] = [Shown(x, present(r.x))]
    items += [Shown(symbols.weight(name, r), w.before) for name, w in r.weights.items()]
    items += [r"\to", Shown(z, present(r.z))]
    formula = ""
    if isinstance(r.layer, Convolution):
        formula = rf"{z} = {x} \ast {symbols.weight('kernel', r)}"
        formula += f" + {symbols.weight('bias', r)}" if "bias" in r.weights else ""
    line = Line(formula, items, documented(r.layer, "_forward_logits"))
    title = type(r.layer).__name__
    text = "Each filter is multiplied with every patch of the input, and the products are summed."
    yield Step("forward", title, r.name, r.number, text if formula else "", [line])
    patch = patch_of(r)
    if patch is not None:
        yield _one_output(symbols, r, patch, z)


def back_through_kernel(symbols: Symbols, r: LayerTrace) -> Iterator[Step]:
    """Yield the steps of the backward pass, from dL/dz on."""
    z = symbols.out(r) if linear(r) else symbols.of("z", r)
    x = symbols.into(r)
    dz = Shown(by(z), present(r.dz))
    items: list[Shown | str] = [dz, r"\to"]
    gradients = []
    for name, w in r.weights.items():
        if r.call in w.parts:
            symbol = symbols.part(symbols.weight(name, r), w, r.call)
            gradients.append(Shown(symbol, w.parts[r.call]))
    items += gradients
    if r.dx is not None:
        items.append(Shown(by(x), r.dx))
    lines = [Line("", items, documented(r.layer, "_backward_logits"))]
    text = (
        "Each error goes back to the patch that its output was computed from; the kernel, which "
        "all patches share, gets the sum of what each of them gives."
    )
    if not gradients:
        text = "The weights are frozen; the errors go back to the patches."
    yield Step("backward", "Gradients of the kernel", r.name, r.number, text, lines)
    patch = patch_of(r)
    if patch is not None and patch.dz is not None:
        yield _one_error(symbols, r, patch, z)


def _one_output(symbols: Symbols, r: LayerTrace, patch: Patch, z: str) -> Step:
    c, channels = patch.channel, patch.x.shape[-1]
    sample, *place, filter_ = patch.at
    x, w = _patch_symbol(symbols, r), _filter_symbol(symbols, r, patch)
    products = patch.products
    where = ", ".join(f"{axis} {p}" for axis, p in zip(_AXES[len(place)], place, strict=True))
    where = f"Sample {sample}, {where}, filter {filter_}"
    if channels > 1:
        where += f"; of {channels} channels, channel {c}, which counts most here"
    items: list[Shown | str] = [Shown(x, patch.x[..., c]), r"\odot", Shown(w, patch.kernel[..., c])]
    items += ["=", Shown(rf"{x} \odot {w}", products[..., c])]
    lines = [Line(items=items, note=f"{where}.")]
    sums = products.reshape(-1, channels).sum(axis=0)
    last: list[Shown | str] = []
    if channels > 1:
        last = [Shown(r"\mathrm{sums\ by\ channel}", sums), r"\to"]
    last.append(Shown(rf"\sum {x} \odot {w}", np.asarray(sums.sum())))
    if patch.bias is not None:
        last += ["+", Shown(_indexed(symbols.weight("bias", r), (filter_,)), patch.bias)]
    lines.append(Line(items=[*last, "=", Shown(_indexed(z, patch.at), patch.z)]))
    text = "A patch of the input, times the kernel of a filter, number by number; their sum"
    text += " makes the output." if patch.bias is None else " and the bias make the output."
    return Step("forward", "One output", r.name, r.number, text, lines)


def _one_error(symbols: Symbols, r: LayerTrace, patch: Patch, z: str) -> Step:
    c, delta = patch.channel, r"\delta"
    x, w = _patch_symbol(symbols, r), _filter_symbol(symbols, r, patch)
    lines = [Line(rf"{delta} = {by(_indexed(z, patch.at))}", [Shown(delta, patch.dz)])]
    for symbol, array, total, by_what in (
        (x, patch.x, patch.d_kernel, w),
        (w, patch.kernel, patch.dx, x),
    ):
        if total is not None:
            part = Shown(f"{delta} {symbol}", patch.dz * array[..., c])
            items: list[Shown | str] = [Shown(delta, patch.dz), r"\cdot"]
            items += [Shown(symbol, array[..., c], True), "=", part, r"\to"]
            whole = rf"{by(by_what)} = \sum {delta} {symbol}"
            lines.append(Line(whole, [*items, Shown(by(by_what), total[..., c])]))
    text = (
        "The gradient of that output, times the patch, is its part in the gradient of the kernel; "
        "times the kernel, its part in the gradient of the patch. Other outputs add theirs."
    )
    return Step("backward", "Where one error goes", r.name, r.number, text, lines)


def patch_of(r: LayerTrace) -> Patch | None:
    """Return the output with the largest gradient, or the largest one, and its patch.

    Outputs whose patch lies within the input are preferred. ``None`` where an output is not
    computed from one patch (transposed and separable convolutions), or there are no outputs.
    """
    layer: Any = r.layer
    if not isinstance(layer, (Convolution, DepthwiseConvolution)):
        return None
    x, z = _channels_last(layer, present(r.x)), _channels_last(layer, present(r.z))
    if not z.size:
        return None
    dz = None if r.dz is None else _channels_last(layer, r.dz)
    windows = layer._windows(x.shape[1:-1])
    inside = [slice(None)]
    for n, k, s, d, b, count in zip(*windows, strict=True):
        low, high = -(-b // s), min(count, (n - 1 - (k - 1) * d + b) // s + 1)
        inside.append(slice(low, high) if low < high else slice(None))
    size = np.abs(z if dz is None or not dz.any() else dz)[tuple(inside)]
    found = np.unravel_index(int(size.argmax()), size.shape)
    starts = [0 if part.start is None else part.start for part in inside]
    at = (*(int(i) + start for i, start in zip(found, [*starts, 0], strict=True)),)
    margins = [
        (b, max(0, whole - b - n))
        for n, b, whole in zip(windows.sizes, windows.before, windows.padded, strict=True)
    ]

    def under_kernel(array: Array) -> Array:
        padded = np.pad(array[at[0]], [*margins, (0, 0)])
        seen = [
            slice(p * s, p * s + (k - 1) * d + 1, d)
            for p, k, s, d in zip(
                at[1:-1], windows.kernel, windows.strides, windows.dilation, strict=True
            )
        ]
        return padded[tuple(seen)]

    kernel = r.weights["kernel"]
    part = kernel.parts.get(r.call)
    if isinstance(layer, DepthwiseConvolution):
        channel, multiple = divmod(at[-1], layer.depth_multiplier)
        channels = slice(channel, channel + 1)
        own: Any = (..., channels, multiple)
    else:
        count = kernel.before.shape[-2]
        first = at[-1] // (layer.filters // layer.groups) * count
        channels, own = slice(first, first + count), (..., at[-1])
    patch = under_kernel(x)[..., channels]
    weights = kernel.before[own]
    sums = np.abs((patch * weights).reshape(-1, weights.shape[-1]).sum(axis=0))
    bias = r.weights["bias"].before[at[-1]] if "bias" in r.weights else None
    return Patch(
        at,
        patch,
        weights,
        z[at],
        None if bias is None else np.asarray(bias),
        int(sums.argmax()),
        None if r.dx is None else under_kernel(_channels_last(layer, r.dx))[..., channels],
        None if part is None else part[own],
        None if dz is None else dz[at],
    )


def _channels_last(layer: Any, array: Array) -> Array:
    return np.moveaxis(array, 1, -1) if layer.data_format == "channels_first" else array


def _patch_symbol(symbols: Symbols, r: LayerTrace) -> str:
    return rf"{symbols.into(r)}_{{\mathrm{{patch}}}}"


def _filter_symbol(symbols: Symbols, r: LayerTrace, patch: Patch) -> str:
    return _indexed(symbols.weight("kernel", r), (patch.at[-1],))


def _indexed(symbol: str, index: tuple[int, ...]) -> str:
    return f"{symbol}_{{{','.join(map(str, index))}}}"
