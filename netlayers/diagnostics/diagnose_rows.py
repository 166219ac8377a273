"""What can be wrong with the rows: labels in another order than inputs, rows that leak."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers import losses
from netlayers.arrays.sparse import is_sparse
from netlayers.diagnostics.evidence import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.data.arrays import AnyColumn

# Shuffled labels -------------------------------------------------------------------------------

ROWS_ENOUGH = 400  # with fewer rows, a weak connection looks like none
ROWS_SEEN = 2000
_ORDERS = 60  # random orders of the labels that theirs is compared with
# In so many standard deviations of what random orders give. Of 1,000 data sets with shuffled
# labels, about one reaches it; those of the healthy networks of the tests reach 17 or more.
CONNECTED = 4.5
_COLUMNS = {"features": 512, "bins": 128, "pairs": 40, "targets": 12}  # looked at, at most
_NEIGHBOURS = 5


def unrelated(x: Any, y: Any, loss: Any, output: str = "") -> Iterator[Finding]:
    """Find that inputs say no more about their targets than about those of other rows.

    Args:
        x: inputs, (n, ...); a tuple of arrays, or a CSR matrix.
        y: targets, (n, ...).
        loss: says whether targets are classes.
        output: name of the output of the targets, of a model with several.
    """
    features, targets = _features(x), _targets(y, loss)
    if len(features) < ROWS_ENOUGH or not features.shape[1] or not targets.shape[1]:
        return
    rng = np.random.default_rng(0)
    orders = np.stack([rng.permutation(len(targets)) for _ in range(_ORDERS)])
    # (n, targets, orders), the own order first
    every = np.concatenate([targets[None], targets[orders]]).transpose(1, 2, 0)
    largest = 0.0
    for values in _connections(features, np.ascontiguousarray(every, np.float32)):
        spread = float(values[1:].std())
        if spread > 0:
            largest = max(largest, abs(float(values[0] - values[1:].mean())) / spread)
        if largest >= CONNECTED:
            return
    about = f"output `{output}`: " if output else ""
    yield Finding(
        "unrelated labels",
        None,
        "serious",
        {"rows": len(features), "deviations": largest},
        f"{about}in {len(features)} rows, neither single features nor pairs of them nor "
        "neighbouring rows say more about the targets than about targets in random order "
        f"({largest:.1f} standard deviations, {CONNECTED:g} would be a sign).",
        "a look at whether the rows of x and y belong together: shuffle, sort and filter both with "
        "one index.",
    )


def _features(x: Any) -> Array:
    """Return standardized columns, (n, features), without those that are constant."""
    parts = x if isinstance(x, tuple) else (x,)
    flat = []
    for part in parts:
        if is_sparse(part):
            often = np.argsort(-_counts(part), kind="stable")[: _COLUMNS["features"]]
            part = part[:, np.sort(often)].toarray()
        flat.append(_numbers(part).reshape(len(part), -1))
    return _standardized(_some(np.concatenate(flat, axis=1), _COLUMNS["features"]))


def _numbers(part: Any) -> Array:
    """Return an array as numbers; a text is the number of its hash."""
    part = np.asarray(part)
    if part.dtype.kind in "OSUT":
        return np.array([hash(str(v)) for v in part.ravel()], np.float64).reshape(part.shape)
    return part.astype(np.float64)


def _counts(matrix: Any) -> Array:
    """Return how many values each column of a sparse matrix stores."""
    counts: Array = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return counts


def _targets(y: Any, loss: Any) -> Array:
    """Return what is to be explained: classes as one column each, of numbers ranks and extremes."""
    y = np.asarray(y, np.float64).reshape(len(y), -1)
    classes = isinstance(loss, losses.SparseCategoricalCrossentropy)
    columns = []
    for column in _some(y, _COLUMNS["targets"]).T:
        kinds, numbers, counts = np.unique(column, return_inverse=True, return_counts=True)
        if classes or len(kinds) <= _COLUMNS["targets"]:
            often = np.argsort(-counts, kind="stable")[: _COLUMNS["targets"]]
            columns += [numbers == kind for kind in often]
        else:
            ranks = numbers - numbers.mean()
            columns += [ranks, np.abs(ranks)]
    return _standardized(_some(np.stack(columns, axis=1).astype(float), 2 * _COLUMNS["targets"]))


def _some(columns: Array, count: int) -> Array:
    """Return at most ``count`` of the columns, evenly spaced."""
    width = columns.shape[1]
    return columns if width <= count else columns[:, np.linspace(0, width - 1, count).astype(int)]


def _standardized(columns: Array) -> Array:
    """Return columns with mean 0 and deviation 1; NaN becomes 0, and constants are left out."""
    unknown = ~np.isfinite(columns)
    columns = np.where(unknown, 0.0, columns)
    known = np.maximum(len(columns) - unknown.sum(axis=0), 1)
    columns = np.where(unknown, 0.0, columns - columns.sum(axis=0) / known)
    size = np.abs(columns).max(axis=0, initial=0.0)
    columns = columns[:, size > 0] / size[size > 0]  # squares of any size
    deviation = np.sqrt((columns**2).mean(axis=0))
    return columns[:, deviation > 1e-6] / deviation[deviation > 1e-6]


def _connections(x: Array, y: Array) -> Iterator[Array]:
    """Yield measures of how far x goes with y, each for every order of y.

    Args:
        x: features, (n, d).
        y: targets, (n, k, orders).
    """
    yield from _correlations(x, y)
    yield _agreement(x, y)
    yield np.sqrt(_bins(_some(x, _COLUMNS["bins"]), y))
    few = _some(x, _COLUMNS["pairs"])
    first, second = np.triu_indices(few.shape[1])
    yield from _correlations(_standardized(few[:, first] * few[:, second]), y)


def _correlations(x: Array, y: Array) -> Iterator[Array]:
    """Yield the size of all correlations, and the largest."""
    flat = x.T.astype(np.float32) @ y.reshape(len(y), -1) / len(y)
    if len(flat):
        correlations = flat.reshape(-1, *y.shape[1:])
        yield np.sqrt((correlations**2).sum(axis=(0, 1)))
        yield np.abs(correlations).max(axis=(0, 1))


def _agreement(x: Array, y: Array) -> Array:
    """Return how well the targets of the nearest rows tell those of a row."""
    rows = x.astype(np.float32)
    sizes = (rows**2).sum(axis=1)
    total = np.zeros(y.shape[2])
    for start in range(0, len(rows), 256):
        part = slice(start, start + 256)
        distances = sizes - 2 * rows[part] @ rows.T
        own = np.arange(start, start + len(distances))
        distances[np.arange(len(own)), own] = math.inf
        nearest = np.argpartition(distances, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
        total += (y[nearest].mean(axis=1) * y[part]).sum(axis=(0, 1))
    return total


def _bins(x: Array, y: Array) -> Array:
    """Return the largest share of a target's variance that the bins of one feature explain."""
    best = np.zeros(y.shape[2])
    for column in x.T:
        kinds, groups = np.unique(column, return_inverse=True)
        if len(kinds) > 32:
            groups = np.argsort(np.argsort(column, kind="stable"), kind="stable") * 8 // len(column)
        order = np.argsort(groups, kind="stable")
        starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        counts = np.diff(starts, append=len(column))
        sums = np.add.reduceat(y[order], starts, axis=0)
        explained = (sums**2 / counts[:, None, None]).sum(axis=0) / (len(starts))
        best = np.maximum(best, explained.max(axis=0))
    return best


