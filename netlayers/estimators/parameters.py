"""The parameters of the estimators, also of their parts: ``optimizer__learning_rate``."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from sklearn.base import BaseEstimator

from netlayers import optimizers
from netlayers._remade import remade
from netlayers.checks import (
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_verbose,
)
from netlayers.errors import ConfigurationError
from netlayers.optimizers import Optimizer

# Arguments that only one solver uses, and their defaults.
_OF_SOLVERS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.9, "nesterovs_momentum": True},
    "adam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
}
# Those that an optimizer stands in place of.
OF_OPTIMIZERS = {
    "solver": "adam",
    "learning_rate_init": 0.001,
    **_OF_SOLVERS["sgd"],
    **_OF_SOLVERS["adam"],
}
# Those of the network that a model stands in place of.
_OF_SIZES = {"hidden_layer_sizes": (100,), "activation": "relu", "alpha": 0.0001}
# Those without effect on L-BFGS.
_OF_STEPS = {
    "learning_rate_init": 0.001,
    "batch_size": "auto",
    "learning_rate": "constant",
    "early_stopping": False,
    "shuffle": True,
    "n_iter_no_change": 10,
}
_PARTS = ("model", "optimizer")


class Parameters(BaseEstimator):
    """Gives ``get_params`` and ``set_params`` the arguments of the optimizer and of the model.

    ``optimizer__<name>`` is an argument of the optimizer, and ``model__<name>`` one that the
    function ``model`` is called with. They are kept in these two parameters themselves, as a new
    optimizer and as a ``functools.partial``, so that ``clone`` and pickling need nothing more.
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
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.callbacks = callbacks

    @property
    def _owner(self) -> str:
        return type(self).__name__

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Args:
            deep: also return those of the optimizer and of the function ``model``.
        """
        params: dict[str, Any] = super().get_params(deep)
        if deep:
            parts = {"model": keywords(self.model), "optimizer": _arguments(self.optimizer)}
            for part, found in parts.items():
                params |= {f"{part}__{name}": value for name, value in found.items()}
        return params

    def set_params(self, **params: Any) -> Any:
        """Set parameters.

        Args:
            params: parameters by name, also ``optimizer__<name>`` and ``model__<name>``. The first
                ``optimizer__<name>`` makes an optimizer of ``solver`` and its arguments, which
                return to their defaults.

        Raises:
            ValueError: there is no parameter of this name.
        """
        nested: dict[str, dict[str, Any]] = {}
        plain = {}
        for key, value in params.items():
            part, found, name = key.partition("__")
            if found and part in _PARTS:
                nested.setdefault(part, {})[name] = value
            else:
                plain[key] = value
        super().set_params(**plain)
        if "model" in nested:
            if not callable(self.model) or hasattr(self.model, "layers"):
                names = ", ".join(f"model__{name}" for name in nested["model"])
                raise ConfigurationError(
                    f"{self._owner}: {names} can be set only if model is a function, which "
                    f"is called with them; it is {self.model!r}."
                )
            self.model = self._changed_function(nested["model"])
        if "optimizer" in nested:
            self.optimizer = self._changed_optimizer(nested["optimizer"])
        return self

    def _changed_function(self, changes: dict[str, Any]) -> Any:
        known = inspect.signature(self.model).parameters
        for name in changes:
            if name not in known and all(p.kind is not p.VAR_KEYWORD for p in known.values()):
                raise ConfigurationError(
                    f"{self._owner}: model__{name} is not an argument of the function model, "
                    f"which has {', '.join(known) or 'none'}."
                )
        return functools.partial(self.model, **changes)

    def _changed_optimizer(self, changes: dict[str, Any]) -> Optimizer:
        given = self.optimizer
        if given is None:
            given = getattr(self.model, "optimizer", None) or self._take_optimizer_of_solver()
        optimizer: Optimizer = optimizers.get(given)
        config = optimizer.get_config()
        for name in changes:
            if name not in config:
                raise ConfigurationError(
                    f"{self._owner}: optimizer__{name} is not an argument of "
                    f"{type(optimizer).__name__}, which has {', '.join(sorted(config))}."
                )
        return remade(optimizer, **changes)

    def _new_optimizer(self) -> Optimizer:
        if self.optimizer is None:
            return self._optimizer_of_solver()
        optimizer: Optimizer = optimizers.get(self.optimizer)
        return remade(optimizer)

    def _optimizer_of_solver(self) -> Optimizer:
        rate = check_number(self._owner, "learning_rate_init", self.learning_rate_init, above=0)
        if self.solver == "sgd":
            nesterov = bool(self.nesterovs_momentum and self.momentum)
            return optimizers.SGD(rate, self.momentum, nesterov)
        return optimizers.Adam(rate, self.beta_1, self.beta_2, self.epsilon)

    def _take_optimizer_of_solver(self) -> Optimizer:
        optimizer = self._optimizer_of_solver()
        for name, default in OF_OPTIMIZERS.items():
            setattr(self, name, default)
        return optimizer

    def _check_parameters(self) -> None:
        owner = self._owner
        check_choice(owner, "solver", self.solver, ("adam", "sgd", "lbfgs"))
        check_choice(
            owner, "learning_rate", self.learning_rate, ("constant", "invscaling", "adaptive")
        )
        for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping"):
            check_flag(owner, name, getattr(self, name))
        check_number(owner, "tol", self.tol, minimum=0)
        check_verbose(owner, self.verbose)
        check_integer(owner, "max_iter", self.max_iter, minimum=1)
        check_integer(owner, "n_iter_no_change", self.n_iter_no_change, minimum=0)
        if self.model is not None:
            self._refuse(_OF_SIZES, "model, which has its own layers")
        reason = f"solver={self.solver!r}"
        if self.optimizer is not None:
            unused, reason = OF_OPTIMIZERS, "optimizer, which has its own arguments"
            if self.learning_rate == "invscaling":
                raise ConfigurationError(
                    f"{owner}: learning_rate='invscaling' goes with solver; give optimizer a "
                    "learning rate schedule instead."
                )
        elif self.solver == "lbfgs":
            unused = _OF_STEPS | _OF_SOLVERS["sgd"] | _OF_SOLVERS["adam"]
        else:
            unused = _OF_SOLVERS["adam" if self.solver == "sgd" else "sgd"]
        self._refuse(unused, reason)
        if self.learning_rate != "invscaling":
            self._refuse({"power_t": 0.5}, f"learning_rate={self.learning_rate!r}")

    def _refuse(self, unused: dict[str, Any], reason: str) -> None:
        """Raise for arguments that have another value than the default, but no effect."""
        for name, default in unused.items():
            value = getattr(self, name)
            if value is not default and value != default:
                raise ConfigurationError(
                    f"{self._owner}: {name}={value!r} has no effect with {reason}; leave it out."
                )


def keywords(model: Any) -> dict[str, Any]:
    """Return what was set by ``model__<name>``."""
    return dict(model.keywords) if isinstance(model, functools.partial) else {}


def _arguments(optimizer: Any) -> dict[str, Any]:
    if not isinstance(optimizer, (str, Optimizer)):
        return {}
    try:
        found: dict[str, Any] = optimizers.get(optimizer).get_config()
    except ConfigurationError:  # an unknown name, which fit refuses
        return {}
    return found
