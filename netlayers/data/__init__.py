"""From a user's arrays to the batches of the training loop."""
