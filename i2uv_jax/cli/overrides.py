"""Config values on the command line: what argparse does not recognise is left for the config."""

import argparse
from collections.abc import Sequence
from functools import partial


def leave_overrides(parser: argparse.ArgumentParser) -> None:
    """Makes a parser put arguments that it does not know into `overrides`, as `--key=value`.

    Config keys are not known to argparse; the config itself can name near matches.
    """
    parser.parse_known_args = partial(_parse_with_overrides, parser)


def _parse_with_overrides(
    parser: argparse.ArgumentParser,
    args: Sequence[str] | None = None,
    namespace: argparse.Namespace | None = None,
) -> tuple[argparse.Namespace, list[str]]:
    namespace, rest = type(parser).parse_known_args(parser, args, namespace)
    overrides: list[str] = []
    for word in rest:
        # `--key value` is taken as `--key=value`.
        if overrides and "=" not in overrides[-1] and not word.startswith("--"):
            overrides[-1] += f"={word}"
        else:
            overrides.append(word)
    namespace.overrides = overrides
    return namespace, []
