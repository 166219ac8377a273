"""One seed for a whole program."""

from __future__ import annotations

import random

import numpy as np

from netlayers.checks import check_integer
from netlayers.random import forget_seed, set_seed


def set_random_seed(seed: int) -> None:
    """Seed ``random``, NumPy's global generator, and every model that is created afterwards.

    Models without ``seed`` then get seeds that follow from this one, in the order of their
    creation. A model of its own seed, ``Sequential(..., seed=0)``, depends on nothing else.

    Args:
        seed: integer from 0 to 2^32 - 1.

    Example:
        >>> import netlayers as nl
        >>> kernels = []
        >>> for _ in range(2):
        ...     nl.utils.set_random_seed(3)
        ...     model = nl.Sequential([nl.layers.Input((2,)), nl.layers.Dense(3)])
        ...     kernels.append(model.get_weights()[0])
        >>> bool((kernels[0] == kernels[1]).all())
        True
    """
    seed = check_integer("set_random_seed", "seed", seed, minimum=0, maximum=2**32 - 1)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (as in Keras: code of the user may draw from it)
    set_seed(seed)


def clear_session(free_memory: bool = True) -> None:
    """Forget the seed of :func:`set_random_seed`, the only state that models share.

    Names are unique within a model, and its memory is free once nothing refers to it.

    Args:
        free_memory: accepted as in Keras, without effect.

    Example:
        >>> import netlayers as nl
        >>> nl.utils.set_random_seed(3)
        >>> nl.utils.clear_session()
        >>> nl.random.fresh_seed() is None
        True
    """
    forget_seed()
