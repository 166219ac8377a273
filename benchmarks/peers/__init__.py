"""The frameworks to measure, one file each, with the same functions.

``trainer(case)`` returns an object with ``step()``, which runs one update and may return before it
is finished; ``value(result)``, its loss as a number; and ``wait()``, which returns when everything
is computed. ``predictor(case)`` returns a function from an array to an array. ``job(recipe, tell)``
trains on MNIST; it calls ``tell`` with ``READY`` before the first epoch and with the test accuracy
after each. All start from the weights of :mod:`benchmarks.cases`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Peer:
    """A framework, and how to start it.

    Attributes:
        module: its module in this package.
        options: arguments of its functions.
        needs: packages that it requires.
        environment: environment variables of its process.
        steps_only: whether it is a variant of another peer, used for steps only.
        images_only: whether it is a variant of another peer, used for steps on images only.
    """

    module: str
    options: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    steps_only: bool = False
    images_only: bool = False


READY = -1.0
_KERAS = {"KERAS_BACKEND": "jax"}
_NUMPY, _NUMBA = {"NETLAYERS_KERNELS": "numpy"}, {"NETLAYERS_KERNELS": "numba"}
_METHOD = {"way": "train_on_batch"}
PEERS = {
    "netlayers": Peer("ours", environment=_NUMPY),
    "train_on_batch": Peer("ours", _METHOD, (), _NUMPY, steps_only=True),
    "with numba": Peer("ours", {}, ("numba",), _NUMBA),
    "train_on_batch with numba": Peer("ours", _METHOD, ("numba",), _NUMBA, steps_only=True),
    "floor": Peer("floor", steps_only=True),
    "torch": Peer("pytorch", needs=("torch",)),
    "torch.compile": Peer("pytorch", {"way": "compile"}, needs=("torch",)),
    "torch channels last": Peer("pytorch", {"way": "last"}, ("torch",), images_only=True),
    "torch.compile channels last": Peer(
        "pytorch", {"way": "compile last"}, ("torch",), images_only=True
    ),
    "jax": Peer("jaxed", needs=("jax",)),
    "jax, loss read": Peer("jaxed", {"way": "read"}, ("jax",), steps_only=True),
    "keras": Peer("keras_jax", {}, ("keras", "jax"), _KERAS),
    "keras stateless": Peer(
        "keras_jax", {"way": "stateless"}, ("keras", "jax"), _KERAS, steps_only=True
    ),
    "sklearn": Peer("sklearn_mlp", needs=("sklearn",)),
}


def missing(name: str) -> list[str]:
    """Return the packages that a peer requires and that are not installed."""
    return [package for package in PEERS[name].needs if not importlib.util.find_spec(package)]


def missing_line(name: str, packages: list[str]) -> str:
    """Return the message that a peer is left out."""
    return f"{name} is left out: {', '.join(packages)} is not installed."
