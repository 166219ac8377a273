"""Random streams: each random operation of a model has its own generator, from one seed."""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import (
    check_axis,
    check_integer,
    check_number,
    check_numeric_dtype,
    check_seed,
    check_sizes,
)
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array

PARTS = 1 << 16  # keep_mask quantizes probabilities to multiples of 1 / PARTS
_CHUNK = 1 << 15  # entries drawn at a time: 64 KiB, which fit in the processor's cache


def generators_in(thing: Any) -> Iterator[tuple[str, np.random.Generator]]:
    """Yield the generators that are attributes of an object, or in a list or dict that is one.

    Args:
        thing: the object.
    """
    for name, value in vars(thing).items():
        if isinstance(value, np.random.Generator):
            yield name, value
        elif isinstance(value, SeedGenerator):
            yield name, value.rng
        elif isinstance(value, (list, tuple, dict)):
            several = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in several:
                if isinstance(item, np.random.Generator):
                    yield f"{name}[{key}]", item


_seeds: list[np.random.SeedSequence] = []  # of set_seed, at most one


def set_seed(seed: int) -> None:
    """Let the seeds of models without one follow from ``seed``, in the order of their creation.

    Args:
        seed: an integer from 0.
    """
    _seeds[:] = [np.random.SeedSequence(check_seed("set_seed", seed))]


def forget_seed() -> None:
    """Undo :func:`set_seed`."""
    _seeds.clear()


def fresh_seed() -> int | None:
    """Return the next seed after :func:`set_seed`; ``None``, for one of the system, without it."""
    if not _seeds:
        return None
    return int(_seeds[0].spawn(1)[0].generate_state(1, np.uint64)[0])


