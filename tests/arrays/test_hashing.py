"""The hashes are those of other implementations."""

import numpy as np

from netlayers.arrays.hashing import farmhash, joined_hash, siphash

# The fingerprint64 of pyfarmhash 0.5.1 of the first n bytes of 0, 7, 14, ... modulo 256.
FARMHASH = {
    0: "0x9ae16a3b2f90404f",
    1: "0xbe6056edf5e94b54",
    2: "0x3389403a996427a9",
    3: "0x6cc1a093e8224428",
    4: "0x5112b9e6277f665",
    5: "0x1f3e6f55ef272bcf",
    7: "0xf95c16a7544a65b",
    8: "0xdc480bbce8c737a7",
    9: "0x39c3f10b05150cf4",
    15: "0xcd405869b17b1e87",
    16: "0xfbb2740319962d9b",
    17: "0xa55b9970b7b70074",
    20: "0x150c7558a30c88a8",
    31: "0x333d9582fd0ddf99",
    32: "0xa9d86aa8d37da5c",
    33: "0xfb43f626c43b2047",
    48: "0xb97e0accdf8e9086",
    63: "0xc039096ad237e446",
    64: "0xe0446dd71a78f98a",
    65: "0x184a25714b2ce96b",
    70: "0x20ba0ad6d164a61e",
    127: "0xa67e0ac14caa8c22",
    128: "0xa7b5b6228208c47b",
    129: "0xecb25d796437d25b",
    192: "0xd76426aae6a6970",
    193: "0x24df9b8292922712",
    300: "0x8c2ca66606a47410",
}


def test_farmhash_of_every_length():
    data = bytes(7 * i % 256 for i in range(300))
    assert {n: hex(farmhash([data[:n]]).item()) for n in FARMHASH} == FARMHASH


def test_texts_of_several_lengths_at_once():
    data = bytes(7 * i % 256 for i in range(300))
    lengths = [70, 3, 0, 70, 20]
    texts = [data[:n] for n in lengths]
    assert [hex(h) for h in farmhash(texts).tolist()] == [FARMHASH[n] for n in lengths]
    assert farmhash([]).tolist() == []


def test_siphash_of_the_paper():
    """The example of appendix A of the paper, and the empty input of the reference code."""
    low, high = 0x0706050403020100, 0x0F0E0D0C0B0A0908
    assert siphash([bytes(range(15)), b""], (low, high)).tolist() == [
        0xA129CA6149BE45E5,
        0x726FDB47DD0E0E31,
    ]


def test_crossed_as_in_keras():
    """The example of HashedCrossing in Keras's documentation."""
    letters = farmhash([b"A", b"B", b"A", b"B", b"A"])
    numbers = np.array([101, 101, 101, 102, 102], np.uint64)
    assert (joined_hash([letters, numbers]) % np.uint64(5)).tolist() == [1, 4, 1, 1, 3]
