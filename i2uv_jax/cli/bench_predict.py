"""`i2uv bench predict`: how long a photo takes to become a mesh on this machine."""

import argparse
import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli import predict
from i2uv_jax.cli.argument_types import positive_int, whole_number
from i2uv_jax.cli.detector_option import NONE, PALM, add_detector_option, open_detector
from i2uv_jax.cli.failure import EXIT_FAILED, EXIT_INTERRUPTED, CommandError
from i2uv_jax.cli.interruption import InterruptWatch
from i2uv_jax.cli.json_text import print_json
from i2uv_jax.cli.output_folder import make_output_folder
from i2uv_jax.cli.photo_list import list_photos

if TYPE_CHECKING:
    from i2uv_jax.inference.detected_hand import PhotoDetector
    from i2uv_jax.inference.drawn_photos import DrawnPhotos
    from i2uv_jax.inference.photo_benchmark import FolderSpeed, Runs, StepClock
    from i2uv_jax.inference.predictor import Predictor
    from i2uv_jax.measuring.timing import Spread

_DESCRIPTION = """Time the way from photos to meshes, on drawn photos that are made in a temporary
folder: one hand after the other in a warm process, with its box known and with detection in front;
the files of a hand; fresh processes up to their first mesh, with what they compile in the cache;
and `i2uv predict` on a folder, without panels, against the network alone at the same batch size."""

_AIMS = {"hand": 14, "found_hand": 30, "command": 5, "python": 5, "folder": 0.8}
"""For two cores of a CPU: milliseconds, seconds, and a share of the network's speed."""

_TITLES = {
    "hand": "one hand, box known",
    "found_hand": "one hand, found first",
    "files": "mesh and numbers",
    "files_and_panel": "the same and a panel",
    "command": "i2uv predict, fresh",
    "python": "Python, fresh",
}

_HEADINGS = (
    f"{'':24}{'median':>9}{'fastest':>9}{'slowest':>9}{'CPU time':>10}  {'':3}{'aim':>4}{'runs':>6}"
)

_RUNS_OF_NETWORK = 10


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Adds `predict` to the verbs of `i2uv bench`."""
    parser = verbs.add_parser("predict", help="speed from photo to mesh", description=_DESCRIPTION)
    parser.add_argument(
        "--model", default="small", metavar="NAME|PATH", help="a shipped model or a file (small)"
    )
    parser.add_argument(
        "--count", type=positive_int, default=30, metavar="N", help="single hands to time (30)"
    )
    parser.add_argument(
        "--starts",
        type=whole_number,
        default=3,
        metavar="N",
        help="fresh processes of each kind to time; 0 leaves them out (3)",
    )
    parser.add_argument(
        "--photos",
        type=whole_number,
        default=1000,
        metavar="N",
        help="photos of the folder; 0 leaves it out (1000)",
    )
    parser.add_argument(
        "--batch", type=positive_int, default=8, metavar="N", help="its photos at a time (8)"
    )
    parser.add_argument(
        "--width",
        type=positive_int,
        default=640,
        metavar="W",
        help="of the photos, in pixels; they are three quarters as high (640)",
    )
    add_detector_option(parser, PALM)
    parser.add_argument(
        "--backend",
        default="auto",
        choices=("auto", "xla", "onnx", "litert"),
        help="what runs the network, as for `i2uv predict` (auto)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measures and prints; returns the process's exit code."""
    from i2uv_jax.models.model_files import find_model

    try:
        find_model(args.model)
        with InterruptWatch() as watch, tempfile.TemporaryDirectory(prefix="i2uv_") as folder:
            described = _measured(args, Path(folder), watch)
    except OSError as error:
        raise CommandError(f"the photos to time cannot be written ({error.strerror})") from error
    except ValueError as error:
        raise CommandError(error) from error
    except RuntimeError as error:
        raise CommandError(str(error).splitlines()[0], EXIT_FAILED) from error
    if args.json:
        print_json(described)
    else:
        _print_table(described)
    return 0


