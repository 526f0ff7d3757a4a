"""Load a model once, then call it on pictures.

    predictor = load_model("small")
    hand = predictor(photo)                                    # the whole picture shows one hand
    hand = predictor(photo, box_xyxy=(310, 80, 560, 330))      # the hand's box in pixels
    hands = predictor([photo, other], handedness=("left", "right"))

Everything from the crop's pixels to keypoints is one pure function, compiled once per batch size.
Batches are padded to the next power of two (or to a fixed size), so the number of compilations is
small and known: `Predictor.compiled_batch_sizes`. Outside that function only NumPy is used.
"""

import os
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from i2uv_jax.config import HandNetConfig
from i2uv_jax.geometry.uv_map import build_tables, vertices_from_uv_map
from i2uv_jax.hand.asset import Hand, load_hand
from i2uv_jax.imaging.crop import SquareCrop, crop_from_box, crop_whole, extract
from i2uv_jax.inference.geometry import drop, lift, scale_to_hand
from i2uv_jax.inference.prediction import Handedness, HandPrediction
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.model_files import find_model
from i2uv_jax.models.upright import predict_uv_map
from i2uv_jax.models.weights import load_model_file
from i2uv_jax.ops.compiling import network_compiler_options

MAX_BATCH_SIZE = 32
"""Larger batches are worked through in pieces of this size, which bounds the memory."""

_MAX_ASPECT_ERROR = 0.02
"""Relative difference of fx and fy up to which pixels count as square."""


def load_model(
    name_or_path: str | os.PathLike = "small", *, batch_size: int | None = None
) -> "Predictor":
    """Loads a model that comes with the package by name, or any model file by path.

    Args:
      name_or_path: a name of `available_models()`, or the path of a .safetensors model file.
      batch_size: see `Predictor`.

    Raises:
      ValueError: no such model, or the file is broken or foreign; the message is one line.
    """
    path = find_model(name_or_path)
    config, variables, metadata = load_model_file(path)
    return Predictor(
        config, variables, name=os.fspath(name_or_path), metadata=metadata, batch_size=batch_size
    )


