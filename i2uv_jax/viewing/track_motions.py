"""The hands of a video as hands that move: one skin and one skeleton for all frames of a track."""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, UInt8

from i2uv_jax.hand.rig import Rig
from i2uv_jax.viewing.glb import SceneHand
from i2uv_jax.viewing.glb_skeleton import HandMotion


@dataclass(frozen=True)
class MovingHand:
    """A hand in one frame."""

    track: int
    """The same number in every frame for the same hand."""
    is_left: bool
    rig: Rig
    wrist_mm: Float[np.ndarray, "3"]
    """The wrist joint in the camera frame."""
    texture: UInt8[np.ndarray, "m m 3"]
    """See `SceneHand.texture`."""


@dataclass
class _Recorded:
    """What has been seen of a hand; a frame takes some 400 bytes."""

    first: MovingHand
    rest_vertices: Float[np.ndarray, "v 3"]
    """Sums over the frames, like the next."""
    rest_joints: Float[np.ndarray, "20 3"]
    frames: list[int] = field(default_factory=list)
    quaternions: list[Float[np.ndarray, "20 4"]] = field(default_factory=list)
    wrists_mm: list[Float[np.ndarray, "3"]] = field(default_factory=list)


class TrackMotions:
    """Collects the hands of frame after frame."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._hands: dict[tuple[int, bool], _Recorded] = {}

    def add_frame(self, seconds: float, hands: list[MovingHand]) -> None:
        """Takes the hands of the next frame.

        Args:
          seconds: its time, later than that of the frame before.
        """
        for hand in hands:
            # A track whose side has changed is another hand.
            recorded = self._hands.setdefault(
                (hand.track, hand.is_left),
                _Recorded(
                    hand, np.zeros_like(hand.rig.rest_vertices), np.zeros_like(hand.rig.rest_joints)
                ),
            )
            recorded.rest_vertices += hand.rig.rest_vertices
            recorded.rest_joints += hand.rig.rest_joints
            recorded.frames.append(len(self._seconds))
            recorded.quaternions.append(hand.rig.joint_quaternions.astype(np.float32))
            recorded.wrists_mm.append(hand.wrist_mm.astype(np.float32))
        self._seconds.append(seconds)

    def scene(self) -> list[SceneHand]:
        """All hands, in the order in which they were first seen, for `viewing.glb.glb_bytes`.

        Their skin and bones are the means over the frames. The time begins with the first frame.
        """
        sides = [track for track, _ in self._hands]
        return [
            self._moving(recorded, has_two_sides=sides.count(track) > 1)
            for (track, _), recorded in self._hands.items()
        ]

    def _moving(self, recorded: _Recorded, *, has_two_sides: bool) -> SceneHand:
        first, count = recorded.first, len(recorded.frames)
        rig = replace(
            first.rig,
            rest_vertices=recorded.rest_vertices / count,
            rest_joints=recorded.rest_joints / count,
        )
        kept = self._keyframes(recorded.frames)
        # Where the hand is out of sight it stays as it was last.
        last = np.searchsorted(recorded.frames, kept, side="right") - 1
        shown = np.maximum(last, 0)
        seconds = np.array(self._seconds) - self._seconds[0]
        side = ("_left" if first.is_left else "_right") if has_two_sides else ""
        return SceneHand(
            rig.vertices,
            first.texture,
            is_left=first.is_left,
            name=f"track_{first.track}{side}",
            rig=rig,
            motion=HandMotion(
                seconds=seconds[kept],
                joint_quaternions=np.stack(recorded.quaternions)[shown],
                wrists_mm=np.stack(recorded.wrists_mm)[shown],
                is_seen=np.isin(kept, recorded.frames),
            ),
        )

    def _keyframes(self, frames: list[int]) -> np.ndarray:
        """The first frame, those that show the hand, and the first ones after it vanished."""
        vanished = {frame + 1 for frame in frames if frame + 1 < len(self._seconds)}
        return np.array(sorted({0, *frames, *vanished}))
