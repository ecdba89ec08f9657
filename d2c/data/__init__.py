"""Find pairs of image files, decode each image once, and cut patches to train on."""
