"""From a memory card to raw captures: which frames show one card, which of them is HR, and which are the sharpest."""
