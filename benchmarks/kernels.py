"""Which compiled kernels win: whole steps with all of them, and with all but one.

The rule is that a kernel stays if a step is at least a tenth slower without it in two cases. The
names are those that the seam holds, and only kernels that the step calls are tried.
"""

from __future__ import annotations

from typing import Any

from benchmarks.cases import CASES
from benchmarks.peers import missing, missing_line
from benchmarks.turns import Clients, take_turns

PEER = "with numba"


def run(names: list[str], options: Any) -> dict[str, Any]:
    """Return by case the seconds of a step with all kernels and without each; they take turns.

    All are steps of one network in one process, so that where its arrays lie is no difference.
    """
    if packages := missing(PEER):
        print(f"  {missing_line(PEER, packages)}")
        return {}
    found: dict[str, Any] = {}
    with Clients([PEER], options.threads[-1]) as clients:
        client = clients[PEER]
        for name in options.cases:
            called = client.ask("open_kernels", case=CASES[name].to_dict())["called"]
            found[name] = take_turns(
                dict.fromkeys(called, client), None, options.seconds / 4, 2 * options.rounds
            )
            print(f"  {name}: {', '.join(called[1:])}", flush=True)
    return found
