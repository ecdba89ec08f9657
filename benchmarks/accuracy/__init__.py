"""How far pairs are aligned, and which of them QA lets through."""
