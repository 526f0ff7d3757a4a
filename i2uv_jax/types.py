"""The few data types that cross module borders: frozen pytrees, a shape and a unit on every field.

Frames and units, stated once for the whole package:

- *Camera frame*: x right, y down, z forward (away from the camera). Metres inside, millimetres
  only in reports and files for people (fields then end in `_mm`).
- *Crop coordinates*: the square picture a network sees spans 0 to 1 from its left (top) edge to
  its right (bottom) edge, so the centre of pixel i of n is (i + 0.5) / n.
- *UV position map*: a `(v, u)` image; row 0 is the top of the texture square. A texel holds
  (x, y, z): x and y in crop coordinates, z the depth relative to the wrist keypoint in the same
  unit (crop sides at the wrist's depth), positive away from the camera.
- Every hand inside the networks is a right hand; a left hand is mirrored in x on its way in and
  on its way out.
"""

from flax import struct
from jaxtyping import Array, Bool, Float


@struct.dataclass
class Camera:
    """Pinhole camera of a square crop, in crop coordinates (unit: one crop side).

    Because a crop only shifts and scales the picture plane, any crop of any pinhole picture is
    again such a camera: see `i2uv_jax.geometry.camera.crop_camera`.
    """

    focal: Float[Array, "*b"]
    """Focal length divided by the crop's side; both in pixels of the same picture."""
    principal: Float[Array, "*b 2"]
    """Principal point in crop coordinates; it may lie outside the crop."""


@struct.dataclass
class Batch:
    """Pictures of right hands with their exact geometry, as every data source yields them."""

    image: Float[Array, "b h w 3"]
    """sRGB-encoded colours, 0 to 1."""
    uv_map: Float[Array, "b m m 3"]
    """True UV position map in crop coordinates, extended past the chart's border."""
    vertices: Float[Array, "b v 3"]
    """Mesh vertices in the camera frame, metres."""
    keypoints: Float[Array, "b 21 3"]
    """Keypoints in the camera frame, metres; order of `geometry.keypoints.KEYPOINT_NAMES`."""
    hand_mask: Float[Array, "b h w"]
    """Share of each pixel that the visible hand covers (without the forearm), 0 to 1."""
    keypoint_visible: Bool[Array, "b 21"]
    """Whether the keypoint lies inside the crop."""
    camera: Camera
    handless: Float[Array, "n h w 3"] | None = None
    """Further pictures, without a hand, where a model is to learn of such; as `image`."""
    seen_keypoints: Float[Array, "b 21 3"] | None = None
    """Keypoints as another network sees them in the picture: x, y and z as in a texel, NaN where it
    sees no hand."""
    told_keypoints: Float[Array, "b 21 3"] | None = None
    """What of them a model is told that is to learn to use such, with a share of their errors; NaN
    where nothing."""

    @property
    def network_input(self) -> Float[Array, "b h w 3"]:
        """What the network that learns from such batches takes."""
        return self.image


@struct.dataclass
class SceneBatch:
    """Whole pictures with any number of hands, left and right; `n` places for hands in each.

    *Picture coordinates*: a square picture spans 0 to 1, x right and y down, as a crop does.
    """

    image: Float[Array, "b h h 3"]
    """sRGB-encoded colours, 0 to 1."""
    centre: Float[Array, "b n 2"]
    """Middle of each hand's bounding box, parts out of sight included; picture coordinates."""
    side: Float[Array, "b n"]
    """The box's longer side, in picture sides."""
    is_left: Bool[Array, "b n"]
    is_shown: Bool[Array, "b n"]
    """Whether the place holds a hand that can be seen; else its other values have no meaning."""
    is_doubtful: Bool[Array, "b n"]
    """Whether it holds one of which so little can be seen that finding it is neither right nor
    wrong."""
    keypoints_2d: Float[Array, "b n 21 2"]
    """Picture coordinates."""

    @property
    def network_input(self) -> Float[Array, "b h h 3"]:
        """What the network that learns from such batches takes."""
        return self.image


@struct.dataclass
class SurfacePairs:
    """Coarse UV maps of right hands with the surfaces they stand for, which SRNet learns from."""

    coarse_uv_map: Float[Array, "b m m 3"]
    """Crop coordinates, as the map that SRNet is given by AffineNet."""
    uv_map: Float[Array, "b m m 3"]
    """True map of the surface in detail; crop coordinates."""
    mm_per_unit: Float[Array, "b"]
    """Millimetres per crop side at the wrist's depth."""

    @property
    def network_input(self) -> Float[Array, "b m m 3"]:
        """What the network that learns from such batches takes."""
        return self.coarse_uv_map


TrainingBatch = Batch | SurfacePairs | SceneBatch
"""What a source of data hands out: batches of a whole model, of an SRNet alone, of a detector."""
