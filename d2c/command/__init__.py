"""The commands of ``d2c``."""
