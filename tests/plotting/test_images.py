"""What is drawn of feature maps, filters and heat maps."""

import numpy as np
import pytest

from tests.golden import check_text, described
from tests.snapshots import numbers, outcome, shown

pytest.importorskip("matplotlib", minversion="3.10")
from netlayers.plotting.images import picture_of, plot_feature_maps, plot_filters, plot_heat_maps


def brief(figure):
    """The text of a figure without lines that all its axes share."""
    first = described(figure).splitlines()
    kept = [line for line in first if not line.startswith(("  xlabel", "  ylabel", "  spines"))]
    return [line for line in kept if "ticks" not in line and "minor" not in line] + [
        f"  frame {next(s.get_edgecolor() for s in a.spines.values())} "
        f"{[s.get_linewidth() for s in a.spines.values()]} {a.axison} {a.get_aspect()} "
        f"{[i.get_interpolation() for i in a.images]} {[i.get_cmap().name for i in a.images]} "
        f"{[i.get_clim() for i in a.images]} {[shown(i.get_alpha()) for i in a.images]}"
        for a in figure.axes
    ]


FIGURES = {
    "maps": lambda: plot_feature_maps(
        numbers(3, 4, 3, 1), {"a": numbers(3, 2, 2, 18), "b": -np.abs(numbers(3, 3, 5, 2))}, None,
        2, 17
    ),
    "maps of a series": lambda: plot_feature_maps(
        numbers(2, 5, 4), {"s": np.abs(numbers(2, 4, 3)), "dead": np.zeros((2, 4, 2))}, None, 1, 2
    ),
    "of rows": lambda: plot_feature_maps(numbers(2, 5), {"m": numbers(2, 2, 2, 1)}, None, 0, 9),
    "filters of a channel": lambda: plot_filters("$c_1$", numbers(3, 2, 1, 4), None, 3),
    "filters of colours": lambda: plot_filters("c", numbers(2, 2, 3, 2), None, 2),
    "filters of a series": lambda: plot_filters("c", numbers(3, 1, 18), None, 18),
    "filters of channels": lambda: plot_filters("c", numbers(2, 3, 17, 3), None, 2),
    "no filters": lambda: plot_filters("c", np.zeros((1, 1, 1, 1)), None, 1),
    "heat maps": lambda: plot_heat_maps(
        numbers(3, 3, 4, 3), np.abs(numbers(3, 3, 4)), ["0", "1", "2"], None, 2
    ),
    "no heat": lambda: plot_heat_maps(numbers(1, 3, 4), np.zeros((1, 2, 2)), ["0"], None, 5),
}  # fmt: skip


def test_figures():
    lines = [line for name, make in FIGURES.items() for line in (name, *brief(make()))]
    check_text(__file__, "images.txt", "\n".join(lines))


def test_pictures_and_refusals():
    lines = []
    for shape in ((4,), (4, 3), (4, 3, 1), (4, 3, 2), (4, 3, 3), (4, 3, 4), (1, 4, 3, 3)):
        for centred in (False, True):
            for sign, x in (("", numbers(*shape) + 0.2), ("of one value ", np.ones(shape))):
                said = outcome(lambda x=x, c=centred: picture_of(x, c))
                lines.append(f"{sign}{shape} {centred}: {said}")
    maps = {"m": numbers(2, 2, 2, 1)}
    calls = {
        "no maps": lambda: plot_feature_maps(numbers(2, 3), {}, None, 0, 1),
        "image": lambda: plot_feature_maps(numbers(2, 3), maps, None, 2, 1),
        "most": lambda: plot_feature_maps(numbers(2, 3), maps, None, 1, 0),
        "axes": lambda: plot_feature_maps(numbers(2, 3), {"m": numbers(2, 2, 2, 2, 1)}, None, 0, 1),
        "filters": lambda: plot_filters("c", numbers(2, 3, 1, 1, 1), None, 2),
        "most filters": lambda: plot_filters("c", numbers(2, 3, 1, 1), None, 0),
        "heat": lambda: plot_heat_maps(numbers(2, 3, 3), numbers(2, 3), "ab", None, 1),
        "most heat": lambda: plot_heat_maps(numbers(2, 3, 3), numbers(2, 3, 3), "ab", None, True),
    }
    lines += [f"{title}: {outcome(call)}" for title, call in calls.items()]
    check_text(__file__, "pictures.txt", "\n".join(lines))
