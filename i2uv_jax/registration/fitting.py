"""From a scan to a fitted hand: the steps in order, and the decision whether it is a hand."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree

from i2uv_jax.hand.asset import Hand
from i2uv_jax.registration.articulated import FINE, ROUGH, ArticulatedFitter
from i2uv_jax.registration.displacement import displace
from i2uv_jax.registration.parameters import MEAN_LENGTH_M, HandParameters, SmoothMesh
from i2uv_jax.registration.placement import Fit, Similarity
from i2uv_jax.registration.scan import Scan
from i2uv_jax.registration.start import Templates, find_starts
from i2uv_jax.registration.surface import DistanceTo, SurfaceSamples, sample_surface

METRES_PER_UNIT = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}

NO_HAND_LIMIT_MM = 2.5
"""Mean distance after fitting pose and shape, both ways, from which on a mesh is no hand."""

_START_POINTS, _FIT_POINTS, _SURFACE_POINTS, _MEASURED_POINTS = 4000, 6000, 80_000, 20_000
_REAL_LENGTHS_M = (0.14, 0.225)
"""Straight lengths of hands, from children of about ten to large men."""
_KNOWN_UNIT_LENGTHS_M = (0.08, 0.25)
_NUM_FINE = 2
_HOPELESS = 1.3
"""Times the least cost after the rough fit, from which on a place is given up."""
_FAR_MM = 20.0
"""Longer distances count as this in the decision, so that a table beside the hand is no reason."""


class NoHandError(ValueError):
    """The mesh is no hand; the message says how far off the best fit is."""


@dataclass(frozen=True)
class SurfaceDistances:
    """Between two surfaces, millimetres of the hand at real size."""

    mean_mm: float
    percentile_95_mm: float


@dataclass(frozen=True)
class Registration:
    """A hand fitted to a scan, in the hand frame of a right hand (`hand.model.rest_hand`), metres;
    a left hand is mirrored in x."""

    handedness: Literal["left", "right"]
    similarity: Similarity
    """From the scan (for a left hand: mirrored in x) to the hand frame."""
    parameters: Float[np.ndarray, "p"]
    """Pose and shape: see `parameters.split`."""
    surface_vertices: Float[np.ndarray, "n 3"]
    """Vertices of `hand.detail_chart.subdivision_of(hand)` on the scan."""
    seen: Bool[np.ndarray, "n"]
    """Which of them the scan shows."""
    unit_is_known: bool
    """Whether the scan's unit was given or follows from the hand's length; otherwise the hand is
    as long as the mean adult's."""
    rig_mm: float
    """Mean distance of rigged hand and scan before displacement, both ways."""
    scan_to_hand: SurfaceDistances
    """Of the scan's points on the hand; those on the forearm do not count."""
    hand_to_scan: SurfaceDistances
    """Of all of the hand, what the scan does not show included."""