# Rows in two sets ------------------------------------------------------------------------------

SHARED = 0.01  # of the validation rows; one of a hundred may be like another by accident
_BEYOND_CHANCE = 4.0  # standard deviations
_BLOCK = 2**20  # numbers of x that are looked at together


class Overlap(NamedTuple):
    """Rows of x that are equal.

    Attributes:
        shared: rows of the validation data that are among the training data.
        rows: rows of the validation data.
        repeated: rows of the training data that are there several times.
        train_rows: rows of the training data.
        continuous: equal rows are copies: numbers are such that no two are equal by accident.
    """

    shared: int
    rows: int
    repeated: int
    train_rows: int
    continuous: bool


def overlap(train: AnyColumn, validation: AnyColumn) -> Overlap:
    """Compare the inputs of two data sets row by row."""
    keys = _keys(train)
    known = set(keys)
    theirs = _keys(validation)
    shared = sum(key in known for key in theirs)
    counts: dict[int, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    repeated = sum(count for count in counts.values() if count > 1)
    return Overlap(shared, len(theirs), repeated, len(keys), _continuous(train))


def _rows(column: AnyColumn, start: int, stop: int) -> Array:
    """Return rows as they go into the network, flat."""
    values = column.slice(start, stop)
    parts = values if isinstance(values, tuple) else (values,)
    flat = [np.asarray(p.toarray() if is_sparse(p) else p) for p in parts]
    flat = [_numbers(p) if p.dtype.kind in "OSUT" else p for p in flat]
    joined = np.concatenate([p.reshape(len(p), -1) for p in flat], axis=1)
    return np.ascontiguousarray(joined + 0)  # -0 is 0


def _keys(column: AnyColumn) -> list[int]:
    """Return a number for each row; equal rows have the same."""
    keys: list[int] = []
    size = max(1, _BLOCK // max(1, _rows(column, 0, 1).shape[1]))
    for start in range(0, column.rows, size):
        block = _rows(column, start, min(start + size, column.rows))
        keys += [hash(row.tobytes()) for row in block]
    return keys


def _continuous(column: AnyColumn) -> bool:
    """Whether two features are numbers that differ in most of the different rows."""
    rows = np.unique(_rows(column, 0, min(column.rows, ROWS_SEEN)), axis=0)
    found = 0
    for feature in rows.T:
        whole = (feature == np.round(feature)).all()
        found += not whole and len(np.unique(feature)) > len(rows) / 2
    return found >= 2


def leaks(found: Overlap | None) -> Iterator[Finding]:
    """Find validation rows among the training rows, beyond what is natural for such data."""
    if found is None or found.shared < SHARED * found.rows:
        return
    share = found.shared / found.rows
    if not found.continuous:
        # Few different rows are possible: as many are shared as are repeated.
        natural = (found.repeated + 1) / (found.train_rows + 1)
        deviation = math.sqrt(max(natural * (1 - natural), 0.0) / found.rows)
        if share < natural + SHARED + _BEYOND_CHANCE * deviation:
            return
    yield Finding(
        "shared rows",
        None,
        "warning" if share < 0.5 else "serious",
        {"shared": found.shared, "rows": found.rows},
        f"{found.shared} of the {found.rows} rows of the validation data ({share:.0%}) are in the "
        "training data too: the validation measures what the network remembers.",
        "a split before rows are copied, augmented or sampled; no row in both parts.",
    )
