"""The 21 keypoints, in the order that FreiHAND and MANO users know.

Wrist, then thumb, index, middle, ring, little; each finger from the palm to the tip.
"""

FINGER_NAMES = ("thumb", "index", "middle", "ring", "little")

KEYPOINT_NAMES = (
    "wrist",
    "thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip",
    "index_mcp", "index_pip", "index_dip", "index_tip",
    "middle_mcp", "middle_pip", "middle_dip", "middle_tip",
    "ring_mcp", "ring_pip", "ring_dip", "ring_tip",
    "little_mcp", "little_pip", "little_dip", "little_tip",
)  # fmt: skip

NUM_KEYPOINTS = len(KEYPOINT_NAMES)

WRIST = 0
INDEX_MCP, MIDDLE_MCP, RING_MCP = (
    KEYPOINT_NAMES.index(f"{finger}_mcp") for finger in ("index", "middle", "ring")
)

KEYPOINT_PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
"""Index of the keypoint one step nearer the wrist; -1 for the wrist itself."""

KEYPOINT_EDGES = tuple((parent, child) for child, parent in enumerate(KEYPOINT_PARENTS) if child)
"""The 20 bones of the stick figure, as (parent, child)."""
