"""Files that are larger than the memory one would give them."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl

# A map's pages are the page cache's: the system drops them when memory is short, and counts them
# as RssFile. What a process really holds is RssAnon, and a limit on it (RLIMIT_DATA, which on Linux
# counts private writable memory) turns a copy of the file into a MemoryError.
CODE = """
import resource, sys
import numpy as np
import netlayers as nl

rows, features, kind = 400_000, 400, sys.argv[2]
x = np.memmap(sys.argv[1], dtype=kind, mode="r", shape=(rows, features))
rng = np.random.default_rng(0)
y = rng.integers(0, 4, rows)
model = nl.Sequential([nl.layers.Dense(8, activation="relu"), nl.layers.Dense(4)], seed=0)
loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("sgd", loss, metrics=["accuracy"])
model.fit(np.zeros((2000, features), kind), y[:2000], batch_size=1000, verbose=0)


def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon"))


before = anonymous()
held = resource.getrlimit(resource.RLIMIT_DATA)
with open("/proc/self/status") as status:
    data = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (data + (120 << 20), held[1]))
most = 0


class Watch(nl.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        global most
        most = max(most, anonymous() - before)


options = {"batch_size": 1000, "callbacks": [Watch()], "verbose": 0}
model.fit(x, y, validation_split=0.5, steps_per_epoch=60, validation_steps=20, **options)
model.fit(
    x, y, steps_per_epoch=20, shuffle=False, class_weight="balanced", sample_weight=None, **options
)
model.fit(
    x, y, validation_split=0.1, stratify=True, steps_per_epoch=20, validation_steps=9, **options
)
model.evaluate(x, y, batch_size=1000, steps=20, verbose=0)
assert model.predict(x, batch_size=1000, steps=20).shape == (20_000, 4)
try:
    np.array(x)
except MemoryError:
    print(most, x.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, limits memory")
@pytest.mark.parametrize(
    "kind", ["float32", pytest.param("float64", marks=pytest.mark.slow), ">f4", "uint8"]
)
def test_training_over_a_map_takes_little_memory(tmp_path, kind):
    """640 MB of float32 (a sparse file), in less than 60 MB."""
    path = tmp_path / "x.bin"
    with open(path, "wb") as file:
        file.truncate(400_000 * 400 * np.dtype(kind).itemsize)
    root = Path(nl.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", CODE, path, kind],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=100,
        check=False,
        env={"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
    most, size = map(int, done.stdout.split())
    assert size >= 160e6
    assert most < 60e6


@pytest.mark.parametrize("change", [np.asfortranarray, lambda a: a[:, ::2], lambda a: a[::2]])
def test_arrays_in_any_order_are_gathered_batch_by_batch(change):
    x = change(np.ones((50_000, 100), np.float32))
    y = np.zeros((len(x), 1), np.float32)
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(x[:100], y[:100], verbose=0)
    tracemalloc.start()
    try:
        model.fit(x, y, batch_size=1000, validation_split=0.2, verbose=0)
        model.predict(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 2
