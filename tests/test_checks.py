"""Checks of arguments, at their bounds."""

import os

import numpy as np
import pytest

from netlayers import checks
from netlayers.errors import ConfigurationError, FileError


def refused(check, *args, match="", **kwargs):
    with pytest.raises(ConfigurationError, match=match):
        check("Owner", "argument", *args, **kwargs)


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "text"),
    [
        ({"minimum": 0}, [0, 1], [-1e-300], ">= 0"),
        ({"above": 0}, [1e-300], [0, -1], "> 0"),
        ({"maximum": 1}, [1, -5], [1.0000001], "<= 1"),
        ({"below": 1}, [0.9999999], [1, 2], "< 1"),
        ({"minimum": 0, "below": 1}, [0, 0.5], [-1, 1], ">= 0 and < 1"),
        ({"above": -1, "maximum": 1}, [-0.5, 1], [-1, 1.5], "> -1 and <= 1"),
        ({}, [-1e38, 0, np.float32(2), np.int8(3), np.array(4.0)], [], "a finite number"),
    ],
)
def test_numbers(bounds, good, bad, text):
    for value in good:
        got = checks.check_number("Owner", "argument", value, **bounds)
        assert type(got) is float
        assert got == value
    wrong = [np.nan, np.inf, -np.inf, True, "1", None, [1], np.array([1.0]), np.array(True), 1j]
    for value in [*bad, *wrong]:
        refused(
            checks.check_number, value, **bounds, match=f"^Owner: argument must be .*{text}, got"
        )


@pytest.mark.parametrize("value", [1e39, -1e300, np.float64(1e308)])
def test_numbers_that_are_infinite_in_float32(value):
    refused(checks.check_number, value, match=r"a finite number \(at most 3.4e\+38 in size")


def test_integers():
    assert checks.check_integer("Owner", "argument", np.int64(3), minimum=3) == 3
    assert type(checks.check_integer("Owner", "argument", np.int64(3))) is int
    assert checks.check_integer("Owner", "argument", -7) == -7
    for value in (2, True, 3.0, "3", None):
        refused(checks.check_integer, value, minimum=3, match="an integer >= 3, got")
    refused(checks.check_integer, 3.0, match="must be an integer, got 3.0")
    refused(checks.check_integer, 2**63, match=r"an integer and at most 2\*\*63 - 1, got 92233")
    refused(checks.check_integer, 5, minimum=0, maximum=4, match="integer >= 0 and at most 4, got")
    assert checks.check_seed("Owner", 10**400) == 10**400


def test_flags_and_choices():
    assert checks.check_flag("Owner", "argument", np.True_) is True
    assert checks.check_flag("Owner", "argument", False) is False
    for value in (0, 1, None, "False"):
        refused(checks.check_flag, value, match="True or False")
    assert checks.check_choice("Owner", "argument", "a", ("a", "b")) == "a"
    for value in ("c", None, ["a"], np.ones(2)):
        refused(checks.check_choice, value, ("a", "b"), match="one of 'a', 'b', got")


def test_verbose():
    given = [0, 1, 2, "auto", True, False, np.False_]
    assert [checks.check_verbose("Owner", v) for v in given] == [0, 1, 2, 1, 1, 0, 0]
    for value in (3, -1, "loud", None):
        with pytest.raises(ConfigurationError, match="verbose must be one of"):
            checks.check_verbose("Owner", value)


def test_lists_and_names():
    assert [checks.listed(v) for v in (None, 3, "ab", [1], (1, 2), [])] == [
        [], [3], ["ab"], [1], [1, 2], [],
    ]  # fmt: skip
    assert checks.check_name("Owner", None, "default") == "default"
    assert checks.check_name("Owner", "mine", "default") == "mine"
    for value in ("", 3, b"mine"):
        with pytest.raises(ConfigurationError, match="name must be a non-empty string"):
            checks.check_name("Owner", value, "default")


def test_lists_of_a_kind():
    for value in ([1, 2], (1, 2), np.array([1, 2]), iter([1, 2])):
        assert checks.check_list("Owner", "argument", value, "numbers") == [1, 2]
    for value in (3, None, "text", b"text", True, np.array(0.5)):
        refused(checks.check_list, value, "numbers", match="must be a list of numbers, got")


def test_dtypes():
    for value in ("float32", "f8", np.float64, np.dtype("f4"), float):
        assert checks.check_dtype("Owner", value) == np.dtype(value)
    for value in (None, np.float32(0.5), "float16", "int32", int, "nothing", object):
        with pytest.raises(ConfigurationError, match="must be 'float32' or 'float64', got"):
            checks.check_dtype("Owner", value)


def test_shapes():
    for value, shape in ((3, (3,)), ([3, None], (3, None)), ((), ()), (np.array([2, 1]), (2, 1))):
        assert checks.check_shape("Owner", "argument", value) == shape
    for value in (0, (3, 0), (3, -1), (2.0,), (True,), ((1, 2),)):
        refused(checks.check_shape, value, match="each size in argument must be an integer >= 1")
    for value in (None, 2.5):
        refused(checks.check_shape, value, match="a tuple of sizes")
    for value, several in (((2, 3), False), (((2,), (3,)), True), ((), False), ([[2]], True)):
        assert checks.is_several(value) is several
    assert not checks.is_several("ab")


def test_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").write_text("")
    check = checks.check_path
    assert check("Owner", "argument", "~/file") == str(tmp_path / "file")
    assert check("Owner", "argument", os.fsencode(tmp_path / "new")) == str(tmp_path / "new")
    assert check("Owner", "argument", tmp_path, folder=True) == str(tmp_path)
    for value in ("", "a\0b", None, 3):
        refused(check, value, match="must be the path of a file, got")
        refused(check, value, folder=True, match="must be the path of a folder, got")
    with pytest.raises(FileError, match="expected an ordinary file, got a folder"):
        check("Owner", "argument", tmp_path)
    with pytest.raises(FileError, match="expected a folder, got a file"):
        check("Owner", "argument", tmp_path / "file", folder=True)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FileError, match="expected an ordinary file, got a pipe or a device"):
            check("Owner", "argument", tmp_path / "pipe")
