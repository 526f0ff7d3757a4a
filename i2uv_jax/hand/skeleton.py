"""The hand's skeleton: joint names and order, shared by the build script and the run-time model."""

from i2uv_jax.geometry.keypoints import FINGER_NAMES

METACARPAL_FINGERS = FINGER_NAMES[1:]
"""The fingers with a metacarpal joint of their own; the thumb's metacarpal turns at its CMC."""

JOINT_NAMES = (
    "wrist",
    "index_cmc", "middle_cmc", "ring_cmc", "little_cmc",
    "thumb_cmc", "thumb_mcp", "thumb_ip",
    "index_mcp", "index_pip", "index_dip",
    "middle_mcp", "middle_pip", "middle_dip",
    "ring_mcp", "ring_pip", "ring_dip",
    "little_mcp", "little_pip", "little_dip",
)  # fmt: skip

NUM_JOINTS = len(JOINT_NAMES)

JOINT_PARENTS = (-1, 0, 0, 0, 0, 0, 5, 6, 1, 8, 9, 2, 11, 12, 3, 14, 15, 4, 17, 18)
"""Index of the joint one step nearer the wrist; -1 for the wrist itself."""

FINGER_JOINTS = tuple(range(5, NUM_JOINTS))
"""The 15 joints of the fingers, three a finger, thumb first."""

KEYPOINT_JOINTS = (0, 5, 6, 7, -1, 8, 9, 10, -1, 11, 12, 13, -1, 14, 15, 16, -1, 17, 18, 19, -1)
"""The joint at which each of the 21 keypoints stands; -1 for the finger tips."""

SHAPE_NAMES = (
    "gender", "age", "muscle", "weight", "height", "proportions",
    "size", "finger_length", "palm_length", "palm_width", "palm_thickness",
    "finger_thickness", "knuckle_thickness", "tip_taper",
    "thumb_length", "index_length", "middle_length", "ring_length", "little_length",
)  # fmt: skip
"""Meaning of the shape vector: MakeHuman's six phenotypes (0 to 1), then our own variations.

Each own variation is 0 in the middle and +-1 at about two standard deviations of adults.
"""

NUM_PHENOTYPES = 6
NUM_SHAPE = len(SHAPE_NAMES)
