"""Predictions out: mesh files, overlays and panels for people to look at."""
