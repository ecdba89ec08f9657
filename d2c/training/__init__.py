"""A training run: its loop, its engine, its folder, its log."""
