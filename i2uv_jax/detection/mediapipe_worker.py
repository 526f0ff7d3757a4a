"""MediaPipe Hands on pictures from standard input: a script for an interpreter that has MediaPipe.

It imports nothing of this package, since MediaPipe 0.10.14, whose wheel carries its models, asks
for protobuf below 5 and grain for one above. A picture comes as a line "HEIGHT WIDTH" and its RGB
bytes; the answer is a line of JSON: {"hands": [...], "seconds": s}, a hand as {"hand": "left" or
"right", "score": p, "keypoints_2d": 21 x [x, y] in pixels, "keypoints_3d": 21 x [x, y, z] in
millimetres}. MediaPipe's order of the keypoints is ours. A first line says {"version": v}.
"""

import json
import sys
import time

import mediapipe
import numpy as np

MAX_HANDS = 4


def main() -> None:
    # What MediaPipe prints must not mix with the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    detector = mediapipe.solutions.hands.Hands(static_image_mode=True, max_num_hands=MAX_HANDS)
    say(answers, {"version": mediapipe.__version__})
    while header := sys.stdin.buffer.readline():
        height, width = map(int, header.split())
        pixels = sys.stdin.buffer.read(height * width * 3)
        image = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        start = time.perf_counter()
        found = detector.process(image)
        seconds = time.perf_counter() - start
        say(answers, {"hands": hands(found, width, height), "seconds": seconds})


def hands(found, width: int, height: int) -> list[dict]:
    """All hands of one picture; MediaPipe names sides for mirrored ones, so they are swapped."""
    return [
        {
            "hand": "left" if side.classification[0].label == "Right" else "right",
            "score": side.classification[0].score,
            "keypoints_2d": [[point.x * width, point.y * height] for point in place.landmark],
            "keypoints_3d": [[1e3 * p.x, 1e3 * p.y, 1e3 * p.z] for p in world.landmark],
        }
        for side, place, world in zip(
            found.multi_handedness or [],
            found.multi_hand_landmarks or [],
            found.multi_hand_world_landmarks or [],
            strict=True,
        )
    ]


def say(file, answer: dict) -> None:
    file.write(json.dumps(answer) + "\n")
    file.flush()


if __name__ == "__main__":
    main()
