"""The loops beside the matrix products: in NumPy, and the same compiled."""
