"""Other people's tools and networks on the same captures."""
