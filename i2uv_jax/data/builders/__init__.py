"""Builders of stored sets for tensorflow-datasets, one module a set."""
