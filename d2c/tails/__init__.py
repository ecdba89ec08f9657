"""Tails that several networks can use: upscale modules without activation, as one convolution."""
