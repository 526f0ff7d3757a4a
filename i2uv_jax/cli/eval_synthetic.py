"""`i2uv eval synthetic`: how good a model is on generated pictures, whose hands are known."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli.argument_types import positive_int, seed
from i2uv_jax.cli.detector_option import (
    NONE,
    TAKES_NONE,
    TELLS_NOTHING,
    add_detector_option,
    open_detector,
    refuse_detector,
)
from i2uv_jax.cli.eval_benchmark import listed, print_summary, sample_rows
from i2uv_jax.cli.eval_files import WORST, written_results
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.idle_options import refuse_idle
from i2uv_jax.cli.interruption import InterruptWatch
from i2uv_jax.cli.output_folder import make_output_folder
from i2uv_jax.cli.rendering import (
    BATCH_SIZE,
    add_render_options,
    picture_config,
    progress_bar,
    rendering_mishaps,
)

if TYPE_CHECKING:
    from jaxtyping import Array

    from i2uv_jax.data.generator import HandGenerator
    from i2uv_jax.evaluate.sample import Benchmark, Sample
    from i2uv_jax.evaluate.surfaces import Surface
    from i2uv_jax.inference.predictor import Predictor

_COUNT = 256

_DESCRIPTION = """Score a model on pictures rendered by a seed that training does not use, or with
--set on those of a stored set of the default hand (`i2uv data build`). Also compares surfaces: the
predicted ones, and what a depth sensor would measure, with the true hand's. Writes metrics.json,
samples.csv, report.html and worst.png: the hands with the largest errors, the worst first."""


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Adds the verb to `i2uv eval`."""
    parser = verbs.add_parser("synthetic", help="generated pictures", description=_DESCRIPTION)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    parser.add_argument("--model", default="small", metavar="NAME|PATH", help="a model (small)")
    pictures = parser.add_mutually_exclusive_group()
    pictures.add_argument("--set", type=Path, metavar="DIR", help="a stored set's folder")
    parser.add_argument("--split", metavar="NAME", help="of that set (train)")
    parser.add_argument("--count", type=positive_int, metavar="N", help="pictures, at most (256)")
    pictures.add_argument(
        "--sequences",
        type=positive_int,
        metavar="N",
        help="sequences of moving hands in place of single pictures; --batch says how many frames "
        "each has",
    )
    parser.add_argument(
        "--smooth",
        action="store_true",
        help="smooth the hands of sequences over time, as `i2uv track` does",
    )
    parser.add_argument(
        "--surfaces", type=int, default=16, metavar="N", help="hands to compare surfaces of (16)"
    )
    parser.add_argument(
        "--articulated", action="store_true", help="compare surfaces with their joints turned, too"
    )
    parser.add_argument("--seed", type=seed, default=7001, help="decides every picture (7001)")
    parser.add_argument(
        "--size", type=positive_int, metavar="S", help="side of the pictures (the model's)"
    )
    add_detector_option(parser, NONE, of_none=TELLS_NOTHING)
    add_render_options(parser)
    parser.set_defaults(run=run_synthetic)


