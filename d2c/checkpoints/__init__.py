"""Weights in files: our own format, and pickles that are read without executing them."""
