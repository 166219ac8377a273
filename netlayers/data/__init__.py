"""Turn a user's data into batches for the training loop."""
