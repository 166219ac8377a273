"""``diagnose`` of networks of images: what is ill is found, and healthy ones are not."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics import diagnose_images
from netlayers.diagnostics.evidence import SeenImages
from tests.diagnostics.pictures import HEALTHY, ILLS
from tests.diagnostics.test_findings import said
from tests.diagnostics.test_thresholds import evidence
from tests.golden import check_text

L = nl.layers
CASES = [(illness, number) for illness, its in ILLS.items() for number in range(len(its))]


@pytest.mark.parametrize(("illness", "number"), CASES)
def test_found(illness, number):
    model, x, y = ILLS[illness][number](number)
    report = model.diagnose(x, y, verbose=0)
    found = {finding.illness: finding for finding in report.findings}
    assert illness in found, str(report)
    assert found[illness].evidence
    assert "dead units" not in found  # of filters, it is said as such


@pytest.mark.parametrize("name", HEALTHY)
def test_silent(name):
    model, x, y = HEALTHY[name](len(name))
    for epochs in (0, 4):
        if epochs:
            losses = model.fit(x, y, epochs=epochs, verbose=0).history["loss"]
            assert losses[-1] < losses[0]  # it is healthy
        report = model.diagnose(x, y, verbose=0)
        assert report.healthy, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 103))
def test_other_seeds(seed):
    for make in HEALTHY.values():
        model, x, y = make(seed)
        report = model.diagnose(x, y, verbose=0)
        assert report.healthy, str(report)
    for illness, number in CASES:
        model, x, y = ILLS[illness][number](seed)
        report = model.diagnose(x, y, verbose=0)
        assert illness in [finding.illness for finding in report.findings], str(report)


def test_dead_filters_are_counted_with_the_channels_first():
    def share(first):
        model, x, y = ILLS["dead filters"][first](0)
        histograms = model.activation_histograms(x)
        report = model.diagnose(x, y, verbose=0)
        (layer,) = (its for its in histograms.layers if its.layer == "first")
        assert layer.dead == report.values["dead"]["first"]
        return layer.dead

    assert share(0) == share(1) == 6 / 8


def seen(layer, *sizes, high=1.0):
    return evidence(images={"it": SeenImages(layer, (4, *sizes), 0.0, high)})


def dead(**shares):
    return evidence(dead=shares, maps=dict.fromkeys(shares, 0.0))


FIRST = {"data_format": "channels_first"}
CONV, OTHER = L.Conv2D(2, 2), L.Conv2D(2, 2, **FIRST)
SAID = {
    "channels first": seen(CONV, 3, 32, 31),
    "one channel first": seen(CONV, 1, 8, 8),
    "four channels first": seen(CONV, 4, 8, 8),
    "five rows": seen(CONV, 5, 32, 32),
    "a strip": seen(CONV, 3, 32, 7),
    "channels last": seen(CONV, 32, 32, 3),
    "channels last, for the other order": seen(OTHER, 32, 31, 3),
    "channels first, for this order": seen(OTHER, 3, 32, 32),
    "a series": seen(L.Conv1D(2, 2), 3, 32),
    "rows of pixels": seen(L.Dense(2), 28, 28),
    "pixels": seen(L.Dense(2), 28, 20, 3),
    "small": seen(L.Dense(2), 7, 7),
    "steps of a series": seen(L.Dense(2), 28, 20),
    "many filters": dead(a=0.7, b=0.69),
    "most of the filters": dead(a=0.9, b=0.95),
    "few filters": dead(a=0.69),
    "a quarter of the maps": evidence(maps={"a": 0.25, "b": 0.2}),
    "all maps": evidence(maps={"a": 0.25, "b": 1.0}),
    "few maps": evidence(maps={"a": 0.24}),
}


def test_what_is_said():
    lines = []
    for title, found in SAID.items():
        lines += [title, *said(diagnose_images.findings(found))]
    check_text(__file__, "findings-images.txt", "\n".join(lines))


def test_images_of_8_bits():
    from netlayers.diagnostics.diagnose_data import inputs

    high = seen(CONV, 8, 8, 1, high=255.0)
    high.scales = {"it": np.array([90.0])}
    (finding,) = inputs(high)
    assert (
        finding.text == "the images that come to `it` have values from 0 to 255; about 1 is right."
    )
    assert finding.layer == "it"
    low = seen(CONV, 8, 8, 1, high=10.0)
    low.scales = {"it": np.array([9.0])}
    assert list(inputs(low)) == []


def test_maps_of_one_image_are_not_constant():
    from netlayers.diagnostics.channels import idle_maps

    zero, constant = idle_maps(np.ones((1, 2, 2, 1)))
    assert not zero.any()
    assert not constant.any()
    border = np.zeros((3, 4, 4, 2))
    border[:, 1:-1, 1:-1] = 1  # as zeros around the image leave it
    border[..., 1] = 0
    zero, constant = idle_maps(border)
    assert (zero.tolist(), constant.tolist()) == ([False, True], [True, False])
