"""Geometry, photometry, the crop and the one resampling: mathematics on arrays, no files."""
