"""The `i2uv` command: one module per verb, each with `add_parser` and `run`."""