class Streams:
    """Independent named random generators, all children of one ``SeedSequence``.

    The same seed and name give the same numbers, whatever the order in which streams are requested.

    Args:
        seed: a non-negative integer, or ``None`` for a fresh one from the operating system, unless
            :func:`set_seed` was called.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.entropy = np.random.SeedSequence(fresh_seed() if seed is None else seed).entropy
        self._generators: dict[str, np.random.Generator] = {}

    def new(self, name: str) -> np.random.Generator:
        """Return a generator at the start of the stream ``name``."""
        key = (zlib.crc32(name.encode()),)
        sequence = np.random.SeedSequence(self.entropy, spawn_key=key)
        return np.random.Generator(np.random.PCG64(sequence))

    def get(self, name: str) -> np.random.Generator:
        """Return the generator ``name``, in the state that its last use left."""
        if name not in self._generators:
            self._generators[name] = self.new(name)
        return self._generators[name]


class KeyedGenerator(np.random.Generator):
    """A generator of :class:`KeyedStreams`. Its state is reproducible and is not saved to files.

    Args:
        bit_generator: a bit generator of NumPy.
    """

    # With its signature: the one of NumPy's class is unknown to Python before NumPy 2.4.
    def __init__(self, bit_generator: np.random.BitGenerator) -> None:
        super().__init__(bit_generator)

    def __reduce__(self) -> tuple[Any, ...]:
        return KeyedGenerator, (self.bit_generator,)


class KeyedStreams(Streams):
    """Streams whose numbers depend only on seed, name, call, step and shard.

    For several processes that share the batch of a step: call ``model._use_streams(streams)`` once
    the model is built, then :meth:`rekey` before each shard. The numbers of a shard depend neither
    on the order in which shards are computed nor on how many were computed before. Initial values
    (:meth:`new`) are those of ordinary streams.

    A stream is Philox4x64-10, which maps a counter of 256 bits to four 64-bit numbers; a key of 128
    bits selects the map. The least significant word comes first:

    - key: BLAKE2b, 16 bytes, little endian, of the JSON text of ``[entropy, name, call]``;
    - counter: ``[0, 0, shard, step]``. Four numbers increase it by one.

    Streams of one key are thus disjoint parts of one sequence, for all steps and shards below 2^64,
    as long as none draws more than 2^130 numbers. Different keys select different maps.

    A layer with its own seed keeps its generator (:meth:`Layer._use_streams`).

    Args:
        seed: the ``entropy`` of the model's streams; the same in all processes.

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
        self._counter = [0, 0, 0, 0]  # shared by the states of all generators
        self._keyed: dict[tuple[str, int], tuple[KeyedGenerator, Any]] = {}

    def get(self, name: str, call: int = 0) -> np.random.Generator:
        """Return the generator of a layer's call, in the state set by the last :meth:`rekey`."""
        if (name, call) not in self._keyed:
            text = json.dumps([self.entropy, name, call])
            digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
            state = {
                "bit_generator": "Philox",
                # Lists: setting the state takes a third of the time that arrays take.
                "state": {
                    "counter": self._counter,
                    "key": [int.from_bytes(digest[i : i + 8], "little") for i in (0, 8)],
                },
                # Discard numbers that were generated but not yet returned.
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
        """Move every stream to the start of its numbers for a shard of a step.

        Works in place: 0.6 µs per stream, where a new generator takes 20.

        Args:
            step: 0 <= step < 2^64.
            shard: 0 <= shard < 2^64.

        Raises:
            OverflowError: one of them is out of range.
        """
        self._counter[2:] = shard, step
        for generator, state in self._keyed.values():
            generator.bit_generator.state = state


def keep_mask(rng: np.random.Generator, dropped: int, out: Array) -> None:
    """Fill ``out`` with booleans that are false with probability ``dropped / 65536``.

    Each entry uses 16 random bits, so one 64-bit number serves four entries. This takes 0.7 ns per
    entry with PCG64 (1.2 with Philox); ``rng.random(out=out)`` and a comparison take 1.9. In
    return, probabilities are multiples of 1/65536.

    Args:
        rng: a generator whose bit generator yields 64 random bits: PCG64 or Philox, not MT19937.
        dropped: number of the 65536 possible values that make an entry false.
        out: contiguous boolean array, any shape.
    """
    flat = out.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        words = rng.bit_generator.random_raw(-(-part.size // 4))
        np.greater_equal(words.view(np.uint16)[: part.size], dropped, out=part)
        del words  # free the memory before the next chunk is drawn


class SeedGenerator:
    """A source of random numbers that go on from call to call, for the functions of this module.

    Args:
        seed: a non-negative integer, or ``None`` for a fresh one.

    Example:
        >>> from netlayers import random
        >>> seed = random.SeedGenerator(3)
        >>> bool((random.normal((2,), seed=seed) == random.normal((2,), seed=seed)).any())
        False
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = fresh_seed() if seed is None else check_seed("SeedGenerator", seed)
        self.rng = np.random.default_rng(self.seed)


Seed = SeedGenerator | int | None


def _generator(owner: str, seed: Seed) -> np.random.Generator:
    if isinstance(seed, SeedGenerator):
        return seed.rng
    return np.random.default_rng(fresh_seed() if seed is None else check_seed(owner, seed))


def normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32", seed: Seed = None
) -> Array:
    """Return numbers of the normal distribution.

    Args:
        shape: shape of the result.
        mean: its mean.
        stddev: its standard deviation.
        dtype: name of the dtype.
        seed: an integer gives the same numbers at each call, a :class:`SeedGenerator` goes on.
    """
    owner = "normal"
    mean = check_number(owner, "mean", mean)
    stddev = check_number(owner, "stddev", stddev, minimum=0)
    kind = check_numeric_dtype(owner, dtype)
    return _generator(owner, seed).normal(mean, stddev, check_sizes(owner, shape)).astype(kind)


def uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: str = "float32", seed: Seed = None
) -> Array:
    """Return numbers uniform in [minval, maxval).

    Args:
        shape: shape of the result.
        minval: the smallest number.
        maxval: the bound above, which is not drawn.
        dtype: name of the dtype.
        seed: as of :func:`normal`.
    """
    owner = "uniform"
    low, high = check_number(owner, "minval", minval), check_number(owner, "maxval", maxval)
    if low > high:
        raise ConfigurationError(
            f"{owner}: minval must be at most maxval, got {minval!r} and {maxval!r}."
        )
    kind = check_numeric_dtype(owner, dtype)
    return _generator(owner, seed).uniform(low, high, check_sizes(owner, shape)).astype(kind)


def randint(shape: Any, minval: int, maxval: int, dtype: str = "int32", seed: Seed = None) -> Array:
    """Return integers from minval to maxval - 1.

    Args:
        shape: shape of the result.
        minval: the smallest number.
        maxval: the bound above, which is not drawn.
        dtype: name of the dtype.
        seed: as of :func:`normal`.
    """
    owner = "randint"
    kind = check_numeric_dtype(owner, dtype)
    low, high = check_integer(owner, "minval", minval), check_integer(owner, "maxval", maxval)
    if low >= high:
        raise ConfigurationError(
            f"{owner}: minval must be below maxval, got {minval!r} and {maxval!r}."
        )
    if kind.kind in "iu" and not np.iinfo(kind).min <= low < high <= np.iinfo(kind).max + 1:
        raise ConfigurationError(
            f"{owner}: minval={low} and maxval={high} are beyond the dtype {kind.name}."
        )
    return _generator(owner, seed).integers(low, high, check_sizes(owner, shape)).astype(kind)


def shuffle(x: Array, axis: int = 0, seed: Seed = None) -> Array:
    """Return a copy with the entries of an axis in random order.

    Args:
        x: an array.
        axis: the axis.
        seed: as in :func:`normal`.
    """
    x = np.asarray(x)
    if not x.ndim:
        raise ConfigurationError(f"shuffle: x must be an array with an axis, got {x!r}.")
    return _generator("shuffle", seed).permutation(x, check_axis("shuffle", axis, x.ndim))
