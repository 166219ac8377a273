"""A model as a file and as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from netlayers import saving
from netlayers.core.layer import Layer
from netlayers.errors import ConfigurationError
from netlayers.registry import check_custom_objects
from netlayers.saving.description import from_text, to_text
from netlayers.saving.rebuilding import construct
from netlayers.saving.state import architecture
from netlayers.training.lock import refuse_elsewhere

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


class Saved:
    """What writes a model down: for classes with ``parameters`` and ``get_config``."""

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        *,
        allow_nonfinite: bool = False,
    ) -> None:
        """Save the whole model: architecture, weights, settings of ``compile``, optimizer, streams.

        :func:`netlayers.load_model` gives it back, and training goes on with the same bits. The
        file is replaced in one step: if the disk is full or the process is killed, the old one is
        whole. Any reader of safetensors opens it. Callbacks may save; another
        thread may not while the model is trained.

        Args:
            filepath: the file, ``~`` being the home folder; a folder that is missing is made.
            overwrite: whether a file that is there may be replaced.
            allow_nonfinite: whether weights that are NaN or infinite may take the place of a file.

        Raises:
            FileError: the file is there and may not be replaced, weights are not finite, or
                something can not be written down.
            BusyError: another thread trains the model.
            OSError: the disk is full, or the folder can not be written to.
        """
        refuse_elsewhere(self, "save")
        saving.save_model(self, filepath, overwrite, allow_nonfinite=allow_nonfinite)

    def save_weights(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        *,
        allow_nonfinite: bool = False,
    ) -> None:
        """Save the weights and running statistics alone.

        Args and errors: see :meth:`save`.
        """
        refuse_elsewhere(self, "save_weights")
        saving.save_weights(self, filepath, overwrite, allow_nonfinite=allow_nonfinite)

    def load_weights(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
        """Load weights by their names from a file of :meth:`save_weights` or :meth:`save`.

        Args:
            filepath: the file.
            skip_mismatch: leave weights as they are that the file does not have in this name,
                shape and dtype, with a warning.

        Raises:
            FileError: the file is damaged or does not hold the weights of this model; no weight
                has changed.
            NotBuiltError: the model is not built.
            OSError: it can not be read.

        Example:
            >>> import os, tempfile, netlayers as nl
            >>> models = [nl.Sequential([nl.layers.Dense(2)], seed=i) for i in range(2)]
            >>> for model in models:
            ...     model.build((None, 3))
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     models[0].save_weights(os.path.join(folder, "weights.safetensors"))
            ...     models[1].load_weights(os.path.join(folder, "weights.safetensors"))
            >>> bool((models[0].weights[0] == models[1].weights[0]).all())
            True
        """
        refuse_elsewhere(self, "load_weights")
        saving.load_weights(self, filepath, skip_mismatch)

    def to_json(self, **kwargs: Any) -> str:
        """Return the architecture, without weights, as JSON; see :func:`model_from_json`.

        Args:
            kwargs: passed on to ``json.dumps``, such as ``indent=2``.

        Raises:
            FileError: an argument of a layer is no plain data.
        """
        where = "to_json"
        plain = to_text(where, "model", architecture(where, self))
        return json.dumps(json.loads(plain), **kwargs) if kwargs else plain


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return a new model of the architecture that :meth:`Model.to_json` wrote.

    Args:
        json_string: the text.
        custom_objects: classes of your own by name; other names must be registered.

    Raises:
        FileError: the text describes no model.
        ConfigurationError: an argument is of another kind.

    Example:
        >>> import netlayers as nl
        >>> text = nl.Sequential([nl.layers.Dense(2, "relu")]).to_json()
        >>> nl.models.model_from_json(text).layers[0].activation
        ReLU()
    """
    if not isinstance(json_string, str):
        raise ConfigurationError(
            f"model_from_json: json_string must be a text, got {type(json_string).__name__}."
        )
    where = "model_from_json"
    check_custom_objects(where, custom_objects)
    model: Layer = construct(where, from_text(where, "text", json_string), custom_objects)
    return model
