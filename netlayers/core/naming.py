"""What a layer is called, and the containers that it stands in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from weakref import ref

    from netlayers.core.cache import Cache


class Named:
    """The name of a layer in messages, tables and files: with those of the containers around it.

    Attributes:
        name: its own name.
        scope: names of the containers around it, each with a slash behind it.
        outer_multiplier: product of their learning-rate multipliers.
    """

    name: str
    cache: Cache

    def _set_up_name(self) -> None:
        self.scope = ""
        self.outer_multiplier = 1.0
        self._homes: list[ref[Any]] = []  # weak: a model that is gone holds no layer

    @property
    def sublayers(self) -> list[Any]:
        """Layers that this one is made of."""
        raise NotImplementedError

    @property
    def kind(self) -> str:
        """What messages call it: ``"layer"``."""
        return "layer"

    @property
    def owner(self) -> str:
        """What messages call the layer: ``"layer 'residual/dense'"``."""
        return self.cache._owner

    @property
    def path(self) -> str:
        """The name with those of the containers around it, such as ``"residual/dense"``."""
        return self.scope + self.name

    def _set_scope(self, scope: str) -> None:
        """Stand in a container: messages, tables and files then name the layer by its path.

        Messages of an activation name the layer that it is part of, which is the one the user made.
        """
        self.scope = scope
        self.cache._owner = f"{self.kind} {self.path!r}"
        for part in self.sublayers:
            part.cache._owner = self.cache._owner

    @property
    def homes(self) -> list[Any]:
        """The containers that the layer stands in, in the order in which it came there."""
        return [home for known in self._homes if (home := known()) is not None]

    @property
    def _in_model(self) -> bool:
        return bool(self.homes)

    @property
    def shared(self) -> bool:
        """Whether the layer, or a container around it, stands in more than one container."""
        homes = self.homes
        return len(homes) > 1 or any(home.shared for home in homes)

    def _leave(self, container: Any) -> None:
        """Stand in this container no more; the name then is that in the next one, if any."""
        self._homes = [known for known in self._homes if known() not in (None, container)]
        self.outer_multiplier = 1.0
        self._set_scope("")
        for home in self.homes[:1]:
            home._place(self)


def every_layer(layer: Any) -> Iterator[Any]:
    """Yield a layer and all that it is made of, each once; a layer before its parts."""
    seen: set[int] = set()
    todo = [layer]
    while todo:
        here = todo.pop()
        if id(here) not in seen:
            seen.add(id(here))
            yield here
            todo += reversed(here.sublayers)
