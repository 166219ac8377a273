"""The gradient laboratory: looking into a network while it computes."""
