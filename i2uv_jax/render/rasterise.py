"""Z-buffered triangle rasterisation on the device, exact for triangles of any size.

A hand has thousands of triangles of a few pixels each, so testing every pixel against every
triangle wastes nearly all work. Instead each visible triangle's bounding box is cut into *windows*
of 4 x 4 pixels; all windows of the whole batch form one list (a prefix sum tells where each
triangle's windows begin), and a loop works through the list in pieces of fixed size, so memory is
bounded and no triangle is ever dropped. A window's pixels that its triangle covers compete for the
z-buffer by one scatter-min of an integer that holds the quantised depth in its high bits and the
triangle's index in its low bits: one pass, and the same winner on every run.

Pixel (row i, column j) is tested at its centre (j + 0.5, i + 0.5). Pure and jit-able.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int

_WINDOW = 4
_WINDOW_PIXELS = _WINDOW * _WINDOW
_WINDOWS_PER_PIECE = 1024
"""Windows of one image that one turn of the loop handles."""
_EMPTY = np.uint32(2**32 - 1)
_AREA_EPSILON = 1e-9
"""Twice the area (square pixels) under which a triangle counts as seen from its edge."""
_EDGE_EPSILON = 1e-5
"""Weights down to minus this count as inside, so that rounding opens no cracks along edges."""


@struct.dataclass
class VisibleFaces:
    """What each pixel sees, and what `weights_at` needs to say where on the triangle."""

    face: Int[Array, "b h w"]
    """Index of the nearest triangle, -1 where there is none."""
    planes: Float[Array, "b f 9"]


@struct.dataclass
class Fragments:
    """What each pixel sees."""

    face: Int[Array, "b h w"]
    """Index of the nearest triangle, -1 where there is none."""
    weights: Float[Array, "b h w 3"]
    """Perspective-correct barycentric weights of the pixel's centre in that triangle."""
    depth: Float[Array, "b h w"]
    """Depth of the surface point, infinite where there is none; in the unit of the input."""


@partial(jax.jit, static_argnames=("height", "width", "cull_back_faces"))
def find_visible_faces(
    points_px: Float[Array, "b v 2"],
    depth: Float[Array, "b v"],
    faces: Int[Array, "f 3"],
    *,
    height: int,
    width: int,
    cull_back_faces: bool = True,
) -> VisibleFaces:
    """Nearest triangle of each pixel.

    Args:
      points_px: projected vertices in pixels, x right and y down from the top left corner.
      depth: their depth along the viewing axis; triangles that touch depth <= 0 are left out.
      faces: counter-clockwise seen from outside, shared by the batch.
      cull_back_faces: leave out triangles that face away (right for closed surfaces).
    """
    corners = points_px[:, faces]  # b f 3 2
    corner_depth = depth[:, faces]  # b f 3
    # y points down, so outward faces have negative signed area on the screen.
    area = -_cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    visible = (area if cull_back_faces else jnp.abs(area)) > _AREA_EPSILON
    visible &= (corner_depth > 0).all(axis=-1)
    planes = _weight_planes(corners, corner_depth)
    packed = _scatter_depth(planes, corners, corner_depth, visible, height, width)
    face = jnp.where(packed == _EMPTY, -1, (packed & _index_mask(len(faces))).astype(jnp.int32))
    return VisibleFaces(face=face, planes=planes)


@partial(jax.jit, static_argnames=("height", "width", "cull_back_faces"))
def rasterise(
    points_px: Float[Array, "b v 2"],
    depth: Float[Array, "b v"],
    faces: Int[Array, "f 3"],
    *,
    height: int,
    width: int,
    cull_back_faces: bool = True,
) -> Fragments:
    """`find_visible_faces`, with weights and depth of every pixel."""
    seen = find_visible_faces(
        points_px, depth, faces, height=height, width=width, cull_back_faces=cull_back_faces
    )
    batch, num_faces, _ = seen.planes.shape
    image = jnp.arange(batch)[:, None, None]
    rows = seen.planes.reshape(-1, 9)[image * num_faces + jnp.maximum(seen.face, 0)]
    x, y = jnp.arange(width) + 0.5, (jnp.arange(height) + 0.5)[:, None]
    weights, depth = _normalise_weights(_evaluate(jnp.moveaxis(rows, -1, 0), x, y)[0])
    hit = seen.face >= 0
    return Fragments(
        face=seen.face,
        weights=jnp.stack(weights, axis=-1) * hit[..., None],
        depth=jnp.where(hit, depth, jnp.inf),
    )


