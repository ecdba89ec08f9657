"""Measure pairs against known truth. This code is independent of the code that it judges."""
