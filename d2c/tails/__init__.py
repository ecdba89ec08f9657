"""Tails for several networks: upscale modules without activation, run as one convolution."""
