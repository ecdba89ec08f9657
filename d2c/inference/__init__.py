"""A model on whole images: what it takes, how it is run, what is written."""
