"""Load a model once, then call it on pictures.

    predictor = load_model("small")
    hand = predictor(photo)                                    # the whole picture shows one hand
    hand = predictor(photo, box_xyxy=(310, 80, 560, 330))      # the hand's box in pixels
    hands = predictor([photo, other], handedness=("left", "right"))

Everything from the crop's pixels to keypoints is one pure function (`inference.program`), compiled
once per batch size. Batches are padded to the next power of two (or to a fixed size), so the number
of compilations is small and known: `Predictor.compiled_batch_sizes`. Outside that function only
NumPy is used. A call is three steps that a pipeline can take apart: `prepare` each picture, `start`
a batch on the device, wait for its `result`.
"""

import os
import warnings
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Float, UInt8

from i2uv_jax.config import HandNetConfig
from i2uv_jax.geometry.keypoints import NUM_KEYPOINTS
from i2uv_jax.hand.asset import Hand, load_hand
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.imaging.crop import SquareCrop, crop_from_box, crop_whole, extract
from i2uv_jax.inference.arguments import (
    as_boxes,
    as_cameras,
    as_handedness,
    as_keypoints,
    as_pictures,
)
from i2uv_jax.inference.pending_prediction import PendingPrediction, Piece
from i2uv_jax.inference.prediction import AskedHandedness, HandPrediction
from i2uv_jax.inference.prepared_hand import PreparedHand, stack_hands
from i2uv_jax.inference.program import (
    batch_mesh,
    compile_batched,
    inference_config,
    input_shapes,
    make_mesh,
    make_whole,
    mesh_shapes,
    replicated,
)
from i2uv_jax.models.folding import fold_batch_norm
from i2uv_jax.models.joining import load_fine_model
from i2uv_jax.models.model_files import find_model
from i2uv_jax.models.weights import load_picture_model

MAX_BATCH_SIZE = 32
"""Larger batches are worked through in pieces of this size, which bounds the memory."""

Network = Callable[..., dict[str, np.ndarray]]
"""Another runtime's network: uint8 crops of right hands and keypoints (or None) to what
`SeenHands` holds, by name."""


