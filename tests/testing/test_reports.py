"""What the checks report, as docs/testing.md shows it, and what they refuse."""

import re
from pathlib import Path

import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError
from netlayers.testing import ContractError, check_layer, check_loss, list_checks
from tests.mutation.layer_faults import AddedGradient, Scale

PAGE = (Path(nl.__file__).parents[1] / "docs" / "testing.md").read_text(encoding="utf-8")


def test_the_page_shows_what_comes():
    code = re.search(r"```python\n(.*?)```", PAGE, re.S)[1]
    shown, passed = re.findall(r"```\n(\S.*?)\n```\n", PAGE.partition(code)[2], re.S)[:2]
    with pytest.raises(ContractError) as failure:
        exec(code, {"__name__": "page"})
    words = re.sub(r"-?\d+\.\d+", "#", str(failure.value))
    assert shown.partition(": ")[2].splitlines()[0] == words.splitlines()[0]
    assert re.sub(r"-?\d+\.\d+", "#", shown.partition(": ")[2]) == words
    space = {"__name__": "page"}
    exec(
        code.replace("self.d_scale +=", "self.d_scale[...] =").replace("check_layer(Scale)\n", ""),
        space,
    )
    assert str(check_layer(space["Scale"])) == passed


def test_all_failures_can_be_collected():
    report = check_layer(AddedGradient, collect=True)
    assert not report.passed
    assert report.count > 40
    names = {failure.check for failure in report.failures}
    assert {"batches_do_not_depend_on_earlier_ones", "gradients_are_derivatives"} <= names
    assert str(report).endswith(
        f"{report.count} checks, {len(report.failures)} of {report.count} failed"
    )


def test_an_object_is_checked_with_its_configuration():
    layer = Scale(0.25)
    layer.build((None, 5))
    examples = {str(case.examples[0]) for case in list_checks(layer)}
    assert len(examples) == 1
    assert "factor=0.25" in examples.pop()
    assert check_layer(layer).passed


def test_examples_can_be_passed():
    cases = list_checks(Scale, examples=[({"factor": 3.0}, (2, 2))])
    assert {case.examples[0].arguments["factor"] for case in cases} == {3.0}
    assert len(list_checks(Scale, strict=True)) > len(list_checks(Scale))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: check_layer(nl.losses.Huber), "check_layer: expected a class of that family"),
        (lambda: check_loss(int), "expected a class of layers, losses"),
        (lambda: list_checks(Scale, examples=[]), "examples.. returns none"),
        (lambda: list_checks(Scale, examples=[{"factor": 3.0}]), "must be a pair"),
        (lambda: list_checks(Scale, examples=[({"units": 3}, (2, 2))]), "cannot be made.*units"),
    ],
)
def test_what_can_not_be_checked_is_refused(call, words):
    with pytest.raises(ConfigurationError, match=words):
        call()


def test_examples_that_are_given_are_those_of_an_object_too():
    thing = nl.regularizers.L1(0.75)
    names = {str(case) for case in nl.testing.list_checks(thing)}
    assert all(name.endswith("-L1(l1=0.75)") for name in names)
    given = nl.testing.list_checks(thing, examples=[{"l1": 0.5}])
    assert all(str(case).endswith("-L1(l1=0.5)") for case in given)
    of_class = nl.testing.list_checks(nl.regularizers.L1, examples=[{"l1": 0.5}])
    assert {str(case) for case in given} <= {str(case) for case in of_class}
