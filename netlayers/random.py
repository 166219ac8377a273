"""Random streams: every use of chance in a model has a generator of its own, from one seed."""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from netlayers._typing import Array

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


class KeyedGenerator(np.random.Generator):
    """A generator of :class:`KeyedStreams`; no file keeps its state, which can be made again."""

    def __reduce__(self) -> tuple[Any, ...]:
        return KeyedGenerator, (self.bit_generator,)


class KeyedStreams(Streams):
    """Streams whose numbers follow from seed, name, call, step and shard, and from nothing else.

    They are for several processes that share the batch of a step: ``model._use_streams(streams)``
    once the model is built, then :meth:`rekey` before each shard. What a shard draws depends
    neither on the order in which shards are computed nor on how many were computed before. Initial
    values (:meth:`new`) are those of ordinary streams.

    A stream is Philox4x64-10, which maps a counter of 256 bits to four 64-bit numbers; a key of 128
    bits chooses the map. Words are written with the lowest first:

    - key: BLAKE2b, 16 bytes, little endian, of the JSON text of ``[entropy, name, call]``;
    - counter: ``[0, 0, shard, step]``. Four numbers increase it by one.

    So streams of one key are disjoint parts of one sequence, for all steps and shards below 2^64,
    as long as none draws more than 2^130 numbers. Streams of two keys come from two maps.

    A layer with a seed of its own keeps its generator (:meth:`Layer._use_streams`).

    Args:
        seed: ``entropy`` of the model's streams, the same in all processes.

    Source:
        J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
        SC 2011.

    Example:
        >>> streams = KeyedStreams(42)
        >>> rng = streams.get("layer/dropout")
        >>> streams.rekey(step=7, shard=1)
        >>> first = rng.random(3)
        >>> streams.rekey(step=7, shard=0)
        >>> bool((rng.random(3) == first).any())
        False
        >>> streams.rekey(step=7, shard=1)
        >>> bool((rng.random(3) == first).all())
        True
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._counter = [0, 0, 0, 0]  # part of every state below
        self._keyed: dict[tuple[str, int], tuple[KeyedGenerator, Any]] = {}

    def get(self, name: str, call: int = 0) -> np.random.Generator:
        """Return the generator of a call of the layer ``name``, keyed by the last :meth:`rekey`."""
        if (name, call) not in self._keyed:
            text = json.dumps([self.entropy, name, call])
            digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
            state = {
                "bit_generator": "Philox",
                # Lists: NumPy takes a third of the time that it takes for arrays.
                "state": {
                    "counter": self._counter,
                    "key": [int.from_bytes(digest[i : i + 8], "little") for i in (0, 8)],
                },
                # Nothing is left of the numbers that were made, but not given out.
                "buffer": [0, 0, 0, 0],
                "buffer_pos": 4,
                "has_uint32": 0,
                "uinteger": 0,
            }
            generator = KeyedGenerator(np.random.Philox(0))
            generator.bit_generator.state = state
            self._keyed[name, call] = generator, state
        return self._keyed[name, call][0]

    def rekey(self, step: int, shard: int) -> None:
        """Put every stream at the start of what it gives for a shard of a step.

        In place: 0.6 µs for each stream, where a new generator takes 20.

        Args:
            step: from 0 to below 2^64.
            shard: the same.

        Raises:
            OverflowError: one of them is outside.
        """
        self._counter[2:] = shard, step
        for generator, state in self._keyed.values():
            generator.bit_generator.state = state


def keep_mask(rng: np.random.Generator, dropped: int, out: Array) -> None:
    """Fill ``out`` with booleans that are false with probability ``dropped / 65536``.

    An entry takes 16 random bits. The four of a 64-bit number cost together what a single float32
    costs: a mask is made in 0.7 ns an entry with PCG64 (1.2 with Philox), where
    ``rng.random(out=out)`` and the comparison take 1.9. The price is that a probability is a
    multiple of 1/65536.

    Args:
        rng: a generator over PCG64 or Philox, all of whose 64 bits are random. (MT19937 gives 32.)
        dropped: how many of the 65536 values an entry may draw make it false.
        out: contiguous array of booleans, any shape.
    """
    flat = out.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        words = rng.bit_generator.random_raw(-(-part.size // 4))
        np.greater_equal(words.view(np.uint16)[: part.size], dropped, out=part)
        del words  # before the next chunk is drawn
