"""Values that a file can hold, and values that are refused."""

import numpy as np
import pytest

from netlayers.errors import FileError
from netlayers.saving import StoredFile, write_file

# What cannot be written ------------------------------------------------------------------------


def test_what_can_not_be_written(path):
    for arrays, match in (
        ({"x": np.array(["text"])}, "the dtype <U4"),
        ({"x": np.array([1j])}, "complex128"),
        ({3: np.ones(2)}, "names of arrays"),
        ({"__metadata__": np.ones(2)}, "names of arrays"),
        ({"\ud800": np.ones(2)}, "names of arrays"),
    ):
        with pytest.raises(FileError, match=match):
            write_file(path, arrays, {})
    for value in ({1: 2}, {"x": object()}, {"x": {"$float": 1}}, {"x": 1j}, {"x": print}):
        with pytest.raises(FileError, match="description"):
            write_file(path, {}, value)
    with pytest.raises(FileError, match="at most"):
        write_file(path, {}, {"x": "x" * (9 << 20)})
    assert not path.exists()


def test_arrays_of_every_kind(path):
    rng = np.random.default_rng(0)
    arrays = {
        f"{kind} {name}": (rng.normal(size=(3, 4)) * 100).astype(kind)
        for kind in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", ">f4", ">i8")
        for name in "aö"
    }
    arrays["transposed"] = arrays["f8 a"].T
    arrays["strided"] = arrays["f4 a"][::2, 1:3]
    arrays["empty"], arrays["number"] = np.empty((3, 0)), np.float64(3) * np.ones(())
    write_file(path, arrays, {"é": "ü"})
    with StoredFile(path) as file:
        assert file.description["é"] == "ü"
        for name, array in arrays.items():
            found = file.read(name)
            assert found.dtype == array.dtype.newbyteorder("=")
            np.testing.assert_array_equal(found, array)
        with pytest.raises(FileError, match="float32"):
            file.read("number", np.empty((), np.float32))
        with pytest.raises(FileError, match="none"):
            file.read("nothing")
