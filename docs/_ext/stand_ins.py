"""Data for the gallery where there are none: small ones in the form of the files."""

import re
from pathlib import Path

import numpy as np

import netlayers as nl

# What a page says about the data that its example reads, by a name in its code.
DIGITS = "the package's 1,797 digits of 8 × 8 pixels (`nl.datasets.digits`), enlarged to 28 × 28"
NOTES = {
    "datasets.mnist": f"MNIST is not part of the package. Here the example read {DIGITS}.",
    "datasets.fashion_mnist": f"Fashion-MNIST is not part of the package. Here the example read "
    f"{DIGITS}, so the names of clothes stand for digits.",
    "datasets.text": "The text is not Shakespeare, but pages of this documentation.",
    "datasets.trec": "The sentences are not questions of TREC, but 300 of the six longest pages "
    "of this documentation, and the network says which page a sentence is from.",
    "datasets.piano_rolls": "The pieces are not Nottingham's, but made up: a random order of the "
    "chords of C major.",
}


def write(folder):
    """Write the files that the examples of the gallery read."""
    for below in ("", "fashion-mnist"):
        (folder / below).mkdir(exist_ok=True)
        write_digits(folder / below)
    docs = Path(__file__).parents[1]
    pages = {path.stem: path.read_text(encoding="utf-8") for path in sorted(docs.glob("*.md"))}
    text = "\n".join(pages.values()).encode("ascii", "ignore").decode()
    (folder / "tinyshakespeare.txt").write_text(text[:100_000], encoding="utf-8")
    write_sentences(folder, pages)
    write_music(folder / "Nottingham.mat")


def write_digits(folder):
    """Write the digits of the package in the form of MNIST's files."""
    parts = zip(("train", "t10k"), nl.datasets.digits.load_data(), strict=True)
    # Pixel k of 28 lies at (k + 1/2) 8/28 - 1/2 of the 8: a matrix that interpolates.
    at = np.clip((np.arange(28) + 0.5) * 8 / 28 - 0.5, 0, 7)
    enlarge = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(8)))
    for part, (images, labels) in parts:
        large = np.rint(enlarge @ (images / 16 * 255) @ enlarge.T).astype(np.uint8)
        for kind, values in (("images", large), ("labels", labels.astype(np.uint8))):
            head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
            file = folder / f"{part}-{kind}-idx{values.ndim}-ubyte"
            file.write_bytes(head + values.tobytes())


def write_sentences(folder, pages):
    """Write 50 sentences of each of the six longest pages as in TREC: label, then words."""
    lines, markup = [], re.compile(r"^```.*?^```|^\|.*?$|^#.*?$", re.DOTALL | re.MULTILINE)
    for label, page in enumerate(sorted(pages, key=lambda name: -len(pages[name]))[:6]):
        prose = markup.sub("", pages[page])
        sentences = [re.findall(r"[A-Za-z']+", s) for s in re.split(r"(?<=[.:?])\s+", prose)]
        long = [words for words in sentences if len(words) > 4]
        lines += [f"{label} {' '.join(words)}" for words in long[:50]]
    order = np.random.default_rng(0).permutation(lines)
    for part, chosen in (("train", order[len(order) // 5 :]), ("test", order[: len(order) // 5])):
        (folder / f"TREC.{part}.all").write_text("\n".join(chosen), encoding="latin-1")


def write_music(file):
    """Write piano rolls of chords in the form of the files of polyphonic music."""
    import scipy.io

    rng = np.random.default_rng(0)
    chords = [[0, 4, 7], [2, 5, 9], [4, 7, 11], [5, 9, 12], [7, 11, 14], [9, 12, 16]]
    parts = {}
    for part, count in (("train", 60), ("valid", 20), ("test", 20)):
        parts[f"{part}data"] = np.empty((1, count), object)
        for piece in range(count):
            roll = np.zeros((64, 88), np.uint8)
            for step, chord in enumerate(rng.integers(0, len(chords), 32).repeat(2)):
                roll[step, 39 + np.array(chords[chord])] = 1  # key 39 is middle C
            parts[f"{part}data"][0, piece] = roll
    scipy.io.savemat(file, parts)
