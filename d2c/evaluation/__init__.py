"""Measure a model on pairs."""
