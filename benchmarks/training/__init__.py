"""What the parts of the model are worth, by training with and without them."""
