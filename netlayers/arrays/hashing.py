"""Hash functions of strings that are the same on every machine: FarmHash64 and SipHash-2-4.

Strings of the same length are hashed together, as the rows of a matrix of bytes.

Source:
    G. Pike, "FarmHash" (2014), the function Fingerprint64 of its ``farmhash.cc``; J.-P. Aumasson,
    D. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012, section 2, with c = 2, d = 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlayers._typing import Array

_U = np.uint64
_K0, _K1, _K2 = _U(0xC3A5C85C97CB3127), _U(0xB492B66FBE98F273), _U(0x9AE16A3B2F90404F)
_CAT = _U(0xC6A4A7935BD1E995)


def farmhash(texts: Sequence[bytes]) -> Array:
    """Return the 64-bit FarmHash fingerprint of each text, as TensorFlow computes it.

    Example:
        >>> from netlayers.arrays.hashing import farmhash
        >>> (farmhash([b"A", b"B", b"C"]) % 3).tolist()
        [1, 0, 1]
    """
    return _by_length(texts, _farmhash)


def siphash(texts: Sequence[bytes], key: Sequence[int]) -> Array:
    """Return the 64-bit SipHash-2-4 of each text.

    Args:
        texts: the texts.
        key: two integers of 64 bits.
    """
    return _by_length(texts, lambda rows: _siphash(rows, key))


def joined_hash(hashes: Sequence[Array]) -> Array:
    """Return a hash of several hashes, entry by entry, as TensorFlow crosses features."""
    with np.errstate(over="ignore"):
        total = np.full_like(hashes[0], 0xDECAFCAFFE)
        for h in hashes:
            total = ((total ^ _CAT) ^ (_mix(h * _CAT) * _CAT)) * _CAT
            total = _mix(_mix(total) * _CAT)
        return total


def _by_length(texts: Sequence[bytes], function: Callable[[Array], Array]) -> Array:
    """Apply a function of (n, length) bytes to the texts of each length."""
    found = np.empty(len(texts), _U)
    lengths = np.fromiter(map(len, texts), np.intp, len(texts))
    for length in np.unique(lengths):
        at = np.flatnonzero(lengths == length)
        data = b"".join([texts[i] for i in at.tolist()])
        with np.errstate(over="ignore"):  # modulo 2^64
            found[at] = function(np.frombuffer(data, np.uint8).reshape(len(at), length))
    return found


def _fetch(s: Array, start: int, size: int = 8) -> Array:
    """Return the little-endian integers in ``size`` bytes of each row."""
    part = np.ascontiguousarray(s[:, start : start + size])
    return part.view(f"<u{size}")[:, 0].astype(_U)


def _rotate(x: Array, count: int) -> Array:
    return (x >> _U(count)) | (x << _U(64 - count))


def _rotate_left(x: Array, count: int) -> Array:
    return _rotate(x, 64 - count)


def _mix(x: Array) -> Array:
    return x ^ (x >> _U(47))


# FarmHash ----------------------------------------------------------------------------------------


def _pair(u: Array, v: Array, factor: Any) -> Array:
    a = _mix((u ^ v) * factor)
    return _mix((v ^ a) * factor) * factor


def _farmhash(s: Array) -> Array:
    n, length = s.shape
    size = _U(length)
    factor = _K2 + size * _U(2)
    if length == 0:
        return np.full(n, _K2)
    if length < 4:
        a, b, c = (s[:, i].astype(_U) for i in (0, length >> 1, length - 1))
        return _mix((a + (b << _U(8))) * _K2 ^ (size + (c << _U(2))) * _K0) * _K2
    if length < 8:
        return _pair(size + (_fetch(s, 0, 4) << _U(3)), _fetch(s, length - 4, 4), factor)
    if length <= 16:
        a, b = _fetch(s, 0) + _K2, _fetch(s, length - 8)
        return _pair(_rotate(b, 37) * factor + a, (_rotate(a, 25) + b) * factor, factor)
    if length > 64:
        return _farmhash_long(s)
    a, b = _fetch(s, 0), _fetch(s, 8)
    a = a * (_K1 if length <= 32 else _K2)
    c, d = _fetch(s, length - 8) * factor, _fetch(s, length - 16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _pair(y, a + _rotate(b + _K2, 18) + c, factor)
    if length <= 32:
        return z
    e, f = _fetch(s, 16) * factor, _fetch(s, 24)
    g, h = (y + _fetch(s, length - 32)) * factor, (z + _fetch(s, length - 24)) * factor
    return _pair(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, factor)


def _weak(s: Array, start: int, a: Array, b: Array) -> tuple[Array, Array]:
    w, x, y, z = (_fetch(s, start + i) for i in (0, 8, 16, 24))
    a = a + w
    b = _rotate(b + a + z, 21)
    c, a = a, a + x + y
    return a + z, b + _rotate(a, 44) + c


def _farmhash_long(s: Array) -> Array:
    """Return the hash of texts of more than 64 bytes: blocks of 64, then the last 64 bytes."""
    n, length = s.shape
    x = np.full(n, 81, _U)
    y = x * _K1 + _U(113)
    z = _mix(y * _K2 + _U(113)) * _K2
    v = w = (np.zeros(n, _U), np.zeros(n, _U))
    x = x * _K2 + _fetch(s, 0)
    blocks, rest = (length - 1) // 64, _U((length - 1) & 63)
    for start in range(0, 64 * blocks, 64):
        x, y, z, v, w = _block(s, start, x, y, z, v, w, _K1, _U(1))
    factor = _K1 + ((z & _U(0xFF)) << _U(1))
    first = w[0] + rest
    v = (v[0] + first, v[1])
    w = (first + v[0], w[1])
    x, y, z, v, w = _block(s, length - 64, x, y, z, v, w, factor, _U(9))
    left = _pair(v[0], w[0], factor) + _mix(y) * _K0 + z
    return _pair(left, _pair(v[1], w[1], factor) + x, factor)


def _block(
    s: Array,
    at: int,
    x: Array,
    y: Array,
    z: Array,
    v: tuple[Array, Array],
    w: tuple[Array, Array],
    factor: Any,
    weight: np.uint64,
) -> tuple[Array, Array, Array, tuple[Array, Array], tuple[Array, Array]]:
    x = _rotate(x + y + v[0] + _fetch(s, at + 8), 37) * factor
    y = _rotate(y + v[1] + _fetch(s, at + 48), 42) * factor
    x = x ^ (w[1] * weight)
    y = y + v[0] * weight + _fetch(s, at + 40)
    z = _rotate(z + w[0], 33) * factor
    v = _weak(s, at, v[1] * factor, x + w[0])
    w = _weak(s, at + 32, z + w[1], y + _fetch(s, at + 16))
    return z, y, x, v, w


# SipHash -----------------------------------------------------------------------------------------


def _siphash(s: Array, key: Sequence[int]) -> Array:
    n, length = s.shape
    k0, k1 = (np.full(n, k & (2**64 - 1), _U) for k in key)
    v0, v1 = k0 ^ _U(0x736F6D6570736575), k1 ^ _U(0x646F72616E646F6D)
    v2, v3 = k0 ^ _U(0x6C7967656E657261), k1 ^ _U(0x7465646279746573)
    padded = np.zeros((n, 8 * (length // 8 + 1)), np.uint8)
    padded[:, :length] = s
    padded[:, -1] = length & 255
    for start in range(0, padded.shape[1], 8):
        m = _fetch(padded, start)
        v0, v1, v2, v3 = _rounds(2, v0, v1, v2, v3 ^ m)
        v0 = v0 ^ m
    v0, v1, v2, v3 = _rounds(4, v0, v1, v2 ^ _U(0xFF), v3)
    return v0 ^ v1 ^ v2 ^ v3


def _rounds(
    count: int, v0: Array, v1: Array, v2: Array, v3: Array
) -> tuple[Array, Array, Array, Array]:
    for _ in range(count):
        v0, v2 = v0 + v1, v2 + v3
        v1, v3 = _rotate_left(v1, 13) ^ v0, _rotate_left(v3, 16) ^ v2
        v0 = _rotate_left(v0, 32)
        v2, v0 = v2 + v1, v0 + v3
        v1, v3 = _rotate_left(v1, 17) ^ v2, _rotate_left(v3, 21) ^ v0
        v2 = _rotate_left(v2, 32)
    return v0, v1, v2, v3
