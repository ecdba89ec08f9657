"""Measure pairs that others made, from their published images alone."""
