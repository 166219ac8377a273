"""Looking into a network while it computes: what is wrong with it, and where its time goes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netlayers.diagnostics.activations import (
        ActivationHistograms,
        LayerActivations,
        activation_histograms,
    )
    from netlayers.diagnostics.diagnosis import Diagnosis, diagnose
    from netlayers.diagnostics.evidence import Finding
    from netlayers.diagnostics.gradients import gradients_of
    from netlayers.diagnostics.heat_maps import HeatMaps, grad_cam, saliency
    from netlayers.diagnostics.image_maps import FeatureMaps, Filters, feature_maps, filters
    from netlayers.diagnostics.lr_finder import LearningRateCurve, find_learning_rate
    from netlayers.diagnostics.profiling import ProfileReport, profile
    from netlayers.diagnostics.replay import Replay, replay_snapshot
    from netlayers.diagnostics.surface import LossSurface, loss_surface
    from netlayers.training.nonfinite import NonFiniteOrigin

__all__ = [
    "ActivationHistograms",
    "Diagnosis",
    "FeatureMaps",
    "Filters",
    "Finding",
    "HeatMaps",
    "LayerActivations",
    "LearningRateCurve",
    "LossSurface",
    "NonFiniteOrigin",
    "ProfileReport",
    "Replay",
    "activation_histograms",
    "diagnose",
    "feature_maps",
    "filters",
    "find_learning_rate",
    "grad_cam",
    "gradients_of",
    "loss_surface",
    "profile",
    "replay_snapshot",
    "saliency",
]

# The module of each name. It is loaded on first use: few programs that train look into a network.
_MODULES = {
    "ActivationHistograms": "netlayers.diagnostics.activations",
    "Diagnosis": "netlayers.diagnostics.diagnosis",
    "FeatureMaps": "netlayers.diagnostics.image_maps",
    "Filters": "netlayers.diagnostics.image_maps",
    "Finding": "netlayers.diagnostics.evidence",
    "HeatMaps": "netlayers.diagnostics.heat_maps",
    "LayerActivations": "netlayers.diagnostics.activations",
    "LearningRateCurve": "netlayers.diagnostics.lr_finder",
    "LossSurface": "netlayers.diagnostics.surface",
    "NonFiniteOrigin": "netlayers.training.nonfinite",
    "ProfileReport": "netlayers.diagnostics.profiling",
    "Replay": "netlayers.diagnostics.replay",
    "activation_histograms": "netlayers.diagnostics.activations",
    "diagnose": "netlayers.diagnostics.diagnosis",
    "feature_maps": "netlayers.diagnostics.image_maps",
    "filters": "netlayers.diagnostics.image_maps",
    "find_learning_rate": "netlayers.diagnostics.lr_finder",
    "grad_cam": "netlayers.diagnostics.heat_maps",
    "gradients_of": "netlayers.diagnostics.gradients",
    "loss_surface": "netlayers.diagnostics.surface",
    "profile": "netlayers.diagnostics.profiling",
    "replay_snapshot": "netlayers.diagnostics.replay",
    "saliency": "netlayers.diagnostics.heat_maps",
}


def __getattr__(name: str) -> Any:
    """Load a class or function when it is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """List the names before they are loaded, too."""
    return sorted({*globals(), *__all__})
