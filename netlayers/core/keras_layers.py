"""The errors for layers that are written as in Keras: with ``call``, or made of layers."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

from netlayers.core.binding import own_parameters
from netlayers.core.module import Module
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.core.protocols import LayerLike


def methods_to_write(layer: LayerLike) -> str:
    """Return what a class with ``call`` must define instead, with its weights by name."""
    weights = [((p.aliases or (p.name,))[0], p) for p in own_parameters(layer) if not p.statistic]
    lines = [
        f"{type(layer).__name__} has call(), which nothing calls here: there is no automatic "
        "differentiation, so a layer computes in forward() and differentiates in backward(). "
        "Write in its place",
        "",
        "    def forward(self, x, training=False):",
        "        x = self.prepare(x)",
        "        if training:",
        "            self.cache.x = x  # what backward needs",
        f"        return {_returned(type(layer))}",
        "",
        "    def backward(self, dy):",
        "        x = self.cache.x",
        *[f"        self.d_{name}[...] = ...  # dL/d{name}, {p.shape}" for name, p in weights],
        "        return ...  # dL/dx, in the shape of x",
        "",
        "nl.layers.Layer shows an example; nl.check_gradients(layer, x) compares backward() with "
        "numerical derivatives.",
    ]
    return "\n".join(lines)


def refuse_sublayers(layer: LayerLike) -> None:
    """Raise a ConfigurationError if a layer of the user keeps layers with weights of their own.

    Nothing would train or save them. Those that are in a model elsewhere belong to that model.

    Args:
        layer: the layer, after its ``build``.
    """
    base: Any = next(cls for cls in type(layer).__mro__ if "_check_sublayers" in vars(cls))
    mine = {id(p) for p in layer.declared_parameters}
    for part in _parts(layer):
        if part.built:
            left_out = any(id(p) not in mine for p in part.declared_parameters)
        else:
            left_out = type(part).build is not base.build  # type: ignore[attr-defined]
        if left_out and not part._in_model:
            raise ConfigurationError(
                f"{layer.owner} ({type(layer).__name__}): the weights of its layer {part.name!r} "
                "would be neither trained nor saved. A layer made of layers is a class derived "
                "from nl.Model, without a build(), whose forward() and backward() call theirs; "
                "weights of its own go into a layer that declares them."
            )


def _parts(layer: LayerLike) -> Iterator[Module]:
    """Yield the layers in the attributes of a layer, and in lists, tuples and dicts there."""
    for value in list(vars(layer).values()):
        values = value.values() if isinstance(value, dict) else value
        for item in values if isinstance(value, (list, tuple, dict)) else (value,):
            if isinstance(item, Module):
                yield item


def _returned(cls: Any) -> str:
    """Return what ``call`` returns as code, on x, or ``...`` if it is not a single expression."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls.call)))
    except (OSError, TypeError, SyntaxError):  # no source: made by exec, or in the interpreter
        return "...  # what call() returns"
    (function,) = tree.body
    body = getattr(function, "body", [])
    value = getattr(body[-1], "value", None) if body else None
    arguments = getattr(getattr(function, "args", None), "args", [])
    if not isinstance(body[-1] if body else None, ast.Return) or value is None or len(body) > 2:
        return "...  # what call() returns"
    for node in ast.walk(value):
        if isinstance(node, ast.Name) and len(arguments) > 1 and node.id == arguments[1].arg:
            node.id = "x"
    text = ast.unparse(value)
    return text if len(text) <= 80 else "...  # what call() returns"
