"""Kinds of arrays and of data that come in batches, small ones of the tests' own."""

import numpy as np

import netlayers as nl
from netlayers.arrays.spec import InputSpec


class ByArray:
    """Knows ``__array__`` alone, as arrays of other libraries do."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


class ByDLPack:
    """Knows ``__dlpack__`` alone."""

    def __init__(self, values):
        self.values = values

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


class Tensor:
    """Refuses ``__array__`` until it is detached, as a tensor of PyTorch with a gradient does."""

    def __init__(self, values, requires_grad=True):
        self.values, self.requires_grad = values, requires_grad
        self.shape, self.dtype = values.shape, values.dtype

    def detach(self):
        return Tensor(self.values, False)

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return np.asarray(self.values, dtype)

    def __deepcopy__(self, memo):
        if self.requires_grad:
            raise RuntimeError("only leaves can be copied")
        return Tensor(self.values.copy(), False)

    def __len__(self):
        return len(self.values)


class Lazy:
    """Shape, dtype, slicing and a length: a file that is read when it is sliced.

    Args:
        values: what the file holds.
        by_rows: whether it takes rows by their numbers, in increasing order as h5py asks for.
    """

    def __init__(self, values, by_rows=False):
        self._values, self._by_rows = values, by_rows
        self.shape, self.dtype = values.shape, values.dtype
        self.largest = 0  # rows that were read at once

    def __len__(self):
        return len(self._values)

    def __getitem__(self, key):
        if not isinstance(key, slice):
            if not self._by_rows:
                raise TypeError("slices only")
            if (np.diff(key) <= 0).any():
                raise TypeError("Indexing elements must be in increasing order")
        rows = self._values[key]
        self.largest = max(self.largest, len(rows))
        return rows


class Loader:
    """An iterable with a length whose batches are lists, as PyTorch's DataLoader."""

    def __init__(self, *arrays, size=8, wrap=lambda array: array):
        self.arrays, self.size, self.wrap = arrays, size, wrap

    def __len__(self):
        return (len(self.arrays[0]) + self.size - 1) // self.size

    def __iter__(self):
        for i in range(0, len(self.arrays[0]), self.size):
            yield [self.wrap(a[i : i + self.size]) for a in self.arrays]


class Batches:
    """``__len__`` and ``__getitem__``: the protocol of a PyDataset."""

    def __init__(self, *arrays, size=8):
        self.arrays, self.size = arrays, size

    def __len__(self):
        return (len(self.arrays[0]) + self.size - 1) // self.size

    def __getitem__(self, i):
        if i >= 2 * len(self):
            raise AssertionError("read beyond the end")
        return tuple(a[i * self.size : (i + 1) * self.size] for a in self.arrays)


class Join(nl.layers.Layer):
    """Two inputs, "a" and "b", side by side."""

    input_spec = (InputSpec(name="a"), InputSpec(name="b"))

    def compute_output_shape(self, input_shape):
        return (None, sum(shape[-1] for shape in input_shape))

    def forward(self, x, training=False):
        a, b = self.prepare(x)
        if training:
            self.cache.columns = a.shape[1]
        return np.concatenate([a, b], axis=1)

    def backward(self, dy):
        return dy[:, : self.cache.columns].copy(), dy[:, self.cache.columns :].copy()


def TwoInputs(layers, **options):
    return nl.Sequential([Join(), *layers], **options)


class Recorder(nl.Sequential):
    """Keeps what its first layer is handed."""

    seen = None

    def prepare(self, x):
        type(self).seen = x
        return x if x.dtype.kind in "fiub" else np.ones(x.shape)


def recorder(kind):
    """Return a model with one input of a kind, over a Dense layer that takes it as numbers."""

    class Here(Recorder):
        input_spec = InputSpec(dtype=kind, gradient=False)

    model = Here([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    return model, Here
