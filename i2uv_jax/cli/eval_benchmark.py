"""`i2uv eval freihand`, `ho3d-v2`, `ho3d-v3` and `hic`: the benchmarks of the paper."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.detector_option import (
    NONE,
    TAKES_NONE,
    TELLS_NOTHING,
    add_detector_option,
    open_detector,
    refuse_detector,
)
from i2uv_jax.cli.device_failure import device_mishaps
from i2uv_jax.cli.eval_files import CHALLENGE_FILE, written_results
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.idle_options import refuse_idle
from i2uv_jax.cli.interruption import InterruptWatch
from i2uv_jax.cli.output_folder import make_output_folder

if TYPE_CHECKING:
    import numpy as np

    from i2uv_jax.evaluate.answers import Answer
    from i2uv_jax.evaluate.mano_models import BenchmarkModel
    from i2uv_jax.evaluate.sample import Benchmark
    from i2uv_jax.evaluate.summary import Evaluation
    from i2uv_jax.hand.mano import Mano

_BATCH_SIZE = 16
_NUM_SURFACES = 64

_BENCHMARKS = {
    "freihand": "FreiHAND's evaluation",
    "ho3d-v2": "HO-3D's evaluation, version 2",
    "ho3d-v3": "HO-3D's evaluation, version 3",
    "hic": "HIC's fits",
}

_DESCRIPTION = """Score a model on {title}, read from --data as its owners' archives unpack (see
docs/datasets.md), or with --pred a file of predictions in the challenge's format. Writes
pred.zip for the challenge, metrics.json, samples.csv and report.html. With --mano the default
hand's mesh is carried over to MANO's vertices; models that were trained on MANO's UV maps need
--uv-template as well."""


_HIC_NOTE = (
    "Means over {count} hands; distances from the owners' fits, which were made from the depth "
    "pictures; predicted meshes rigidly aligned."
)


def add_parsers(verbs: argparse._SubParsersAction) -> None:
    """Adds the verbs to `i2uv eval`."""
    for key, title in _BENCHMARKS.items():
        parser = verbs.add_parser(key, help=title, description=_DESCRIPTION.format(title=title))
        parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="its archives")
        parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
        answered_by = parser.add_mutually_exclusive_group()
        answered_by.add_argument(
            "--model", default="small", metavar="NAME|PATH", help="a model (small)"
        )
        answered_by.add_argument(
            "--pred", type=Path, metavar="FILE", help="predictions: pred.json or a zip of it"
        )
        parser.add_argument("--mano", type=Path, metavar="FILE", help="MANO_RIGHT.pkl")
        parser.add_argument(
            "--uv-template", type=Path, metavar="FILE", help="OBJ of MANO's vertices with vt lines"
        )
        parser.add_argument(
            "--batch", type=positive_int, metavar="N", help="pictures at a time (16)"
        )
        add_detector_option(parser, NONE, of_none=TELLS_NOTHING)
        if key == "hic":
            parser.add_argument(
                "--surfaces",
                type=positive_int,
                metavar="N",
                help="hands to compare with depth pictures (64)",
            )
            parser.add_argument(
                "--articulated",
                action="store_true",
                help="compare surfaces with their joints turned, too",
            )
        parser.set_defaults(run=run_benchmark)


def run_benchmark(args: argparse.Namespace) -> int:
    """Scores, writes and prints; returns the process's exit code."""
    if args.pred is not None:
        why = "with --pred: no model is run"
        refuse_idle(args, why, "batch", "uv-template")
        refuse_detector(args.detector, why)
    if args.mano is None:
        refuse_idle(args, "without --mano", "uv-template")
        if args.eval_verb == "hic":
            refuse_idle(
                args, "without --mano, whose meshes are compared", "surfaces", "articulated"
            )
    args.batch = args.batch or _BATCH_SIZE
    with InterruptWatch() as watch:
        from i2uv_jax.evaluate.benchmark_page import benchmark_page, surface_section
        from i2uv_jax.evaluate.challenge_file import challenge_zip, read_challenge
        from i2uv_jax.evaluate.sequences import sequence_scores
        from i2uv_jax.evaluate.summary import evaluate, summarize
        from i2uv_jax.hand.mano import load_mano
        from i2uv_jax.inference.cache import keep_compiled_programs

        keep_compiled_programs()
        try:
            mano = None if args.mano is None else load_mano(args.mano)
            benchmark = _benchmark(args, mano)
            if not benchmark.samples:
                raise ValueError(f"{args.data}: lists no picture")
            model, extra = None, {}
            if args.pred is None:
                model = _load(args, len(benchmark.samples), mano)
                if not model.predictor.takes_keypoints:
                    refuse_detector(args.detector, TAKES_NONE)
                answers, faces = _ask(args, benchmark, model, watch), model.faces
                name = str(args.model)
                if model.to_mano is not None:
                    extra = {"correspondence_mm": round(model.to_mano.error_mm, 3)}
            else:
                answers, name = read_challenge(args.pred, benchmark), args.pred.name
                faces = None if mano is None else mano.faces
            make_output_folder(args.out)
            evaluation = evaluate(benchmark, answers)
        except ValueError as error:
            raise CommandError(error) from error
        if args.pred is None and args.detector != NONE:
            extra["detector"] = args.detector
        summary = {"model": name, **extra, **summarize(evaluation)}
        summary["motion"] = sequence_scores(evaluation)
        sections = []
        if args.eval_verb == "hic" and mano is not None:
            watch.check()
            count, summary["surfaces"] = _hic_surfaces(args, benchmark, answers, mano, model)
            sections.append(surface_section(summary["surfaces"], _HIC_NOTE.format(count=count)))
        files = {
            "samples.csv": sample_rows(evaluation),
            "report.html": benchmark_page(evaluation, summary, _fitting(faces, answers), sections),
        }
        if args.pred is None:
            files[CHALLENGE_FILE] = challenge_zip(benchmark, answers)
        written = written_results(args.out, summary, files)
    print_summary(summary)
    print(f"{', '.join(written)}: written to {args.out}")
    # A hand that a file does not hold is a result; a picture that cannot be read is a failure.
    return EXIT_FAILED if args.pred is None and summary["problems"]["predictions"] else 0


