"""What is left between a published pair, the verdict on it, and its true error where the truth is known."""
