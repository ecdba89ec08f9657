"""Judge a pair: statistics of its residual field, and the verdict. Works on numbers only."""