class HandFitter:
    """Fits one rigged hand to scans; compiles its model with the first."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.model = HandParameters(hand)
        mesh = SmoothMesh(hand, 1)
        self._fine_mesh = SmoothMesh(hand, 2)
        self._templates = Templates(self.model, mesh)
        self._fitter = ArticulatedFitter(self.model, mesh)

    def fit(
        self,
        scan: Scan,
        *,
        handedness: Literal["left", "right", "auto"] = "auto",
        unit: Literal["mm", "cm", "m", "auto"] = "auto",
    ) -> Registration:
        """Registers the hand to one scan in any place, axis order and (with "auto") unit.

        Raises:
          NoHandError: no pose and shape of a hand comes near the mesh.
        """
        sides = ("right", "left") if handedness == "auto" else (handedness,)
        samples = {side: _samples(scan, side) for side in sides}
        rough = [guess for side in sides for guess in self._rough_fits(side, samples[side])]
        rough.sort(key=lambda guess: guess[0])
        best = []
        for rough_cost, side, fit in rough[:_NUM_FINE]:
            if rough_cost > _HOPELESS * rough[0][0]:
                break
            fit, unit_is_known = self._at_real_size(fit, unit)
            fit = self._fitter.refine(fit, samples[side], FINE[:1])
            fit = self._fitter.with_best_fingers(fit, samples[side])
            fit = self._fitter.refine(fit, samples[side], FINE)
            cost = self._fitter.cost_mm(fit, samples[side])
            best.append((cost, side, fit, unit_is_known))
        _, side, fit, unit_is_known = min(best, key=lambda guess: guess[0])
        return self._finish(scan, side, fit, unit_is_known)

    def _rough_fits(self, side, samples):
        """(cost, side, fit) of the most promising places."""
        step = max(1, len(samples.points) // _START_POINTS)
        found = []
        for start in find_starts(samples.points[::step], self._templates):
            fit = self._fitter.refine(start, samples, ROUGH[:1])
            fit = self._fitter.with_best_fingers(fit, samples)
            fit = self._fitter.refine(fit, samples, ROUGH)
            found.append((self._fitter.cost_mm(fit, samples), side, fit))
        return found

    def _at_real_size(self, fit: Fit, unit: str) -> tuple[Fit, bool]:
        """The fit with the scan's unit settled, and whether it is more than a guess."""
        length_m = self.model.length_m(fit.parameters)
        if unit != "auto":
            factor = METRES_PER_UNIT[unit] / fit.similarity.scale
            if not _KNOWN_UNIT_LENGTHS_M[0] <= length_m * factor <= _KNOWN_UNIT_LENGTHS_M[1]:
                raise NoHandError(
                    f"no hand: it would be {1e3 * length_m * factor:.3g} mm long in {unit}"
                )
            return self._scaled(fit, factor), True
        for metres in METRES_PER_UNIT.values():
            factor = metres / fit.similarity.scale
            if _REAL_LENGTHS_M[0] <= length_m * factor <= _REAL_LENGTHS_M[1]:
                return self._scaled(fit, factor), True
        return self._scaled(fit, MEAN_LENGTH_M / length_m), False

    def _scaled(self, fit: Fit, factor: float) -> Fit:
        old = fit.similarity
        similarity = Similarity(factor * old.scale, old.rotation, factor * old.translation)
        length_m = factor * self.model.length_m(fit.parameters)
        return Fit(similarity, self.model.with_length(fit.parameters, length_m))

    def _finish(self, scan, side, fit, unit_is_known) -> Registration:
        """Displacement and distances."""
        vertices_scan = _one_sided(scan.vertices, side)
        vertices_mm = 1e3 * fit.similarity(vertices_scan)
        faces = scan.faces if side == "right" else scan.faces[:, ::-1]
        dense = sample_surface(vertices_mm, faces, _SURFACE_POINTS)
        rig = self.model.posed(fit.parameters)
        rig_mm = self._fine_mesh.matrix @ (
            1e3 * np.concatenate([rig.vertices, rig.forearm_vertices]).astype(np.float64)
        )
        scan_distance = DistanceTo(vertices_mm, faces, dense)
        points = dense.points[:: _SURFACE_POINTS // _MEASURED_POINTS]
        there, back = self._distances(points, scan_distance, rig_mm)
        error_mm = (np.minimum(there, _FAR_MM).mean() + np.minimum(back, _FAR_MM).mean()) / 2
        if not error_mm <= NO_HAND_LIMIT_MM:
            raise NoHandError(
                f"no hand (mean distance {error_mm:.1f} mm after fitting, "
                f"limit {NO_HAND_LIMIT_MM:.1f} mm)"
            )
        surface, seen = displace(rig_mm, self._fine_mesh, dense)
        forearm = rig_mm[self._fine_mesh.num_hand_vertices :]
        there, back = self._distances(points, scan_distance, np.concatenate([surface, forearm]))
        return Registration(
            handedness=side,
            similarity=fit.similarity,
            parameters=fit.parameters,
            surface_vertices=(1e-3 * surface).astype(np.float32),
            seen=seen,
            unit_is_known=unit_is_known,
            rig_mm=float(error_mm),
            scan_to_hand=_summary(there),
            hand_to_scan=_summary(back),
        )

    def _distances(self, points, scan_distance, vertices):
        """Millimetres from the scan's points on the hand to the hand, and back."""
        mesh = self._fine_mesh
        num = mesh.num_hand_vertices
        _, nearest = cKDTree(vertices).query(points)
        on_hand = nearest < num
        # Where a scan goes on behind the wrist, the hand's last ring is nearest.
        on_hand &= ~np.isin(nearest, _border(mesh.hand_faces))
        hand_samples = sample_surface(vertices[:num], mesh.hand_faces, _SURFACE_POINTS)
        to_hand = DistanceTo(vertices[:num], mesh.hand_faces, hand_samples)
        there = to_hand(points[on_hand]) if on_hand.any() else np.array([np.inf])
        return there, scan_distance(hand_samples.points[:: _SURFACE_POINTS // _MEASURED_POINTS])


def _samples(scan: Scan, side: str) -> SurfaceSamples:
    faces = scan.faces if side == "right" else scan.faces[:, ::-1]
    return sample_surface(_one_sided(scan.vertices, side), faces, _FIT_POINTS)


def _one_sided(vertices, side):
    """Every hand is fitted as a right one."""
    return vertices if side == "right" else vertices * np.array([-1.0, 1.0, 1.0])


def _border(faces):
    """Vertices on edges that belong to one triangle."""
    sides = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, count = np.unique(sides, axis=0, return_counts=True)
    return np.unique(edges[count == 1])


def _summary(distances):
    return SurfaceDistances(float(distances.mean()), float(np.percentile(distances, 95)))
