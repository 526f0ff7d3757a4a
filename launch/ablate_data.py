"""What parts of the generator are worth on photos: trains `configs/small.py` for the same short
time without each of them, scores every run on annotated photos and prints a table.

python -m launch.ablate_data --photos DIR --skins SKINS --backgrounds PICTURES --out runs/ablation

Runs that are finished are kept: the same command goes on where it was interrupted.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.cli.main import main as run_i2uv

_WITHOUT = {
    "everything": (),
    "no forearm": ("--render.forearm.share=0",),
    "no occluders": (
        "--render.occlusion.front_share=0",
        "--render.occlusion.grasp_share=0",
        "--render.occlusion.limb_share=0",
        "--render.occlusion.truncation_share=0",
    ),
    "drawn skins alone": ("--render.skin.photo_share=0",),
    "a perfect sensor, no spectrum mixing": ("--render.sensor.strength=0",),
}
_NOTHING = "none of the four"

_SETTINGS = (
    "--train.batch_size=64",
    # Photos are scored in the annotated boxes, without a detector that could tell keypoints.
    "--model.affine.takes_keypoints=false",
    "--data.told_share=0",
)

_COLUMNS = {
    "error_over_box": "error over box",
    "within_0.1_of_box": "within 10 % of box",
    "auc_of_pck": "area under PCK curve",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="for `i2uv eval photos`")
    parser.add_argument("--left", nargs="+", default=[], help="for `i2uv eval photos`")
    parser.add_argument("--skins", required=True, help="folder of skin textures")
    parser.add_argument("--backgrounds", required=True, help="folder of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=2000, help="of each run (2000)")
    arguments = parser.parse_args()
    all_off = tuple(option for options in _WITHOUT.values() for option in options)
    scores = {}
    for seed in arguments.seeds:
        for name, options in {**_WITHOUT, _NOTHING: all_off}.items():
            folder = arguments.out / f"{name.replace(' ', '_').replace(',', '')}_{seed}"
            score = _score_of_run(folder, seed, options, arguments)
            if score is None:
                return 1
            scores.setdefault(name, []).append(score)
            print(f"{name}, seed {seed}: {json.dumps(score)}", flush=True)
    content = json.dumps({"seeds": arguments.seeds, "scores": scores}, indent=2)
    write_atomically(arguments.out / "ablation.json", content.encode())
    print(_table(scores))
    return 0


def _score_of_run(
    folder: Path, seed: int, options: tuple[str, ...], arguments: argparse.Namespace
) -> dict[str, float] | None:
    """What a run scores, trained if it is not there yet; None if anything failed or was stopped."""
    metrics = folder / "photos" / "metrics.json"
    if not metrics.exists():
        train = ["train", "--config", "configs/small.py", "--out", str(folder)]
        train += [f"--train.seed={seed}", f"--train.num_steps={arguments.steps}", *_SETTINGS]
        train += [f"--render.skin.folder={arguments.skins}"]
        train += [f"--render.background.folder={arguments.backgrounds}", *options]
        if (folder / "config.json").exists():
            train.append("--resume")
        if run_i2uv(train) != 0:
            return None
        photos = ["eval", "photos", str(arguments.photos), "--out", str(metrics.parent)]
        photos += ["--model", str(folder / "model.safetensors")]
        if arguments.left:
            photos += ["--left", *arguments.left]
        if run_i2uv(photos) != 0:
            return None
    values = json.loads(metrics.read_text())
    return {name: values[name] for name in _COLUMNS}


def _table(scores: dict[str, list[dict[str, float]]]) -> str:
    """Markdown: mean over the seeds, and each seed's own in brackets."""
    lines = ["| trained with | " + " | ".join(_COLUMNS.values()) + " |", "|---|---|---|---|"]
    for name, of_seeds in scores.items():
        cells = []
        for column in _COLUMNS:
            values = [score[column] for score in of_seeds]
            each = ", ".join(f"{value:.3f}" for value in values)
            cells.append(f"{statistics.mean(values):.3f} ({each})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
