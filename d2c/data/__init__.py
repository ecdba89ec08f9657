"""Pairs of files as patches to train on: found, decoded once, cut."""
