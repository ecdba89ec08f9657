"""Run work in several processes: pools, and the threads of a worker."""
