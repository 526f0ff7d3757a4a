"""A fitted scan as UV position maps: what is kept of it, its file, and its mesh.

One `.npz` file a scan, without pickled objects. Its maps are what SRNet learns from (see
`data.surface_pairs`): the rigged hand's as the coarse one and the scan's surface as the fine one,
here in the hand frame in metres. Every hand is a right hand; a left one is mirrored in x.
"""

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Shaped

from i2uv_jax.geometry.subdivision import apply_table, subdivided_texels
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.hand.mirror import mirror_points
from i2uv_jax.registration.fitting import HandFitter, Registration
from i2uv_jax.registration.parameters import split
from i2uv_jax.viewing.glb import SceneHand, glb_bytes
from i2uv_jax.viewing.gltf_file import CAMERA_TO_GLTF
from i2uv_jax.viewing.uv_colours import uv_map_colours

UV_MAP_SIZE = 256
_FORMAT = 1
_HANDEDNESS = ("right", "left")
_LATER = ("atlas", "scan")
"""What files of this format did not hold at first."""


@dataclass(frozen=True)
class FittedHand:
    """All that is kept of one fitted scan; NumPy arrays, named as in the file."""

    uv_map: Float[np.ndarray, "256 256 3"]
    """The scan's surface, hand frame of the right hand, metres; extended past the border."""
    coarse_uv_map: Float[np.ndarray, "256 256 3"]
    """The rigged hand of the fitted pose and shape, likewise."""
    seen: Bool[np.ndarray, "256 256"]
    """Texels inside the chart that the scan shows; the others are filled in smoothly."""
    seen_share: Float[np.ndarray, ""]
    """Of the surface's vertices."""
    keypoints: Float[np.ndarray, "21 3"]
    """Of the rigged hand, hand frame, metres."""
    angles: Float[np.ndarray, "j 3"]
    """Joint angles, radians: see `hand.pose_prior`."""
    wrist_angles: Float[np.ndarray, "3"]
    """Of the forearm: see `hand.pose_prior.WRIST_LIMITS`."""
    shape: Float[np.ndarray, "s"]
    """See `hand.skeleton.SHAPE_NAMES`."""
    is_left: Bool[np.ndarray, ""]
    scale: Float[np.ndarray, ""]
    """hand = scale * rotation @ scan + translation, with the scan mirrored in x before if the hand
    is a left one: metres per unit of the scan."""
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]
    unit_is_known: Bool[np.ndarray, ""]
    """False: the scan did not say how large the hand is, which got the mean adult's length."""
    rig_mm: Float[np.ndarray, ""]
    """Mean distance of the rigged hand and the scan, both ways."""
    scan_to_hand_mm: Float[np.ndarray, "2"]
    """Mean and 95th percentile of the distances of the scan's points on the hand from `uv_map`'s
    surface."""
    hand_to_scan_mm: Float[np.ndarray, "2"]
    """The same from the surface to the scan, what the scan does not show included."""
    atlas: Shaped[np.ndarray, ""] | None
    """Fingerprint of the UV atlas of the maps; None in files from before it was kept."""
    scan: Shaped[np.ndarray, ""] | None
    """Fingerprint of the scan's file; None in files from before it was kept."""

    @property
    def handedness(self) -> str:
        return _HANDEDNESS[int(self.is_left)]

    def numbers(self) -> dict:
        """What a report says of it."""
        return {
            "handedness": self.handedness,
            "unit_is_known": bool(self.unit_is_known),
            "metres_per_unit": float(f"{self.scale:.6g}"),
            "seen_share": round(float(self.seen_share), 3),
            "rig_mm": round(float(self.rig_mm), 3),
            "scan_to_hand_mean_mm": round(float(self.scan_to_hand_mm[0]), 3),
            "scan_to_hand_p95_mm": round(float(self.scan_to_hand_mm[1]), 3),
            "hand_to_scan_mean_mm": round(float(self.hand_to_scan_mm[0]), 3),
            "hand_to_scan_p95_mm": round(float(self.hand_to_scan_mm[1]), 3),
        }


