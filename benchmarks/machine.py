"""The machine of a measurement, and the versions of the packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

PACKAGES = ("netlayers", "numpy", "scipy", "numba", "torch", "jax", "jaxlib", "keras")
PACKAGES += ("scikit-learn",)
VARIABLES = ("OPENBLAS_CORETYPE", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "XLA_FLAGS")


def describe(threads: list[int]) -> dict[str, Any]:
    """Return processor, system, versions, threads and environment variables that affect speed."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {p: v for p in PACKAGES if (v := version(p))},
        "threads": threads,
        "environment": {v: os.environ[v] for v in VARIABLES if v in os.environ},
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
    }


def version(package: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Return the name of the processor."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
