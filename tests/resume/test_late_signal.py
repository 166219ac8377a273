"""A signal that came while a step was under way acts when an error ends the run instead."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import netlayers

PROGRAM = """
import os, signal, sys
import numpy as np, netlayers as nl

class Breaks(nl.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        raise ValueError("mine")

model = nl.Sequential([nl.layers.Dense(1)])
model.compile("sgd", "mse")
try:
    model.fit(np.ones((4, 2)), np.ones((4, 1)), callbacks=[Breaks()], verbose=0)
except ValueError:
    print("went on", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_sigterm_ends_the_process():
    root = str(Path(netlayers.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "SIGTERM"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert "went on" not in done.stdout
