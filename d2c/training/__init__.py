"""Training runs: the loop, the engine, the folder and the log of a run."""
