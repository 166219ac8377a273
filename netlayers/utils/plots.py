"""The drawing of a network under Keras's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    import os


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] | None = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str | None = None,
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Any:
    """Draw a network into a file; see :meth:`netlayers.models.Model.plot`.

    Args:
        model: the model.
        to_file: path of the image; its extension selects the format. ``None`` for no file.
        show_shapes: write the output shapes.
        show_dtype: must be ``False``: a model has one dtype.
        show_layer_names: write the names of the layers.
        rankdir: ``"TB"`` from top to bottom, ``"LR"`` from left to right; ``None`` for what fits.
        expand_nested: draw the layers of blocks.
        dpi: dots per inch.
        show_layer_activations: accepted: activations are always shown.
        show_trainable: must be ``False``; see ``model.summary()``.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        ConfigurationError: an argument has another value than it may have.
    """
    for name, value, only in (
        ("show_dtype", show_dtype, False),
        ("show_trainable", show_trainable, False),
    ):
        if value != only:
            raise ConfigurationError(
                f"plot_model: {name}={value!r} is not supported; leave it out."
            )
    return model.plot(to_file, show_shapes, show_layer_names, expand_nested, dpi, rankdir)
