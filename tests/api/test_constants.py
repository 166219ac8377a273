"""Constants, defaults and refusals change only on purpose, also where nothing else shows it."""

import pytest

from tests.api import constants, refusals


@pytest.mark.parametrize("file", [constants, refusals], ids=lambda module: module.FILE.stem)
def test_the_table_is_the_one_written_down(file):
    now, written = file.table(), file.written()
    changed = [
        f"{name} = {now[name]}, was {its}"
        for name, its in written.items()
        if now.get(name, its) != its  # what is new or has moved is written down later
    ]
    missing = now.keys() - written.keys()
    if changed or len(missing) > 0.1 * len(now):
        pytest.fail(
            f"{len(changed)} entries have changed and {len(missing)} are new. If this is meant, "
            f"run `python -m tests.api.{file.FILE.stem}`.\n" + "\n".join(changed),
            pytrace=False,
        )


def test_which_values_are_written_down():
    assert constants.text((True, None, "x", 2.5, [1])) == "tuple(True, 2.5, list(1))"
    assert constants.text({3, 1, 2}) == "set(1, 2, 3)"
    assert [constants.text(its) for its in ("3", None, [], ["x"], object)] == [""] * 5
    found = constants.table()
    assert found["layers.augmentation.bounds(least)"] == "-1.0"
    assert found["utils.images.CHANNELS['rgb']"] == "3"
    assert found["arrays.checks._CHUNK"] == str(1 << 20)
    assert len(found) > 1000