def _measured(args: argparse.Namespace, folder: Path, watch: InterruptWatch) -> dict:
    """All numbers, in JSON's types."""
    from i2uv_jax.inference.drawn_photos import write_photos

    def on_progress(what: str) -> None:
        watch.check()
        print(f"measuring: {what} ...", file=sys.stderr, flush=True)

    source = folder / "photos"
    source.mkdir()
    drawn = write_photos(source, max(args.photos, 1), args.width)
    rows = {}
    if args.starts:
        # First of all: a device that this process has taken others may find occupied.
        on_progress("fresh processes")
        rows = _starts(args, drawn, folder / "started")

    import jax

    from i2uv_jax.inference.backends import choose_backend, load_with_backend
    from i2uv_jax.inference.cache import keep_compiled_programs

    keep_compiled_programs()
    backend = choose_backend(args.backend)
    on_progress("single hands")
    hands = _single_hands(
        drawn,
        load_with_backend(args.model, backend),
        args.detector,
        backend,
        folder,
        count=args.count,
    )
    rows = hands | rows
    described = {
        "model": args.model,
        "backend": backend,
        "device": f"{jax.local_device_count()} x {jax.devices()[0].device_kind} "
        f"({jax.devices()[0].platform})",
        "cores": os.cpu_count(),
        "width": drawn.width,
        "height": drawn.height,
        "rows": rows,
        "folder": None,
    }
    if args.photos:
        batch_size = min(args.batch, args.photos)
        on_progress("the network alone")
        network = _network_speed(args.model, backend, batch_size)
        on_progress("a folder")
        predictor = load_with_backend(args.model, backend, batch_size=batch_size)
        speed = _folder_speed(args, drawn, predictor, folder / "out", watch)
        described["folder"] = _folder_numbers(speed, batch_size, network)
    return described


def _starts(args: argparse.Namespace, drawn: "DrawnPhotos", out: Path) -> dict:
    from i2uv_jax.inference.photo_benchmark import measure_command, measure_first_mesh

    words = _predict_words(args, drawn.paths[0], out, drawn)
    command = measure_command(
        [sys.executable, "-m", "i2uv_jax.cli.main", *words], num_starts=args.starts
    )
    python = measure_first_mesh(drawn.paths[0], args.model, drawn.box_xyxy, num_starts=args.starts)
    return {"command": _numbers("command", command, "s"), "python": _numbers("python", python, "s")}


def _single_hands(
    drawn: "DrawnPhotos",
    predictor: "Predictor",
    detector_name: str,
    backend: str,
    folder: Path,
    *,
    count: int,
) -> dict:
    from i2uv_jax.cli.hand_files import write_hand_files
    from i2uv_jax.cli.photo_hand import PhotoHand
    from i2uv_jax.imaging.read import read_photo
    from i2uv_jax.inference.photo_benchmark import measure_hands, measure_runs

    def measured(detector: "PhotoDetector | None") -> "Runs":
        return measure_hands(
            predictor,
            drawn.paths,
            drawn.box_xyxy,
            num_hands=count,
            detector=detector,
        )

    rows = {"hand": _numbers("hand", measured(None), "ms")}
    if detector_name != NONE:
        with open_detector(detector_name, backend=backend) as detector:
            rows["found_hand"] = _numbers("found_hand", measured(detector), "ms")
    photo = read_photo(drawn.paths[0])
    hand = PhotoHand(predictor(photo, box_xyxy=drawn.box_xyxy), drawn.box_xyxy)
    height, width, _ = photo.shape
    for name, panel_of in (("files", None), ("files_and_panel", photo)):

        def write(index: int, clock: "StepClock", name=name, panel_of=panel_of) -> None:
            # Each under a new name: to replace a file may take far longer than to write one.
            write_hand_files(
                folder, f"{name}_{index}", (width, height), [hand], predictor,
                image_name="drawn", seconds=0.0, panel_of=panel_of,
            )  # fmt: skip

        files = measure_runs(write, count)
        rows[name] = _numbers(name, files, "ms")
    return rows


def _network_speed(model: str, backend: str, batch_size: int) -> float:
    """Photos a second."""
    from i2uv_jax.inference.benchmark import measure_backend
    from i2uv_jax.inference.program import inference_config
    from i2uv_jax.models.model_files import find_model
    from i2uv_jax.models.weights import load_picture_model

    config, variables, _ = load_picture_model(find_model(model))
    (speed,) = measure_backend(
        backend,
        inference_config(config, "default"),
        variables,
        [batch_size],
        precision="default",
        num_runs=_RUNS_OF_NETWORK,
        with_parts=False,
    )
    return speed.images_per_second


