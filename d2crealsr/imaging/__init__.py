"""Geometry, photometry, the crop and the single resampling: mathematics on arrays, without files."""
