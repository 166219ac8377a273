"""Settings of optimizers that may change between two updates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from netlayers._warn import warn
from netlayers.checks import check_list
from netlayers.errors import ConfigurationError
from netlayers.registry import reading_a_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array
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


def exclusions(
    owner: str, var_list: Sequence[Array] | None, var_names: Sequence[str] | None
) -> tuple[list[Array], list[re.Pattern[str]]]:
    """Return weights, and regular expressions of names of weights, as lists.

    Raises:
        ConfigurationError: they are no lists of such.
    """
    weights = [] if var_list is None else check_list(owner, "var_list", var_list, "weights")
    return weights, patterns_of(owner, () if var_names is None else var_names)


def patterns_of(
    owner: str, var_names: Sequence[str], argument: str = "var_names"
) -> list[re.Pattern[str]]:
    """Return regular expressions of names of weights.

    Raises:
        ConfigurationError: they are not a list of such, or come from a file and could take very
            long to search.
    """
    names = check_list(owner, argument, var_names, "regular expressions, such as ['bias']")
    try:
        patterns = [re.compile(name) for name in names]
    except (TypeError, re.error, RecursionError, OverflowError):
        raise ConfigurationError(
            f"{owner}: {argument} must be a list of regular expressions, such as ['bias'], got "
            f"{var_names!r:.200}."
        ) from None
    if reading_a_file():
        for pattern in patterns:
            text = pattern.pattern
            if len(text) > 200 or len(_REPEAT.findall(text)) > 2 or _REPEATED_GROUP.search(text):
                raise ConfigurationError(
                    f"{owner}: {argument}: {text!r:.200} has more than 200 characters or two "
                    "repeats, or a repeated group, which is not accepted from a file. Load the "
                    "model with compile=False and compile it."
                )
    return patterns


# Few repeats of single characters: nested ones could take time exponential in the length of a name.
_REPEAT = re.compile(r"[*+?{]")
_REPEATED_GROUP = re.compile(r"\)[*+?{]")


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


def warn_of_exclusions(optimizer: Any, parameters: Parameters) -> None:
    """Warn about exclusions from weight decay that match no weight, or where none decays."""
    owner = type(optimizer).__name__
    rules = getattr(optimizer, "optimizers", [optimizer])
    if optimizer._undecayed and not any(rule.weight_decay for rule in rules):
        warn(f"{owner}: exclude_from_weight_decay needs a weight_decay.")
    for pattern in optimizer._undecayed:
        if not any(pattern.search(p.path) for p in parameters.all):
            warn(
                f"{owner}: exclude_from_weight_decay: {pattern.pattern!r} matches no weight; "
                f"{parameters.all[0].path!r} is one."
            )
