"""MediaPipe's own hands, as a detector tells them."""

from types import SimpleNamespace

import numpy as np

from i2uv_jax.detection.mediapipe_hands import FoundHand
from i2uv_jax.inference.mediapipe_detector import MediaPipeDetector


def test_mediapipe_s_hands_get_boxes_around_their_keypoints():
    points = np.zeros((21, 2))
    points[1], points[2] = (10, 30), (50, 20)
    hands = [
        FoundHand("left", 0.4, points, np.zeros((21, 3))),
        FoundHand("right", 0.8, points + 5, np.zeros((21, 3))),
    ]
    found = MediaPipeDetector(SimpleNamespace(all_hands=lambda photo: hands))(
        np.zeros((60, 60, 3), np.uint8)
    )
    assert [hand.handedness for hand in found] == ["right", "left"]
    # 0 to 50 and 0 to 30, with 7.5 % of 50 more on every side.
    np.testing.assert_allclose(found[1].box_xyxy, [-3.75, -3.75, 53.75, 33.75])
