"""Work spread over processes: pools and the threads of a worker."""
