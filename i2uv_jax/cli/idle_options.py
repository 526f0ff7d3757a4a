"""Options that would do nothing beside others: refused, so that nobody believes in them."""

import argparse

from i2uv_jax.cli.failure import CommandError


def refuse_idle(args: argparse.Namespace, why: str, *options: str) -> None:
    """Refuses options where others leave them without effect.

    Args:
      args: where options that were not given are None, False or empty.
      why: ends the line: what leaves them without effect.
      options: without dashes.

    Raises:
      CommandError: one of them was given.
    """
    for option in options:
        given = getattr(args, option.replace("-", "_"))
        if given is not None and given is not False and given != []:
            raise CommandError(f"--{option} does nothing {why}")
