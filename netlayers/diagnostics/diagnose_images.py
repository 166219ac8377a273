"""What can be wrong with images and convolutions: axes, filters that do nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlayers.core.shapes import shown_shape
from netlayers.diagnostics.evidence import Finding
from netlayers.layers.dense import Dense

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.diagnostics.evidence import Evidence, SeenImages

# Every place of every image is a row of a filter. In healthy networks of the tests, of eight
# filters at most five were dead by accident, before training.
DEAD_FILTERS = 0.7
# No map of these networks was constant; a quarter is no accident.
CONSTANT_MAPS = 0.25
# Images have 1, 3 or 4 channels, and more pixels along an axis.
MOST_CHANNELS, FEWEST_PIXELS = 4, 8


class _Layout(NamedTuple):
    read: str
    right: str
    cure: str


_FIRST = _Layout(
    "channels_last", "channels_first", "np.moveaxis(x, 1, -1), or data_format='channels_first'."
)
_LAST = _Layout("channels_first", "channels_last", "data_format='channels_last'.")


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield what is wrong with images and convolutions."""
    for path, seen in evidence.images.items():
        yield from channels(path, seen)
        yield from flattening(path, seen)
    yield from dead_filters(evidence)
    yield from constant_maps(evidence)


def channels(path: str, seen: SeenImages) -> Iterator[Finding]:
    """Find images whose channels are on another axis than their first convolution reads them."""
    if isinstance(seen.layer, Dense) or len(seen.shape) != 4:
        return
    _, a, b, c = seen.shape
    first = getattr(seen.layer, "data_format", "channels_last") == "channels_first"
    pixels, few = ((a, b), c) if first else ((b, c), a)
    if few > MOST_CHANNELS or min(pixels) < FEWEST_PIXELS:
        return
    layout = _LAST if first else _FIRST
    height, width, count = (b, c, a) if first else (a, b, c)
    yield Finding(
        "channels misplaced",
        path,
        "serious",
        {"channels": count, "height": height, "width": width},
        f"`{path}` reads {shown_shape((None, a, b, c))} as images of {height} x {width} pixels "
        f"with {count} channels ({layout.read}); they look like {layout.right}.",
        layout.cure,
        [path],
    )


def flattening(path: str, seen: SeenImages) -> Iterator[Finding]:
    """Find images that a Dense layer takes as they are: it sees one axis alone."""
    sizes = seen.shape[1:]
    square = len(sizes) == 2 and sizes[0] == sizes[1] >= FEWEST_PIXELS
    if not isinstance(seen.layer, Dense) or not (square or len(sizes) == 3):
        return
    alone = "each row of pixels" if square else "each pixel"
    yield Finding(
        "images not flattened",
        path,
        "warning",
        {"axes": len(sizes)},
        f"`{path}` is given images of shape {shown_shape((None, *sizes))}, and multiplies the last "
        f"axis: {alone} by itself, whatever stands beside it.",
        "layers.Flatten() in front of it, or convolutions.",
        [path],
    )


def dead_filters(evidence: Evidence) -> Iterator[Finding]:
    """Find filters whose rectifier is shut at every place of every image."""
    dead = evidence.values["dead"]
    names = {p: s for p, s in dead.items() if p in evidence.maps and s >= DEAD_FILTERS}
    if names:
        worst = max(names, key=lambda path: names[path])
        yield Finding(
            "dead filters",
            worst,
            "serious" if names[worst] > 0.9 else "warning",
            {"dead": names[worst]},
            f"{names[worst]:.0%} of the filters of `{worst}` give no gradient at any place of any "
            "image: their activation is shut everywhere.",
            "he_normal with biases of 0, scaled images, a smaller learning rate, or leaky_relu.",
            list(names),
        )


def constant_maps(evidence: Evidence) -> Iterator[Finding]:
    """Find feature maps that are the same for all images, and not 0."""
    names = {p: share for p, share in evidence.maps.items() if share >= CONSTANT_MAPS}
    if names:
        worst = max(names, key=lambda path: names[path])
        yield Finding(
            "constant feature maps",
            worst,
            "serious" if names[worst] > 0.9 else "warning",
            {"constant": names[worst]},
            f"{names[worst]:.0%} of the feature maps of `{worst}` are the same for all images: "
            "their filters add nothing but a constant.",
            "smaller biases, scaled images, other initial weights; images that differ.",
            list(names),
        )
