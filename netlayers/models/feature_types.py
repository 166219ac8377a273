"""Types of columns for ``FeatureSpace``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.activations.rectifiers import Linear
from netlayers.arrays.spec import InputSpec
from netlayers.checks import check_choice, check_integer
from netlayers.core.layer import Layer
from netlayers.data.structure import arrays_by_name
from netlayers.errors import ConfigurationError
from netlayers.layers.discretization import Discretization
from netlayers.layers.hashing import Hashing
from netlayers.layers.lookup import IntegerLookup, StringLookup
from netlayers.layers.normalization import Normalization
from netlayers.layers.reshaping import Rescaling
from netlayers.layers.vocabulary import VocabularyLayer
from netlayers.registry import resolve, serialize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Shape

_NAMES = (
    "float", "float_normalized", "float_rescaled", "float_discretized", "integer_categorical",
    "string_categorical", "integer_hashed", "string_hashed",
)  # fmt: skip
_Number = float


@dataclass
class Feature:
    """A column of a table, and what becomes of it.

    Attributes:
        dtype: ``"float32"``, ``"int32"``, ``"int64"`` or ``"string"``, as in Keras; what counts is
            what the layer takes.
        preprocessor: the layer.
        output_mode: ``"one_hot"`` encodes the integers that the layer returns; ``"int"`` and
            ``"float"`` leave its output as it is.
    """

    dtype: str
    preprocessor: Any
    output_mode: str

    def __post_init__(self) -> None:
        modes = ("int", "one_hot", "float")
        self.output_mode = check_choice("FeatureSpace", "output_mode", self.output_mode, modes)
        if isinstance(self.preprocessor, dict):
            self.preprocessor = resolve("layer", self.preprocessor, Layer)
        if not isinstance(self.preprocessor, Layer):
            raise ConfigurationError(
                f"FeatureSpace: preprocessor must be a layer, got {self.preprocessor!r}."
            )

    @property
    def input_dtype(self) -> str | None:
        """The dtype of an ``Input`` of a functional model; ``None`` for numbers."""
        kind = self.preprocessor.input_spec.dtype
        if kind == "category":
            return "string" if self.dtype == "string" else "int64"
        return {"string": "string", "integer": "int64"}.get(kind)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        its = {"dtype": self.dtype, "output_mode": self.output_mode}
        return {**its, "preprocessor": serialize(self.preprocessor)}


@dataclass
class Cross:
    """A combination of categories of several columns, numbered by a hash.

    Attributes:
        feature_names: the columns.
        crossing_dim: how many numbers there are.
        output_mode: ``"one_hot"`` or ``"int"``.
    """

    feature_names: Sequence[str]
    crossing_dim: int
    output_mode: str = "one_hot"

    def __post_init__(self) -> None:
        if isinstance(self.feature_names, str) or not hasattr(self.feature_names, "__iter__"):
            raise ConfigurationError(
                f"FeatureSpace: a cross must be a tuple of names, got {self.feature_names!r}."
            )
        self.feature_names = tuple(self.feature_names)
        owner = "FeatureSpace"
        self.crossing_dim = check_integer(owner, "crossing_dim", self.crossing_dim, minimum=1)
        self.output_mode = check_choice(owner, "output_mode", self.output_mode, ("int", "one_hot"))

    @property
    def name(self) -> str:
        """Name of the cross: that of the columns, with ``_X_`` between them."""
        return "_X_".join(self.feature_names)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        its = {"crossing_dim": self.crossing_dim, "output_mode": self.output_mode}
        return {**its, "feature_names": list(self.feature_names)}


class FeatureTypes:
    """The types of columns, as constructors of :class:`Feature`: ``FeatureSpace.float()``, ..."""

    @classmethod
    def cross(
        cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ) -> Cross:
        """Return a combination of categories; see :class:`Cross`."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """Return a column with a layer of your own; see :class:`Feature`."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Numbers as they are."""
        return Feature("float32", Linear(name=_name(name)), "float")

    @classmethod
    def float_rescaled(
        cls, scale: _Number = 1.0, offset: _Number = 0.0, name: str | None = None
    ) -> Feature:
        """Numbers times ``scale``, plus ``offset``; see :class:`netlayers.layers.Rescaling`."""
        return Feature("float32", Rescaling(scale, offset, name=_name(name)), "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Numbers with mean 0 and variance 1; see :class:`netlayers.layers.Normalization`."""
        return Feature("float32", Normalization(axis=-1, name=_name(name)), "float")

    @classmethod
    def float_discretized(
        cls,
        num_bins: int | None = None,
        bin_boundaries: Sequence[_Number] | None = None,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Bins of numbers; see :class:`netlayers.layers.Discretization`."""
        layer = Discretization(bin_boundaries, num_bins, name=_name(name))
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Integers in a vocabulary; see :class:`netlayers.layers.IntegerLookup`."""
        layer = IntegerLookup(max_tokens, num_oov_indices, name=_name(name))
        return Feature("int64", layer, output_mode)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Strings in a vocabulary; see :class:`netlayers.layers.StringLookup`."""
        layer = StringLookup(max_tokens, num_oov_indices, name=_name(name))
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Strings by their hash; see :class:`netlayers.layers.Hashing`."""
        return Feature("string", Hashing(num_bins, name=_name(name)), output_mode)

    @classmethod
    def integer_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Integers by their hash; see :class:`netlayers.layers.Hashing`."""
        return Feature("int64", Hashing(num_bins, name=_name(name)), output_mode)


def feature_of(space: Any, name: str, value: Any) -> Feature:
    """Return the feature for a name of a type, a dict of :meth:`Feature.to_dict`, or a feature.

    Args:
        space: the :class:`FeatureSpace`, with the numbers of bins.
        name: name of the column.
        value: its type.

    Raises:
        ConfigurationError: there is no such type.
    """
    if isinstance(value, Feature):
        return value
    if isinstance(value, dict):
        return Feature(**value)
    if value not in _NAMES:
        raise ConfigurationError(
            f"FeatureSpace: the type of {name!r} must be a FeatureSpace.feature(...), or one of "
            f"{', '.join(_NAMES)}, got {value!r}."
        )
    if value == "float_discretized":
        return FeatureTypes.float_discretized(space.num_discretization_bins)
    if value in ("integer_hashed", "string_hashed"):
        made: Feature = getattr(FeatureTypes, value)(space.hashing_dim)
        return made
    plain: Feature = getattr(FeatureTypes, value)()
    return plain


def _name(name: str | None) -> str | None:
    return None if name is None else f"{name}_preprocessor"


def spec_of(layer: Layer) -> InputSpec:
    """Return the spec of a layer with one input."""
    spec = layer.input_spec
    assert isinstance(spec, InputSpec)
    return spec


def is_adaptable(layer: Any) -> bool:
    """Whether a layer has an ``adapt``, and no argument that takes its place."""
    if isinstance(layer, VocabularyLayer):
        return not layer._is_given
    if isinstance(layer, Discretization):
        return not layer._given
    if isinstance(layer, Normalization):
        return layer._mean is None
    return hasattr(layer, "adapt")


def has_moments(layer: Normalization) -> bool:
    """Whether a Normalization has a mean and a variance."""
    return layer._has_moments and (layer.built or layer._mean is not None)


def as_column(values: Any) -> Array:
    """Return values as (batch, ...) with two axes or more."""
    (values,) = arrays_by_name("FeatureSpace", "data", values, ["x"])
    array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    return array.reshape(-1, 1) if array.ndim < 2 else array


def column_shape(shape: Shape) -> Shape:
    """Return the shape of a column with two axes or more."""
    return shape if len(shape) > 1 else (*shape, 1)
