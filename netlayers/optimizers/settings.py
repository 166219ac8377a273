"""Settings of optimizers that may change between two updates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers.core.parameters import Parameters


class Setting:
    """An attribute of an optimizer; setting it rebuilds the list of gradient transforms."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __set__(self, optimizer: Any, value: Any) -> None:
        optimizer.__dict__[self.name] = value  # no __get__: reads find it here
        optimizer._segments = None

    if TYPE_CHECKING:

        def __get__(self, optimizer: Any, owner: type) -> Any: ...


class Renamed:
    """An attribute of old versions of Keras, which says what it is called now.

    Args:
        name: the name now.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __set_name__(self, owner: type, name: str) -> None:
        self.before = name

    def __get__(self, optimizer: Any, owner: type) -> Any:
        raise AttributeError(f"{owner.__name__} has no {self.before}; it is called {self.name}.")

    def __set__(self, optimizer: Any, value: Any) -> None:
        self.__get__(optimizer, type(optimizer))


def patterns_of(owner: str, var_names: Sequence[str]) -> list[re.Pattern[str]]:
    """Return regular expressions of names of weights.

    Raises:
        ConfigurationError: they are not a list of such.
    """
    try:
        if isinstance(var_names, str):
            raise TypeError
        return [re.compile(name) for name in var_names]
    except (TypeError, re.error):
        raise ConfigurationError(
            f"{owner}: var_names must be a list of regular expressions, such as ['bias'], got "
            f"{var_names!r}."
        ) from None


def patterns_of_weights(optimizer: Any, parameters: Parameters) -> list[re.Pattern[str]]:
    """Return regular expressions of the names of the weights that an optimizer is to exclude.

    They were given as views or parameters, in a list that is then empty.

    Raises:
        ConfigurationError: one is not a weight of the model.
    """
    found = []
    weights, optimizer._undecayed_weights = optimizer._undecayed_weights, []
    for weight in weights:
        address = getattr(weight, "ctypes", None) and weight.ctypes.data
        p = next(
            (
                p
                for p in parameters.all
                if p is weight or (address == p.value.ctypes.data and weight.shape == p.shape)  # type: ignore[union-attr]
            ),
            None,
        )
        if p is None:
            raise ConfigurationError(
                f"{type(optimizer).__name__}: exclude_from_weight_decay: an entry of var_list is "
                "no weight of this model; pass layer.bias or layer.kernel of its built layers."
            )
        found.append(re.compile(f"^{re.escape(p.path)}$"))
    return found
