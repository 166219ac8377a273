"""Settings of optimizers that may change between two updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


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
