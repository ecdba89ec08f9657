"""Settings of models and of training: their fields, named presets, TOML files."""