def _folder_speed(
    args: argparse.Namespace,
    drawn: "DrawnPhotos",
    predictor: "Predictor",
    out: Path,
    watch: InterruptWatch,
) -> "FolderSpeed":
    """Of `i2uv predict`, all but its start: a first batch has compiled what there is to compile."""
    from i2uv_jax.inference.photo_benchmark import measure_folder

    parser = argparse.ArgumentParser()
    predict.add_parser(parser.add_subparsers())
    own = parser.parse_args(_predict_words(args, drawn.paths[0].parent, out, drawn))
    photos = list_photos(own.photos, out)
    make_output_folder(out)

    def predict_all(chosen: list) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            code = predict.predict_photos(own, chosen, predictor, None, watch)
        watch.check()  # Tells SIGTERM from Ctrl-C.
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if code != 0:
            raise CommandError("not all photos of the folder could be predicted", EXIT_FAILED)

    predict_all(photos[: args.batch])
    return measure_folder(lambda: predict_all(photos), len(photos))


def _predict_words(
    args: argparse.Namespace, photos: Path, out: Path, drawn: "DrawnPhotos"
) -> list[str]:
    """A command line of `i2uv predict`."""
    return [
        "predict", str(photos), "--out", str(out), "--model", args.model, "--backend", args.backend,
        "--batch", str(args.batch), "--box", *map(str, drawn.box_xyxy),
    ]  # fmt: skip


def _numbers(name: str, runs: "Runs", unit: str) -> dict:
    """A row in JSON's types."""
    return {
        "unit": unit,
        "aim": _AIMS.get(name),
        "runs": len(runs.whole.seconds),
        **_spread(runs.whole, unit),
        "cpu": _spread(runs.cpu, unit),
        "steps": {step: _spread(spread, unit) for step, spread in runs.steps.items()},
    }


def _spread(runs: "Spread", unit: str) -> dict[str, float]:
    scale = {"s": 1, "ms": 1000}[unit]
    seconds = {"median": runs.median, "fastest": min(runs.seconds), "slowest": max(runs.seconds)}
    return {name: round(scale * value, 3) for name, value in seconds.items()}


def _folder_numbers(
    speed: "FolderSpeed", batch_size: int, network_photos_per_second: float
) -> dict:
    return {
        "photos": speed.num_photos,
        "batch": batch_size,
        "seconds": round(speed.seconds, 3),
        "photos_per_second": round(speed.photos_per_second, 3),
        "network_photos_per_second": round(network_photos_per_second, 3),
        "share_of_network": round(speed.photos_per_second / network_photos_per_second, 4),
        "aim": _AIMS["folder"],
        "cpu_milliseconds_per_photo": round(1000 * speed.cpu_seconds / speed.num_photos, 3),
        "busy_cores": round(speed.cpu_seconds / speed.seconds, 2),
    }


def _print_table(described: dict) -> None:
    print(
        f"{described['model']} on {described['backend']}, {described['device']}, "
        f"{described['cores']} cores; photos of {described['width']} x {described['height']}"
    )
    print(_HEADINGS)
    for name, row in described["rows"].items():
        aim = "-" if row["aim"] is None else row["aim"]
        cpu = f"{row['cpu']['median']:>10.2f}  {row['unit']:3}"
        print(_line(_TITLES[name], row) + f"{cpu}{aim:>4}{row['runs']:>6}")
        for step, spread in row["steps"].items():
            print(_line(f"  {step}", spread))
    folder = described["folder"]
    if folder is not None:
        print(
            f"folder: {folder['photos']} photos in {folder['seconds']:.1f} s, "
            f"{folder['photos_per_second']:.1f} a second, "
            f"{folder['cpu_milliseconds_per_photo']:.0f} ms of CPU time a photo, "
            f"{folder['busy_cores']:.1f} cores busy"
        )
        print(
            f"the network alone, batches of {folder['batch']}: "
            f"{folder['network_photos_per_second']:.1f} a second; the folder reaches "
            f"{folder['share_of_network']:.0%} of that (aim {folder['aim']:.0%})"
        )


def _line(title: str, spread: dict[str, float]) -> str:
    numbers = "".join(f"{spread[name]:>9.2f}" for name in ("median", "fastest", "slowest"))
    return f"{title:24}{numbers}"
