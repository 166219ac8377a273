"""Every class of the package that a user can make objects of, found without the registry."""

import sys

import netlayers as nl
from netlayers.metrics import Metric
from netlayers.optimizers.schedules import LearningRateSchedule

# For each kind: its base class, where it is exported, and the bases that are no class to use.
KINDS = {
    "layer": (
        nl.layers.Layer,
        nl.layers,
        {
            "ActivationLayer",
            "AdaptiveAveragePooling",
            "AdaptiveMaxPooling",
            "AdaptivePooling",
            "AffineAugmentation",
            "AffineLayer",
            "AffineNormalization",
            "ArrangingLayer",
            "AveragePooling",
            "Augmentation",
            "AxisProducts",
            "ClippedAugmentation",
            "ChannelDropout",
            "CellLayer",
            "ConvLSTM",
            "ConvLSTMCell",
            "Convolution",
            "Cropping",
            "DepthwiseConvolution",
            "FramedImages",
            "GatedCell",
            "GatedLayer",
            "GlobalAveragePooling",
            "GlobalMaxPooling",
            "GlobalPooling",
            "ImageLayer",
            "MaxPooling",
            "Mixing",
            "Pooling",
            "RNNCell",  # tests/layers/test_recurrent.py
            "RandomLayer",
            "Recurrent",
            "SeriesLayer",
            "SeparableConvolution",
            "SpatialLayer",
            "TransposedConvolution",
            "UpSampling",
            "WindowLayer",
            "ZeroPadding",
            "AxisActivation",
            "CallGraph",
            "Chain",
            "CompilableModel",
            "Container",
            "Functional",
            "Lambda",  # of functions, which are not saved: tests/layers/test_lambda.py
            "LayeredModel",
            "MergeLayer",
            "FunctionActivation",  # of a function of the user
            "Model",
            "Network",
            "NormalizingLayer",
            "SubclassedModel",
            "CategoricalLayer",
            "IndexLookup",
            "TextLookup",
            "TrainableModel",
            "VocabularyLayer",
        },
    ),
    "loss": (
        nl.losses.Loss,
        nl.losses,
        {
            "AxisLoss",
            "ClassTargets",
            "CombinedLoss",
            "Crossentropy",
            "ElementwiseLoss",
            "OneHotTargets",
            "OutputLosses",  # on tuples: see tests/models/test_functional.py
            "FunctionLoss",
        },
    ),
    "optimizer": (nl.optimizers.Optimizer, nl.optimizers, {"Moments"}),
    "schedule": (LearningRateSchedule, nl.optimizers.schedules, set()),
    "metric": (Metric, nl.metrics, {"MeanMetric", "LossMetric"}),
    "initializer": (nl.initializers.Initializer, nl.initializers, {"RandomInitializer"}),
    "regularizer": (nl.regularizers.Regularizer, nl.regularizers, set()),
    "constraint": (nl.constraints.Constraint, nl.constraints, set()),
    # SwapEMAWeights needs an optimizer with averages: see callbacks/test_swap_ema.py; Plateau is
    # of the estimators alone: see estimators/test_training.py.
    "callback": (
        nl.callbacks.Callback,
        nl.callbacks,
        {"MonitorCallback", "BackupCallback", "Plateau", "SwapEMAWeights"},
    ),
}


def ours(cls):
    # A class of a docstring's example claims the module too, but is not in it.
    module = sys.modules.get(cls.__module__)
    return cls.__module__.startswith("netlayers.") and hasattr(module, cls.__name__)


def concrete(kind):
    """Every class of a kind that is no base class."""
    base, _, abstract = KINDS[kind]
    found, todo = [], list(base.__subclasses__())
    while todo:
        cls = todo.pop()
        todo += cls.__subclasses__()
        if ours(cls) and not cls.__name__.startswith("_") and cls.__name__ not in abstract:
            found.append(cls)
    return sorted(set(found), key=lambda c: c.__name__)
