"""One training step with every number and every formula: as text, Markdown, HTML or a picture."""

from __future__ import annotations

from netlayers.trace.trace import Trace, trace_step

__all__ = ["Trace", "trace_step"]
