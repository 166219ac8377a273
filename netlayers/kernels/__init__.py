"""Numerical kernels other than matrix products, in NumPy and compiled with numba."""
