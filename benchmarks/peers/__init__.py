"""Tools and networks of others, on the same captures."""
