"""Build a real-world super-resolution dataset from raw captures."""
