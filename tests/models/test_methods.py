"""Methods of Model that call a function of a package take and document what it takes."""

import inspect

import pytest

import netlayers as nl
from netlayers.models.lbfgs import fit_lbfgs
from netlayers.models.summary import print_summary
from netlayers.models.trainable import TrainableModel
from netlayers.plotting.network import plot_network
from netlayers.trace import trace_step

FUNCTIONS = {
    "activation_histograms": nl.diagnostics.activation_histograms,
    "diagnose": nl.diagnostics.diagnose,
    "fit_lbfgs": fit_lbfgs,
    "gradients_of": nl.diagnostics.gradients_of,
    "load_weights": nl.saving.load_weights,
    "loss_surface": nl.diagnostics.loss_surface,
    "plot": plot_network,
    "profile": nl.diagnostics.profile,
    "save": nl.saving.save_model,
    "save_weights": nl.saving.save_weights,
    "summary": print_summary,
    "to_json": nl.saving.model_to_json,
    "trace": trace_step,
}
OWN_NAMES = {"path": "filepath"}  # what a function calls otherwise
# Arguments for what wraps a model.
FUNCTION_ALONE = {"save_model": {"arrays", "extra"}, "save_weights": {"extra"}}


def arguments(function, without=()):
    """Return names, kinds and defaults of all arguments but the first."""
    its = list(inspect.signature(function).parameters.values())[1:]
    return [
        (OWN_NAMES.get(p.name, p.name), p.kind, p.default) for p in its if p.name not in without
    ]


# Their functions have other names: see tests/models/test_keras_names.py.
KERAS = {
    "compile_from_config",
    "compute_loss",
    "get_compile_config",
    "predict_step",
    "reset_metrics",
    "test_step",
    "train_step",
}


def test_every_such_method_is_here():
    its = {n for n, v in vars(nl.models.Model).items() if inspect.isfunction(v) and n[0] != "_"}
    assert its - KERAS == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_method_takes_what_its_function_takes(name):
    function, method = FUNCTIONS[name], getattr(nl.models.Model, name)
    without = FUNCTION_ALONE.get(function.__name__, ())
    assert arguments(method) == arguments(function, without)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_documentation_of_a_method_names_its_function(name):
    function, method = FUNCTIONS[name], getattr(nl.models.Model, name)
    places = [function.__module__, function.__module__.rpartition(".")[0]]
    assert any(f":func:`{p}.{function.__name__}`" in method.__doc__ for p in places)
    text = inspect.getdoc(function)
    if "Args and errors: see" not in text:
        names = list(inspect.signature(function).parameters)
        assert [n for n in names if f"\n    {n}: " not in text] == []


def test_only_models_with_an_optimizer_are_searched_for_a_learning_rate():
    dense = nl.layers.Dense(2)
    with pytest.raises(nl.errors.ConfigurationError, match="expected a compiled model, got Dense"):
        nl.find_learning_rate(dense, [[1.0]], [[1.0]])


def test_the_bases_are_one_line():
    """Each adds one idea to the one before; none is a mixin."""
    for cls in (nl.models.Model, TrainableModel, *TrainableModel.__bases__):
        assert len(cls.__bases__) == 1
    assert issubclass(nl.models.Model, nl.layers.Layer)
