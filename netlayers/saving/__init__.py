"""Saving and loading. ``FORMAT.md`` beside this file describes the files byte by byte.

Every file is a safetensors file: named arrays, and a description in JSON. It is written atomically
(the old file or the new one exists, whatever happens) and read defensively: no code is run, sizes
are checked before memory is allocated, and checksums detect changed bytes. Every invalid file
raises :class:`netlayers.errors.FileError`.
"""

from __future__ import annotations

from netlayers.saving.architecture import model_from_json, model_to_json
from netlayers.saving.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from netlayers.saving.file_names import check_file_name
from netlayers.saving.format import Entry, StoredFile, write_file
from netlayers.saving.models import (
    load_model,
    load_weights,
    restore,
    save_model,
    save_weights,
)

__all__ = [
    "CustomObjectScope",
    "Entry",
    "StoredFile",
    "check_file_name",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "model_from_json",
    "model_to_json",
    "register_keras_serializable",
    "restore",
    "save_model",
    "save_weights",
    "serialize_keras_object",
    "write_file",
]
