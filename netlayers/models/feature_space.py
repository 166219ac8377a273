"""Columns of a table, each with its own preprocessing, as one array."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.frames import frame_columns
from netlayers.arrays.spec import InputSpec
from netlayers.checks import check_choice, check_integer
from netlayers.core.layer import Layer
from netlayers.core.shapes import any_batch
from netlayers.core.symbolic import symbols_in
from netlayers.data.adapting import batches_for_adapt
from netlayers.errors import ConfigurationError, DataError
from netlayers.layers.category_encoding import CategoryEncoding
from netlayers.layers.containers import Container
from netlayers.layers.hashing import HashedCrossing
from netlayers.layers.input import Input
from netlayers.layers.normalization import Normalization
from netlayers.models.feature_types import (
    Cross,
    Feature,
    FeatureTypes,
    as_column,
    column_shape,
    feature_of,
    has_moments,
    is_adaptable,
    spec_of,
)
from netlayers.registry import register
from netlayers.saving.models import save_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from netlayers._typing import Array, Examples, Shape


@register("layer")
class FeatureSpace(FeatureTypes, Container):
    """Preprocess the columns of a table, each in its own way, and join them to one array.

    It takes a dict of arrays or lists, or a frame; as the first layer of a model, so do ``fit`` and
    ``predict``. Types of columns, by name or as an object with arguments:

    - ``"float"``; ``"float_normalized"``: mean 0, variance 1; ``"float_rescaled"``;
      ``"float_discretized"``: one-hot bins.
    - ``"integer_categorical"``, ``"string_categorical"``: one-hot, by a vocabulary.
    - ``"integer_hashed"``, ``"string_hashed"``: one-hot, by a hash.
    - ``FeatureSpace.feature(dtype, preprocessor, output_mode)``: any layer.

    Missing categories (``None``, NaN) are like categories that :meth:`adapt` has not seen, in
    column 0; missing numbers are refused: fill them first.

    Shapes: each column (batch,) or (batch, n); the output (batch, width): the columns in
    alphabetical order, then the crosses. With ``output_mode="dict"`` a dict of arrays, in a model a
    tuple in that order.

    Args:
        features: type of each column, by its name.
        output_mode: ``"concat"`` or ``"dict"``.
        crosses: tuples of names, or ``FeatureSpace.cross(...)``: combinations of categories, by
            their hash.
        crossing_dim: number of values of a cross.
        hashing_dim: number of values of ``"integer_hashed"`` and ``"string_hashed"``.
        num_discretization_bins: number of bins of ``"float_discretized"``.
        kwargs: ``name``, ``dtype``.

    Attributes:
        features: the :class:`Feature` of each column.
        preprocessors: its layer.
        crossers: the layer of each cross; the cross of a and b is ``"a_X_b"``.

    Example:
        >>> import netlayers as nl
        >>> space = nl.utils.FeatureSpace({"age": "float_normalized", "port": "string_categorical"})
        >>> space.adapt({"age": [20, 40], "port": ["C", "S"]})
        >>> space({"age": [40, 20], "port": ["S", "?"]}).tolist()
        [[1.0, 0.0, 1.0, 0.0], [-1.0, 1.0, 0.0, 0.0]]
    """

    can_skip_input_gradient = True
    _is_chain = False
    arguments_without_effect = ("crossing_dim", "hashing_dim", "num_discretization_bins")

    def __init__(
        self,
        features: Mapping[str, Any],
        output_mode: str = "concat",
        crosses: Sequence[Any] | None = None,
        crossing_dim: int = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = "FeatureSpace"
        if not features or not hasattr(features, "items"):
            raise ConfigurationError(
                f"{owner}: features must be a dict of names and types, such as "
                f"{{'age': 'float_normalized'}}, got {features!r}."
            )
        self.output_mode = check_choice(owner, "output_mode", output_mode, ("concat", "dict"))
        self.crossing_dim = check_integer(owner, "crossing_dim", crossing_dim, minimum=1)
        self.hashing_dim = check_integer(owner, "hashing_dim", hashing_dim, minimum=1)
        self.num_discretization_bins = check_integer(
            owner, "num_discretization_bins", num_discretization_bins, minimum=1
        )
        self.features: dict[str, Feature] = {
            name: feature_of(self, name, its) for name, its in features.items()
        }
        self.crosses = [self._checked_cross(cross) for cross in crosses or ()]
        self.preprocessors = {name: its.preprocessor for name, its in self.features.items()}
        self.crossers = {
            cross.name: HashedCrossing(cross.crossing_dim, num_inputs=len(cross.feature_names))
            for cross in self.crosses
        }
        self._encoders: dict[str, CategoryEncoding] = {}
        self._inputs: dict[str, Any] | None = None
        self._add_sublayers("features", [*self.preprocessors.values(), *self.crossers.values()])

    def _checked_cross(self, cross: Any) -> Cross:
        if isinstance(cross, dict):
            cross = Cross(**cross)
        elif not isinstance(cross, Cross):
            cross = Cross(cross, self.crossing_dim)
        unknown = [name for name in cross.feature_names if name not in self.features]
        if unknown or len(cross.feature_names) < 2:
            raise ConfigurationError(
                "FeatureSpace: a cross must name two or more of the features "
                f"{', '.join(self.features)}, got {tuple(cross.feature_names)}."
            )
        return cross

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        lookup = {"class_name": "StringLookup", "config": {"vocabulary": ["1", "0"]}}
        word = {"dtype": "string", "preprocessor": lookup, "output_mode": "one_hot"}
        found: Any = [
            (
                {"features": {"b": word, "a": "float", "c": "string_hashed"}, "hashing_dim": 4},
                ((4,), (4, 1), (4,)),
            ),
            (
                {
                    "features": {"b": word, "h": "string_hashed"},
                    "crosses": [["b", "h"]],
                    "crossing_dim": 5,
                },
                ((4, 1), (4, 1)),
            ),
            (
                {"features": {"x": "float", "y": "float_rescaled"}, "output_mode": "dict"},
                ((3, 2), (3, 1)),
            ),
        ]
        examples: Examples = found
        return examples

    @property
    def input_spec(self) -> tuple[InputSpec, ...]:  # type: ignore[override]
        """A spec for each column, with its name."""
        return tuple(
            dataclasses.replace(spec_of(its.preprocessor), name=name, gradient=False)
            for name, its in self.features.items()
        )

    # Adapting ------------------------------------------------------------------------------------

    def adapt(self, dataset: Any) -> None:
        """Adapt the layers of all columns that need it: means, vocabularies, bins.

        Args:
            dataset: a dict of arrays or lists, a frame, or batches of these in any form that
                ``fit`` takes.

        Raises:
            DataError: a column is missing, or its values are of another kind.
        """
        owner = f"{self.owner}: adapt()"
        names = [name for name, its in self.preprocessors.items() if is_adaptable(its)]
        parts: dict[str, list[Array]] = {name: [] for name in names}
        for batch in batches_for_adapt(owner, dataset):
            columns = self._feature_columns(owner, batch)
            for name in names:
                parts[name].append(as_column(columns[name]))
        for name in names:
            data = parts[name][0] if len(parts[name]) == 1 else np.concatenate(parts[name])
            self.preprocessors[name].adapt(data)
        self._encoders = {}

    def _feature_columns(self, owner: str, data: Any) -> dict[str, Any]:
        """Return a dict of the columns that are features.

        Raises:
            DataError: the data are no dict and no frame, or lack a column.
        """
        columns = frame_columns(data)
        if not isinstance(columns, dict):
            raise DataError(
                f"{owner}: expected a dict of arrays, or a frame, got a {type(data).__name__}."
            )
        missing = [name for name in self.features if name not in columns]
        if missing:
            raise DataError(f"{owner}: the data have no column {', '.join(map(repr, missing))}.")
        return columns

    # Shapes --------------------------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Build the layer of each column and each cross."""
        self._build_sublayers(self._sublayer_shapes(input_shape))

    def _sublayer_shapes(self, input_shape: Shape) -> Iterable[tuple[Layer, Any]]:
        shapes: Any = dict(zip(self.features, any_batch(input_shape), strict=True))
        for name, layer in self.preprocessors.items():
            yield layer, column_shape(shapes[name])
        for cross in self.crosses:
            its = [self._preprocessed_shape(name, shapes[name]) for name in cross.feature_names]
            yield self.crossers[cross.name], tuple(its)

    def _preprocessed_shape(self, name: str, shape: Shape) -> Shape:
        return self.preprocessors[name].compute_output_shape(column_shape(shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, width), or the shapes of the columns and crosses."""
        given: Any = dict(zip(self.features, input_shape, strict=True))
        shapes: dict[str, Shape] = {n: self._preprocessed_shape(n, s) for n, s in given.items()}
        for cross in self.crosses:
            shapes[cross.name] = (given[cross.feature_names[0]][0], 1)
        for name in shapes:
            if self._is_one_hot(name):
                shapes[name] = (shapes[name][0], self._width(name))
        ordered: Any = tuple(shapes[name] for name in self._order())
        if self.output_mode == "dict":
            return ordered
        for name in self._order():
            if not self._is_one_hot(name) and self._layer_of(name)._output_kind != "float":
                raise ConfigurationError(
                    f"{self.owner} (FeatureSpace): {name!r} is not encoded, so it cannot be joined "
                    "with the others. Use output_mode='one_hot' for it, or output_mode='dict'."
                )
        widths = [shape[-1] for shape in ordered]
        return (ordered[0][0], None if None in widths else sum(widths))

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the layer of a column does not take this shape."""
        shapes: Any = shape
        for layer, its in zip(self.preprocessors.values(), shapes, strict=True):
            layer.check_input_shape(column_shape(its))

    def _order(self) -> list[str]:
        return [*sorted(self.features), *sorted(self.crossers)]

    def _layer_of(self, name: str) -> Layer:
        return self.crossers[name] if name in self.crossers else self.preprocessors[name]

    def _is_one_hot(self, name: str) -> bool:
        if name in self.features:
            return self.features[name].output_mode == "one_hot"
        return any(cross.name == name and cross.output_mode == "one_hot" for cross in self.crosses)

    def _width(self, name: str) -> int:
        layer: Any = self._layer_of(name)
        depth = getattr(layer, "depth", None)
        if layer._output_kind != "integer" or not hasattr(layer, "depth"):
            raise ConfigurationError(
                f"{self.owner} (FeatureSpace): {name!r} has output_mode='one_hot', so its layer "
                f"must return integers of a known range; {type(layer).__name__} does not. Use "
                "output_mode='int' or 'float'."
            )
        if depth is None:
            raise ConfigurationError(
                f"{self.owner} (FeatureSpace): call adapt() with data before it is used; {name!r} "
                "has no vocabulary yet."
            )
        return int(depth)

    # Forward -------------------------------------------------------------------------------------

    def __call__(
        self, data: Any, *more: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        """Return the encoded columns.

        Args:
            data: a dict of arrays, lists or single values, or a frame; columns that are no features
                are ignored. Symbolic values give a symbolic output. In a network, the tuple of
                columns.
            more: further columns.
            training: see :meth:`Layer.__call__`.
            mask: none is taken.

        Returns:
            An array (batch, width), or a dict of arrays; without the batch for single values.
        """
        columns = frame_columns(data)
        if not isinstance(columns, dict):
            return super().__call__(data, *more, training=training, mask=mask)
        columns = self._feature_columns(f"{self.owner} (FeatureSpace)", columns)
        given = tuple(columns[name] for name in self.features)
        if symbols_in(given):
            y, single = super().__call__(given, training=training), False
        else:
            single = all(np.ndim(its) == 0 for its in given)
            y = self.forward(tuple(map(as_column, given)), bool(training))
        if self.output_mode == "dict":
            found = dict(zip(self._order(), y, strict=True))
            return {name: its[0] for name, its in found.items()} if single else found
        return y[0] if single else y

    def get_inputs(self) -> dict[str, Any]:
        """Return an ``Input`` of a functional model for each column."""
        if self._inputs is None:
            self._inputs = {
                name: Input((1,), dtype=its.input_dtype, name=name)
                for name, its in self.features.items()
            }
        return self._inputs

    def get_encoded_features(self) -> Any:
        """Return the output for :meth:`get_inputs`: ``Model(get_inputs(), f(this))``."""
        return self(self.get_inputs())

    def forward(
        self, x: Any, training: bool = False, mask: Any = None, mask_out: list[Any] | None = None
    ) -> Any:
        """Return the encoded columns, joined; see the class."""
        for name, layer in self.preprocessors.items():
            if isinstance(layer, Normalization) and not has_moments(layer):
                raise ConfigurationError(
                    f"{self.owner} (FeatureSpace): call adapt() with data before it is used; "
                    f"{name!r} has no mean yet."
                )
        x = self.prepare(x)
        found: dict[str, Array] = {}
        for (name, layer), column in zip(self.preprocessors.items(), x, strict=True):
            found[name] = layer.forward(column[:, None] if column.ndim == 1 else column, training)
        for cross in self.crosses:
            its = tuple(found[name] for name in cross.feature_names)
            found[cross.name] = self.crossers[cross.name].forward(its, training)
        parts = [self._encoded(name, found[name]) for name in self._order()]
        if mask_out is not None:
            mask_out.append(None)
        if self.output_mode == "dict":
            if training:
                self.cache.shape = tuple(part.shape for part in parts)
            return tuple(parts)
        y = self.buffer("y", (len(parts[0]), sum(part.shape[-1] for part in parts)), training)
        np.concatenate(parts, axis=-1, out=y)
        if training:
            self.cache.shape = y.shape
        return y

    def backward(self, dy: Any, input_gradient: bool = True) -> Any:
        """Return ``None`` for each column: data have no gradient here."""
        shape = self.cache.shape
        if self.output_mode == "dict":
            for one, its in zip(dy, shape, strict=True):
                if one is None or np.asarray(one).dtype.kind == "f":
                    self.check_gradient(one, its)
        else:
            self.check_gradient(dy, shape)
        return (None,) * len(self.features)

    def _encoded(self, name: str, values: Array) -> Array:
        if not self._is_one_hot(name):
            return values if values.ndim > 1 else values[:, None]
        encoder = self._encoders.get(name)
        width = self._width(name)
        if encoder is None or encoder.num_tokens != width:
            encoder = self._encoders[name] = CategoryEncoding(width, "multi_hot")
        encoder._set_dtype(self._dtype)
        return encoder.forward(values)

    def save(self, filepath: Any, overwrite: bool = True) -> None:
        """Save it with its vocabularies and means; ``nl.load_model`` loads it.

        Args:
            filepath: a file that ends in ``.safetensors``; see :func:`netlayers.save_model`.
            overwrite: whether an existing file may be replaced.
        """
        save_model(self, filepath, overwrite)

    # Configuration and files ---------------------------------------------------------------------

    def _argument(self, name: str) -> Any:
        """Return the value of a constructor argument."""
        if name == "features":
            return {key: its.to_dict() for key, its in self.features.items()}
        if name == "crosses":
            return [cross.to_dict() for cross in self.crosses] or None
        return super()._argument(name)
