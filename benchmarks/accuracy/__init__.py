"""The accuracy of alignment, and which pairs QA accepts."""
