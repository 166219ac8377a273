"""The gain of each compiled kernel: training steps with all kernels, and with all but one.

A compiled kernel is kept if a step is at least 10 % slower without it in two cases. Only kernels
that the step calls are measured.
"""

from __future__ import annotations

from typing import Any

from benchmarks.cases import CASES
from benchmarks.peers import missing, missing_line
from benchmarks.turns import Clients, take_turns

PEER = "with numba"


def run(names: list[str], options: Any) -> dict[str, Any]:
    """Return by case the time of a step with all kernels and without each, alternating.

    All steps are of one network in one process, so that its arrays have the same addresses.
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
