"""Tests of both packages, and what several of their folders share."""
