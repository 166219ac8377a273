"""One training step with every number and every formula: as text, Markdown, HTML or a picture."""

from __future__ import annotations

from netlayers.trace.trace import Trace

__all__ = ["Trace"]
