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


def described(figure):
    """Return a figure of matplotlib as text: what was drawn in it, and where."""
    lines = [f"figure {_numbers(figure.get_size_inches())}"]
    lines += [f"  text {t.get_text()!r}" for t in figure.texts]
    for axes in figure.axes:
        lines.append(f"axes {_numbers(axes.get_position().bounds) if not axes.lines else ''}")
        for what in ("title", "xlabel", "ylabel", "xscale", "yscale", "xlim", "ylim"):
            value = getattr(axes, f"get_{what}")()
            lines.append(f"  {what} {value if isinstance(value, str) else _numbers(value)}")
        for line in axes.lines:
            lines.append(
                f"  line {line.get_label()!r} {line.get_color()} {line.get_linestyle()} "
                f"{line.get_marker()} {_numbers([line.get_linewidth(), line.get_zorder()])}"
            )
            lines += [f"    {_numbers(data)}" for data in line.get_data()]
        for patch in axes.patches:
            box = patch.get_path().get_extents(patch.get_patch_transform())
            lines.append(
                f"  {type(patch).__name__} {_numbers(box.bounds)} {_numbers(patch.get_facecolor())}"
                f" {_numbers(patch.get_edgecolor())} {patch.get_linestyle()}"
            )
        for found in axes.collections:
            values = found.get_array()
            lines.append(f"  {type(found).__name__}")
            if values is not None:
                lines.append(f"    {_numbers(np.ma.filled(values.astype(float), np.nan))}")
        for image in axes.images:
            lines.append(f"  image {_numbers(image.get_array())} {_numbers(image.get_extent())}")
        for text in axes.texts:
            lines.append(
                f"  text {text.get_text()!r} {_numbers(text.get_position())} {text.get_ha()} "
                f"{text.get_va()} {_numbers([text.get_fontsize()])} {text.get_color()} "
                f"{text.get_weight()}"
            )
        if legend := axes.get_legend():
            lines.append(f"  legend {[t.get_text() for t in legend.get_texts()]}")
    return "\n".join(lines)


def _numbers(values):
    found = np.asarray(values, float).ravel()
    return "(" + " ".join(f"{v + 0.0:.6g}" for v in found) + ")"


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
