"""Names of layers and weights in a file: relative to the model that is saved.

A model that is part of another is written as it would be alone, and a layer that stands in several
containers has the name of its first place within the model that is saved. For a model that shares
nothing these are the names in messages (``layer.path``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlayers.errors import FileError
from netlayers.layers.containers import Container

if TYPE_CHECKING:
    from netlayers.core.layer import Layer
    from netlayers.core.parameters import Parameter

_TWICE = "Give the layers names that differ; a slash in a name can be the reason."


def paths_of(root: Layer) -> dict[int, str]:
    """Return the path of a layer or model and of all that it is made of, by ``id``."""
    found: dict[int, str] = {}

    def visit(layer: Layer, path: str) -> None:
        if id(layer) in found:
            return
        found[id(layer)] = path
        contained = isinstance(layer, Container)
        scope = f"{path}/"
        if layer is root:
            scope = "" if hasattr(root, "_streams") else f"{root.name}/"  # a model names no parts
        elif isinstance(layer, Container) and not layer._containers:
            scope = layer._inner_scope
        for part in layer._sublayers:
            visit(part, scope + part.name if contained else part.path)

    visit(root, root.name)
    return found


def built_layers(root: Layer) -> dict[str, Layer]:
    """Return the layers that have shapes, by path; of one that has, nothing inside it.

    The whole model has the path ``""``. In a model that is not built yet there may be layers that
    are, such as one that was adapted to data.
    """
    paths = paths_of(root)

    def visit(layer: Layer) -> dict[str, Layer]:
        if layer.built:
            return {"": layer}
        return {
            k or paths[id(part)]: b for part in layer._sublayers for k, b in visit(part).items()
        }

    return visit(root)


def layers_by_path(root: Layer) -> dict[str, Layer]:
    """Return the layers by path; the whole model has the path ``""``."""
    paths, (_, *parts) = paths_of(root), list(root._flatten_layers())
    return {"": root} | {paths[id(part)]: part for part in parts}


def weights_of(path: str, root: Layer) -> dict[str, Parameter]:
    """Return the weights by their names in a file, ``layer/weight``.

    Raises:
        FileError: two of them have the same name.
    """
    found: dict[str, Parameter] = {}
    paths = paths_of(root)
    for part in built_layers(root).values():
        for p in part.declared_parameters:
            name = f"{paths.get(id(p.layer), p.layer.path)}/{p.name}"
            if name in found:
                raise FileError(path, "weights", "each name once", f"{name!r} twice", _TWICE)
            found[name] = p
    return found