def _benchmark(args: argparse.Namespace, mano: "Mano | None") -> "Benchmark":
    from i2uv_jax.evaluate import benchmarks

    if args.eval_verb == "freihand":
        return benchmarks.freihand(args.data, mano)
    if args.eval_verb == "hic":
        return benchmarks.hic_fits(args.data, mano)
    return benchmarks.ho3d_evaluation(args.data, args.eval_verb.removeprefix("ho3d-"), mano)


def _load(args: argparse.Namespace, count: int, mano: "Mano | None") -> "BenchmarkModel":
    from i2uv_jax.evaluate.mano_models import (
        BenchmarkModel,
        SurfaceHand,
        default_hand_to_mano,
        load_predictor,
    )

    predictor = load_predictor(
        args.model,
        batch_size=min(args.batch, count),
        mano=mano,
        template_path=args.uv_template,
    )
    to_mano = None
    if mano is not None and not isinstance(predictor.hand, SurfaceHand):
        print("fitting the default hand to MANO's ...", file=sys.stderr, flush=True)
        to_mano = default_hand_to_mano(predictor.hand, mano)
    return BenchmarkModel(predictor, mano, to_mano)


def _ask(
    args: argparse.Namespace, benchmark: "Benchmark", model: "BenchmarkModel", watch: InterruptWatch
) -> "list[Answer]":
    from i2uv_jax.evaluate.answers import answers_of_model

    with open_detector(args.detector) as detector:
        asked = answers_of_model(
            model.predictor,
            benchmark.samples,
            batch_size=args.batch,
            to_mano=model.to_mano,
            keypoint_regressor=None if model.mano is None else model.mano.keypoint_regressor,
            detector=detector,
        )
        with device_mishaps(f"the model failed on {args.batch} pictures at once"):
            return listed(benchmark, asked, watch)


def _hic_surfaces(
    args: argparse.Namespace,
    benchmark: "Benchmark",
    answers: "list[Answer]",
    mano: "Mano",
    model: "BenchmarkModel | None",
) -> tuple[int, dict[str, dict[str, float]]]:
    """How many hands were compared with their fits, and the table; nothing without depth."""
    from i2uv_jax.evaluate.articulation import skinning_of
    from i2uv_jax.evaluate.hic_surfaces import measured_hands
    from i2uv_jax.evaluate.predicted_surfaces import (
        by_resolution,
        coarse_predictor,
        surface_table,
        surfaces_of_meshes,
        surfaces_of_model,
    )
    from i2uv_jax.evaluate.surfaces import Surface

    measured = measured_hands(benchmark.samples, answers, args.surfaces or _NUM_SURFACES)
    if not measured:
        return 0, {}
    chosen = [benchmark.samples[index] for index in measured]
    if model is None:
        meshes = [answers[index] for index in measured]
        predicted = {"predicted mesh": surfaces_of_meshes(meshes, mano.faces, skinning_of(mano))}
    else:
        to_truth = None if model.to_mano is None else model.to_mano.matrix
        predicted = by_resolution(
            model.predictor,
            coarse_predictor(args.model, model.predictor, min(args.batch, len(chosen))),
            lambda own: surfaces_of_model(own, chosen, model.skinning, to_truth),
        )
    truths = [Surface(sample.vertices, mano.faces) for sample in chosen]
    table = surface_table(list(measured.values()), predicted, truths, articulated=args.articulated)
    return len(chosen), table


