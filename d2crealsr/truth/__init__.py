"""Measure pairs against known truth; nothing here shares code with what it judges."""
