"""Random streams: every use of chance in a model has a generator of its own, from one seed."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from netlayers.core.observing import every_layer

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.layer import Layer

PARTS = 1 << 16  # what keep_mask cuts a probability into
_CHUNK = 1 << 15  # entries drawn at a time: 64 KiB, which stay in the processor's cache


class Streams:
    """Independent random generators, each a child of one ``SeedSequence``, found by name.

    The same seed and name give the same numbers, in whatever order the streams are asked for.

    Args:
        seed: a non-negative integer, or ``None`` for a fresh one from the operating system.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.entropy = np.random.SeedSequence(seed).entropy
        self._generators: dict[str, np.random.Generator] = {}

    def new(self, name: str) -> np.random.Generator:
        """Return a generator at the start of the stream ``name``."""
        key = (zlib.crc32(name.encode()),)
        sequence = np.random.SeedSequence(self.entropy, spawn_key=key)
        return np.random.Generator(np.random.PCG64(sequence))

    def get(self, name: str) -> np.random.Generator:
        """Return the generator ``name``, where its last use left it."""
        if name not in self._generators:
            self._generators[name] = self.new(name)
        return self._generators[name]


def generators_of(layer: Layer) -> dict[str, np.random.Generator]:
    """Return every random generator that is an attribute of a layer or of a part of it.

    Each is called by the layer's place in :func:`every_layer` and the attribute, as in ``"3.rng"``.
    """
    return {
        f"{i}.{attribute}": value
        for i, part in enumerate(every_layer(layer))
        for attribute, value in vars(part).items()
        if isinstance(value, np.random.Generator)
    }


def keep_mask(rng: np.random.Generator, dropped: int, out: Array) -> None:
    """Fill ``out`` with booleans that are false with probability ``dropped / 65536``.

    An entry takes 16 random bits. The four of a 64-bit number that PCG64 gives cost together what
    a single float32 costs: a mask is made in 0.7 ns an entry, where ``rng.random(out=out)`` and the
    comparison take 1.9. The price is that a probability is a multiple of 1/65536.

    Args:
        rng: a generator over PCG64, all of whose 64 bits are random.
        dropped: how many of the 65536 values an entry may draw make it false.
        out: contiguous array of booleans, any shape.
    """
    flat = out.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        words = rng.bit_generator.random_raw(-(-part.size // 4))
        np.greater_equal(words.view(np.uint16)[: part.size], dropped, out=part)
        del words  # before the next chunk is drawn