def weights_at(
    planes: Float[Array | np.ndarray, "n 9"],
    x_px: Float[Array | np.ndarray, "n"],
    y_px: Float[Array | np.ndarray, "n"],
) -> Float[Array | np.ndarray, "3 n"]:
    """Perspective-correct barycentric weights of places on the screen; of JAX's arrays or NumPy's.

    Args:
      planes: of the triangle that each place sees (`VisibleFaces.planes`). The weights of places
        outside their triangle are finite, and of no meaning.
    """
    weights, _ = _normalise_weights(_evaluate(planes.T, x_px, y_px)[0])
    return planes.__array_namespace__().stack(weights)


def interpolate(
    fragments: Fragments, faces: Int[Array, "f 3"], values: Float[Array, "b v c"]
) -> Float[Array, "b h w c"]:
    """Values of the vertices at what each pixel sees; zero where it sees nothing."""
    batch, _, channels = values.shape
    rows = values[:, faces].reshape(batch * len(faces), 3 * channels)
    image = jnp.arange(batch)[:, None, None]
    corners = rows[image * len(faces) + jnp.maximum(fragments.face, 0)]
    corners = corners.reshape(*fragments.face.shape, 3, channels)
    return sum(corners[..., k, :] * fragments.weights[..., k, None] for k in range(3))


def _weight_planes(corners, corner_depth):
    """Barycentric weights over depth, as linear functions of the screen: 3 weights x (x, y, 1).

    Unlike the perspective-correct weights themselves these quotients are linear on the screen;
    their sum is the inverse depth, and each divided by that sum is its perspective-correct weight.
    """
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    area = _cross(b - a, c - a)
    area = jnp.where(jnp.abs(area) > _AREA_EPSILON, area, jnp.inf)
    planes = []
    for corner, (start, stop) in enumerate(((b, c), (c, a), (a, b))):
        edge = stop - start
        plane = jnp.stack([-edge[..., 1], edge[..., 0], -_cross(edge, start)], axis=-1)
        planes.append(plane / (area * corner_depth[..., corner])[..., None])
    return jnp.concatenate(planes, axis=-1)


def _evaluate(planes, x, y):
    """The three quotients of `_weight_planes` (9 arrays) at screen positions, and their sum."""
    quotients = [
        planes[3 * corner] * x + planes[3 * corner + 1] * y + planes[3 * corner + 2]
        for corner in range(3)
    ]
    return quotients, quotients[0] + quotients[1] + quotients[2]


