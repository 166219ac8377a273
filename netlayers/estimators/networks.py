"""A classifier and a regressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import column_or_1d

from netlayers import losses, metrics
from netlayers.errors import DataError
from netlayers.estimators.base import NeuralNet

if TYPE_CHECKING:
    from typing import Self

    from netlayers._typing import Array
    from netlayers.models import Model


class NeuralNetClassifier(ClassifierMixin, NeuralNet):
    """A network that classifies, as an estimator of scikit-learn.

    It takes the arguments of scikit-learn's ``MLPClassifier`` (but ``max_fun``), or a ``model``.

    Args:
        hidden_layer_sizes: units of the hidden layers.
        activation: of the hidden layers: ``"identity"``, ``"logistic"``, or any name or object
            that :class:`netlayers.layers.Dense` takes.
        solver: ``"adam"``, ``"sgd"`` or ``"lbfgs"`` (see
            :meth:`netlayers.models.Model.fit_lbfgs`).
        alpha: the penalty alpha/2 Σ w² over the weights of the layers is added to the sum of the
            losses of each batch.
        batch_size: samples per update; ``"auto"`` is min(200, n).
        learning_rate: ``"constant"``; ``"invscaling"``, ``learning_rate_init / t**power_t`` when
            t - 1 samples have been used; or ``"adaptive"``, which divides the rate by 5 whenever
            the loss has not improved by ``tol`` for ``n_iter_no_change`` epochs.
        learning_rate_init: the learning rate of ``solver``.
        power_t: see ``learning_rate``.
        max_iter: most epochs, or iterations of ``"lbfgs"``.
        shuffle: shuffle the samples before each epoch.
        random_state: seed of the initial weights, the order of the samples and the held-out ones.
        tol: smallest improvement of the loss, or of the score on held-out samples, that counts.
        verbose: print a line for each epoch.
        warm_start: ``fit`` continues with the network and the optimizer that are there.
        momentum: of ``"sgd"``.
        nesterovs_momentum: of ``"sgd"``.
        early_stopping: hold out samples, stop when their score no longer improves, and restore the
            best weights.
        validation_fraction: share of the samples that is held out, the same of each class.
        beta_1: of ``"adam"``.
        beta_2: of ``"adam"``.
        epsilon: of ``"adam"``.
        n_iter_no_change: epochs without an improvement that end the training.
        model: instead of ``hidden_layer_sizes``, a function that returns a model, or a model, of
            which a copy with new weights is trained. The function is called with those of the
            arguments ``n_inputs``, ``n_outputs`` and ``seed`` that it takes, and with those that
            are set as ``model__<name>``. If the model is compiled, its loss, optimizer and metrics
            are used.
        optimizer: a name or an optimizer, instead of ``solver`` and its arguments. Arguments are
            set as ``optimizer__<name>``.
        loss: a name or a loss; by default the cross-entropy that fits the targets.
        callbacks: of :mod:`netlayers.callbacks`; each ``fit`` uses copies.
        class_weight: dict of weights by class, or ``"balanced"``: n / (classes count).

    Attributes:
        classes_: the classes, sorted; for multilabel targets 0 to k - 1.
        model_: the trained model.
        n_outputs_: outputs of the network: 1 for two classes.
        history_: results of each epoch by name; ``loss_curve_`` is its ``"loss"``.
        n_iter_: number of epochs.
        loss_, best_loss_: the last and the smallest loss.
        validation_scores_, best_validation_score_: accuracy on held-out samples.
        n_features_in_, feature_names_in_: as in scikit-learn.

    The arithmetic has the dtype of X, float32 or float64.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from netlayers.estimators import NeuralNetClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> net = NeuralNetClassifier((16,), learning_rate_init=0.03, tol=1e-3, random_state=0)
        >>> net.fit(X, y).score(X, y) > 0.95
        True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        model: Any = None,
        optimizer: Any = None,
        loss: Any = None,
        callbacks: Any = None,
        class_weight: Any = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            model=model,
            optimizer=optimizer,
            loss=loss,
            callbacks=callbacks,
        )
        self.class_weight = class_weight

    _score_metric = "accuracy"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch; the optimizer goes on where the last call ended.

        Args:
            X: samples, see :meth:`fit`.
            y: targets.
            classes: all classes, which the first call must know.
            sample_weight: (n,).
        """
        first = not hasattr(self, "model_")
        if _check_partial_fit_first_call(self, classes):
            classes = np.asarray(classes)
        return self._fit(X, y, sample_weight, goes_on=not first, classes=classes, partial=True)

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each sample of ``X``, or 0 and 1 for each label."""
        output = self._outputs(X)
        threshold = 0.0 if self._gives_logits else 0.5
        if self._multilabel:
            return (output > threshold).astype(np.int64)
        if output.shape[1] == 1:
            return self.classes_[(output[:, 0] > threshold).astype(np.intp)]
        return self.classes_[output.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class for ``X``, (n, classes), or of each label."""
        output = self._outputs(X)
        if self._several_labels(output):
            p = expit(output) if self._gives_logits else output
            return p if self._multilabel else np.concatenate([1 - p, p], axis=1)
        return softmax(output, axis=1) if self._gives_logits else output

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of :meth:`predict_proba` for ``X``."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> Array:
        """Return the logits for ``X``.

        Of two classes (n,), positive for the second; else (n, outputs).
        """
        output = self._outputs(X)
        if not self._gives_logits:
            with np.errstate(divide="ignore"):
                rest = np.log1p(-output) if self._several_labels(output) else 0.0
                output = np.log(output) - rest
        if self._multilabel or len(self.classes_) > 2:
            return output
        return output[:, 0] if output.shape[1] == 1 else output[:, 1] - output[:, 0]

    @property
    def _gives_logits(self) -> bool:
        return bool(getattr(self.model_.loss, "from_logits", False))

    def _several_labels(self, output: Array) -> bool:
        """Return whether each output is a probability of its own."""
        return self._multilabel or output.shape[1] == 1

    # Targets ---------------------------------------------------------------------------------

    def _begin(self, y: Array, classes: Any = None) -> None:
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise DataError(
                f"{self._owner}: y has several columns that are not all 0 and 1. Fit one estimator "
                "for each, for example with sklearn.multioutput.MultiOutputClassifier."
            )
        self._multilabel = kind == "multilabel-indicator"
        labels = y if self._multilabel else column_or_1d(y, warn=True)
        self.classes_ = unique_labels(labels) if classes is None else np.unique(classes)
        count = len(self.classes_)
        if count < 2 and not self._multilabel:
            raise DataError(
                f"{self._owner}: y has 1 class, {labels.tolist()[0]!r}; at least 2 are needed."
            )
        self.n_outputs_ = 1 if count == 2 and not self._multilabel else count

    def _encode(self, y: Array) -> Array:
        if self._multilabel:
            return np.asarray(y)
        y = column_or_1d(y)
        codes = np.searchsorted(self.classes_, y)
        unknown = codes == len(self.classes_)
        unknown |= self.classes_[np.minimum(codes, len(self.classes_) - 1)] != y
        if unknown.any():
            wrong = y[unknown].tolist()[0]
            raise DataError(
                f"{self._owner}: y has the class {wrong!r}, which is not among classes_, "
                f"{self.classes_.tolist()}."
            )
        return codes.reshape(-1, 1) if self.n_outputs_ == 1 else codes

    def _loss_for(self, network: Model) -> Any:
        logits = network.activation is None or not _is(network.activation, "Softmax", "Sigmoid")
        if network.output_shape == (None, self.n_outputs_) and (
            self._multilabel or self.n_outputs_ == 1
        ):
            return losses.BinaryCrossentropy(from_logits=logits)
        return losses.SparseCategoricalCrossentropy(from_logits=logits)

    def _check_outputs(self, network: Model) -> None:
        if self._multilabel or network.output_shape != (None, len(self.classes_)):
            super()._check_outputs(network)
        self.n_outputs_ = 2  # one for each of two classes

    def _score_for_logs(self) -> Any:
        return "accuracy"

    def _class_weights(self, y: Array) -> Array | None:
        if self.class_weight is None:
            return None
        found: Array = compute_sample_weight(self.class_weight, y)
        return found

    def _strata(self, y: Array) -> Array | None:
        return None if self._multilabel else column_or_1d(y)


class NeuralNetRegressor(RegressorMixin, NeuralNet):
    """A network that predicts numbers, as an estimator of scikit-learn.

    Args:
        hidden_layer_sizes: this and the further arguments are those of
            :class:`NeuralNetClassifier`, but ``class_weight``. The default ``loss`` is the mean
            squared error, and the score on held-out samples is R².

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> from netlayers.estimators import NeuralNetRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> net = NeuralNetRegressor((32,), learning_rate_init=0.1, tol=10, random_state=0)
        >>> net.fit(X, y).score(X, y) > 0.45
        True
    """

    _score_metric = "r2"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch; the optimizer goes on where the last call ended.

        Args:
            X: samples, see :meth:`fit`.
            y: targets.
            sample_weight: (n,).
        """
        return self._fit(X, y, sample_weight, goes_on=hasattr(self, "model_"), partial=True)

    def predict(self, X: Any) -> Array:
        """Return the predicted targets for ``X``, in the shape of those of ``fit``."""
        output = self._outputs(X)
        return output[:, 0] if self._flat else output

    def _begin(self, y: Array, classes: Any = None) -> None:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._flat = y.ndim == 1
        self.n_outputs_ = 1 if self._flat else y.shape[1]

    def _encode(self, y: Array) -> Array:
        y = np.asarray(y)
        if y.dtype.kind not in "fiub":
            y = y.astype(np.float64)
        targets = y.reshape(len(y), -1)
        if targets.shape[1] != self.n_outputs_:
            raise DataError(
                f"{self._owner}: y must have {self.n_outputs_} columns as in the first fit, got "
                f"{targets.shape[1]}."
            )
        return targets

    def _loss_for(self, network: Model) -> Any:
        return losses.MeanSquaredError()

    def _score_for_logs(self) -> Any:
        return metrics.R2Score(name="r2")


def _is(activation: Any, *names: str) -> bool:
    return type(activation).__name__ in names or str(activation).lower() in map(str.lower, names)
