"""Files that are cut, changed or malformed: one exception, and nothing is loaded halfway."""

import copy
import hashlib
import json
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers.errors import FileError
from netlayers.saving import StoredFile
from tests.saving import fuzz, mutations
from tests.saving.golden import v2_cases
from tests.saving.hostile import lying, refuses

# Whole files ------------------------------------------------------------------------------------


def test_any_reader_of_safetensors_opens_it(path):
    safetensors = pytest.importorskip("safetensors")
    from safetensors.numpy import load_file

    model = nl.Sequential([nl.layers.Dense(3), nl.layers.BatchNormalization()], seed=0)
    model.compile("adam", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)
    nl.saving.save_model(model, path, arrays={"none": np.empty((0, 2)), "n": np.array(3)})
    arrays = load_file(path)
    assert sorted(arrays) == [
        "batch_normalization/beta",
        "batch_normalization/gamma",
        "batch_normalization/moving_mean",
        "batch_normalization/moving_variance",
        "dense/bias",
        "dense/kernel",
        "extra.n",
        "extra.none",
        "optimizer.m",
        "optimizer.v",
    ]
    np.testing.assert_array_equal(arrays["dense/kernel"], model.layers[0].kernel)
    np.testing.assert_array_equal(arrays["optimizer.m"], model.optimizer.state["m"])
    assert arrays["extra.none"].shape == (0, 2)
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
    assert metadata.keys() == {"checksum", "format", "description"}
    described = json.loads(metadata["description"])
    for name, array in arrays.items():
        assert hashlib.sha256(array.tobytes()).hexdigest() == described["checksums"][name]


def test_a_fuzzed_file_is_made_as_the_library_makes_it(files, path):
    """Otherwise each mutation would be refused for the way it was put together."""
    for _, data in files.values():
        path.write_bytes(mutations.sealed(*mutations.opened(data)))
        nl.load_model(path, v2_cases.CUSTOM)


# Changed bytes ----------------------------------------------------------------------------------


def read_all(path):
    with StoredFile(path) as file:
        file.check_rest()


def test_a_flipped_bit_is_found_anywhere(path):
    model = nl.Sequential([nl.layers.Dense(2)], seed=0)
    model.build((None, 2))
    model.save_weights(path)
    whole = path.read_bytes()
    read_all(path)
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        with pytest.raises(FileError):
            read_all(path)


def test_a_cut_anywhere_is_found(files, path):
    _, whole = files["plain"]
    for stop in [*range(40), *range(40, len(whole), 97), len(whole) - 1]:
        refuses(path, whole[:stop])
    refuses(path, whole + b"\0", "data: expected")


def test_changed_numbers_are_named(files, path):
    _, whole = files["plain"]
    error = refuses(path, whole[:-1] + bytes([whole[-1] ^ 1]), "changed or cut")
    assert error.place.endswith("checksum")
    with pytest.raises(FileError, match="checksum"):  # arrays that nobody asks for are checked too
        nl.load_model(path, compile=False)


