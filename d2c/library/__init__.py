"""Functions for notebooks and programs: one call each for what the commands do."""
