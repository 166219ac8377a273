"""What the checks say of a class with a fault, word by word."""

import pytest

from netlayers.testing import ContractError, list_checks
from tests.golden import check_text
from tests.mutation.contract_faults import FAULTS as HIDDEN
from tests.snapshots import numpy_kernels  # noqa: F401
from tests.testing.faulty import FAULTS as OTHERS
from tests.testing.faulty_layers import Counts

FAULTS = [*HIDDEN, *OTHERS]
# Other numbers in each run, or after other tests.
DRAWN = ("OwnGenerator", "OneStream", "SharedCopy", "Allocates", "RoundedByBatch", "StateBeside")


def failures(cls, name):
    """Return what the checks of a name say of a class."""
    found = []
    for case in list_checks(cls, strict=True):
        if case.check.name == name:
            try:
                case()
            except ContractError as failure:
                found.append(str(failure))
    return found


@pytest.mark.parametrize("family", sorted({cls.__mro__[1].__name__ for cls, _, _ in FAULTS}))
def test_what_is_said(family):
    said = []
    for cls, name, _ in FAULTS:
        if cls.__mro__[1].__name__ == family:
            Counts.made = 0
            found = failures(cls, name)
            assert found, f"{name} passes {cls.__name__}"
            if cls.__name__ in DRAWN:
                found = [text.partition("got: ")[0] for text in found]
            said += found
    check_text(__file__, f"failures-{family}.txt", "\n".join(said))
