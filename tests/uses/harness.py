"""Wrong and odd uses of the public API, and what comes of each.

    python -m tests.uses.harness
    python -m tests.uses.harness --groups layer loss --show silent "unclear error"

Each public class gets each odd value for each argument of its constructor, and does what its
contracts do with it; each public function and method gets the same; `written.py` holds uses that
are mistakes in other ways. Each ends in one of these:

- works: the value is one of those that the argument takes;
- documented: it has no effect, and the documentation says so;
- warning, clear error: of the library, which names the argument, the layer or the class;
- silent: it is accepted, but is not kept, or gives NaN without a word;
- unclear error: one that code below the library raised, or that names nothing.

The exit status is 1 if any is silent or unclear.
"""

import argparse
import resource
import sys
import time
from collections import Counter

from tests.uses import calls, constructors, written
from tests.uses.outcomes import BAD, KINDS, outcome

MEMORY = 4 << 30  # of the process, so that what asks for more fails at once


def all_uses():
    yield from constructors.uses()
    yield from calls.uses()
    yield from written.uses()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", nargs="*", help="by default all")
    parser.add_argument("--show", nargs="*", default=BAD, choices=KINDS)
    parser.add_argument("--match", default="", help="a part of the names")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counts, start = Counter(), time.perf_counter()
    for use in all_uses():
        if arguments.groups and use.group not in arguments.groups:
            continue
        if arguments.match not in use.name:
            continue
        kind, text = outcome(use)
        counts[use.group, kind] += 1
        if kind in arguments.show:
            print(f"{kind}: {use.group}: {use.name}: {text}", flush=True)
    groups = list(dict.fromkeys(group for group, _ in counts))
    print(f"\n| group | uses | {' | '.join(KINDS)} |\n| --- |" + " --- |" * (len(KINDS) + 1))
    for group in [*groups, "all"]:
        its = [
            sum(n for (g, k), n in counts.items() if k == kind and group in (g, "all"))
            for kind in KINDS
        ]
        print(f"| {group} | {sum(its)} | {' | '.join(str(n or '') for n in its)} |")
    print(f"\n{sum(counts.values())} uses in {time.perf_counter() - start:.0f} s.")
    return int(any(n for (_, kind), n in counts.items() if kind in BAD))


if __name__ == "__main__":
    sys.exit(main())
