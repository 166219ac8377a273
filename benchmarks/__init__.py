"""How fast netlayers is, beside PyTorch, JAX, Keras and scikit-learn: ``python -m benchmarks``."""
