"""Timing compiled programs, and what a device could do at best."""
