"""The base of a network's entry in the table: its type, and defaults for everything that an entry may omit."""
