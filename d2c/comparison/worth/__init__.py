"""Whether the tree beats one path: the arms, their trainings, what is measured, and the page."""
