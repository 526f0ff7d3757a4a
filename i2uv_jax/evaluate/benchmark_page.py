"""report.html of a benchmark."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8

from i2uv_jax.evaluate.hand_scores import THRESHOLDS_M, curve
from i2uv_jax.evaluate.published import PUBLISHED
from i2uv_jax.evaluate.summary import Evaluation
from i2uv_jax.imaging.crop import BoxError, SquareCrop, crop_from_box, crop_whole, extract
from i2uv_jax.imaging.read import ImageError
from i2uv_jax.viewing.charts import bar_chart, histogram, line_chart
from i2uv_jax.viewing.contact_sheet import contact_sheet
from i2uv_jax.viewing.html_report import number, picture, problems, report_html, section, table
from i2uv_jax.viewing.overlay import overlay_mesh, overlay_skeleton

_NUM_EXAMPLES = 4
_NUM_WORST = 16
_TILE_PX = 200

_SCORE_NOTE = (
    "Keypoints and vertices are aligned each on their own, with scale, as the official scripts do: "
    "mirrored hands too. A mesh of another topology than MANO's is moved as its keypoints are; the "
    "scripts then forget to divide by its size, which the row 'as scripts align' repeats."
)

_COLUMNS = {
    "keypoint_aligned_mm": ("PA-MPJPE mm", 2),
    "keypoint_aligned_auc": ("AUC keypoints", 3),
    "vertex_aligned_mm": ("PA-MPVPE mm", 2),
    "vertex_aligned_auc": ("AUC vertices", 3),
    "f_aligned_5": ("F@5", 3),
    "f_aligned_15": ("F@15", 3),
}

_SURFACES = {
    "to_truth_mean_mm": ("to the truth, mean mm", 2),
    "to_truth_median_mm": ("median mm", 2),
    "from_truth_mean_mm": ("from the truth, mean mm", 2),
    "from_truth_median_mm": ("median mm", 2),
    "accurate": ("within 2 mm of the truth", 3),
    "complete": ("truth within 2 mm", 3),
}

ROWS = {
    "keypoint": "keypoints, as they are",
    "keypoint_root": "keypoints, wrist on wrist",
    "keypoint_scaled": "keypoints, wrist and scale",
    "keypoint_aligned": "keypoints, aligned",
    "vertex": "vertices, as they are",
    "vertex_aligned": "vertices, aligned",
}
F_ROWS = {
    "f": "F, as it is",
    "f_aligned": "F, aligned",
    "f_aligned_as_script": "F, as scripts align",
}


MOTION_ROWS = {
    "jitter_m_s2": "mean acceleration of the prediction",
    "true_jitter_m_s2": "mean acceleration of the truth",
    "acceleration_error_m_s2": "acceleration error",
}


def benchmark_page(
    evaluation: Evaluation,
    summary: dict,
    faces: Int[np.ndarray, "f 3"] | None,
    additional: Sequence[str] = (),
) -> bytes:
    """The report's bytes.

    Args:
      summary: of `summarize`, with the model's name as "model".
      faces: of the predicted meshes, for the pictures; None draws the keypoints only.
      additional: sections to go behind the scores.
    """
    blocks = [
        section(
            "Beside published results",
            _published(evaluation.benchmark.key, summary),
            note="Over all pictures, a missing hand counted as one of zeros alone. Others' numbers "
            "are their own or were read where the last column says.",
        ),
        section(
            "All scores",
            score_table(summary["scores"]),
            note=_SCORE_NOTE if evaluation.benchmark.reflect else "",
        ),
        *additional,
        section(
            "Curves, hands found",
            _curve_chart("share of keypoints within a distance", _keypoint_curves(evaluation)),
            _curve_chart("share of vertices within a distance", _vertex_curves(evaluation)),
        ),
        section(
            "Keypoints",
            histogram("hands by aligned keypoint error", evaluation.main_error_mm, x_label="mm"),
            bar_chart(
                "aligned error by joint", summary["aligned_keypoint_mm_by_keypoint"], unit="mm"
            ),
        ),
        motion_section(summary.get("motion")),
        *(section(f"By {title}", _group_table(own)) for title, own in summary["groups"].items()),
        *_examples(evaluation, faces),
        problems("Pictures without a prediction", summary["problems"]["predictions"]),
        problems("Pictures without usable truth", summary["problems"]["ground_truth"]),
    ]  # fmt: skip
    lead = (
        f"{summary['model']}: {summary['pictures']} pictures, {summary['found']} hands found, "
        f"{summary['with_keypoint_truth']} with true keypoints."
    )
    return report_html(f"{evaluation.benchmark.name}: {summary['model']}", lead, blocks)


def _keypoint_curves(evaluation: Evaluation) -> dict[str, Float[np.ndarray, "100"]]:
    """Mean curves of the hands found, by how they were aligned."""
    chosen = evaluation.found & evaluation.has_keypoint_truth
    if not chosen.any():
        return {}
    kinds = {"keypoint": "as they are", "keypoint_aligned": "aligned"}
    if evaluation.benchmark.scales_and_shifts:
        kinds["keypoint_scaled"] = "wrist and scale"
    return {
        name: curve(evaluation.scores[kind][chosen]).mean(axis=0) for kind, name in kinds.items()
    }


def _vertex_curves(evaluation: Evaluation) -> dict[str, Float[np.ndarray, "100"]]:
    """Likewise; nothing for meshes of another topology."""
    scores = evaluation.scores
    chosen = evaluation.found & np.isfinite(scores.get("vertex", np.nan))
    if not chosen.any():
        return {}
    return {
        "as they are": scores["vertex_curve"][chosen].mean(axis=0),
        "aligned": scores["vertex_aligned_curve"][chosen].mean(axis=0),
    }


def _curve_chart(title: str, curves: dict[str, Float[np.ndarray, "100"]]) -> str:
    if not curves:
        return ""
    return line_chart(title, 1000 * THRESHOLDS_M, curves, x_label="mm", y_label="share")


def _published(key: str, summary: dict) -> str:
    """Own numbers above those of others; nothing where there are none of others."""
    if key not in PUBLISHED:
        return ""
    own = [summary["model"]]
    own += [number(summary["scores"]["all"].get(c), d) for c, (_, d) in _COLUMNS.items()]
    rows = [(*own, "this report")]
    for row in PUBLISHED[key]:
        cells = [number(getattr(row, c), 1 if c.endswith("mm") else d)
                 for c, (_, d) in _COLUMNS.items()]  # fmt: skip
        rows.append((row.method, *cells, row.source))
    return table(("", *(title for title, _ in _COLUMNS.values()), "source"), rows, own=(0,))


def score_table(scores: dict) -> str:
    def cells(columns):
        return [
            number(scores[over].get(name), decimals)
            for over in ("found", "all")
            for name, decimals in columns
        ]

    rows = [
        (title, *cells(((f"{kind}_mm", 2), (f"{kind}_auc", 3))))
        for kind, title in ROWS.items()
        if scores["all"].get(f"{kind}_mm") is not None
    ]
    meshes = [
        (title, *cells(((f"{kind}_5", 3), (f"{kind}_15", 3))))
        for kind, title in F_ROWS.items()
        if scores["all"].get(f"{kind}_5") is not None
    ]
    return table(("", "mm, found", "AUC, found", "mm, all", "AUC, all"), rows) + table(
        ("", "5 mm, found", "15 mm, found", "5 mm, all", "15 mm, all"), meshes
    )


def surface_section(surfaces: dict, note: str) -> str:
    """The table of `surfaces.compare`'s numbers, by surface."""
    rows = [
        (name, *(number(own[key], decimals) for key, (_, decimals) in _SURFACES.items()))
        for name, own in surfaces.items()
    ]
    header = ("", *(title for title, _ in _SURFACES.values()))
    return section("Surfaces", table(header, rows), note=note if rows else "")


