"""Finding hands in whole photos: MediaPipe's two networks (`palm_detector`), our heat-map
network (`heat_map_detector`), or all of MediaPipe as it is (`mediapipe_detector`).

    detector = load_detector()
    for found in detector(photo):
        hand = model(photo, **found.for_model(model))

The photo is shrunk into the network's square, bars filling what is left (`imaging.crop`). Networks
see one picture each; calls from several threads are fine.
"""

import os

from i2uv_jax.config import DetectorConfig
from i2uv_jax.detection.boxes import MIN_SCORE
from i2uv_jax.detection.landmarks import MIN_PRESENCE
from i2uv_jax.inference.backends import choose_backend
from i2uv_jax.inference.heat_map_detector import HeatMapDetector
from i2uv_jax.inference.palm_detector import PalmDetector
from i2uv_jax.inference.picture_networks import PictureNetworks, load_picture_networks
from i2uv_jax.inference.runtime_errors import MissingRuntimeError, UnsupportedModelError
from i2uv_jax.models.model_files import DETECTOR, shipped_file
from i2uv_jax.models.weights import load_model_file

PALM, HEAT_MAP = "palm", "heatmap"
"""Names of the detectors whose weights come with the package."""


def load_detector(
    name_or_path: str | os.PathLike = PALM,
    *,
    min_score: float | None = None,
    second_look: bool = True,
    in_parts: bool = True,
    backend: str = "xla",
) -> PalmDetector | HeatMapDetector:
    """A detector that comes with the package, or that of a model file.

    Args:
      name_or_path: "palm", "heatmap", or a file that `i2uv train` made with a detector's config.
      min_score: hands that are less likely are left out; None stands for the detector's own.
      second_look: whether "palm" looks at each hand twice, for keypoints that are some 4 % better
        and half as much time again; others never do.
      in_parts: whether "palm" looks for small hands in up to nine parts of a photo in which it
        finds no large one; others never do.
      backend: what runs the networks of "palm": "xla"; "litert", in half to two thirds of the time
        on CPUs, if the extra is installed; or "auto", the faster one that is there. Others run on
        XLA.

    Raises:
      MissingRuntimeError: LiteRT is asked for and not installed.
      ValueError: the file is missing, broken or no detector; the message is one line.
    """
    if name_or_path == PALM:
        lowest = MIN_PRESENCE if min_score is None else min_score
        return PalmDetector(
            _load_palm_networks(backend),
            min_score=lowest,
            second_look=second_look,
            in_parts=in_parts,
        )
    path = shipped_file(DETECTOR) if name_or_path == HEAT_MAP else name_or_path
    config, variables, _ = load_model_file(path, DetectorConfig)
    lowest = MIN_SCORE if min_score is None else min_score
    return HeatMapDetector(config, variables, min_score=lowest)


def _load_palm_networks(backend: str) -> PictureNetworks:
    """On what "auto" stands for, or on XLA if that cannot compute them."""
    if backend not in ("auto", "xla", "litert"):
        raise ValueError(f"backend: expected auto, xla or litert, got {backend!r}")
    try:
        return load_picture_networks(choose_backend(backend))
    except (MissingRuntimeError, UnsupportedModelError):
        if backend != "auto":
            raise
        return load_picture_networks("xla")
