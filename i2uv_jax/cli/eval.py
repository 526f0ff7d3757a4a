"""`i2uv eval`: how good a model is."""

import argparse

from i2uv_jax.cli import eval_benchmark, eval_detector, eval_photos, eval_synthetic


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line."""
    parser = subparsers.add_parser(
        "eval", help="score a model", description="Score a model on annotated pictures."
    )
    verbs = parser.add_subparsers(title="verbs", dest="eval_verb", metavar="VERB", required=True)
    eval_photos.add_parser(verbs)
    eval_benchmark.add_parsers(verbs)
    eval_synthetic.add_parser(verbs)
    eval_detector.add_parser(verbs)
