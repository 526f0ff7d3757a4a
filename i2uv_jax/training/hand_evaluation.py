"""One evaluation step of a network of hands, as a pure function of its variables and a batch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.geometry.camera import from_crop_space
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.geometry.uv_map import UvTables, vertices_from_uv_map
from i2uv_jax.metrics import aligned_position_error, mean_position_error, point_distances
from i2uv_jax.models.hand_net import HandNet
from i2uv_jax.models.looks import mesh_reader, regress_keypoints, see_hands
from i2uv_jax.ops.resize import resize_corner_aligned
from i2uv_jax.training.task import Scores, means
from i2uv_jax.types import Batch

_MM_PER_M = 1000.0

_TOLD, _TOLD_SHARE = "told_", "told_share"

_MIN_VARIANCE = 1e-4
"""Square millimetres; lets the correlation with an expectation that is one number be about 0."""


def build_evaluation_step(
    model: HandNet, tables: UvTables, keypoint_regressor: Float[np.ndarray, "21 v"]
) -> Callable[[dict, Batch], tuple[Float[Array, "b m m 3"], dict[str, Float[Array, "b"]]]]:
    """The function that predicts a batch's UV maps and measures them, picture by picture.

    The true camera and wrist depth turn a map into a mesh in metres, so the plain errors count
    from wrist to wrist at the right scale; the aligned ones do not depend on either.

    Its errors, in millimetres: "vertex_mm", "keypoint_mm" and, after Procrustes alignment,
    "aligned_vertex_mm" and "aligned_keypoint_mm".

    Of a model that takes keypoints these are its errors without any; "told_vertex_mm" and so on are
    those with what the batch tells, and "told_share" is 1 for hands of which it tells anything.

    Of a model that tells presence also "presence_right", "presence_left" and, where the batch has
    pictures without a hand, "presence_handless": the mean probabilities of a right hand it gives
    to pictures, their mirror images and those; and "side_accuracy", the share of pictures that get
    a larger one than their mirror image.

    Of a model that tells confidence also the mean distance of its map's texels from the truth, as
    it is ("texel_mm") and as the model expects it ("expected_texel_mm"), and the correlation of the
    two over a picture's texels ("confidence_correlation").
    """

    mesh_from_uv_map = mesh_reader(tables, keypoint_regressor)

    def errors_mm(uv_map, batch):
        wrist_depth_m = batch.keypoints[:, WRIST, 2]
        vertices_crop = vertices_from_uv_map(tables, uv_map)
        vertices = from_crop_space(batch.camera, vertices_crop, wrist_depth_m)
        keypoints = regress_keypoints(keypoint_regressor, vertices)
        wrist, true_wrist = keypoints[:, WRIST : WRIST + 1], batch.keypoints[:, WRIST : WRIST + 1]
        errors = {
            "vertex_mm": mean_position_error(vertices - wrist, batch.vertices - true_wrist),
            "keypoint_mm": mean_position_error(keypoints - wrist, batch.keypoints - true_wrist),
            "aligned_vertex_mm": aligned_position_error(vertices, batch.vertices),
            "aligned_keypoint_mm": aligned_position_error(keypoints, batch.keypoints),
        }
        return {name: _MM_PER_M * error for name, error in errors.items()}

    def evaluation_step(variables, batch):
        pictures = batch.image
        if model.config.tells_presence:
            others = () if batch.handless is None else (batch.handless,)
            pictures = jnp.concatenate([pictures, pictures[:, :, ::-1], *others])
        seen = see_hands(model, variables, pictures, mesh_from_uv_map)
        uv_map = seen.uv_map[: len(batch.image)]
        rows = errors_mm(uv_map, batch)
        if batch.told_keypoints is not None:
            told = see_hands(model, variables, batch.image, mesh_from_uv_map, batch.told_keypoints)
            told_rows = errors_mm(told.uv_map, batch)
            rows |= {f"{_TOLD}{name}": values for name, values in told_rows.items()}
            is_told = jnp.isfinite(batch.told_keypoints).any(axis=(1, 2))
            rows[_TOLD_SHARE] = is_told.astype(jnp.float32)
        if model.config.tells_presence:
            rows |= _presence_rows(seen.presence_logit, len(batch.image))
        if seen.texel_error is not None:
            expected = seen.texel_error[: len(batch.image)]
            rows |= _confidence_rows(expected, uv_map, batch, tables)
        return uv_map, rows

    return evaluation_step


def mean_scores(rows: dict[str, np.ndarray]) -> Scores:
    """An evaluation step's errors of the whole evaluation set to scores: means over the pictures,
    of errors with told keypoints over those of which any are told (left out if there are none)."""
    told = {name for name in rows if name.startswith(_TOLD)} - {_TOLD_SHARE}
    scores = means({name: values for name, values in rows.items() if name not in told})
    is_told = rows[_TOLD_SHARE] > 0 if told else np.zeros(0, bool)
    if is_told.any():
        scores |= means({name: rows[name][is_told] for name in told})
    return scores


def _confidence_rows(
    expected: Float[Array, "b k k"], uv_map: Float[Array, "b m m 3"], batch: Batch, tables: UvTables
) -> dict[str, Array]:
    """Scores of expected distances of texels from the truth, in crop sides."""
    size = (tables.size, tables.size)
    expected = resize_corner_aligned(expected[..., None], size)[..., 0]
    distance = point_distances(uv_map, batch.uv_map)
    mm_per_side = _MM_PER_M * batch.keypoints[:, WRIST, 2] / batch.camera.focal
    inside = np.asarray(tables.texel_mask)
    # (2, b, texels of the chart)
    both = mm_per_side[:, None] * jnp.stack([distance, expected])[..., inside]
    mean, spread = both.mean(axis=-1), both.std(axis=-1)
    covariance = jnp.prod(both - mean[..., None], axis=0).mean(axis=-1)
    return {
        "texel_mm": mean[0],
        "expected_texel_mm": mean[1],
        "confidence_correlation": covariance / jnp.maximum(spread[0] * spread[1], _MIN_VARIANCE),
    }


def _presence_rows(logit: Float[Array, "n"], num_pictures: int) -> dict[str, Array]:
    """Scores of the logits of pictures, of their mirror images, and of pictures without a hand."""
    right, left, handless = jnp.split(logit, [num_pictures, 2 * num_pictures])
    rows = {
        "presence_right": jax.nn.sigmoid(right),
        "presence_left": jax.nn.sigmoid(left),
        "side_accuracy": (right > left).astype(jnp.float32),
    }
    return rows | ({"presence_handless": jax.nn.sigmoid(handless)} if handless.size else {})
