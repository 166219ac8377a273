"""Several processes under MPI: the same bits for any number of them, and errors that end all."""

import pytest

from tests.distribution.launching import mpich, open_mpi, run
from tests.distribution.networks import NETWORKS

pytest.importorskip("mpi4py")

pytestmark = [
    pytest.mark.skipif(mpich() is None, reason="mpich's wheel is not installed"),
    pytest.mark.kernels,
]
needs_open_mpi = pytest.mark.skipif(
    open_mpi() is None, reason="no Open MPI: there is none in NETLAYERS_OPENMPI, nor in PATH"
)


FIRST = (
    "dense",
    "accumulation",
    "words",
    "images",
    "graph",
    "streams",
    "files",
)  # the others are slow tests

ALL = (*NETWORKS, "--epochs", "2")


@pytest.fixture(scope="module")
def alone():
    return run(0, *ALL)


def test_two_processes_have_the_bits_of_one():
    assert run(2, *FIRST) == run(0, *FIRST)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("way", [(), ("--messages",)], ids=["shared memory", "messages"])
def test_any_number_of_processes_has_the_bits_of_one(processes, way, alone):
    assert run(processes, *ALL, *way) == alone


@pytest.mark.slow
def test_every_layer_has_the_bits_of_one_process():
    assert run(2, script="every_layer") == run(0, script="every_layer")


@needs_open_mpi
@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2, 3, 4, 8])
def test_open_mpi_has_the_same_bits(processes, alone):
    way = ("--messages",) if processes in (3, 4) else ()
    assert run(processes, *ALL, *way, mpi=open_mpi()) == alone


@needs_open_mpi
@pytest.mark.slow
@pytest.mark.parametrize("what", ["fail alone", "kill"])
def test_a_process_that_ends_ends_all_of_open_mpi(what):
    said = run(
        3, "dense", "--disturb", what, "--rank", "1", fails=True, mpi=open_mpi(), timeout=120
    )
    assert what == "kill" or "RuntimeError: something happened" in said


@pytest.mark.slow
def test_a_process_that_sleeps_for_ten_seconds_changes_nothing(alone):
    found = run(3, "dense", "--epochs", "2", "--disturb", "sleep", "--rank", "2")
    assert found == {"dense": alone["dense"]}


@pytest.mark.slow
@pytest.mark.parametrize("way", [(), ("--messages",)], ids=["shared memory", "messages"])
def test_the_shards_of_a_slow_process_move(way):
    long = ("dense", "--epochs", "8")  # 32 steps
    found = run(3, *long, "--slow", "1", *way)["dense"]
    first, slow, third = found.pop("shards")
    assert slow == 1  # of 3
    assert first + third == 7
    assert {"dense": found} == run(0, *long)


@pytest.mark.slow
def test_a_process_that_evaluates_alone_does_not_wait_for_ever():
    said = run(2, "dense", "--alone", fails=True)
    assert (
        "process 0 waits for the others in an evaluation of 103 rows, but process 1 has en" in said
    )


@pytest.mark.parametrize("what", ["fail", pytest.param("fail alone", marks=pytest.mark.slow)])
def test_an_error_in_one_process_ends_all(what):
    said = run(3, "dense", "--disturb", what, "--rank", "1", fails=True, timeout=120)
    assert "netlayers: process 1 of 3 failed:" in said
    assert said.count("Traceback") == 1  # the others wait, and are ended
    assert "RuntimeError: something happened" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--other", "data"), "process 1 differs from process 0. data: checksum: y: "),
        (("--other", "seed"), "process 1 differs from process 0. seed of the model: 8 there, 9 h"),
        (
            ("--other", "fewer batches"),
            "waits for the others in fit, but process 0 is in a training st",
        ),
        (
            ("--other", "smaller batches"),
            "process 1 is in a training step of 15 rows. All processes mu",
        ),
        (("--other", "epochs"), "process 1 differs from process 0. epochs: 3 there, 4 here"),
        (("--disturb", "weights"), "after update 12 the weights of the processes differ"),
    ],
)
def test_differences_are_refused_by_name(arguments, message):
    assert message in run(2, "residual", *arguments, fails=True)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4, 8])
def test_a_process_sends_less_than_twice_the_gradients(processes):
    sent = run(processes, "8000", "3", script="sent")
    assert sent == [3 * 2 * (processes - 1) / processes * 8000 * 4] * processes