def run_synthetic(args: argparse.Namespace) -> int:
    """Scores, writes and prints; returns the process's exit code."""
    if args.sequences is None:
        refuse_idle(args, "without --sequences: single pictures do not follow each other", "smooth")
    else:
        refuse_idle(args, "with --sequences: --batch says how many frames each has", "count")
    if args.set is None:
        refuse_idle(args, "without --set", "split")
    else:
        refuse_idle(args, "with --set, whose pictures are there", "config", "skins", "backgrounds")
        if args.overrides:
            raise CommandError(
                f"{args.overrides[0]} does nothing with --set, whose pictures are there"
            )
    if args.surfaces < 1:
        refuse_idle(args, "without --surfaces", "articulated")
    args.split = args.split or "train"
    args.count = args.count or _COUNT
    from i2uv_jax.inference.cache import keep_compiled_programs

    keep_compiled_programs()
    with (
        InterruptWatch() as watch,
        rendering_mishaps(),
        open_detector(args.detector) as detector,
    ):
        import numpy as np

        from i2uv_jax.evaluate.answers import answers_of_model
        from i2uv_jax.evaluate.benchmark_page import (
            benchmark_page,
            motion_section,
            score_table,
            surface_section,
            worst_hands,
        )
        from i2uv_jax.evaluate.predicted_surfaces import coarse_predictor
        from i2uv_jax.evaluate.sequences import sequence_scores
        from i2uv_jax.evaluate.summary import evaluate, summarize
        from i2uv_jax.inference.predictor import load_model
        from i2uv_jax.models.model_files import file_fingerprint, find_model
        from i2uv_jax.viewing.html_report import section
        from i2uv_jax.viewing.png import png_bytes

        batch_size = args.batch or BATCH_SIZE
        if args.sequences is None:
            batch_size = min(batch_size, args.count)
        predictor = load_model(args.model, batch_size=batch_size)
        if not predictor.takes_keypoints:
            refuse_detector(args.detector, TAKES_NONE)
        coarse = coarse_predictor(args.model, predictor, batch_size)
        args.size = args.size or predictor.config.crop_size
        make_output_folder(args.out)
        benchmark = _benchmark(args, predictor, watch)

        def evaluated(model: "Predictor"):
            asked = answers_of_model(
                model,
                benchmark.samples,
                batch_size=batch_size,
                to_mano=None,
                keypoint_regressor=None,
                detector=detector,
                smoothed_at=benchmark.frames_per_second if args.smooth else None,
            )
            return evaluate(benchmark, listed(benchmark, asked, watch))

        evaluation = evaluated(predictor)
        summary = {
            "model": str(args.model),
            "model_file": file_fingerprint(find_model(args.model)),
            "pictures_of": _what_is_drawn(args),
            **({} if detector is None else {"detector": args.detector}),
            **({"smoothed": True} if args.smooth else {}),
            **summarize(evaluation),
            "motion": sequence_scores(evaluation),
        }
        sections = []
        if coarse is not None:
            before = evaluated(coarse)
            summary["coarse"] = summarize(before)["scores"]
            summary["coarse_motion"] = sequence_scores(before)
            scores = score_table(summary["coarse"])
            sections.append(section("Before super-resolution", scores))
            sections.append(motion_section(summary["coarse_motion"]))
        chosen = np.flatnonzero(evaluation.found)[: max(args.surfaces, 0)].tolist()
        if chosen:
            watch.check()
            summary["surfaces"] = _surface_table(args, benchmark, chosen, predictor, coarse)
            note = (
                f"Means over {len(chosen)} hands; predicted meshes rigidly aligned; the depth map "
                "as a Kinect-like sensor would measure the same hand, which sees one side of it."
            )
            sections.append(surface_section(summary["surfaces"], note))
        files = {
            "samples.csv": sample_rows(evaluation),
            "report.html": benchmark_page(evaluation, summary, predictor.hand.faces, sections),
        }
        if (worst := worst_hands(evaluation, predictor.hand.faces)) is not None:
            files[WORST] = png_bytes(worst)
        written = written_results(args.out, summary, files)
    print_summary(summary)
    print(f"{', '.join(written)}: written to {args.out}")
    return EXIT_FAILED if summary["problems"]["predictions"] else 0


def _surface_table(
    args: argparse.Namespace,
    benchmark: "Benchmark",
    chosen: list[int],
    predictor: "Predictor",
    coarse: "Predictor | None",
) -> dict[str, dict[str, float]]:
    """The depth sensor's and the predicted surfaces of some samples beside the true ones."""
    from i2uv_jax.evaluate.articulation import skinning_of
    from i2uv_jax.evaluate.generated import sensed_surfaces
    from i2uv_jax.evaluate.predicted_surfaces import (
        by_resolution,
        surface_table,
        surfaces_of_model,
    )
    from i2uv_jax.evaluate.surfaces import Surface

    skinning = skinning_of(predictor.hand)
    samples = [benchmark.samples[index] for index in chosen]
    truths = [Surface(sample.vertices, predictor.hand.faces) for sample in samples]
    if args.set is None and args.sequences is None:
        truths = _fine_truths(args, chosen, predictor)
    predicted = by_resolution(
        predictor, coarse, lambda model: surfaces_of_model(model, samples, skinning)
    )
    return surface_table(
        sensed_surfaces(truths, args.seed),
        predicted,
        truths,
        articulated=args.articulated,
        true_vertices=[sample.vertices for sample in samples],
    )


