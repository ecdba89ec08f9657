"""Estimate where the HR capture lies in the LR capture."""
