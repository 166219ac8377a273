"""No step and no prediction leaves anything behind: soak.py in small, counted to the byte.

The script measures the memory of the process over hours; here Python counts what is allocated and
not freed, which shows in a thousand steps whatever would show there. The numbers of a run in full
are in RESULTS.md.
"""

import gc
import importlib.util
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl

specification = importlib.util.spec_from_file_location("soak", Path(__file__).with_name("soak.py"))
soak = importlib.util.module_from_spec(specification)
specification.loader.exec_module(soak)


pytestmark = pytest.mark.slow


@pytest.fixture
def traced(monkeypatch):
    """Let the script see the bytes that are allocated, those of cycles left out."""

    def allocated():
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    gc.collect()
    gc.freeze()  # what is there already need not be looked through again and again
    tracemalloc.start()
    monkeypatch.setattr(soak, "resident", allocated)
    yield
    tracemalloc.stop()
    gc.unfreeze()


def growth(name, count):
    """Return by how many bytes the most that is in use in the last third is above the middle one.

    The most, because views of buffers are thrown away only when there are many: with ever new batch
    sizes the memory goes up and down by some 800 kB here. If they were kept it would be 3 MB.
    """
    notes = soak.measure(name, count, points=20)[0]
    third = len(notes) // 3
    return max(notes[-third:]) - max(notes[-2 * third : -third])


@pytest.mark.parametrize(
    ("name", "count", "bound"),
    [
        ("fit, arrays", 600, 4000),  # the History has an epoch more
        ("fit, backups and logs", 1000, 20_000),  # their History has a column for each layer
        ("fit, stream of 200 sizes", 600, 1_000_000),
        ("fit of 20 steps, repeated", 3000, 2000),  # the free lists of Python fill first
        ("train_on_batch, 1,500 sizes", 800, 1_000_000),
        ("predict", 500, 2000),
        ("predict, 3,000 sizes", 200, 20_000),
    ],
)
def test_nothing_is_left_behind(traced, name, count, bound):
    assert growth(name, count) < bound


def test_a_layer_that_keeps_something_is_found(traced, monkeypatch):
    kept = []

    class Keeping(nl.layers.Layer):
        def forward(self, x, training=False):
            kept.append(np.zeros(1))
            return self.prepare(x)

        def backward(self, dy):
            return dy

    def make_model():
        model = nl.Sequential([nl.layers.Dense(3), Keeping()])
        model.build((None, 8))
        return model

    monkeypatch.setattr(soak, "make_model", make_model)
    assert growth("predict", 1000) > 10_000
