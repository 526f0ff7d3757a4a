"""What people say about the pictures of a folder: `annotations.json` beside them.

A list of objects, one a picture:

- `file`: the picture's name in the folder;
- `box_xywh`: left, top, width, height of the hand in pixels of the picture, the latter two above 0,
  or null;
- `hand`: "left" or "right", or null where nobody says;
- `keypoints_2d`: 21 x [x, y, visible] in pixels, visible 0 or 1, or null;
- `keypoints_3d`: 21 x [x, y, z] in millimetres, in any frame, or null.

Keypoints stand in the order of FreiHAND: wrist, then thumb, index, middle, ring, little,
each from the palm to the tip. What is null may be left out, and other entries are ignored.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

ANNOTATIONS = "annotations.json"

_NUM_KEYPOINTS = 21


@dataclass(frozen=True)
class Annotation:
    """What is known about one picture."""

    file: str
    box_xywh: tuple[float, float, float, float] | None = None
    """Left, top, width and height in pixels."""
    hand: str | None = None
    """ "left" or "right"."""
    keypoints_2d: Float[np.ndarray, "21 3"] | None = None
    """x and y in pixels, and 1 where the keypoint is visible, else 0."""
    keypoints_3d_mm: Float[np.ndarray, "21 3"] | None = None
    problem: str | None = None
    """What is wrong with keypoints that are there, of the wrong number or not finite, and None."""

    @property
    def box_xyxy(self) -> tuple[float, float, float, float] | None:
        """Left, top, right and bottom edge in pixels."""
        if self.box_xywh is None:
            return None
        left, top, width, height = self.box_xywh
        return left, top, left + width, top + height


def read_annotations(path: Path) -> list[Annotation]:
    """All entries of a file, in its order; keypoints that cannot be used become their problem.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file cannot be read or says something else; the message is one line.
    """
    try:
        # Some editors put a byte order mark first, which JSON does not know.
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(entries, list):
        raise ValueError(f"{path}: expected a list of objects, got {type(entries).__name__}")
    annotations = [_annotation(path, index, entry) for index, entry in enumerate(entries)]
    files = Counter(annotation.file for annotation in annotations)
    doubles = sorted(file for file, count in files.items() if count > 1)
    if doubles:
        raise ValueError(f"{path}: {doubles[0]} is named twice")
    return annotations


def _annotation(path: Path, index: int, entry: object) -> Annotation:
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
        raise ValueError(f"{path}: expected objects with a 'file'; entry {index} names no file")
    where = f"{path}: entry {index} ({entry['file']})"
    hand = entry.get("hand")
    if hand not in (None, "left", "right"):
        raise ValueError(f"{where}: expected 'left', 'right' or null as 'hand', got {hand!r}")
    box, problem = _numbers(entry, "box_xywh", 4)
    if box is not None and not (box[2:] > 0).all():
        problem = f"expected a width and a height above 0 in 'box_xywh', got {entry['box_xywh']}"
    if problem is not None:
        raise ValueError(f"{where}: {problem}")
    keypoints_2d, problem_2d = _numbers(entry, "keypoints_2d", _NUM_KEYPOINTS, 3)
    keypoints_3d, problem_3d = _numbers(entry, "keypoints_3d", _NUM_KEYPOINTS, 3)
    return Annotation(
        file=entry["file"],
        box_xywh=None if box is None else tuple(box.tolist()),
        hand=hand,
        keypoints_2d=keypoints_2d,
        keypoints_3d_mm=keypoints_3d,
        problem=problem_2d or problem_3d,
    )


def _numbers(entry: dict, name: str, *shape: int) -> tuple[np.ndarray | None, str | None]:
    """An array or None where there is none, and why one that is there cannot be used."""
    value = entry.get(name)
    if value is None:
        return None, None
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    # What is finite in double precision alone would be infinite in scores.
    if array.shape == shape and (np.abs(array) <= np.finfo(np.float32).max).all():
        return array, None
    return None, f"expected {' x '.join(map(str, shape))} numbers as '{name}'"
