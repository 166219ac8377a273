"""Utility functions, as in Keras."""

from __future__ import annotations

from netlayers.data.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from netlayers.models.feature_space import FeatureSpace
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
from netlayers.utils.arrays import normalize, pad_sequences, split_dataset
from netlayers.utils.ctc import ctc_decode
from netlayers.utils.image_folders import image_dataset_from_directory
from netlayers.utils.images import array_to_img, img_to_array, load_img, save_img
from netlayers.utils.one_hot import to_categorical
from netlayers.utils.packed import packed_dataset
from netlayers.utils.plots import plot_model
from netlayers.utils.progress import Progbar
from netlayers.utils.sampling import sample_logits
from netlayers.utils.seeds import clear_session, set_random_seed
from netlayers.utils.sequences import PyDataset, Sequence, timeseries_dataset_from_array
from netlayers.utils.shards import open_shards, write_shards
from netlayers.utils.tables import open_safetensors, open_table
from netlayers.utils.text_folders import text_dataset_from_directory

__all__ = [
    "CustomObjectScope",
    "FeatureSpace",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "clear_session",
    "ctc_decode",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "normalize",
    "open_safetensors",
    "open_shards",
    "open_table",
    "pack_x_y_sample_weight",
    "packed_dataset",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "sample_logits",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
    "write_shards",
]
