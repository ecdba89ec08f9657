"""What a pair, a report, a training step and an upscaled image cost, in seconds and memory."""
