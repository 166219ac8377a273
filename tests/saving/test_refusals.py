"""An entry of a file that holds something else: what is refused, and in which words."""

import copy
import re

import netlayers as nl
from tests.golden import check_text, messages
from tests.saving import mutations
from tests.saving.golden import v2_cases

MISSING = object()
WRONG = {"none": MISSING, "null": None, "-1": -1, "true": True, "1.5": 1.5, "text": "a"}
WRONG |= {"[]": [], "[a, a]": ["a", "a"], "{}": {}, "{a: 1}": {"a": 1}, "2^70": 2**70}
FREE = ("library", "numpy", "extra")  # of which nothing is asked
ALIKE = (("checksums",), ("streams",), ("assets",))  # whose entries are all of one kind
# Whose arguments the tests of their classes look at.
CONFIGURATIONS = ("model", "compile/optimizer", "compile/loss", "compile/metrics")


def places(value, path=(), depth=2):
    """Yield the paths of the entries of nested dicts, and of the first of each list of equals."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys[: 1 if isinstance(value, list) or path[-1:] in ALIKE else None]:
        yield (*path, key)
        inner = value[key]
        whole = "/".join(map(str, (*path, key))) in CONFIGURATIONS
        if depth and isinstance(inner, (dict, list)) and not whole:
            yield from places(inner, (*path, key), depth - 1)


def changed(value, path, wrong):
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if wrong is MISSING:
        del inner[path[-1]]
    else:
        inner[path[-1]] = wrong
    return value


def words(text, path):
    """Return a message without what differs from run to run."""
    text = text.replace(f"{path}: ", "").removeprefix("FileError: ")
    return re.sub(r"[0-9a-f]{64}", "DIGEST", text)


def refusals(path, data, load, free=FREE):
    """Return the messages for wrong values of each entry of the header and the description."""
    entries, description, body = mutations.opened(data)
    first = next(iter(entries))
    changes = [(place, True) for place in places(description) if place[0] not in free]
    changes += [(place, False) for place in places(entries) if place[0] == first]
    lines = []
    for place, described in changes:
        lines.append(f"{'description' if described else 'header'}: {'/'.join(map(str, place))}")
        found = {}
        for name, wrong in WRONG.items():
            now = changed(description if described else entries, place, wrong)
            its = (entries, now) if described else (now, description)
            path.write_bytes(mutations.sealed(*its, body))
            message = words(messages([("", lambda: load(path))])[2:], path)
            expected, _, got = message.partition(", got ")
            found.setdefault(expected, []).append(f"{name} ({got})" if got else name)
        lines += [f"    {expected}: {', '.join(its)}" for expected, its in found.items()]
    return "\n".join(lines)


def test_entries_of_a_model(files, path):
    check_text(__file__, "refusals_model.txt", refusals(path, files["plain"][1], nl.load_model))


def test_entries_of_version_2(files, path):
    def load(path):
        return nl.load_model(path, v2_cases.CUSTOM)

    free = (*FREE, "kind", "weights", "compile", "optimizer", "checksums")  # as in version 1

    check_text(__file__, "refusals_version_2.txt", refusals(path, files["every"][1], load, free))
