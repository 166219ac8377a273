"""No class has more public names than a person can know."""

import importlib
import inspect
import pkgutil
import sys

import pytest

import netlayers
from netlayers.arrays.complex_step import ComplexStep
from netlayers.core.binding import Declared

# The public names of Keras 3's base classes (https://keras.io/api/, classes Layer, Model and
# Sequential, Loss, Optimizer, Metric, Callback and Initializer), with those that Keras 2 still has
# on models: who knows Keras knows these, so they do not count.
KERAS_LAYER = """
    activity_regularizer add_loss add_metric add_variable add_weight autocast build
    build_from_config built call compute_dtype compute_mask compute_output_shape
    compute_output_spec count_params dtype dtype_policy from_config get_build_config get_config
    get_weights input input_dtype input_spec load_own_variables losses metrics metrics_variables
    name non_trainable_variables non_trainable_weights output path quantize save_own_variables
    set_weights stateless_call supports_masking symbolic_call trainable trainable_variables
    trainable_weights variable_dtype variables weights
"""
# Of Keras's preprocessing layers.
VOCABULARY = "adapt get_vocabulary idf_weights output_mode set_vocabulary vocabulary_size"
IMAGES = "get_random_transformation transform_images transform_labels transform_segmentation_masks"
KERAS = {
    "Layer": KERAS_LAYER,
    "CategoricalLayer": VOCABULARY,
    "Augmentation": IMAGES,
    "SeriesLayer": "backward_layer cell forward_layer layer reset_state",
    "FeatureSpace": """
    adapt cross feature float float_discretized float_normalized float_rescaled
    get_encoded_features get_inputs integer_categorical integer_hashed output_mode save
    string_categorical string_hashed
    """,
    "Activation": KERAS_LAYER + "activation",
    "Model": KERAS_LAYER
    + """
    add compile compile_from_config compiled_metrics compute_loss compute_metrics
    distribute_strategy evaluate export fit get_compile_config get_layer get_metrics_result history
    input_shape inputs jit_compile layers load_weights loss make_predict_function
    make_test_function make_train_function metrics_names optimizer output_shape outputs pop predict
    predict_on_batch predict_step reset_metrics reset_states run_eagerly save save_weights stateful
    stop_evaluating stop_predicting stop_training summary test_on_batch test_step to_json
    train_on_batch train_step
    """,
    "Loss": "call dtype from_config get_config name reduction",
    "Optimizer": """
    add_optimizer_variables add_variable add_variable_from_reference apply apply_gradients assign
    assign_add assign_sub build built clipnorm clipvalue ema_momentum ema_overwrite_frequency
    exclude_from_weight_decay finalize_variable_values from_config get_config global_clipnorm
    gradient_accumulation_steps iterations learning_rate load_own_variables loss_scale_factor name
    save_own_variables scale_loss set_weights stateless_apply update_step use_ema variables
    weight_decay
    """,
    "Metric": """
    add_variable add_weight dtype from_config get_config name reset_state result stateless_result
    stateless_reset_state stateless_update_state update_state variables
    """,
    "Callback": """
    model on_batch_begin on_batch_end on_epoch_begin on_epoch_end on_predict_batch_begin
    on_predict_batch_end on_predict_begin on_predict_end on_test_batch_begin on_test_batch_end
    on_test_begin on_test_end on_train_batch_begin on_train_batch_end on_train_begin on_train_end
    params set_model set_params
    """,
    "Initializer": "clone from_config get_config",
}
KERAS = {kind: set(names.split()) for kind, names in KERAS.items()}
NAMES = 25
MODEL_NAMES = 45
# The classes of models, each with its bases that are models too.
MODELS = {c for c in netlayers.Sequential.__mro__ if issubclass(c, netlayers.models.Model)}
MODELS |= {netlayers.models.Functional}
MODELS |= {c for c in netlayers.models.Model.__mro__ if c.__name__.endswith("Model")}
FUNCTIONS = {"Kernels"}  # a table of functions, in NumPy or compiled: each name is a kernel


def classes():
    """Return the classes of the package."""
    found = {}
    modules = [m.name for m in pkgutil.walk_packages(netlayers.__path__, "netlayers.")]
    for module in modules:
        if module.startswith("netlayers.kernels.compiled"):  # which needs numba
            continue
        for value in vars(importlib.import_module(module)).values():
            if inspect.isclass(value) and value.__module__ == module:
                found[f"{module}.{value.__qualname__}"] = value
    return [found[name] for name in sorted(found)]


def own_names(cls):
    """Return the public names of a class, its own and inherited, that are not another's.

    Those of Keras's class of that kind, of NumPy's or Python's that it is derived from, and the
    weights of a layer are left out.
    """
    bases = {base.__name__ for base in cls.__mro__}
    bases |= {"Activation"} if "ActivationLayer" in bases else set()
    bases |= {"Model"} if cls in MODELS else set()
    known = set().union(*(KERAS[kind] for kind in bases & set(KERAS)))
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] in {"numpy", *sys.stdlib_module_names}:
            known |= set(dir(base))
    mine = {name for name in dir(cls) if not name.startswith("_")} - known
    return {name for name in mine if not isinstance(inspect.getattr_static(cls, name), Declared)}


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_no_class_has_too_many_names(cls):
    limit = MODEL_NAMES if cls in MODELS else NAMES
    names = own_names(cls)
    if cls.__name__ not in FUNCTIONS:
        assert len(names) <= limit, f"{cls.__name__} has {len(names)} names: {sorted(names)}"


def test_names_are_counted():
    class Wide(netlayers.layers.Layer):
        supports_masking = True  # a name of Keras
        _private = 1

    before = own_names(netlayers.layers.Layer)
    assert {"forward", "backward", "prepare"} <= before
    assert own_names(Wide) == before
    for number in range(NAMES):
        setattr(Wide, f"name_{number}", number)
    assert len(own_names(Wide)) == len(before) + NAMES > NAMES
    model = own_names(netlayers.Sequential)
    assert "diagnose" in model
    assert "fit" not in model
    assert own_names(ComplexStep) == set()
