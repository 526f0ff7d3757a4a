"""`i2uv eval detector`: how well hands are found in generated scenes, whose hands are known."""

import argparse
from pathlib import Path

from i2uv_jax.cli.argument_types import positive_int, seed
from i2uv_jax.cli.detector_option import PALM, add_detector_option, open_detector
from i2uv_jax.cli.eval_files import SCENES, written_results
from i2uv_jax.cli.failure import CommandError
from i2uv_jax.cli.interruption import InterruptWatch
from i2uv_jax.cli.output_folder import make_output_folder
from i2uv_jax.cli.rendering import (
    BATCH_SIZE,
    add_render_options,
    progress_bar,
    rendering_mishaps,
    scene_config,
)

_LOWEST_SCORE = 0.01
"""Average precision looks at unlikely hands, too."""
_NUM_SHOWN = 36

_DESCRIPTION = """Score a detector on scenes of hands, faces and arms rendered by a seed that
training does not use. Writes metrics.json (average precision and recall at an overlap of one half,
and how often the side is right) and scenes.png: scenes with the true boxes in white, and what was
found, left hands in red, right ones in green and those of a detector that does not tell in blue."""


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Adds the verb to `i2uv eval`."""
    parser = verbs.add_parser(
        "detector", help="hands in generated scenes", description=_DESCRIPTION
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    add_detector_option(parser, PALM)
    parser.add_argument("--count", type=positive_int, default=256, metavar="N", help="scenes (256)")
    parser.add_argument("--seed", type=seed, default=7002, help="decides every scene (7002)")
    add_render_options(parser)
    parser.set_defaults(run=run_detector)


def run_detector(args: argparse.Namespace) -> int:
    """Scores, writes and prints; returns the process's exit code."""
    with InterruptWatch() as watch, rendering_mishaps():
        import numpy as np

        from i2uv_jax.detection.drawing import boxes_over
        from i2uv_jax.detection.scores import detection_scores
        from i2uv_jax.evaluate.scenes import found_boxes, generated_scenes
        from i2uv_jax.inference.cache import keep_compiled_programs
        from i2uv_jax.viewing.contact_sheet import contact_sheet
        from i2uv_jax.viewing.png import png_bytes

        keep_compiled_programs()
        config = scene_config(args)
        found, true, shown = [], [], []
        with (
            open_detector(args.detector, min_score=_LOWEST_SCORE) as detector,
            progress_bar(args.count) as bar,
        ):
            if detector is None:
                raise CommandError("--detector none finds no hands to score")
            make_output_folder(args.out)
            batch_size = args.batch or BATCH_SIZE
            for picture, truth in generated_scenes(config, args.seed, args.count, batch_size):
                watch.check()
                found.append(found_boxes(detector, picture))
                true.append(truth)
                if len(shown) < _NUM_SHOWN:
                    shown.append(boxes_over(picture, found[-1], truth))
                bar.update()
        num_hands = sum(int((~truth.is_doubtful).sum()) for truth in true)
        summary = {
            "detector": args.detector,
            "scenes": args.count,
            "hands": num_hands,
            **detection_scores(found, true),
        }
        files = {SCENES: png_bytes(contact_sheet(np.stack(shown)))}
        written = written_results(args.out, summary, files)
    print(f"detector {args.detector}: {args.count} scenes with {num_hands} hands")
    print(f"  average precision {summary['average_precision']:.3f}")
    print(f"  recall            {summary['recall']:.3f}")
    if "side_accuracy" in summary:
        print(f"  right side        {100 * summary['side_accuracy']:.1f} %")
    print(f"{', '.join(written)}: written to {args.out}")
    return 0
