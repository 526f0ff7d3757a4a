"""Hands as boxes in whole pictures: what a detector learns, what it answers, how good that is."""