def _scatter_depth(planes, corners, corner_depth, visible, height, width):
    """Per pixel the least packed (depth, triangle index) of the triangles that cover its centre."""
    batch, num_faces = visible.shape
    size = jnp.array([width, height])
    # First and last pixel whose centre can lie inside, clipped to the picture.
    first = jnp.clip(jnp.ceil(corners.min(axis=2) - 0.5), 0, size).astype(jnp.int32)
    last = jnp.clip(jnp.floor(corners.max(axis=2) - 0.5), -1, size - 1).astype(jnp.int32)
    windows = jnp.maximum((last - first) // _WINDOW + 1, 0) * visible[..., None]
    count = (windows[..., 0] * windows[..., 1]).reshape(-1)
    end = jnp.cumsum(count)
    # Number by number, as rows of nine would have to be picked apart for each pixel of a window.
    planes, first = planes.reshape(-1, 9).T.reshape(-1), first.reshape(-1, 2)
    number = batch * num_faces * np.arange(9, dtype=np.int32)[:, None]
    windows_across = jnp.maximum(windows[..., 0].reshape(-1), 1)
    nearest, farthest = _inverse_depth_range(corner_depth, visible)
    # Just under the top of the bits left for the depth, so that rounding cannot overflow.
    quantum = (2.0 ** (32 - _index_bits(num_faces)) - 1) * (1 - 1e-6)
    step = _WINDOWS_PER_PIECE * batch
    in_window = np.arange(_WINDOW_PIXELS, dtype=np.int32)[:, None]
    last_owner = batch * num_faces - 1
    nowhere = batch * height * width

    def compete(packed, pixel, fragment):
        return packed.at[pixel].min(fragment, mode="drop", wrap_negative_indices=False)

    def find_fragments(start):
        item = start + jnp.arange(step)
        # The loop in it keeps CPUs from searching anew for everything that follows.
        owner = jnp.searchsorted(end, item, side="right", method="scan")
        owner = jnp.minimum(owner, last_owner)
        place = item - (end[owner] - count[owner])
        column = first[owner, 0] + _WINDOW * jax.lax.rem(place, windows_across[owner])
        row = first[owner, 1] + _WINDOW * jax.lax.div(place, windows_across[owner])
        image = jax.lax.div(owner, num_faces)
        index = owner - num_faces * image
        # Pixels of a window before windows: loops over the many windows vectorise.
        x = column + in_window % _WINDOW
        y = row + in_window // _WINDOW
        found = planes.at[number + owner].get(mode="promise_in_bounds", wrap_negative_indices=False)
        quotients, inverse_depth = _evaluate(found, x + 0.5, y + 0.5)
        least = jnp.minimum(jnp.minimum(quotients[0], quotients[1]), quotients[2])
        is_inside = least >= -_EDGE_EPSILON * inverse_depth
        # Negative outside the picture and after the last window.
        room = jnp.minimum(jnp.minimum(width - 1 - x, height - 1 - y), end[-1] - 1 - item)
        behind = (nearest[image] - inverse_depth) / (nearest[image] - farthest[image])
        depth_bits = (jnp.clip(behind, 0, 1) * quantum).astype(jnp.uint32)
        fragment = (depth_bits << _index_bits(num_faces)) | index.astype(jnp.uint32)
        pixel = jnp.where(room >= 0, (image * height + y) * width + x, nowhere)
        return jnp.where(is_inside, pixel, nowhere), fragment

    # Fragments compete one turn after they were found: so they are stored as they are, in rows of
    # windows, which CPUs vectorise, and not as a part of the scatter, which they do not.
    none_yet = (
        jnp.full((_WINDOW_PIXELS, step), nowhere),
        jnp.zeros((_WINDOW_PIXELS, step), jnp.uint32),
    )
    _, packed, *last = jax.lax.while_loop(
        lambda state: state[0] < end[-1],
        lambda state: (state[0] + step, compete(*state[1:]), *find_fragments(state[0])),
        (jnp.int32(0), jnp.full(nowhere, _EMPTY, jnp.uint32), *none_yet),
    )
    return compete(packed, *last).reshape(batch, height, width)


def _inverse_depth_range(corner_depth, visible):
    """Largest and smallest inverse depth of each image's visible triangles, never equal."""
    inverse = 1 / corner_depth
    nearest = jnp.where(visible[..., None], inverse, -jnp.inf).max(axis=(1, 2))
    farthest = jnp.where(visible[..., None], inverse, jnp.inf).min(axis=(1, 2))
    empty = nearest < farthest
    nearest, farthest = jnp.where(empty, 1.0, nearest), jnp.where(empty, 0.0, farthest)
    return nearest, jnp.minimum(farthest, nearest * (1 - 1e-5))


def _normalise_weights(quotients):
    """Weights that sum to 1, and the depth, from the three quotients of `_weight_planes`."""
    xp = quotients[0].__array_namespace__()
    quotients = [xp.maximum(quotient, xp.zeros_like(quotient)) for quotient in quotients]
    inverse_depth = quotients[0] + quotients[1] + quotients[2]
    depth = 1 / xp.where(inverse_depth > 0, inverse_depth, xp.ones_like(inverse_depth))
    return [quotient * depth for quotient in quotients], depth


def _index_bits(num_faces):
    return max(1, (num_faces - 1).bit_length())


def _index_mask(num_faces):
    return np.uint32((1 << _index_bits(num_faces)) - 1)


def _cross(first, second):
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
