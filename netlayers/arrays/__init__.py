"""Conversion and checks of user data: arrays, sparse matrices, data frames, other libraries."""
