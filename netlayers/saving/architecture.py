"""The architecture of a model, without weights, as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from netlayers.checks import check_custom_objects
from netlayers.errors import ConfigurationError
from netlayers.saving.description import from_text, to_text
from netlayers.saving.rebuilding import construct
from netlayers.saving.state import architecture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlayers.core.layer import Layer


def model_to_json(model: Layer, **kwargs: Any) -> str:
    """Return the architecture, without weights, as JSON; see :func:`model_from_json`.

    Args:
        model: a model or any layer.
        kwargs: passed on to ``json.dumps``, such as ``indent=2``.

    Raises:
        FileError: an argument of a layer is not plain data.
    """
    where = "to_json"
    plain = to_text(where, "model", architecture(where, model, with_shape=True))
    return json.dumps(json.loads(plain), **kwargs) if kwargs else plain


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return a new model of the architecture that :func:`model_to_json` wrote.

    Args:
        json_string: the JSON string.
        custom_objects: custom classes by name; other names must be registered.

    Raises:
        FileError: the string does not describe a model.
        ConfigurationError: an argument has the wrong type.

    Example:
        >>> import netlayers as nl
        >>> text = nl.Sequential([nl.layers.Dense(2, "relu")]).to_json()
        >>> nl.models.model_from_json(text).layers[0].activation
        ReLU()
    """
    if not isinstance(json_string, str):
        raise ConfigurationError(
            f"model_from_json: json_string must be a string, got {type(json_string).__name__}."
        )
    where = "model_from_json"
    check_custom_objects(where, custom_objects)
    return construct(where, from_text(where, "text", json_string), custom_objects)
