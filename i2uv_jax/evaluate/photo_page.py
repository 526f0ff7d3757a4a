"""report.html of a folder of annotated pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from i2uv_jax.evaluate.hand_scores import THRESHOLDS_M
from i2uv_jax.evaluate.photos import NEAR_SHARE, SHARES_OF_BOX, PhotoScore
from i2uv_jax.viewing.charts import bar_chart, histogram, line_chart
from i2uv_jax.viewing.html_report import number, picture, problems, report_html, section, table

_NUM_EXAMPLES = 4


def rank(score: PhotoScore) -> float:
    """What pictures are ranked by: the error in the picture or, without one, in space; infinite
    where neither is known."""
    for error in (score.mean_error, score.aligned_mm):
        if error is not None:
            return error
    return np.inf


def photo_page(
    summary: dict,
    scored: Sequence[tuple[PhotoScore, UInt8[np.ndarray, "s s 3"] | None]],
    beside: Mapping[str, Mapping] | None = None,
) -> bytes:
    """The report's bytes.

    Args:
      summary: of `photos.summarize`, with the model's name as "model".
      scored: scores, and the picture with the hand over it where there is one.
      beside: such summaries of others on the same pictures, by their names.
    """
    scores = [score for score, _ in scored]
    columns = {summary["model"]: summary, **(beside or {})}
    blocks = [
        section("Scores", _score_table(columns)),
        section("In the picture", *_charts_2d(scores, columns)),
        section("In space, after Procrustes alignment", *_charts_3d(scores, columns)),
        *(section(f"By {title}", _group_table(own)) for title, own in summary["groups"].items()),
        *_examples(scored),
        problems("Pictures without a prediction", summary["failures"]),
        problems("Pictures without usable truth", summary["ground_truth_problems"]),
    ]
    lead = (
        f"{summary['pictures']} pictures, {len(summary['failed'])} without a prediction; "
        f"{summary['with_keypoints_2d']} with keypoints in the picture, "
        f"{summary['with_keypoints_3d']} in space."
    )
    return report_html(f"Annotated pictures: {summary['model']}", lead, blocks)


def _score_table(columns: Mapping[str, Mapping]) -> str:
    rows = (
        ("pictures without a prediction", "num_failed", 0),
        ("mean error over box, found", "error_over_box", 3),
        ("keypoints within 10 % of box, all", NEAR_SHARE, 3),
        ("area under PCK curve to 30 % of box, all", "auc_of_pck", 3),
        ("PA-MPJPE mm, found", "aligned_keypoint_mm", 2),
        ("PA-MPJPE mm, all", "aligned_keypoint_mm_over_all", 2),
        ("area under aligned PCK curve to 50 mm, all", "auc_of_aligned_pck", 3),
        ("milliseconds a picture", "milliseconds_per_picture", 1),
    )
    shown = [{"num_failed": len(own["failed"]), **own} for own in columns.values()]
    return table(
        ("", *columns),
        [
            (title, *(number(own.get(name), decimals) for own in shown))
            for title, name, decimals in rows
            if any(own.get(name) is not None for own in shown)
        ],
    )


def _group_table(groups: Mapping) -> str:
    rows = [
        (label, str(own["pictures"]), str(own["found"]), number(own["error_over_box"], 3),
         number(own["aligned_keypoint_mm"], 2))
        for label, own in groups.items()
    ]  # fmt: skip
    return table(("", "pictures", "found", "error over box", "PA-MPJPE mm"), rows)


def _charts_2d(scores, columns) -> list[str]:
    own = [score for score in scores if score.errors is not None]
    if not own:
        return []
    summary = next(iter(columns.values()))
    known = [score.mean_error for score in own if score.mean_error is not None]
    return [
        line_chart(
            "share of visible keypoints within a distance", SHARES_OF_BOX,
            _curves(columns, "pck_curve"),
            x_label="share of the hand's box", y_label="share",
        ),
        histogram("hands by mean error", known, x_label="share of the hand's box"),
        bar_chart("mean error by joint, share of box", summary["error_over_box_by_keypoint"]),
    ]  # fmt: skip


def _charts_3d(scores, columns) -> list[str]:
    own = [score for score in scores if score.aligned_errors_mm is not None]
    if not own:
        return []
    summary = next(iter(columns.values()))
    known = [score.aligned_mm for score in own if score.aligned_mm is not None]
    return [
        line_chart(
            "share of keypoints within a distance", 1000 * THRESHOLDS_M,
            _curves(columns, "aligned_pck_curve"), x_label="mm", y_label="share",
        ),
        histogram("hands by aligned error", known, x_label="mm"),
        bar_chart(
            "aligned error by joint", summary["aligned_keypoint_mm_by_keypoint"], unit="mm"
        ),
    ]  # fmt: skip


def _curves(columns: Mapping[str, Mapping], name: str) -> dict[str, list[float]]:
    return {title: own[name] for title, own in columns.items() if own.get(name) is not None}


def _examples(scored) -> list[str]:
    shown = [(s, tile) for s, tile in scored if tile is not None and np.isfinite(rank(s))]
    shown.sort(key=lambda pair: rank(pair[0]))
    count = min(_NUM_EXAMPLES, len(shown))
    middle = max(0, (len(shown) - count) // 2)
    chosen = {
        "Best": shown[:count],
        "Median": shown[middle : middle + count],
        "Worst": shown[len(shown) - count :][::-1],
    }
    return [
        section(title, *(picture(tile, _caption(score)) for score, tile in pairs))
        for title, pairs in chosen.items()
    ]


def _caption(score: PhotoScore) -> str:
    parts = [score.file]
    if score.mean_error is not None:
        parts.append(f"{100 * score.mean_error:.1f} % of box")
    if score.aligned_mm is not None:
        parts.append(f"{score.aligned_mm:.1f} mm")
    return ": ".join([parts[0], ", ".join(parts[1:])])