KERNEL = "dense/kernel"
LIES = {
    "a gigabyte in a kilobyte": lambda e, d: e[KERNEL].update(
        shape=[2**14, 2**14], data_offsets=[0, 2**30]
    ),
    "sizes that overflow": lambda e, d: e[KERNEL].update(shape=[2**40, 2**40]),
    "huge integers": lambda e, d: e[KERNEL].update(shape=[10**300]),
    "a shape that does not fit": lambda e, d: e[KERNEL].update(shape=[6, 5]),
    "another shape of the size": lambda e, d: e[KERNEL].update(shape=[6, 4]),
    "negative sizes": lambda e, d: e[KERNEL].update(shape=[-4, -6]),
    "true for 1": lambda e, d: e[KERNEL].update(shape=[4, 6, True]),
    "too many axes": lambda e, d: e[KERNEL].update(shape=[4, 6] + [1] * 31),
    "another type": lambda e, d: e[KERNEL].update(dtype="I32"),
    "an unknown type": lambda e, d: e[KERNEL].update(dtype="BF16"),
    "a type that is a list": lambda e, d: e[KERNEL].update(dtype=["F32"]),
    "offsets that go back": lambda e, d: e[KERNEL].update(data_offsets=[96, 0]),
    "three offsets": lambda e, d: e[KERNEL].update(data_offsets=[0, 48, 96]),
    "overlapping ranges": lambda e, d: e[KERNEL].update(data_offsets=[4, 100]),
    "no offsets": lambda e, d: e[KERNEL].pop("data_offsets"),
    "more in an entry": lambda e, d: e[KERNEL].update(code="import os"),
    "no object": lambda e, d: e.update({KERNEL: 3}),
    "a missing array": lambda e, d: e.pop(KERNEL) and None,
    "an array of no bytes more": lambda e, d: e.update(
        x={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    ),
    "a missing checksum": lambda e, d: d["checksums"].pop(KERNEL) and None,
    "another version": lambda e, d: d.update(format_version=3),
    "version 1.0": lambda e, d: d.update(format_version="1"),
    "no version": lambda e, d: d.pop("format_version") and None,
    "another kind": lambda e, d: d.update(kind="archive"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies(files, path, lie):
    change = LIES[lie]
    refuses(path, lying(files, lambda e, d: change(e, d) and None))


def test_an_extra_array_and_an_uncovered_range(files, path):
    def add(entries, description):
        body = mutations.opened(files["plain"][1])[2]
        entries["more/kernel"] = {
            "dtype": "F32",
            "shape": [4],
            "data_offsets": [len(body), len(body) + 16],
        }
        description["checksums"]["more/kernel"] = hashlib.sha256(b"\0" * 16).hexdigest()
        return body + b"\0" * 16

    assert "extra" in str(refuses(path, lying(files, add), "more/kernel"))
    body = mutations.opened(files["plain"][1])[2]
    refuses(path, lying(files, lambda e, d: body + b"\0" * 16), "data: expected")


@pytest.mark.parametrize("shift", [-4, 4])
def test_ranges_that_overlap_or_leave_gaps(files, path, shift):
    """Under right checksums, so that nothing else is wrong with them."""
    entries, description, body = mutations.opened(files["plain"][1])
    start, stop = entries["dense_1/kernel"]["data_offsets"]
    entries["dense_1/kernel"]["data_offsets"] = [start + shift, stop + shift]
    description = mutations.with_checksums(entries, description, body)
    refuses(
        path, mutations.sealed(entries, description, body), f"begins at {start}|begins at {stop}"
    )


@pytest.mark.parametrize(
    "size", [0, 1, 27, 2**20, 2**40, 2**63, 2**64 - 1], ids=lambda n: f"length {n}"
)
def test_the_length_of_the_header(files, path, size):
    whole = files["plain"][1]
    refuses(path, size.to_bytes(8, "little") + whole[8:], "first 8 bytes|header")


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t.replace('"shape":', '"shape":[],"shape":', 1),
        lambda t: t.replace('"shape": ', '"shape": [],"shape": ', 1),
        lambda t: t[:-1] + ',"x":NaN}',
        lambda t: t[:-1] + ',"x":-Infinity}',
        lambda t: t[:-1] + ',"x":1e999}',
        lambda t: t[:-1] + ',"x":' + "9" * 5000 + "}",
        lambda t: t[:-1] + ',"x":' + "[" * 300 + "]" * 300 + "}",
        lambda t: t[:-1] + ',"x":' + "[" * 50_000 + "]" * 50_000 + "}",
        lambda t: t[:-1] + ',"é":3}',
        lambda t: t[:-1] + ',"\\ud800":3}',
        lambda t: t[:-1] + ',"__metadata__":{}}',
        lambda t: t[:-1],
        lambda t: t + "}",
        lambda t: t[:-1] + ',"x":"\x00"}',
        lambda t: t.replace('"format"', '"format" '),
    ],
)
def test_hostile_json(files, path, edit):
    entries, description, body = mutations.opened(files["plain"][1])
    data = mutations.sealed(entries, description, body, edit)
    if edit("}") == "}" and '"format" ' in edit('"format"'):
        path.write_bytes(data)  # the space is no lie; this shows that the others fail by theirs
        nl.load_model(path)
        return
    refuses(path, data)
    described = edit(json.dumps(description))
    if "metadata" not in described and "shape" not in edit('"shape":'):
        refuses(path, mutations.sealed(entries, described, body))


def test_a_header_with_more_than_is_allowed(files, path):
    """Each text is a few MB of JSON that would be ten times that in memory."""
    entries, description, body = mutations.opened(files["plain"][1])
    for extra in (
        '"' + "x" * (9 << 20) + '"',
        "[" + "[]," * 150_000 + "0]",
        "[" + "0," * 400_000 + "0]",
    ):
        data = mutations.sealed(
            entries, description, body, lambda t, extra=extra: f'{t[:-1]},"x":{extra}}}'
        )
        tracemalloc.start()
        refuses(path, data, "at most")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * len(data)


def test_what_is_no_file_at_all(path, tmp_path):
    with pytest.raises(FileNotFoundError):
        nl.load_model(path)
    for data in (b"", b"PK\3\4" * 50, b"\x89HDF\r\n\x1a\n" * 40, pickle.dumps([1]), b"\0" * 4096):
        refuses(path, data, "netlayers")
    with pytest.raises(FileError, match="ordinary file"):
        nl.load_model(tmp_path)
    if Path("/dev/zero").exists():
        with pytest.raises(FileError, match="ordinary file"):
            nl.load_model("/dev/zero")


def test_a_file_of_another_library(path):
    safetensors = pytest.importorskip("safetensors.numpy")
    safetensors.save_file({"dense/kernel": np.ones(3)}, path)
    refuses(path, path.read_bytes(), "netlayers")


# All or nothing, and memory -----------------------------------------------------------------------


@pytest.mark.parametrize("load", [nl.saving.restore, lambda p, m: m.load_weights(p)])
def test_nothing_is_loaded_halfway(files, path, load):
    """The last array is damaged, so all others have been read when that is found."""
    model, whole = files["plain"]
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    model = copy.deepcopy(model)
    model.parameters.values[...] = 3
    before = fuzz.snapshot(model)
    with pytest.raises(FileError):
        load(path, model)
    assert fuzz.snapshot(model) == before


def test_restore_refuses_another_model(files, path):
    model, whole = files["plain"]
    path.write_bytes(whole)
    other = nl.Sequential.from_config(model.get_config())
    other.build((None, 4))
    with pytest.raises(FileError, match="compile"):
        nl.saving.restore(path, other)
    other.compile("adam", "mse")
    with pytest.raises(FileError, match="class_name: expected Adam, got 'AdamW'"):
        nl.saving.restore(path, other)
    other.compile("adamw", "mse")
    with pytest.raises(FileError, match="vectors"):
        nl.saving.restore(path, other)


def test_memory_of_saving_and_loading(path):
    model = nl.Sequential([nl.layers.Dense(1000, kernel_initializer="zeros")])
    model.build((None, 3000))
    model.compile("adam", "mse")
    model.optimizer.step(model.parameters)
    peaks = []
    for work in (lambda: model.save(path), lambda: nl.load_model(path)):
        tracemalloc.start()
        again = work()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        del again
    size = path.stat().st_size
    assert size == pytest.approx(3 * 3_001_000 * 4, rel=0.01)
    assert peaks[0] < 1 << 20  # nothing is copied
    assert peaks[1] < 1.5 * size  # weights, their gradients, and the optimizer's vectors


def test_a_large_layer_is_not_initialized_when_it_is_loaded(path):
    layer = nl.layers.Dense(4, kernel_initializer="orthogonal")
    model = nl.Sequential([layer])
    model.build((None, 4))
    model.save(path)

    def fail(*_):
        raise AssertionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nl.initializers.Orthogonal, "fill", fail)
        nl.load_model(path)


# Mutations --------------------------------------------------------------------------------------


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    base=st.sampled_from(["plain", "nested", "unbuilt", "every"]),
    mutation=st.sampled_from(sorted(mutations.MUTATIONS)),
    rng=st.randoms(use_true_random=False),
)
def test_a_mutated_file_is_a_model_or_the_exception(files, path, base, mutation, rng):
    model, data = files[base]
    rng.randbytes = lambda n: bytes(rng.randrange(256) for _ in range(n))
    path.write_bytes(mutations.MUTATIONS[mutation](data, rng, files["nested"][1]))
    fuzz.outcome(path, model)


@pytest.mark.slow
def test_mutations_reach_every_check(tmp_path):
    """Most are made under right checksums: otherwise nothing behind those would be tried."""
    found, _, _ = fuzz.run(300, seed=1, folder=tmp_path)
    reached = {place for *_, place in found}
    assert reached >= {"loaded", "model", "an array", "description", "header", "first 8 bytes"}
    assert reached >= {"extra", "another run"}  # of a backup