def load_model(
    name_or_path: str | os.PathLike = "small",
    *,
    batch_size: int | None = None,
    precision: str = "default",
    super_resolution: bool = True,
    fine: bool = False,
) -> "Predictor":
    """Loads a model that comes with the package by name, or any model file by path.

    Args:
      name_or_path: a name of `available_models()`, or the path of a .safetensors model file.
      fine: put the shipped SRNet that knows the skin's relief behind the model's AffineNet, and
        read finer meshes off its maps (`Predictor`).
      batch_size: see `Predictor`.
      precision: see `Predictor`.
      super_resolution: see `Predictor`.

    Raises:
      ValueError: no such model, or the file is broken or foreign, or a fine mesh is asked for
        without super-resolution; the message is one line.
    """
    if fine and not super_resolution:
        raise ValueError("fine=True: a fine mesh needs super_resolution=True")
    config, variables, metadata = (
        load_fine_model(name_or_path) if fine else load_picture_model(find_model(name_or_path))
    )
    return Predictor(
        config,
        variables,
        name=os.fspath(name_or_path),
        metadata=metadata,
        batch_size=batch_size,
        precision=precision,
        super_resolution=super_resolution,
        fine_mesh=fine,
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
        precision: str = "default",
        super_resolution: bool = True,
        network: Network | None = None,
        fine_mesh: bool = False,
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
          precision: one of `inference.program.PRECISIONS`.
          super_resolution: False leaves SRNet out: a coarser map, sooner.
          network: another runtime that computes the same in place of XLA.
          fine_mesh: give meshes of 16 times the triangles (`hand.detail_chart.subdivision_of`),
            whose first vertices are the hand's.

        Raises:
          ValueError: `batch_size` is below 1, weights are not finite, the model was trained on
            UV maps of another atlas, or the precision is unknown.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables)):
            raise ValueError(f"model {name}: its weights hold NaN or infinity")
        self.config = inference_config(config, precision, super_resolution)
        self.name = name
        self.metadata = dict(metadata or {})
        self.hand = load_hand() if hand is None else hand
        trained_on, given = self.metadata.get("atlas"), self.hand.atlas.fingerprint
        if trained_on not in (None, given):
            raise ValueError(
                f"model {name}: its UV maps are laid out on another atlas ({trained_on}) than the "
                f"hand's ({given})"
            )
        self.atlas = subdivision_of(self.hand).atlas if fine_mesh else self.hand.atlas
        self._batch_size = batch_size
        self._precision = precision
        self._network = network
        self._variables = fold_batch_norm(variables) if network is None else {}
        self._executables: dict[int, Callable] = {}
        self._placed: dict[jax.sharding.NamedSharding, dict] = {}
        self._piece_limit = MAX_BATCH_SIZE if batch_size is None else batch_size

    @property
    def tells_presence(self) -> bool:
        """Whether predictions have a `presence`, and "auto" may stand for a hand's side."""
        return self.config.tells_presence

    @property
    def tells_confidence(self) -> bool:
        """Whether predictions have a `keypoint_error_mm` and a `vertex_error_mm`."""
        return self.config.tells_confidence

    @property
    def takes_keypoints(self) -> bool:
        """Whether it helps to tell `keypoints`."""
        return self.config.takes_keypoints

    @property
    def compiled_batch_sizes(self) -> tuple[int, ...]:
        """The batch sizes compiled so far. Calls compile exactly when this grows."""
        return tuple(sorted(self._executables))

    def compile(self, batch_size: int = 1) -> None:
        """Compiles for a batch size ahead of its first use, if it is not compiled yet."""
        self._executable(self._padded_size(batch_size))

    def __call__(
        self,
        images: UInt8[np.ndarray, "*b h w 3"] | Sequence[UInt8[np.ndarray, "_ _ 3"]],
        *,
        handedness: AskedHandedness | Sequence[AskedHandedness] = "right",
        box_xyxy: Sequence[float] | Sequence[Sequence[float] | None] | None = None,
        camera: Float[np.ndarray, "*b 3 3"] | None = None,
        keypoints: Float[np.ndarray, "*b 21 _"] | Sequence[np.ndarray | None] | None = None,
    ) -> HandPrediction:
        """Reconstructs the hand in each picture.

        Args:
          images: one picture, a batch array, or a sequence of pictures of any sizes; sRGB, uint8.
          handedness: "left" or "right", for all pictures or one for each; "auto" takes the side
            for which the model sees a hand more likely, if it tells (`tells_presence`).
          box_xyxy: the hand's bounding box (left, top, right, bottom in pixels), for all pictures
            or one for each; None takes the whole picture.
          camera: intrinsics [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels of the picture (top
            left corner of the picture at (0, 0)), for all pictures or one for each. With it the 3D
            points follow the exact perspective, up to the scale; without, weak perspective.
          keypoints: the 21 keypoints as somebody sees them who is better at photos, such as
            `DetectedHand.keypoints`, for models that use them (`takes_keypoints`): x and y in
            pixels of the picture and, if known, z in pixels relative to the wrist, larger farther
            away; NaN is unknown. For all pictures or one (or None) for each.

        Returns:
          NumPy arrays; without a leading dimension where `images` is one picture.

        Raises:
          ValueError: an argument does not fit; `BoxError` where a box does not fit its picture.
        """
        pictures, is_single = as_pictures(images)
        count = len(pictures)
        prepared = [
            self.prepare(picture, handedness=side, box_xyxy=box, camera=matrix, keypoints=points)
            for picture, side, box, matrix, points in zip(
                pictures,
                as_handedness(handedness, count),
                as_boxes(box_xyxy, count),
                as_cameras(camera, count),
                as_keypoints(keypoints, count),
                strict=True,
            )
        ]
        prediction = self.start(prepared).result()
        return prediction[0] if is_single else prediction

    def prepare(
        self,
        picture: UInt8[np.ndarray, "h w 3"],
        *,
        handedness: AskedHandedness = "right",
        box_xyxy: Sequence[float] | None = None,
        camera: Float[np.ndarray, "3 3"] | None = None,
        keypoints: Float[np.ndarray, "21 _"] | None = None,
        crop: SquareCrop | None = None,
    ) -> PreparedHand:
        """Cuts one hand out; NumPy alone, for any thread. Arguments as for calls.

        Args:
          crop: the square to look at, whatever the box.

        Raises:
          ValueError: an argument does not fit; `BoxError` where the box does not fit the picture.
        """
        ((picture,), _) = as_pictures([picture])
        (side,), (matrix,) = as_handedness(handedness, 1), as_cameras(camera, 1)
        (told,) = as_keypoints([keypoints], 1)
        if told is not None and not self.takes_keypoints:
            raise ValueError(f"keypoints: expected none, as model {self.name} takes none")
        if side == "auto" and not self.tells_presence:
            raise ValueError(
                f'handedness: expected "left" or "right", as model {self.name} does not tell which '
                'hand it sees, got "auto"'
            )
        height, width, _ = picture.shape
        if crop is None and box_xyxy is None:
            crop = crop_whole(width, height)
        elif crop is None:
            crop = crop_from_box(box_xyxy, width, height)
        inverse_focal, principal = 0.0, np.array([0.5, 0.5])
        if matrix is not None:
            inverse_focal = crop.side_px / np.sqrt(matrix[0, 0] * matrix[1, 1])
            principal = crop.to_crop(matrix[:2, 2])
        pixels = extract(picture, crop, self.config.crop_size)
        is_left = None if side == "auto" else side == "left"
        if self.takes_keypoints:
            told = np.full((NUM_KEYPOINTS, 3), np.nan) if told is None else told
            told = np.column_stack([crop.to_crop(told[:, :2]), told[:, 2] / crop.side_px])
        return PreparedHand(pixels, crop, is_left, float(inverse_focal), principal, told)

    def start(self, hands: Sequence[PreparedHand]) -> PendingPrediction:
        """Sends hands to the device and returns at once, before they are computed."""
        rows = [side for hand in hands for side in hand.sides]
        num_sides = [len(hand.sides) for hand in hands]
        return PendingPrediction(
            rows, num_sides, self.atlas.faces, self._dispatch, self._halve_pieces
        )

    def _dispatch(self, hands: list[PreparedHand]) -> list[Piece]:
        """Hands in padded pieces to the device; returns before they are computed.

        Where a piece does not fit the device's memory, it and all later ones are halved.
        """
        inputs = stack_hands(hands)
        pieces, start, count = [], 0, len(hands)
        while start < count:
            size = self._padded_size(min(count - start, self._piece_limit))
            piece = [array[start : start + size] for array in inputs]
            used = len(piece[0])
            try:
                outputs = self._executable(size)(*(_repeat_last(array, size) for array in piece))
            except RuntimeError as error:
                self._halve_pieces(size, error)
                continue
            pieces.append((used, outputs))
            start += used
        return pieces

    def _halve_pieces(self, size: int, error: RuntimeError) -> None:
        if "RESOURCE_EXHAUSTED" not in str(error) or size == 1:
            raise error
        # Others may have failed since these were sent off.
        self._piece_limit = min(self._piece_limit, size // 2)
        self._batch_size = None if self._batch_size is None else self._piece_limit
        warnings.warn(
            f"model {self.name}: {size} hands at once need more memory than the device has; going "
            f"on with {self._piece_limit}",
            stacklevel=5,
        )

    def _padded_size(self, count: int) -> int:
        if self._batch_size is not None:
            return self._batch_size
        return min(1 << (count - 1).bit_length(), self._piece_limit)

    def _executable(self, batch_size: int) -> Callable[..., dict]:
        if batch_size not in self._executables:
            compile_for = self._compile_xla if self._network is None else self._compile_around
            self._executables[batch_size] = compile_for(batch_size)
        return self._executables[batch_size]

    def _compile_xla(self, batch_size: int) -> Callable[..., dict]:
        compiled = compile_batched(
            make_whole(self.config, self.hand, self.atlas),
            (self._variables,),
            input_shapes(self.config, batch_size),
            precision=self._precision,
        )
        sharding = replicated(batch_mesh(batch_size))
        if sharding not in self._placed:
            self._placed[sharding] = jax.device_put(self._variables, sharding)
        variables = self._placed[sharding]
        return lambda *inputs: compiled(variables, *inputs)

    def _compile_around(self, batch_size: int) -> Callable[..., dict]:
        """Another runtime for the network, and the compiled geometry after it."""
        compiled = compile_batched(
            make_mesh(self.config, self.hand, self.atlas),
            (),
            mesh_shapes(self.config, batch_size),
        )

        def run(
            crops: np.ndarray,
            is_left: np.ndarray,
            inverse_focal: np.ndarray,
            principal: np.ndarray,
            keypoints: np.ndarray | None = None,
        ) -> dict:
            right = np.where(is_left[:, None, None, None], crops[:, :, ::-1], crops)
            if keypoints is not None:
                mirrored = keypoints * np.float32([-1, 1, 1]) + np.float32([1, 0, 0])
                keypoints = np.where(is_left[:, None, None], mirrored, keypoints)
            seen = self._network(right, keypoints)
            errors = (seen["texel_error"],) if self.tells_confidence else ()
            points = compiled(seen["uv_map"], is_left, inverse_focal, principal, *errors)
            if self.tells_presence:
                points["presence_logit"] = seen["presence_logit"]
            return points

        return run


def _repeat_last(array: np.ndarray, length: int) -> np.ndarray:
    """Pads the first axis by repeating its last entry, a harmless input."""
    padding = np.repeat(array[-1:], length - len(array), axis=0)
    return np.concatenate([array, padding])
