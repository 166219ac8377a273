"""Networks as estimators of scikit-learn, which must be installed: 1.6 or newer."""

from __future__ import annotations

try:
    from sklearn.utils.validation import validate_data as _  # noqa: F401
except ImportError as error:
    raise ImportError(
        "netlayers.estimators needs the package scikit-learn, 1.6 or newer, which could not be "
        f"imported ({error}). Install it with: pip install -U scikit-learn"
    ) from error

from netlayers.estimators.networks import NeuralNetClassifier, NeuralNetRegressor
from netlayers.estimators.transformer import NeuralNetTransformer

__all__ = ["NeuralNetClassifier", "NeuralNetRegressor", "NeuralNetTransformer"]
