"""`i2uv demo`: reconstructs a rendered hand, whose true geometry tells the error."""

import argparse
import time
from pathlib import Path

from i2uv_jax.cli.argument_types import seed
from i2uv_jax.cli.earlier_results import holds_others_files
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.output_folder import make_output_folder

_SEED = 7
"""Shows an open hand in plain view, which is an easy one."""

_IMAGE_SIZE = 256
_STEM = "demo"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line."""
    parser = subparsers.add_parser(
        "demo",
        help="reconstruct a rendered hand and measure the error",
        description="Render a hand whose geometry is known, reconstruct it from its pixels alone, "
        "and write demo.glb, demo.png and demo.json.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out"), metavar="DIR", help="output folder (out)"
    )
    parser.add_argument(
        "--model", default="small", metavar="NAME|PATH", help="a shipped model or a file (small)"
    )
    parser.add_argument("--seed", type=seed, default=_SEED, help=f"which hand ({_SEED})")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Renders, reconstructs and measures; returns the process's exit code."""
    import jax

    from i2uv_jax.cli.hand_files import write_hand_files
    from i2uv_jax.cli.photo_hand import PhotoHand
    from i2uv_jax.config import OcclusionConfig, RenderConfig, SensorConfig
    from i2uv_jax.imaging.eight_bit import to_bytes
    from i2uv_jax.inference.cache import keep_compiled_programs
    from i2uv_jax.inference.predictor import load_model
    from i2uv_jax.render.scene import sample_batch

    keep_compiled_programs()
    try:
        predictor = load_model(args.model)
    except ValueError as error:
        raise CommandError(error) from error
    if holds_others_files(args.out, _STEM):
        raise CommandError(f"--out {args.out}: a {_STEM} file there is no earlier result")
    make_output_folder(args.out)

    print(f"rendering a hand (seed {args.seed}) ...", flush=True)
    # A hand in plain view. Its true UV map is not needed: the size only has to be small.
    config = RenderConfig(
        image_size=_IMAGE_SIZE,
        uv_map_size=32,
        upright_share=1.0,
        free_view_share=0.0,
        occlusion=OcclusionConfig(0, 0, 0, 0),
        sensor=SensorConfig(strength=0.3),
    )

    @jax.jit
    def render(key):
        return sample_batch(key, predictor.hand, config, 1)

    truth = jax.device_get(render(jax.random.key(args.seed)))
    photo = to_bytes(truth.image[0])

    print(f"reconstructing it with model {args.model} ...", flush=True)
    predictor.compile()
    start = time.monotonic()
    prediction = predictor(photo)
    seconds = time.monotonic() - start

    errors_mm = _errors_mm(prediction, truth)
    try:
        paths = write_hand_files(
            args.out,
            _STEM,
            (_IMAGE_SIZE, _IMAGE_SIZE),
            [PhotoHand(prediction, None)],
            predictor,
            image_name=f"rendered with seed {args.seed}",
            seconds=seconds,
            panel_of=photo,
            additional={"error_mm": {name: round(value, 3) for name, value in errors_mm.items()}},
        )
    except OSError as error:
        raise CommandError(
            f"--out {args.out}: results cannot be written ({error.strerror or error})", EXIT_FAILED
        ) from error
    print(
        f"mean error against the true hand: vertices {errors_mm['vertices_aligned']:.1f} mm, "
        f"keypoints {errors_mm['keypoints_aligned']:.1f} mm (after Procrustes alignment)"
    )
    print(
        f"as it stands, relative to the wrist: vertices {errors_mm['vertices']:.1f} mm, keypoints "
        f"{errors_mm['keypoints']:.1f} mm (with the assumed hand size)"
    )
    print(f"reconstructed in {1000 * seconds:.0f} ms; written:")
    for path in paths:
        print(f"  {path}")
    return 0


def _errors_mm(prediction, truth) -> dict[str, float]:
    """Mean distances between predicted and true points, millimetres."""
    from i2uv_jax.metrics import aligned_position_error, mean_position_error

    wrist = truth.keypoints[:, :1]
    pairs = {
        "vertices": (prediction.vertices_mm, 1000 * (truth.vertices - wrist)[0]),
        "keypoints": (prediction.keypoints_3d_mm, 1000 * (truth.keypoints - wrist)[0]),
    }
    errors = {}
    for name, (predicted, true) in pairs.items():
        errors[name] = float(mean_position_error(predicted, true))
        errors[f"{name}_aligned"] = float(aligned_position_error(predicted, true))
    return errors
