"""The gradient laboratory: looking into a network while it computes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netlayers.inspection.activations import ActivationHistograms, LayerActivations
    from netlayers.inspection.diagnosis import Diagnosis
    from netlayers.inspection.evidence import Finding
    from netlayers.inspection.nonfinite import NonFiniteOrigin
    from netlayers.inspection.profile import ProfileReport
    from netlayers.inspection.surface import LossSurface
    from netlayers.inspection.trace import Trace

__all__ = [
    "ActivationHistograms",
    "Diagnosis",
    "Finding",
    "LayerActivations",
    "LossSurface",
    "NonFiniteOrigin",
    "ProfileReport",
    "Trace",
]

# Where each is: loaded when asked for, as few programs that train look into a network.
_MODULES = {
    "ActivationHistograms": "activations",
    "Diagnosis": "diagnosis",
    "Finding": "evidence",
    "LayerActivations": "activations",
    "LossSurface": "surface",
    "NonFiniteOrigin": "nonfinite",
    "ProfileReport": "profile",
    "Trace": "trace",
}


def __getattr__(name: str) -> Any:
    """Load a class when it is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Name them before they are loaded, too."""
    return sorted({*globals(), *__all__})
