"""What the estimators have in common: their parameters, and how they train."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from netlayers.callbacks import EarlyStopping
from netlayers.checks import (
    check_integer,
    check_number,
    check_verbose,
    listed,
    named_in_errors,
)
from netlayers.errors import ConfigurationError, DataError
from netlayers.estimators.building import given_model, layers_of_sizes
from netlayers.estimators.parameters import OF_OPTIMIZERS, Parameters
from netlayers.estimators.rates import Plateau, inverse_scaling
from netlayers.models import Model

if TYPE_CHECKING:
    from typing import Self

    from netlayers._typing import Array

_FLOATS = (np.float64, np.float32)


class NeuralNet(Parameters):
    """Base class of the estimators.

    The parameters are those of :class:`NeuralNetClassifier`.
    """

    _score_metric: str  # of the validation: its name in the logs

    # Targets: a subclass says what they are --------------------------------------------------

    def _begin(self, y: Array, classes: Any = None) -> None:
        """Learn from the first targets what the outputs are: ``n_outputs_``, ``classes_``."""
        raise NotImplementedError

    def _encode(self, y: Array) -> Array:
        """Return the targets of the network."""
        raise NotImplementedError

    def _loss_for(self, network: Model) -> Any:
        """Return the loss of a network that is not compiled."""
        raise NotImplementedError

    def _score_for_logs(self) -> Any:
        """Return the metric that early stopping watches."""
        raise NotImplementedError

    def _class_weights(self, y: Array) -> Array | None:
        """Return the weights of the samples by their classes, if there are any."""
        return None

    def _strata(self, y: Array) -> Array | None:
        """Return the groups that the validation holds in the same shares, if there are any."""
        return None

    # Train -----------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None) -> Self:
        """Train a new network, or with ``warm_start`` the one that is there.

        Args:
            X: samples, (n, features): an array, a frame or a sparse matrix; for a ``model`` that
                takes them, arrays with more axes.
            y: targets, (n,) or (n, outputs).
            sample_weight: (n,). The loss is the weighted mean.
            eval_set: ``(X, y)`` for validation after each epoch, instead of a
                ``validation_fraction`` of the samples.

        Raises:
            ValueError: invalid data or parameters.
        """
        goes_on = self.warm_start and hasattr(self, "model_")
        return self._fit(X, y, sample_weight, eval_set, goes_on=goes_on)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        eval_set: Any = None,
        *,
        goes_on: bool,
        classes: Any = None,
        partial: bool = False,
    ) -> Self:
        self._check_parameters()
        X, y = self._checked(X, y, first=not goes_on)
        if not goes_on:
            self._begin(y, classes)
        targets = self._encode(y)
        weight, mean = self._weights(X, y, sample_weight)
        if partial and self.early_stopping:
            raise ConfigurationError(
                f"{self._owner}: partial_fit does not support early_stopping=True: it makes one "
                "pass over the samples."
            )
        held_out = self._held_out(eval_set)
        if held_out is None and self.early_stopping:
            X, held, targets, held_y, weight, held_weight = self._split(X, targets, weight, y)
            held_out = (held, held_y) if held_weight is None else (held, held_y, held_weight)
        batch = self._batch_size(X.shape[0])
        if not goes_on:
            self._build(X, batch * mean, weight is not None, validates=held_out is not None)
        self._train(X, targets, weight, held_out, batch, partial)
        return self

    def _train(
        self,
        X: Any,
        targets: Array,
        weight: Array | None,
        held_out: Any,
        batch: int,
        partial: bool,
    ) -> None:
        epochs = 1 if partial else self.max_iter
        own = [] if partial else self._own_callbacks(X.shape[0], held_out is not None)
        callbacks = [*copy.deepcopy(listed(self.callbacks) if self.callbacks else []), *own]
        common = {
            "sample_weight": weight,
            "validation_data": held_out,
            "callbacks": callbacks,
            "verbose": 2 if self.verbose is True else check_verbose(self._owner, self.verbose),
        }
        if self.solver == "lbfgs" and self.optimizer is None:
            history = self.model_.fit_lbfgs(
                X, targets, epochs, gradient_tolerance=self.tol, loss_tolerance=0.0, **common
            )
        else:
            history = self.model_.fit(
                X, targets, batch_size=batch, epochs=epochs, shuffle=self.shuffle, **common
            )
        self._remember(history.history)
        if not partial and not self.model_.stop_training and len(history.epoch) == epochs:
            warnings.warn(
                f"{self._owner}: max_iter={epochs} was reached while the loss still fell; raise "
                "max_iter, or the learning rate.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _remember(self, logs: dict[str, list[float]]) -> None:
        for name, values in logs.items():
            self.history_.setdefault(name, []).extend(values)
        self.loss_curve_ = self.history_["loss"]
        self.n_iter_ = len(self.loss_curve_)
        self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = min(self.loss_curve_)
        scores = self.history_.get(f"val_{self._score_metric}")
        if scores is not None:
            self.validation_scores_ = scores
            self.best_validation_score_ = max(scores)

    def _own_callbacks(self, samples: int, validates: bool) -> list[Any]:
        """Return what ends the training, and what changes the rate."""
        if self.solver == "lbfgs" and self.optimizer is None:
            return []
        found: list[Any] = []
        if validates and self.early_stopping:
            found.append(
                EarlyStopping(
                    f"val_{self._score_metric}",
                    min_delta=self.tol,
                    patience=self.n_iter_no_change,
                    mode="max",
                    restore_best_weights=True,
                )
            )
        else:
            adaptive = self.learning_rate == "adaptive"
            found.append(Plateau(self.tol, self.n_iter_no_change, adaptive))
        if self.learning_rate == "invscaling":
            found.append(inverse_scaling(self.learning_rate_init, self.power_t, samples))
        return found

    # Data ------------------------------------------------------------------------------------

    def _checked(self, X: Any, y: Any, *, first: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            dtype=_FLOATS,
            allow_nd=self.model is not None,
            reset=first,
        )
        return X, y

    def _inputs(self, X: Any) -> Any:
        """Return the checked samples of a fitted estimator."""
        check_is_fitted(self)
        return validate_data(
            self,
            X,
            accept_sparse="csr",
            dtype=_FLOATS,
            allow_nd=self.model is not None,
            reset=False,
        )

    def _outputs(self, X: Any) -> Array:
        """Return what the network predicts for samples as a user gives them."""
        X = self._inputs(X)
        return np.asarray(self.model_.predict(X, verbose=0))

    def _weights(self, X: Any, y: Array, sample_weight: Any) -> tuple[Array | None, float]:
        """Return the weights of the samples, divided by their mean, and their mean.

        The loss, a mean over the samples, is then the weighted mean.
        """
        by_class = self._class_weights(y)
        if sample_weight is None:
            weight = by_class
        else:
            weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            weight = weight if by_class is None else weight * by_class
        if weight is None:
            return None, 1.0
        mean = float(weight.mean())
        if not mean:
            raise DataError(f"{self._owner}: all weights of samples are 0, so there is no loss.")
        return weight / mean, mean

    def _held_out(self, eval_set: Any) -> Any:
        if eval_set is None:
            return None
        if isinstance(eval_set, list) and len(eval_set) == 1:
            eval_set = eval_set[0]
        if not isinstance(eval_set, tuple) or len(eval_set) != 2:
            raise DataError(
                f"{self._owner}: eval_set must be a tuple (X, y), got {type(eval_set).__name__}."
            )
        with named_in_errors("eval_set", (ValueError,)):
            X, y = self._checked(*eval_set, first=False)
            return X, self._encode(y)

    def _split(
        self, X: Any, targets: Array, weight: Array | None, y: Array
    ) -> tuple[Any, Any, Array, Array, Array | None, Array | None]:
        """Hold out samples for validation."""
        fraction = check_number(
            self._owner, "validation_fraction", self.validation_fraction, above=0, below=1
        )
        arrays = [X, targets] if weight is None else [X, targets, weight]
        parts = train_test_split(
            *arrays,
            test_size=fraction,
            random_state=check_random_state(self.random_state),
            stratify=self._strata(y),
        )
        none = (None, None) if weight is None else ()
        return (*parts, *none)

    def _batch_size(self, samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, samples)
        size = check_integer(self._owner, "batch_size", self.batch_size, minimum=1)
        if size > samples:
            warnings.warn(
                f"{self._owner}: batch_size={size} is larger than the {samples} samples, which "
                "are one batch.",
                stacklevel=5,
            )
        return min(size, samples)

    # Build -----------------------------------------------------------------------------------

    def _build(self, X: Any, batch: float, weighted: bool, *, validates: bool) -> None:
        """Make the network.

        Args:
            X: the samples.
            batch: sum of the weights of a batch.
            weighted: whether the samples have weights.
            validates: whether there are held-out samples.
        """
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        if self.model is None:
            network = layers_of_sizes(self, X.dtype.name, batch, seed)
        else:
            network = given_model(self, seed)
        network.build((None, *X.shape[1:]))
        if network.output_shape != (None, self.n_outputs_):
            self._check_outputs(network)
        settings = network.get_compile_config() or {}
        if not settings:
            kind = "weighted_metrics" if weighted else "metrics"
            settings["loss"] = self._loss_for(network)
            settings[kind] = [self._score_for_logs()] if validates else []
        if self.loss is not None:
            settings["loss"] = copy.deepcopy(self.loss)
        if self.optimizer is None and "optimizer" in settings:
            self._refuse(OF_OPTIMIZERS, "a compiled model, which has an optimizer")
        else:
            settings["optimizer"] = self._new_optimizer()
        network.compile(**settings)
        self.model_ = network
        self.history_: dict[str, list[float]] = {}

    def _check_outputs(self, network: Model) -> None:
        raise ConfigurationError(
            f"{self._owner}: the targets need a network with {self.n_outputs_} outputs, but those "
            f"of model have the shape {network.output_shape}."
        )
