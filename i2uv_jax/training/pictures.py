"""Pictures of what a network makes of its input, for TensorBoard: as UV maps and as meshes."""

import numpy as np
from jaxtyping import Float, UInt8

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.subdivision import subdivide_atlas
from i2uv_jax.geometry.uv_map import build_tables, vertices_from_uv_map
from i2uv_jax.imaging.eight_bit import to_bytes
from i2uv_jax.render.mesh_picture import draw_meshes
from i2uv_jax.types import Batch, SurfacePairs

_MIN_PANEL_PX = 128


def draw_maps(
    batch: Batch | SurfacePairs, predicted: Float[np.ndarray, "b m m 3"], *, atlas: Atlas
) -> UInt8[np.ndarray, "h w 3"]:
    """The samples of a batch, one below another: input, predicted and true UV map, then the input
    (if it is a UV map), prediction and truth as meshes.

    Args:
      batch: on the host.
      atlas: of the maps.
    """
    given, true = np.asarray(batch.network_input), np.asarray(batch.uv_map)
    uv_maps = (predicted, true)
    if isinstance(batch, SurfacePairs):
        uv_maps = (given, predicted, true)
        # The relief is finer than the hand's own triangles.
        atlas = subdivide_atlas(atlas).atlas
    size = max(_MIN_PANEL_PX, given.shape[1])
    panels = [] if isinstance(batch, SurfacePairs) else [_enlarged(given, size)]
    panels += [_enlarged(map_colours(one), size) for one in uv_maps]
    pixels = [to_bytes(panel) for panel in panels] + [_meshes(one, atlas, size) for one in uv_maps]
    return np.concatenate(list(np.concatenate(pixels, axis=2)))


def map_colours(uv_map: Float[np.ndarray, "*b m m 3"]) -> Float[np.ndarray, "*b m m 3"]:
    """A map in crop coordinates as colours: red is x, green is y, blue is z.

    z counts from the wrist and is shown around mid-blue.
    """
    return uv_map + np.array([0.0, 0.0, 0.5])


def _enlarged(images: Float[np.ndarray, "b m m 3"], size: int) -> Float[np.ndarray, "b s s 3"]:
    places = np.arange(size) * images.shape[1] // size
    return images[:, places][:, :, places]


def _meshes(uv_maps, atlas: Atlas, size: int) -> UInt8[np.ndarray, "b s s 3"]:
    """Shaded, where they stand in the crop."""
    vertices = np.asarray(vertices_from_uv_map(build_tables(atlas, uv_maps.shape[1]), uv_maps))
    # What an untrained network says may lie anywhere, which a rasteriser has to bear.
    vertices = size * np.clip(vertices, -1, 2)
    drawn = draw_meshes(vertices[..., :2], vertices, atlas.faces, size) / 255
    return to_bytes(drawn[..., :3] * drawn[..., 3:] + (1 - drawn[..., 3:]))
