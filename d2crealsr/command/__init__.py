"""The command ``d2crealsr``: parse, call, print, exit code."""
