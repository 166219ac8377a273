"""Processes that share no memory: on two machines, which are network namespaces, and over TCP."""

import os
import shutil
import stat
import subprocess
import time

import pytest

from tests.distribution.launching import Launcher, mpich, run
from tests.distribution.networks import NETWORKS

pytest.importorskip("mpi4py")

pytestmark = [
    pytest.mark.skipif(mpich() is None, reason="mpich's wheel is not installed"),
    pytest.mark.slow,
    pytest.mark.kernels,
]
TCP = {"UCX_TLS": "tcp,self", "FI_PROVIDER": "tcp"}  # whichever of the two MPICH uses
FIRST, SECOND = "10.213.0.1", "10.213.0.2"

# Takes the place of ssh: options, the address of a machine, a command.
ENTER = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
case $1 in %s) machine=%s;; %s) machine=%s;; esac
shift
exec ip netns exec "$machine" sh -c "$*"
"""


def ip(*arguments):
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def machines(tmp_path):
    """Two network namespaces, joined by a cable."""
    names = [f"netlayers{os.getpid()}{letter}" for letter in "ab"]
    if shutil.which("ip") is None:
        pytest.skip("no command ip")
    made = []
    try:
        for name in names:
            ip("netns", "add", name)
            made.append(name)
        a, b = names
        ip("-n", a, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", b)
        for name, address in zip(names, (FIRST, SECOND), strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "cable")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "cable", "up")
        for _ in range(100):  # both ends are up a moment later
            if all(" state UP " in ip("-n", name, "link", "show", "cable") for name in names):
                break
            time.sleep(0.05)
    except subprocess.CalledProcessError as error:
        for name in made:
            ip("netns", "del", name)
        pytest.skip(f"no network namespaces: {error.stderr.strip()}")
    enter = tmp_path / "enter"
    enter.write_text(ENTER % (FIRST, a, SECOND, b))
    enter.chmod(enter.stat().st_mode | stat.S_IXUSR)
    inside = ["ip", "netns", "exec", a, *mpich().command, "-launcher", "ssh"]
    command = [*inside, "-launcher-exec", str(enter), "-hosts", f"{FIRST},{SECOND}"]
    yield Launcher(command, TCP), lambda: sent_by(a)
    for name in names:
        ip("netns", "del", name)


def sent_by(name):
    """Return how many bytes the cable carried away from a machine."""
    found = ip("netns", "exec", name, "cat", "/sys/class/net/cable/statistics/tx_bytes")
    return int(found)


@pytest.mark.parametrize("processes", [2, 4])
def test_two_machines_have_the_bits_of_one_process(processes, machines):
    launcher, sent = machines
    before = sent()
    assert run(processes, *NETWORKS, mpi=launcher) == run(0, *NETWORKS)
    assert sent() - before > 100_000


def test_the_cable_carries_what_the_messages_hold(machines):
    launcher, sent = machines
    before = sent()
    counted = run(2, "250000", "20", script="sent", mpi=launcher)
    assert counted == [20 * 250_000 * 4] * 2  # 2 (p - 1) / p times the gradients
    assert counted[0] < sent() - before < 1.1 * counted[0]


def test_an_error_on_one_machine_ends_all(machines):
    launcher, _ = machines
    arguments = ("dense", "--disturb", "fail alone", "--rank", "1")
    said = run(2, *arguments, fails=True, mpi=launcher, timeout=60)
    assert "netlayers: process 1 of 2 failed:" in said
    assert "RuntimeError: something happened" in said


def test_processes_that_use_tcp_have_the_bits_of_one():
    apart = Launcher(mpich().command, TCP | {"MPIR_CVAR_NOLOCAL": "1"})  # each as on a machine
    assert run(2, *NETWORKS, mpi=apart) == run(0, *NETWORKS)
