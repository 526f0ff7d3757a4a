"""UV position maps as colours."""

import numpy as np
from jaxtyping import Bool, Float, UInt8


def uv_map_colours(
    uv_map: Float[np.ndarray, "m m 3"],
    mask: Bool[np.ndarray, "m m"],
    *,
    background: tuple[int, int, int] | None = (255, 255, 255),
) -> UInt8[np.ndarray, "m m 3"]:
    """Shows position as colour: red is x (right), green is y (down), blue is z (away).

    Each channel spans its own range inside the chart, so that the map's structure shows whatever
    the hand's size and place.

    Args:
      uv_map: a UV position map, in any unit.
      mask: which texels lie inside the chart.
      background: colour outside the chart; None shows the values there too (a texture needs them,
        lest the background bleeds in at the chart's border).
    """
    inside = uv_map[mask]
    low, high = inside.min(axis=0), inside.max(axis=0)
    relative = (uv_map - low) / np.maximum(high - low, 1e-9)
    # Light end and dark end stay clear of white and black: no channel saturates.
    colours = np.round(255 * (0.1 + 0.85 * np.clip(relative, 0, 1))).astype(np.uint8)
    if background is not None:
        colours[~mask] = background
    return colours
