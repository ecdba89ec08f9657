"""What the parts of the model contribute, measured by training with and without them."""
