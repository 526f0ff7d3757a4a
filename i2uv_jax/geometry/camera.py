"""Pinhole projection into a square crop, and its exact inverse.

Between the camera frame (metres) and the space of UV position maps (crop coordinates plus a depth
in crop sides) stands one similarity at the wrist's depth `Z_w`:

    x = f X / Z + p_x        y = f Y / Z + p_y        z = f (Z - Z_w) / Z_w

`f` and `p` come from the crop's `Camera`. Dropping z is the fixed orthographic projection of
I2UV-HandNet; with `f`, `p` and `Z_w` known the three equations invert exactly, and without `Z_w`
(it only scales the hand) up to one global scale. All functions are pure and jit-able.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.types import Camera


def project(camera: Camera, points_m: Float[Array, "*b n 3"]) -> Float[Array, "*b n 2"]:
    """Crop coordinates of points in the camera frame; points need z > 0."""
    return (
        camera.focal[..., None, None] * points_m[..., :2] / points_m[..., 2:]
        + camera.principal[..., None, :]
    )


def to_crop_space(
    camera: Camera, points_m: Float[Array, "*b n 3"], wrist_depth_m: Float[Array, "*b"]
) -> Float[Array, "*b n 3"]:
    """Camera frame to (x, y in crop coordinates, z in crop sides relative to the wrist)."""
    relative = points_m[..., 2:] / wrist_depth_m[..., None, None] - 1
    depth = camera.focal[..., None, None] * relative
    return jnp.concatenate([project(camera, points_m), depth], axis=-1)


def keypoints_in_crop(
    camera: Camera, keypoints_m: Float[Array, "*b 21 3"]
) -> Float[Array, "*b 21 3"]:
    """Keypoints in the camera frame to crop space, their depth relative to the wrist."""
    return to_crop_space(camera, keypoints_m, keypoints_m[..., WRIST, 2])


def mirrored_in_crop(points: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
    """What the mirror image of a crop shows of points in crop coordinates, with a depth or not."""
    return points.at[..., 0].set(1 - points[..., 0])


def from_crop_space(
    camera: Camera, points_crop: Float[Array, "*b n 3"], wrist_depth_m: Float[Array, "*b"]
) -> Float[Array, "*b n 3"]:
    """Exact inverse of `to_crop_space`; `wrist_depth_m` is the one scale a picture cannot tell."""
    focal = camera.focal[..., None, None]
    depth_m = wrist_depth_m[..., None, None] * (1 + points_crop[..., 2:] / focal)
    plane = (points_crop[..., :2] - camera.principal[..., None, :]) / focal
    return jnp.concatenate([plane * depth_m, depth_m], axis=-1)


def crop_camera(
    focal_px: float, principal_px: tuple[float, float], crop_xyxy: tuple[float, float, float, float]
) -> Camera:
    """Camera of a square crop of a picture with known intrinsics.

    Args:
      focal_px: focal length in pixels of the whole picture (square pixels).
      principal_px: principal point in pixels, measured from the picture's top left corner.
      crop_xyxy: the crop's edges in the same pixels; it may reach outside the picture.

    Raises:
      ValueError: the focal length is not positive, or the crop is no square.
    """
    x0, y0, x1, y1 = crop_xyxy
    side = x1 - x0
    if not focal_px > 0:
        raise ValueError(f"focal_px must be positive, got {focal_px}")
    if not side > 0 or abs((y1 - y0) - side) > 1e-3 * side:
        raise ValueError(f"crop_xyxy must be a square of positive side, got {crop_xyxy}")
    principal = jnp.array([(principal_px[0] - x0) / side, (principal_px[1] - y0) / side])
    return Camera(focal=jnp.asarray(focal_px / side), principal=principal)
