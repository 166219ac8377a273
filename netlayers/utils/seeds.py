"""One seed for a whole program."""

from __future__ import annotations

import gc
import random

import numpy as np

from netlayers.checks import check_flag, check_integer
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
    """Forget the seed of :func:`set_random_seed`, and free the memory of models no longer used.

    Names are unique within a model, so that the seed is the only state that models share. But the
    parts of a model refer to each other, so that its memory is free only after Python has searched
    for such circles, which it does rarely: in a loop that makes large models, call this.

    Args:
        free_memory: whether to let Python search now, which takes about a tenth of a second.

    Example:
        >>> import netlayers as nl
        >>> nl.utils.set_random_seed(3)
        >>> nl.utils.clear_session()
        >>> nl.random.fresh_seed() is None
        True
    """
    if check_flag("clear_session", "free_memory", free_memory):
        gc.collect()
    forget_seed()
