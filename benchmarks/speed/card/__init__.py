"""The parts of the program ``benchmarks.speed.on_cuda``, which need PyTorch, NumPy and the engine of d2c alone."""
