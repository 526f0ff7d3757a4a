"""What tests of everything around the fit of a hand to a scan put in the fitter's place."""

from typing import ClassVar

import numpy as np

from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.registration.fitting import NoHandError, Registration, SurfaceDistances
from i2uv_jax.registration.parameters import HandParameters
from i2uv_jax.registration.placement import ScanSimilarity


class StandIn:
    """Takes every mesh for the resting hand, but for those with fewer than 400 triangles."""

    fitted: ClassVar[list] = []
    """(handedness, unit) of every fit asked for; tests put a list of their own in its place."""

    def __init__(self, hand):
        self.hand = hand
        self.model = HandParameters(hand)

    def fit(self, scan, *, handedness, unit):
        if len(scan.faces) < 400:
            raise NoHandError("no hand (mean distance 9.1 mm after fitting, limit 2.0 mm)")
        self.fitted.append((handedness, unit))
        num_vertices = subdivision_of(self.hand).atlas.num_vertices
        return Registration(
            handedness="left" if handedness == "left" else "right",
            similarity=ScanSimilarity(0.001, np.eye(3), np.zeros(3)),
            parameters=self.model.from_angles(np.zeros((20, 3))),
            surface_vertices=np.random.default_rng(0).random((num_vertices, 3), np.float32),
            seen=np.arange(num_vertices) % 2 == 0,
            unit_is_known=unit != "auto",
            rig_mm=0.9,
            scan_to_hand=SurfaceDistances(0.31, 0.8),
            hand_to_scan=SurfaceDistances(0.42, 1.25),
        )
