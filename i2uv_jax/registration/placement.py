"""Where the rigged hand lies in a scan."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class ScanSimilarity:
    """hand = scale * rotation @ scan + translation."""

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]

    def __call__(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """From the scan's frame to the hand's."""
        return self.scale * points @ self.rotation.T + self.translation

    def inverse(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """From the hand's frame to the scan's."""
        return (points - self.translation) @ self.rotation / self.scale


@dataclass(frozen=True)
class Fit:
    """Place, pose and shape."""

    similarity: ScanSimilarity
    """From the scan's frame and unit to the hand frame, metres."""
    parameters: Float[np.ndarray, "p"]
    """See `parameters.py`."""
