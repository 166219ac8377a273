"""Each hidden fault of a user's class is found by the check that is there for it."""

import pickle

import pytest

from netlayers.testing import ContractError, list_checks
from tests.mutation.contract_faults import FAULTS

TWINS = sorted({cls.__mro__[1] for cls, _, _ in FAULTS} - {cls for cls, _, _ in FAULTS}, key=repr)


@pytest.mark.parametrize(("cls", "name", "words"), FAULTS, ids=lambda v: getattr(v, "__name__", v))
def test_a_fault_is_found(cls, name, words):
    cases = [case for case in list_checks(cls) if case.check.name == name]
    failures = []
    for case in cases:
        try:
            case()
        except ContractError as failure:
            failures.append(failure)
    assert failures, f"{name} passes"
    failure = failures[0]
    assert cls.__name__ in str(failure)
    assert repr(name) in str(failure)
    assert words in str(failure)
    assert all(f"\n  {part}: " in str(failure) for part in ("expected", "got", "to do"))
    assert failure.check == name
    assert failure.subject.startswith(cls.__name__)
    again = pickle.loads(pickle.dumps(failure))
    assert (str(again), again.check, again.subject) == (str(failure), name, failure.subject)


@pytest.mark.parametrize("cls", TWINS, ids=lambda cls: cls.__name__)
def test_the_twin_without_a_fault_passes(cls):
    assert len(TWINS) > 8
    for case in list_checks(cls):
        case()
