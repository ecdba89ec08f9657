"""Measure pairs that others made, using only their published images."""
