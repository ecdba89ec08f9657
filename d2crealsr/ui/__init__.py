"""What people see of a command, for both packages alike."""
