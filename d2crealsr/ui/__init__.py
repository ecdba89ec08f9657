"""What people see of a command, for both packages alike: its streams, its version."""
