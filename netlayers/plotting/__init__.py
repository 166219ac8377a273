"""Plots with matplotlib (``pip install "netlayers[plot]"``), which is imported on first use."""
