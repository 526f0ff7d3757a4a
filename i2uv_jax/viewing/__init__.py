"""Predictions out: mesh files, overlays, panels, and writing any of them whole or not at all."""
