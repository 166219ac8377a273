"""Looking into a network while it computes: what is wrong with it, and where its time goes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netlayers.diagnostics.activations import ActivationHistograms, LayerActivations
    from netlayers.diagnostics.diagnosis import Diagnosis
    from netlayers.diagnostics.evidence import Finding
    from netlayers.diagnostics.surface import LossSurface
    from netlayers.diagnostics.profiling import ProfileReport
    from netlayers.training.nonfinite import NonFiniteOrigin

__all__ = [
    "ActivationHistograms",
    "Diagnosis",
    "Finding",
    "LayerActivations",
    "LossSurface",
    "NonFiniteOrigin",
    "ProfileReport",
]

# Where each is: loaded when asked for, as few programs that train look into a network.
_MODULES = {
    "ActivationHistograms": "netlayers.diagnostics.activations",
    "Diagnosis": "netlayers.diagnostics.diagnosis",
    "Finding": "netlayers.diagnostics.evidence",
    "LayerActivations": "netlayers.diagnostics.activations",
    "LossSurface": "netlayers.diagnostics.surface",
    "NonFiniteOrigin": "netlayers.training.nonfinite",
    "ProfileReport": "netlayers.diagnostics.profiling",
}


def __getattr__(name: str) -> Any:
    """Load a class when it is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Name them before they are loaded, too."""
    return sorted({*globals(), *__all__})
