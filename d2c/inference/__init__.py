"""Run a model on whole images: predict the memory, run it, write the results."""
