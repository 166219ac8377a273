"""Adam for tables of which a batch uses few rows."""

from __future__ import annotations

from netlayers.optimizers.adam import Adam
from netlayers.registry import register


@register("optimizer")
class LazyAdam(Adam):
    """Adam that updates only the rows of the batch in tables such as those of Embedding.

    In a row that the batch does not use, weights and moments stay as they are, where :class:`Adam`
    lets the moments decay and moves the weights by them. In a row that it uses, and in all other
    parameters, a step is that of Adam, with the number of the update t in the bias correction. A
    step on a table thus takes time proportional to the batch, not to the table; its results differ
    from Adam's. ``weight_decay`` and ``use_ema`` process all rows.

    Args:
        learning_rate: a number or a schedule.
        beta_1: decay of m, in [0, 1).
        beta_2: decay of v, in [0, 1).
        epsilon: small constant for numerical stability.
        amsgrad: use the maximum of all v so far.
        kwargs: see :class:`Optimizer`.

    Source:
        The rule of PyTorch's ``SparseAdam`` and of TensorFlow Addons' ``LazyAdam``. Adam: D.
        Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
    """

    by_rows = True
