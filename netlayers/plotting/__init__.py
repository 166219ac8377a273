"""Plots with matplotlib (``pip install matplotlib``), which is imported on first use."""
