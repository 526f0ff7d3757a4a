"""`i2uv train`: one training run from a config file, with overrides on the command line."""

import argparse
import sys
from pathlib import Path

from i2uv_jax.cli.overrides import leave_overrides

_EXIT_BAD_INPUT = 2
_EXIT_FAILED = 1
_EXIT_SIGNAL_BASE = 128
"""A run that a signal stopped exits as shells report it: 128 + its number."""

_DESCRIPTION = """Train a model on hands that are rendered as the run goes on, or on stored sets:
--data.sets=DIR:1 (docs/datasets.md), or a detector of hands on rendered scenes. Every value of the
config can be changed on the command line:
--train.num_steps=2000 --optim.peak_learning_rate=3e-4. The run's folder gets the full config,
checkpoints, TensorBoard files and, at the end, the model. Ctrl-C and SIGTERM save and stop;
--resume continues as if nothing had happened. Exit codes: 0 done; 1 failed (diverged, disk full,
out of memory); 2 bad input; 128 + N stopped by signal N, saved: 130 by Ctrl-C, 143 by SIGTERM."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line; arguments it does not know become config overrides."""
    parser = subparsers.add_parser(
        "train",
        help="train a model on rendered hands or stored sets",
        usage="%(prog)s --config FILE [--KEY=VALUE ...] [--out DIR] [--resume] [--profile DIR]",
        description=_DESCRIPTION,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="say configs/tiny.py")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the run's folder (default: runs/NAME)"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue from the newest checkpoint in the run's folder; without --config, with the "
        "config found there",
    )
    parser.add_argument(
        "--profile", type=Path, metavar="DIR", help="write a profile of a few early steps there"
    )
    _add_process_options(parser)
    parser.set_defaults(run=run)
    leave_overrides(parser)


def _add_process_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "several processes", "found out by themselves under SLURM; see launch/README.md"
    )
    group.add_argument("--coordinator", metavar="HOST:PORT", help="where the first process listens")
    group.add_argument("--num-processes", type=int, metavar="N")
    group.add_argument("--process-id", type=int, metavar="I", help="0 to N - 1")
    group.add_argument(
        "--distributed", action="store_true", help="find the others as JAX does (Cloud TPU)"
    )


def run(args: argparse.Namespace) -> int:
    """Trains as the arguments say; returns the process's exit code."""
    # JAX is imported only now, so that `--help` and mistakes in arguments answer at once.
    from i2uv_jax.config import DetectorExperimentConfig, ExperimentConfig
    from i2uv_jax.config_io import load_config, with_overrides

    try:
        if args.config is not None:
            config = load_config(args.config, ExperimentConfig, DetectorExperimentConfig)
        elif args.resume and args.out is not None:
            from i2uv_jax.training.run_folder import load_run_config

            config = load_run_config(args.out)
        else:
            raise ValueError("expected --config FILE (or --resume with --out DIR)")
        config = with_overrides(config, args.overrides)
    except ValueError as error:
        return _fail(error, _EXIT_BAD_INPUT)

    from jax.errors import JaxRuntimeError

    from i2uv_jax.inference.cache import keep_compiled_programs
    from i2uv_jax.training.bad_steps import DivergedError
    from i2uv_jax.training.loop import train
    from i2uv_jax.training.processes import connect

    keep_compiled_programs()
    try:
        connect(args.coordinator, args.num_processes, args.process_id, ask_cluster=args.distributed)
        result = train(
            config,
            args.out or Path("runs") / config.name,
            resume=args.resume,
            profile_folder=args.profile,
        )
    except ValueError as error:
        return _fail(error, _EXIT_BAD_INPUT)
    except (DivergedError, OSError) as error:
        # An OSError names its file: a folder that cannot be made, a disk that is full.
        return _fail(error, _EXIT_FAILED)
    except JaxRuntimeError as error:  # A device that failed, or processes that do not answer.
        reason = str(error).splitlines()[0].rstrip(".")
        if "RESOURCE_EXHAUSTED" in reason:
            reason += "; train.microbatches and train.rematerialise need less memory"
        return _fail(reason, _EXIT_FAILED)
    return 0 if result.signal_number is None else _EXIT_SIGNAL_BASE + result.signal_number


def _fail(error: object, exit_code: int) -> int:
    print(f"i2uv train: error: {error}", file=sys.stderr)
    return exit_code
