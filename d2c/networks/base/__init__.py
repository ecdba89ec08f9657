"""What an entry of the table is made of: its type, and the defaults of all that an entry may leave out."""