def _fine_truths(
    args: argparse.Namespace, chosen: list[int], predictor: "Predictor"
) -> "list[Surface]":
    """Rendered hands with their skin's relief."""
    import jax

    from i2uv_jax.data.fine_surfaces import fine_vertices
    from i2uv_jax.evaluate.surfaces import Surface
    from i2uv_jax.hand.detail_chart import subdivision_of

    key, hand = jax.random.key(args.seed), predictor.hand
    count = chosen[-1] + 1
    fine = fine_vertices(key, hand, picture_config(args), args.batch or BATCH_SIZE, count)
    faces = subdivision_of(hand).atlas.faces
    return [Surface(fine[index], faces) for index in chosen]


def _what_is_drawn(args: argparse.Namespace) -> str:
    """Where the pictures come from, in a line that leaves out the folders of this machine."""
    if args.set is not None:
        return f"{args.set.name}, split {args.split}"
    config = [] if args.config is None else [args.config.name]
    for option in ("skins", "backgrounds"):
        if (folder := getattr(args, option)) is not None:
            config.append(f"--{option} {folder.name}")
    overrides = [Path(text).name if "/" in text else text for text in args.overrides]
    return ", ".join([*config, *overrides, f"seed {args.seed}"])


def _benchmark(
    args: argparse.Namespace, predictor: "Predictor", watch: InterruptWatch
) -> "Benchmark":
    from i2uv_jax.evaluate.generated import (
        generated_benchmark,
        samples_of_batch,
        samples_of_set,
    )

    if args.set is not None:
        from i2uv_jax.data.stored_set import open_set

        stored = open_set(args.set)
        if stored.hand.atlas.fingerprint != predictor.hand.atlas.fingerprint:
            raise CommandError(f"--set {args.set}: shows another hand than the model's")
        return generated_benchmark(list(samples_of_set(stored, args.split, args.count, args.size)))
    import jax

    from i2uv_jax.data.generator import HandGenerator

    config = picture_config(args)
    generator = HandGenerator(
        config, predictor.hand, args.batch or BATCH_SIZE, is_sequence=args.sequences is not None
    )
    samples = []
    key = jax.random.key(args.seed)
    if args.sequences is not None:
        return generated_benchmark(_moving_hands(generator, key, args.sequences, watch))
    tones, ages = generator.monk_tones(key, args.count), generator.ages(key, args.count)
    with progress_bar(args.count) as bar:
        for batch in generator.batches(key, args.count):
            watch.check()
            first, last = len(samples), len(samples) + len(batch.image)
            of_batch = None if tones is None else tones[first:last]
            samples += samples_of_batch(
                batch, predictor.hand.faces, first, of_batch, ages[first:last]
            )
            bar.update(len(samples) - bar.n)
    return generated_benchmark(samples)


def _moving_hands(
    generator: "HandGenerator", key: "Array", num_sequences: int, watch: InterruptWatch
) -> "list[Sample]":
    """The frames of all sequences, one after the other."""
    from i2uv_jax.evaluate.generated import samples_of_batch

    samples = []
    count = num_sequences * generator.batch_size
    with progress_bar(count) as bar:
        for index, batch in enumerate(generator.batches(key, count)):
            watch.check()
            samples += samples_of_batch(
                batch, generator.hand.faces, len(samples), sequence=f"sequence {index}"
            )
            bar.update(len(samples) - bar.n)
    return samples
