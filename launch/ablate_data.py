"""What parts of the generator are worth on photos: trains a network without any of them, then on
from there for the same short time without each of them and with all, scores every run on annotated
photos and prints a table.

python -m launch.ablate_data --photos DIR --skins SKINS --backgrounds PICTURES --out runs/ablation

Runs that are finished are kept: the same command goes on where it was interrupted. A folder with
runs of other settings is refused.
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
    # Half as wide as the default model: twice as many pictures in the same time.
    "--model.affine.width=0.25",
    # Photos are scored in the annotated boxes, without a detector that could tell keypoints.
    "--model.affine.takes_keypoints=false",
    "--data.told_share=0",
)

_MODEL = "model.safetensors"

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
    parser.add_argument("--start-steps", type=int, default=2000, help="of each seed's start (2000)")
    parser.add_argument("--steps", type=int, default=600, help="of each run from there (600)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if not _is_same_ablation(arguments):
        return 2
    all_off = tuple(option for options in _WITHOUT.values() for option in options)
    scores = {}
    for seed in arguments.seeds:
        start = arguments.out / f"start_{seed}"
        if not _train(start, seed, arguments.start_steps, all_off, arguments):
            return 1
        onwards = (f"--train.init_from={start / _MODEL}",)
        for name, options in {**_WITHOUT, _NOTHING: all_off}.items():
            folder = arguments.out / f"{name.replace(' ', '_').replace(',', '')}_{seed}"
            if not _train(folder, seed, arguments.steps, (*onwards, *options), arguments):
                return 1
            score = _score(folder, arguments)
            if score is None:
                return 1
            scores.setdefault(name, []).append(score)
            print(f"{name}, seed {seed}: {json.dumps(score)}", flush=True)
    content = json.dumps({"seeds": arguments.seeds, "scores": scores}, indent=2)
    write_atomically(arguments.out / "ablation.json", content.encode())
    print(_table(scores))
    return 0


def _is_same_ablation(arguments: argparse.Namespace) -> bool:
    """Whether the folder is new or was begun with these arguments, more seeds aside; notes them."""
    path = arguments.out / "arguments.json"
    given = vars(arguments).items()
    wanted = {name: str(value) for name, value in given if name not in ("seeds", "out")}
    noted = json.loads(path.read_text()) if path.exists() else {}
    if noted or any(arguments.out.glob("start_*")):
        changed = [name for name, value in wanted.items() if noted.get(name) != value]
        if changed:
            print(f"{path}: this ablation was begun with another {changed[0]}", file=sys.stderr)
            return False
    write_atomically(path, json.dumps(wanted).encode())
    return True


def _train(
    folder: Path, seed: int, steps: int, options: tuple[str, ...], arguments: argparse.Namespace
) -> bool:
    """Whether the run is finished; trains it, or goes on with it, where it is not."""
    if (folder / _MODEL).exists():
        return True
    command = ["train", "--config", "configs/small.py", "--out", str(folder), *_SETTINGS]
    command += [f"--train.seed={seed}", f"--train.num_steps={steps}"]
    command += [f"--render.skin.folder={arguments.skins}"]
    command += [f"--render.background.folder={arguments.backgrounds}", *options]
    if (folder / "config.json").exists():
        command.append("--resume")
    return run_i2uv(command) == 0


def _score(folder: Path, arguments: argparse.Namespace) -> dict[str, float] | None:
    """What a run's model scores on the photos; None where that failed."""
    metrics = folder / "photos" / "metrics.json"
    if not metrics.exists():
        command = ["eval", "photos", str(arguments.photos), "--detector", "none"]
        command += ["--out", str(metrics.parent)]
        command += ["--model", str(folder / _MODEL)]
        if arguments.left:
            command += ["--left", *arguments.left]
        if run_i2uv(command) != 0:
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
