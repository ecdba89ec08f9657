"""The file layer: the pairs format and its reader, raw layouts, images, atomic writes. All that `d2c` may import."""
