"""What a structured-light depth sensor would measure of a mesh: a Kinect's noise, steps and holes.

Khoshelham and Elberink (2012, "Accuracy and resolution of Kinect depth data for indoor mapping
applications"): the standard deviation of a measured depth grows with its square, 1.425 mm at 1 m,
and depths come in steps of twice that. Where the surface turns away from the sensor, and beside
its outlines, which the projector or the camera does not see, nothing is measured.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from i2uv_jax.render.rasterise import rasterise

FOCAL_PX = 575.0
"""Of the first Kinect's depth camera, 640 x 480 pixels."""

_NOISE_PER_M = 1.425e-3
_STEP_PER_M = 2.85e-3
_MIN_COSINE = 0.26
"""Surfaces turned farther than about 75 degrees away are holes."""
_DROPPED = 0.01
"""Share of pixels that are missing for no reason seen."""


def measure(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], rng: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """Points that the sensor measures of a mesh before it; metres, camera frame."""
    depth, pixels = _true_depth(vertices, faces)
    is_hit = np.isfinite(depth)
    seen = is_hit & ~_beside_outline(is_hit) & ~_steep(depth)
    seen &= rng.random(depth.shape) >= _DROPPED
    true = depth[seen]
    noisy = true + _NOISE_PER_M * true**2 * rng.standard_normal(len(true))
    # Steps are even in disparity, the inverse of depth: 1 / z = n * step.
    measured = 1 / (np.maximum(np.round(1 / noisy / _STEP_PER_M), 1) * _STEP_PER_M)
    rays = pixels[seen] / FOCAL_PX
    return np.concatenate([rays, np.ones((len(rays), 1))], axis=1) * measured[:, None]


def _true_depth(vertices, faces):
    """Depth of the pixels around the mesh, infinite beside it, and their place from the axis."""
    place = FOCAL_PX * vertices[:, :2] / vertices[:, 2:]
    low = np.floor(place.min(axis=0)).astype(int) - 1
    # A multiple of 64, so that few sizes are compiled.
    size = 64 * int(np.ceil((np.ptp(place, axis=0).max() + 3) / 64))
    fragments = rasterise(
        (place - low)[None].astype(np.float32),
        vertices[None, :, 2].astype(np.float32),
        faces,
        height=size,
        width=size,
        cull_back_faces=False,
    )
    middles = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1) + 0.5 + low
    return np.asarray(fragments.depth[0], np.float64), middles


def _beside_outline(is_hit: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    padded = np.pad(is_hit, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return ~inner


def _steep(depth: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """By the change of depth from pixel to pixel against the pixel's size at that depth; a jump
    from finger to finger is steep, too."""
    known = np.where(np.isfinite(depth), depth, 0)
    down, across = np.gradient(known)
    slope = np.hypot(down, across) * FOCAL_PX / np.maximum(known, 1e-6)
    return 1 / np.hypot(1, slope) < _MIN_COSINE