class Predictor:
    """A model with its weights, ready to be called on pictures."""

    def __init__(
        self,
        config: HandNetConfig,
        variables: dict,
        *,
        name: str = "unnamed",
        metadata: dict | None = None,
        batch_size: int | None = None,
        hand: Hand | None = None,
    ) -> None:
        """
        Args:
          config: the network.
          variables: its Flax variables (parameters and batch statistics).
          name: what results and messages call the model.
          metadata: the model's card; where it names an "atlas", that must be the hand's.
          batch_size: run every batch padded to, or in pieces of, exactly this size, so that one
            compilation serves all; by default the next power of two up to `MAX_BATCH_SIZE`.
          hand: the hand whose atlas and keypoints the model was trained on; the default hand.

        Raises:
          ValueError: `batch_size` is below 1, weights are not finite, or the model was trained on
            UV maps of another atlas.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables)):
            raise ValueError(f"model {name}: its weights hold NaN or infinity")
        self.config = config
        self.name = name
        self.metadata = dict(metadata or {})
        self.hand = load_hand() if hand is None else hand
        trained_on, given = self.metadata.get("atlas"), self.hand.atlas.fingerprint
        if trained_on not in (None, given):
            raise ValueError(
                f"model {name}: its UV maps are laid out on another atlas ({trained_on}) than the "
                f"hand's ({given})"
            )
        self._batch_size = batch_size
        self._variables = jax.device_put(variables)
        self._reconstruct = _make_reconstruct(config, self.hand)
        self._compiled: dict[int, jax.stages.Compiled] = {}

    @property
    def compiled_batch_sizes(self) -> tuple[int, ...]:
        """The batch sizes compiled so far. Calls compile exactly when this grows."""
        return tuple(sorted(self._compiled))

    def compile(self, batch_size: int = 1) -> None:
        """Compiles for a batch size ahead of its first use, if it is not compiled yet."""
        self._executable(self._padded_size(batch_size))

    def __call__(
        self,
        images: UInt8[np.ndarray, "*b h w 3"] | Sequence[UInt8[np.ndarray, "_ _ 3"]],
        *,
        handedness: Handedness | Sequence[Handedness] = "right",
        box_xyxy: Sequence[float] | Sequence[Sequence[float] | None] | None = None,
        camera: Float[np.ndarray, "*b 3 3"] | None = None,
    ) -> HandPrediction:
        """Reconstructs the hand in each picture.

        Args:
          images: one picture, a batch array, or a sequence of pictures of any sizes; sRGB, uint8.
          handedness: "left" or "right", for all pictures or one for each.
          box_xyxy: the hand's bounding box (left, top, right, bottom in pixels), for all pictures
            or one for each; None takes the whole picture.
          camera: intrinsics [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels of the picture (top
            left corner of the picture at (0, 0)), for all pictures or one for each. With it the 3D
            points follow the exact perspective, up to the scale; without, weak perspective.

        Returns:
          NumPy arrays; without a leading dimension where `images` is one picture.

        Raises:
          ValueError: an argument does not fit; `BoxError` where a box does not fit its picture.
        """
        pictures, is_single = _as_pictures(images)
        count = len(pictures)
        is_left = np.array([side == "left" for side in _as_handedness(handedness, count)])
        crops = [
            _square(picture, box)
            for picture, box in zip(pictures, _as_boxes(box_xyxy, count), strict=True)
        ]
        inverse_focal, principal = _crop_intrinsics(_as_cameras(camera, count), crops)
        size = self.config.image_size
        pixels = np.stack(
            [extract(picture, crop, size) for picture, crop in zip(pictures, crops, strict=True)]
        )
        found = self._run(pixels, is_left, inverse_focal, principal)
        faces = np.where(is_left[:, None, None], self.hand.faces[:, ::-1], self.hand.faces)

        def to_pixels(points):
            return np.stack([crop.to_pixels(p) for crop, p in zip(crops, points, strict=True)])

        prediction = HandPrediction(
            uv_map=found["uv_map"],
            vertices_mm=found["vertices_m"] * 1000,
            vertices_2d=to_pixels(found["vertices_crop"]).astype(np.float32),
            faces=faces,
            keypoints_3d_mm=found["keypoints_m"] * 1000,
            keypoints_2d=to_pixels(found["keypoints_crop"]).astype(np.float32),
            crop_xyxy=np.array([crop.xyxy_px for crop in crops], np.float32),
            handedness=tuple("left" if left else "right" for left in is_left),
        )
        return prediction[0] if is_single else prediction

    def _run(self, *inputs: np.ndarray) -> dict[str, np.ndarray]:
        """The compiled function on inputs of any batch size, in padded pieces."""
        count = len(inputs[0])
        results = []
        step = self._padded_size(count)
        for start in range(0, count, step):
            piece = [array[start : start + step] for array in inputs]
            used = len(piece[0])
            padded_size = self._padded_size(used)
            padded = [_repeat_last(array, padded_size) for array in piece]
            outputs = jax.device_get(self._executable(padded_size)(self._variables, *padded))
            results.append({name: array[:used] for name, array in outputs.items()})
        return {name: np.concatenate([part[name] for part in results]) for name in results[0]}

    def _padded_size(self, count: int) -> int:
        if self._batch_size is not None:
            return self._batch_size
        return min(1 << (count - 1).bit_length(), MAX_BATCH_SIZE)

    def _executable(self, batch_size: int) -> jax.stages.Compiled:
        """Compiled ahead of time: unlike a jitted function it can never retrace on its own."""
        if batch_size not in self._compiled:
            size = self.config.image_size
            shapes = (
                jax.ShapeDtypeStruct((batch_size, size, size, 3), jnp.uint8),
                jax.ShapeDtypeStruct((batch_size,), jnp.bool_),
                jax.ShapeDtypeStruct((batch_size,), jnp.float32),
                jax.ShapeDtypeStruct((batch_size, 2), jnp.float32),
            )
            lowered = jax.jit(self._reconstruct).lower(self._variables, *shapes)
            self._compiled[batch_size] = lowered.compile(network_compiler_options())
        return self._compiled[batch_size]


def _make_reconstruct(config: HandNetConfig, hand: Hand):
    """The pure function from crops to geometry."""
    model = build_model(config)
    tables = build_tables(hand.atlas, config.uv_map_size)
    bone_length_m = float(hand.mean_bone_length_m)

    def regress_keypoints(vertices: Float[Array, "b v 3"]) -> Float[Array, "b 21 3"]:
        return jnp.einsum(
            "kv,bvd->bkd", hand.keypoint_regressor, vertices, precision=jax.lax.Precision.HIGHEST
        )

    def keypoints_from_uv_map(uv_map: Float[Array, "b m m 3"]) -> Float[Array, "b 21 3"]:
        return regress_keypoints(vertices_from_uv_map(tables, uv_map))

    def reconstruct(
        variables: dict,
        crops: UInt8[Array, "b s s 3"],
        is_left: Bool[Array, "b"],
        inverse_focal: Float[Array, "b"],
        principal: Float[Array, "b 2"],
    ) -> dict[str, Array]:
        # The network knows right hands only: left ones are mirrored on the way in, and their maps
        # right on the way out. All that follows works in the crop as it is.
        is_left = is_left[:, None, None, None]
        image = jnp.where(is_left, crops[:, :, ::-1], crops).astype(jnp.float32) / 255
        uv_map = predict_uv_map(model, variables, image, keypoints_from_uv_map)
        mirrored = uv_map.at[..., 0].set(1 - uv_map[..., 0])
        uv_map = jnp.where(is_left, mirrored, uv_map)

        vertices_crop = vertices_from_uv_map(tables, uv_map)
        vertices = lift(vertices_crop, inverse_focal, principal)
        keypoints = regress_keypoints(vertices)
        return {
            "uv_map": uv_map,
            "vertices_crop": vertices_crop[..., :2],
            "vertices_m": scale_to_hand(vertices, keypoints, bone_length_m),
            "keypoints_crop": drop(keypoints, inverse_focal, principal),
            "keypoints_m": scale_to_hand(keypoints, keypoints, bone_length_m),
        }

    return reconstruct


def _as_pictures(images) -> tuple[list[np.ndarray], bool]:
    """The pictures as a list, and whether a single one was given."""
    is_single = isinstance(images, np.ndarray | jax.Array) and images.ndim == 3
    pictures = [np.asarray(picture) for picture in ([images] if is_single else images)]
    if not pictures:
        raise ValueError("images: expected at least one picture, got none")
    for picture in pictures:
        if picture.ndim != 3 or picture.shape[-1] != 3 or 0 in picture.shape:
            raise ValueError(f"images: expected pictures of shape (h, w, 3), got {picture.shape}")
        if picture.dtype != np.uint8:
            raise ValueError(f"images: expected dtype uint8 (0 to 255), got {picture.dtype}")
    return pictures, is_single


def _as_handedness(handedness, count: int) -> list[str]:
    sides = [handedness] * count if isinstance(handedness, str) else list(handedness)
    _check_count("handedness", sides, count)
    for side in sides:
        if side not in ("left", "right"):
            raise ValueError(f'handedness: expected "left" or "right", got {side!r}')
    return sides


def _as_boxes(box_xyxy, count: int) -> list[Sequence[float] | None]:
    if box_xyxy is None:
        return [None] * count
    boxes = list(box_xyxy)
    if all(np.ndim(value) == 0 and value is not None for value in boxes):
        return [boxes] * count
    _check_count("box_xyxy", boxes, count)
    return boxes


def _as_cameras(camera, count: int) -> list[np.ndarray | None]:
    if camera is None:
        return [None] * count
    cameras = [camera] * count if np.shape(camera) == (3, 3) else list(camera)
    _check_count("camera", cameras, count)
    return [None if matrix is None else _checked_intrinsics(matrix) for matrix in cameras]


def _check_count(name: str, values: list, count: int) -> None:
    if len(values) != count:
        raise ValueError(
            f"{name}: expected one for all or {count} (one a picture), got {len(values)}"
        )


def _checked_intrinsics(matrix) -> np.ndarray:
    matrix = np.asarray(matrix, np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise ValueError(f"camera: expected a finite 3 x 3 matrix, got shape {matrix.shape}")
    fx, fy = matrix[0, 0], matrix[1, 1]
    if not (fx > 0 and fy > 0 and abs(fx - fy) <= _MAX_ASPECT_ERROR * fx):
        raise ValueError(f"camera: expected equal positive focal lengths, got {fx:g} and {fy:g}")
    rest = [matrix[0, 1], matrix[1, 0], *matrix[2]]
    if not np.allclose(rest, [0, 0, 0, 0, 1], atol=1e-6 * fx):
        raise ValueError("camera: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] without skew")
    return matrix


def _square(picture: np.ndarray, box: Sequence[float] | None) -> SquareCrop:
    height, width, _ = picture.shape
    return crop_whole(width, height) if box is None else crop_from_box(box, width, height)


def _crop_intrinsics(
    cameras: list[np.ndarray | None], crops: list[SquareCrop]
) -> tuple[Float[np.ndarray, "b"], Float[np.ndarray, "b 2"]]:
    """1 / focal length (0 for weak perspective) and principal point of each crop, crop units."""
    inverse_focal = np.zeros(len(crops), np.float32)
    principal = np.full((len(crops), 2), 0.5, np.float32)
    for index, (matrix, crop) in enumerate(zip(cameras, crops, strict=True)):
        if matrix is not None:
            inverse_focal[index] = crop.side_px / np.sqrt(matrix[0, 0] * matrix[1, 1])
            principal[index] = crop.to_crop(matrix[:2, 2])
    return inverse_focal, principal


def _repeat_last(array: np.ndarray, length: int) -> np.ndarray:
    """Pads the first axis by repeating its last entry, a harmless input."""
    padding = np.repeat(array[-1:], length - len(array), axis=0)
    return np.concatenate([array, padding])