def listed(
    benchmark: "Benchmark", asked: "Iterator[Answer]", watch: InterruptWatch
) -> "list[Answer]":
    """All answers, with a bar on a terminal and a line for each that is none."""
    from tqdm import tqdm

    answers = []
    on_terminal = sys.stderr.isatty()
    with tqdm(total=len(benchmark.samples), unit="photo", disable=not on_terminal) as bar:
        for sample, answer in zip(benchmark.samples, asked, strict=True):
            watch.check()
            if answer.problem is not None:
                tqdm.write(f"i2uv eval: error: {sample.name}: {answer.problem}", file=sys.stderr)
            answers.append(answer)
            bar.update()
    return answers


def _fitting(faces: "np.ndarray | None", answers: "list[Answer]") -> "np.ndarray | None":
    """The triangles, if they are those of the answers' meshes."""
    from i2uv_jax.hand.asset import load_hand

    counts = {len(answer.vertices) for answer in answers if answer.vertices is not None}
    for own in (faces, load_hand().faces):
        if own is not None and counts == {int(own.max()) + 1}:
            return own
    return None


def sample_rows(evaluation: "Evaluation") -> list[list[str]]:
    """The rows of samples.csv."""
    import numpy as np

    from i2uv_jax.evaluate.summary import sample_groups

    scores = evaluation.scores
    kinds = ["keypoint", "keypoint_root", "keypoint_aligned"]
    if evaluation.benchmark.scales_and_shifts:
        kinds.append("keypoint_scaled")
    columns = {name: 1000 * scores[name].mean(axis=1) for name in kinds}
    columns |= {
        name: 1000 * scores[name] for name in ("vertex", "vertex_aligned") if name in scores
    }
    units = {name: f"{name}_mm" for name in columns}
    for name in ("f", "f_aligned"):
        if name in scores:
            columns |= {f"{name}_5": scores[name][:, 0], f"{name}_15": scores[name][:, 1]}
    groups = sample_groups(evaluation.benchmark.samples)
    groups.pop("visible share", None)  # whose number is there
    header = ["name", "hand", *(units.get(name, name) for name in columns), "visible_share",
              *groups, "problem", "ground_truth_problem"]  # fmt: skip
    rows = [header]
    for index, (sample, answer) in enumerate(
        zip(evaluation.benchmark.samples, evaluation.answers, strict=True)
    ):
        values = [float(column[index]) for column in columns.values()]
        share = sample.visible_share
        rows.append(
            [
                sample.name,
                "left" if sample.is_left else "right",
                *("" if np.isnan(value) or answer.problem else f"{value:.4f}" for value in values),
                "" if share is None else f"{share:.3f}",
                *(
                    next((label for label, mask in own.items() if mask[index]), "")
                    for own in groups.values()
                ),
                answer.problem or "",
                sample.problem or "",
            ]
        )
    return rows


def print_summary(summary: dict) -> None:
    """The official table, over all and over the hands that were found."""
    from i2uv_jax.evaluate.benchmark_page import F_ROWS, ROWS

    print(f"{summary['benchmark']}, {summary['model']}: {summary['pictures']} pictures", end="")
    print(f", {summary['found']} hands found")
    for title, found in summary["problems"].items():
        for reason, names in found.items():
            print(f"  {title}: {reason}: {len(names)} ({names[0]}{', ...' * (len(names) > 1)})")
    scores = summary["scores"]
    print(f"{'':30}{'over found':>18}{'over all':>18}")
    print(f"{'':30}{'mm':>10}{'AUC':>8}{'mm':>10}{'AUC':>8}")
    for kind, title in ROWS.items():
        if scores["all"].get(f"{kind}_mm") is not None:
            cells = [
                _cell(scores[over][f"{kind}_mm"], 10, 2) + _cell(scores[over][f"{kind}_auc"], 8, 3)
                for over in ("found", "all")
            ]
            print(f"{title:30}" + "".join(cells))
    for kind, title in F_ROWS.items():
        for limit in (5, 15):
            if scores["all"].get(f"{kind}_{limit}") is not None:
                cells = [_cell(scores[over][f"{kind}_{limit}"], 18, 3) for over in ("found", "all")]
                print(f"{f'{title} {limit} mm':30}" + "".join(cells))
    _print_motion(summary.get("motion"))
    _print_surfaces(summary.get("surfaces", {}))


def _print_motion(motion: dict | None) -> None:
    from i2uv_jax.evaluate.benchmark_page import MOTION_ROWS

    for key, title in MOTION_ROWS.items():
        if motion is not None and motion[key] is not None:
            print(f"{title:36}{_cell(motion[key], 12, 2)} m/s²")


def _print_surfaces(surfaces: dict) -> None:
    for name, own in surfaces.items():
        print(
            f"surface, {name:32} to truth {own['to_truth_mean_mm']:6.2f} mm, from truth "
            f"{own['from_truth_mean_mm']:6.2f} mm, within 2 mm {100 * own['complete']:5.1f} %"
        )


def _cell(value: float | None, width: int, decimals: int) -> str:
    return f"{'-' if value is None else f'{value:.{decimals}f}':>{width}}"
