"""Looking into a model: what it computes, why it does not learn, where its time goes."""

from __future__ import annotations


class Inspected:
    """What looks into a model: for the class ``Model``."""
