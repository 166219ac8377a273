"""Random streams: every use of chance in a model has a generator of its own, from one seed."""

from __future__ import annotations

import zlib

import numpy as np


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