def motion_section(motion: dict | None) -> str:
    """The numbers of `sequences.sequence_scores`; nothing without sequences."""
    if motion is None:
        return ""
    rows = [
        (title, number(motion[key], 2))
        for key, title in MOTION_ROWS.items()
        if motion[key] is not None
    ]
    note = (
        f"Over {motion['triples']} times three frames in a row of {motion['sequences']} sequences "
        f"at {motion['frames_per_second']:g} pictures a second; keypoints, wrist on wrist."
    )
    return section("In motion, m/s²", table(("", ""), rows), note=note)


def _group_table(groups: dict) -> str:
    rows = [
        (label, str(own["hands"]), number(own["keypoint_aligned_mm"], 2),
         number(own["vertex_aligned_mm"], 2), number(own["f_aligned_5"]),
         number(own["f_aligned_15"]))
        for label, own in groups.items()
    ]  # fmt: skip
    return table(("", "hands found", "PA-MPJPE mm", "PA-MPVPE mm", "F@5", "F@15"), rows)


def _examples(evaluation: Evaluation, faces) -> list[str]:
    """Sections of the best, middle and worst hands."""
    order = np.argsort(evaluation.main_error_mm)
    order = order[np.isfinite(evaluation.main_error_mm[order])]
    count = min(_NUM_EXAMPLES, len(order))
    middle = max(0, (len(order) - count) // 2)
    chosen = {
        "Best": order[:count],
        "Median": order[middle : middle + count],
        "Worst": order[len(order) - count :][::-1],
    }
    return [
        section(title, *(_example(evaluation, int(i), faces) for i in places))
        for title, places in chosen.items()
    ]


def worst_hands(
    evaluation: Evaluation, faces: Int[np.ndarray, "f 3"] | None
) -> UInt8[np.ndarray, "h w 3"] | None:
    """The hands with the largest errors on one sheet, the worst first; None if none can be drawn.

    Args:
      faces: as `benchmark_page` takes them.
    """
    order = np.argsort(-evaluation.main_error_mm)
    order = order[np.isfinite(evaluation.main_error_mm[order])][:_NUM_WORST]
    tiles = [tile for i in order if (tile := _tile(evaluation, int(i), faces)) is not None]
    return contact_sheet(np.stack(tiles)) if tiles else None


def _example(evaluation: Evaluation, index: int, faces) -> str:
    tile = _tile(evaluation, index, faces)
    name = evaluation.benchmark.samples[index].name
    caption = f"{name}: {evaluation.main_error_mm[index]:.1f} mm"
    return "" if tile is None else picture(tile, caption)


def _tile(evaluation: Evaluation, index: int, faces) -> UInt8[np.ndarray, "s s 3"] | None:
    """A picture with the hand that was found over it."""
    sample, answer = evaluation.benchmark.samples[index], evaluation.answers[index]
    if sample.photo is None:
        return None
    try:
        photo = sample.picture()
        crop = _crop(sample.photo.box_xyxy, photo)
    except (ImageError, BoxError):
        return None
    tile = extract(photo, crop, _TILE_PX)

    def place(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        depth = np.maximum(points[:, 2:], 1e-6)
        pixels = sample.photo.focal_px * points[:, :2] / depth + sample.photo.principal_px
        return _TILE_PX * crop.to_crop(pixels)

    if faces is not None and answer.vertices is not None:
        turned = faces[:, ::-1] if sample.is_left else faces
        tile = overlay_mesh(
            tile, place(answer.vertices), 1000 * answer.vertices, turned, opacity=0.55
        )
    return overlay_skeleton(tile, place(answer.keypoints))


def _crop(box, photo: UInt8[np.ndarray, "h w 3"]) -> SquareCrop:
    height, width, _ = photo.shape
    return crop_whole(width, height) if box is None else crop_from_box(box, width, height)
