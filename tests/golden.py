"""Texts that are kept in files, and compared: words exactly, numbers nearly.

``NETLAYERS_REWRITE=1 python -m pytest tests/trace tests/plotting ...`` writes the files anew, for a
change that is meant.
"""

import difflib
import os
import re
import warnings
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

NOISE = Decimal("1e-6")  # smaller numbers are what rounding left of 0: another BLAS, another sign
NUMBER = re.compile(r"(?<![A-Za-z_\d])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")


def check_text(test_file, name, text):
    """Compare with the file ``golden/name`` beside a test; fail with the lines that differ."""
    path = Path(test_file).parent / "golden" / name
    lines = [line.rstrip() for line in text.splitlines()]
    if os.environ.get("NETLAYERS_REWRITE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    expected = path.read_text(encoding="utf-8").splitlines()
    if len(lines) != len(expected) or not all(map(same, expected, lines)):
        pytest.fail(
            f"{path.name} is another text; if it is meant to be, see {Path(__file__).name}\n"
            + "\n".join(difflib.unified_diff(expected, lines, "kept", "now", lineterm="", n=0)),
            pytrace=False,
        )


def same(expected, line):
    """Whether two lines have the same words, and numbers that differ by rounding alone."""
    if expected == line:
        return True
    old, new = NUMBER.findall(expected), NUMBER.findall(line)
    words, others = NUMBER.split(expected), NUMBER.split(line)
    if [*map(len, old)] != [*map(len, new)] and any(map(_is_noise, old, new)):
        # A sign or a digit more of such a number moves what stands beside it.
        words, others = ([" ".join(text.split()) for text in its] for its in (words, others))
    return words == others and all(map(_close, old, new))


def _is_noise(old, new):
    """Whether two numbers are what rounding left of 0."""
    numbers = [abs(Decimal(text.replace(",", ""))) for text in (old, new)]
    return "e-" in old and max(numbers) < NOISE


def _close(old, new):
    """Whether two numbers are nearly the same: whole ones, or to the last digit of the others."""
    if not re.search("[.e]", old + new):
        return old == new
    if _is_noise(old, new):
        return True
    a, b = (Decimal(text.replace(",", "")) for text in (old, new))
    unit = max(Decimal(1).scaleb(number.as_tuple().exponent) for number in (a, b))
    return abs(a - b) <= max(unit, Decimal("1e-3") * abs(a))


TEXT = "position fontsize weight color ha va rotation parse_math zorder"
LINE = (
    "color linestyle marker markersize markeredgecolor markerfacecolor linewidth alpha zorder "
    "solid_capstyle solid_joinstyle"
)
PATCH = "facecolor edgecolor linestyle linewidth alpha zorder capstyle joinstyle"
COLLECTION = "facecolor edgecolor linewidth alpha zorder rasterized clim cmap"
AXES = "xscale yscale xlim ylim facecolor axisbelow"


def described(figure):
    """Return a figure of matplotlib as text: what was drawn in it, how, and where."""
    sizes = [*figure.get_size_inches(), figure.dpi]
    lines = [f"figure {_numbers(sizes)} {type(figure.get_layout_engine()).__name__}"]
    lines += [f"  text {_text(t)}" for t in figure.texts]
    for axes in figure.axes:
        lines.append(f"axes {_numbers(axes.get_position().bounds) if not axes.lines else ''}")
        lines.append(f"  {_values(axes, AXES)}{'' if axes.axison else ' no axes'}")
        for name in ("_left_title", "title", "_right_title"):
            lines += [f"  {name} {_text(t)}" for t in [getattr(axes, name)] if t.get_text()]
        lines.append(f"  spines {sorted(k for k, v in axes.spines.items() if v.get_visible())}")
        for name in ("x", "y", "z") if axes.name == "3d" else ("x", "y"):
            lines += _axis(name, getattr(axes, f"{name}axis"), axes.axison)
        for line in axes.lines:
            lines.append(f"  line {line.get_label()!r} {_values(line, LINE)}")
            lines += [f"    {_numbers(data)}" for data in line.get_data()]
        for patch in axes.patches:
            box = patch.get_path().get_extents(patch.get_patch_transform())
            lines.append(f"  {type(patch).__name__} {_numbers(box.bounds)} {_values(patch, PATCH)}")
            if hasattr(patch, "get_boxstyle"):
                lines.append(f"    {sorted(vars(patch.get_boxstyle()).items())}")
        for found in axes.collections:
            scale = type(found.norm).__name__
            lines.append(f"  {type(found).__name__} {scale} {_values(found, COLLECTION)}")
            values = found.get_array()
            if values is not None:
                lines.append(f"    {_numbers(np.ma.filled(values.astype(float), np.nan))}")
            if hasattr(found, "levels"):
                lines.append(f"    levels {_numbers(found.levels)}")
        for image in axes.images:
            lines.append(f"  image {_numbers(image.get_array())} {_numbers(image.get_extent())}")
        lines += [f"  text {_text(t)}" for t in axes.texts]
        if legend := axes.get_legend():
            lines += _legend(legend, _numbers(_anchor(legend)))
    for legend in figure.legends:
        lines += _legend(legend, legend._outside_loc)
    return "\n".join(lines)


def _legend(legend, place):
    """Return the lines for a legend of axes or of a figure."""
    frame = f"{_values(legend.get_frame(), PATCH)} {legend.get_frame_on()} {legend._loc}"
    texts = [legend.get_title(), *legend.get_texts()]
    first = f"  legend {frame} {legend.borderaxespad} {legend._ncols} {place}"
    return [first, *(f"    {_text(t)}" for t in texts if t.get_text())]


def _text(text):
    return f"{text.get_text()!r} {_values(text, TEXT)}"


def _anchor(legend):
    """Return where a legend is put that is not within its axes."""
    box = legend._bbox_to_anchor
    return () if box is None else legend.parent.transAxes.inverted().transform(box.get_points())


def _axis(name, axis, shown):
    """Return the lines for an axis: its label, its ticks and their labels, its grid."""
    lines = [f"  {name}label {_text(axis.label)}"] if axis.label.get_text() else []
    if not shown:
        return lines
    labels = [t.get_text() for t in axis.get_ticklabels()]
    lines.append(f"  {name}ticks {_numbers(axis.get_majorticklocs())} {labels}")
    lines.append(f"  {name}minor {[t.get_text() for t in axis.get_ticklabels(minor=True)]}")
    for tick in axis.get_major_ticks()[:1]:
        lines.append(f"    {_values(tick.label1, 'fontsize color')}")
        if tick.gridline.get_visible():
            lines.append(f"    grid {_values(tick.gridline, 'color linewidth')}")
    return lines


def _values(artist, names):
    """Return properties of an artist, as words."""
    return " ".join(_word(getattr(artist, f"get_{name}")()) for name in names.split())


def _word(value):
    if hasattr(value, "N"):  # a map of colours
        return value.name
    if isinstance(value, (tuple, list, np.ndarray)):
        if not all(isinstance(v, (int, float, np.number, np.ndarray)) for v in value):
            return str(value)
        return _numbers(value)
    return f"{value:#.6g}" if isinstance(value, float) else str(value)


def _numbers(values):
    found = np.asarray(values, float).ravel()
    return "(" + " ".join(f"{v + 0.0:#.6g}" for v in found) + ")"  # with all digits: see _close


def messages(cases):
    """Return a line for each case, ``(name, function)``: what the call raises, or else warns of.

    Lists of all names, which each new class makes longer, are left out.
    """
    lines = []
    for name, function in cases:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                function()
                said = "; ".join(str(w.message) for w in caught if w.category is UserWarning)
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
        said = " ".join(said.split()).partition(" Known names: ")[0]
        lines.append(f"{name}: {said or 'passes'}")
    return "\n".join(lines)