def fitted_hand(
    fitter: HandFitter, registration: Registration, scan_fingerprint: str
) -> FittedHand:
    """The maps of a registration, and the numbers that go with them."""
    hand = fitter.hand
    posed = fitter.model.posed(registration.parameters)
    tables = build_tables(hand.atlas, UV_MAP_SIZE)
    texels = subdivided_texels(hand.atlas, tables)
    angles, wrist_angles, shape = split(registration.parameters)
    seen = apply_table(texels, registration.seen[:, None].astype(np.float32))[..., 0] > 0.5
    similarity = registration.similarity
    there, back = registration.scan_to_hand, registration.hand_to_scan
    values = {
        "uv_map": apply_table(texels, registration.surface_vertices),
        "coarse_uv_map": uv_map_from_vertices(tables, posed.vertices),
        "seen": seen & tables.texel_mask,
        "seen_share": registration.seen.mean(),
        "keypoints": posed.keypoints,
        "angles": angles,
        "wrist_angles": wrist_angles,
        "shape": shape,
        "is_left": registration.handedness == "left",
        "scale": similarity.scale,
        "rotation": similarity.rotation,
        "translation": similarity.translation,
        "unit_is_known": registration.unit_is_known,
        "rig_mm": registration.rig_mm,
        "scan_to_hand_mm": (there.mean_mm, there.percentile_95_mm),
        "hand_to_scan_mm": (back.mean_mm, back.percentile_95_mm),
        "atlas": hand.atlas.fingerprint,
        "scan": scan_fingerprint,
    }
    return FittedHand(**{name: _stored(value) for name, value in values.items()})


def fitted_hand_bytes(fitted: FittedHand) -> bytes:
    """The `.npz` file."""
    buffer = io.BytesIO()
    values = {item.name: getattr(fitted, item.name) for item in fields(fitted)}
    arrays = {name: value for name, value in values.items() if value is not None}
    np.savez_compressed(buffer, format=np.int32(_FORMAT), **arrays)
    return buffer.getvalue()


def read_fitted_hand(path: str | Path, fingerprint: str) -> FittedHand:
    """Reads what `fitted_hand_bytes` made.

    Args:
      fingerprint: of the atlas that the maps have to be laid out on, if the file names one.

    Raises:
      ValueError: it cannot be read, is no such file, or of another atlas.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if int(arrays["format"]) != _FORMAT:
                raise ValueError(f"format {int(arrays['format'])}, expected {_FORMAT}")
            needed = {item.name for item in fields(FittedHand)} - {*_LATER}
            later = {name: arrays.get(name) for name in _LATER}
            fitted = FittedHand(**{name: arrays[name] for name in needed}, **later)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a readable fitted hand ({error})") from error
    if fitted.atlas is not None and str(fitted.atlas) != fingerprint:
        raise ValueError(
            f"{path}: its UV maps are laid out on another chart ({fitted.atlas}) than the hand's "
            f"({fingerprint})"
        )
    for name in ("uv_map", "coarse_uv_map"):
        got = getattr(fitted, name).shape
        if got != (UV_MAP_SIZE, UV_MAP_SIZE, 3):
            raise ValueError(
                f"{path}: {name}: expected {UV_MAP_SIZE} x {UV_MAP_SIZE} x 3, got {got}"
            )
    return fitted


def surface_glb_bytes(hand: Hand, registration: Registration, fitted: FittedHand) -> bytes:
    """The fitted surface as a GLB file in the hand frame: metres, fingers up, palm to the viewer.

    A left hand is a left hand there.
    """
    vertices_mm = 1e3 * registration.surface_vertices
    if fitted.is_left:
        vertices_mm = np.asarray(mirror_points(vertices_mm))
    mask = build_tables(hand.atlas, UV_MAP_SIZE).texel_mask
    surface = SceneHand(
        # `glb_bytes` turns from the camera's frame to glTF's: this turn undoes it.
        vertices_mm * CAMERA_TO_GLTF,
        uv_map_colours(fitted.uv_map, mask, background=None),
        is_left=bool(fitted.is_left),
    )
    return glb_bytes([surface], subdivision_of(hand).atlas)


def _stored(value):
    """As NumPy arrays in single precision."""
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.kind == "f" else array
