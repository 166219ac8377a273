"""Hidden activations as features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from netlayers.errors import ConfigurationError
from netlayers.models import Model

if TYPE_CHECKING:
    from typing import Self

    from netlayers._typing import Array


class NeuralNetTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Gives the activations of a hidden layer of a network as features.

    Args:
        estimator: a :class:`NeuralNetClassifier` or :class:`NeuralNetRegressor`; a copy of it is
            trained.
        layer: name or index of the layer; by default the last one before the output.

    Attributes:
        estimator_: the trained estimator.
        n_features_in_, feature_names_in_: as in scikit-learn.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from netlayers.estimators import NeuralNetClassifier, NeuralNetTransformer
        >>> X, y = load_iris(return_X_y=True)
        >>> net = NeuralNetClassifier((8, 3), tol=1.0, random_state=0)
        >>> NeuralNetTransformer(net).fit_transform(X, y).shape
        (150, 3)
    """

    def __init__(self, estimator: Any, *, layer: str | int | None = None) -> None:
        self.estimator = estimator
        self.layer = layer

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Train a copy of the estimator.

        Args:
            X: samples, (n, features).
            y: targets.
            fit_params: further arguments of its ``fit``.
        """
        self.estimator_ = clone(self.estimator).fit(X, y, **fit_params)
        self.n_features_in_ = self.estimator_.n_features_in_
        if hasattr(self.estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.estimator_.feature_names_in_
        layer = self._hidden_layer()
        self._n_features_out = int(np.prod(layer.output_shape[1:]))
        return self

    def transform(self, X: Any) -> Array:
        """Return the activations for ``X``, (n, units)."""
        check_is_fitted(self)
        network = self.estimator_.model_
        X = self.estimator_._inputs(X)
        part = Model(network.inputs, self._hidden_layer().output)
        return np.asarray(part.predict(X, verbose=0)).reshape(X.shape[0], -1)

    def _hidden_layer(self) -> Any:
        network = self.estimator_.model_
        if self.layer is None:
            if len(network.layers) < 2:
                raise ConfigurationError(
                    "NeuralNetTransformer: the network has no hidden layer; give its estimator "
                    "hidden_layer_sizes, or name a layer."
                )
            return network.layers[-2]
        named = isinstance(self.layer, str)
        return network.get_layer(**{"name" if named else "index": self.layer})
