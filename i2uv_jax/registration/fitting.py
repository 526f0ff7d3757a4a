"""From a scan to a fitted hand: the steps in order, and the decision whether it is a hand."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree

from i2uv_jax.geometry.surface import DistanceTo, SurfaceSamples, sample_surface
from i2uv_jax.hand.asset import Hand
from i2uv_jax.registration.articulated import FINE, ROUGH, ArticulatedFitter
from i2uv_jax.registration.displacement import displace
from i2uv_jax.registration.parameters import MEAN_LENGTH_M, HandParameters, SmoothMesh
from i2uv_jax.registration.placement import Fit, ScanSimilarity
from i2uv_jax.registration.scan import Scan
from i2uv_jax.registration.start import Templates, find_starts

METRES_PER_UNIT = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}

NO_HAND_LIMIT_MM = 2.0
"""Mean distance after fitting pose and shape, both ways, from which on a mesh is no hand."""

_FIT_POINTS, _SURFACE_POINTS, _MEASURED_POINTS = 6000, 60_000, 20_000
_REAL_LENGTHS_M = (0.14, 0.225)
"""Straight lengths of hands, from children of about ten to large men."""
_KNOWN_UNIT_LENGTHS_M = (0.1, 0.25)
_NUM_ROUNDS = 3
_HOPELESS = 1.35
"""Times the least cost, from which on a fit is given up."""
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
    similarity: ScanSimilarity
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
        rough = [
            (side, self._fitter.refine(start, samples[side], ROUGH[:1]))
            for side in sides
            for start in find_starts(samples[side].points, self._templates)
        ]
        better = []
        for side, fit in self._promising(rough, samples, 3):
            fit = self._fitter.with_best_fingers(fit, samples[side])
            better.append((side, self._fitter.refine(fit, samples[side], ROUGH)))
        best = [
            (side, self._refine_fully(self._at_real_size(fit, unit), samples[side]))
            for side, fit in self._promising(better, samples, 2)
        ]
        ((side, fit),) = self._promising(best, samples, 1)
        return self._finish(scan, side, fit)

    def _promising(self, fits, samples, count):
        """At most `count` of the (side, fit), best first; none that is far behind the best."""
        costs = [self._fitter.cost_mm(fit, samples[side]) for side, fit in fits]
        order = np.argsort(costs)[:count]
        return [fits[i] for i in order if costs[i] < _HOPELESS * costs[order[0]]]

    def _refine_fully(self, fit: Fit, samples: SurfaceSamples) -> Fit:
        """All stages, again for as long as other states of the fingers lead to a better fit."""
        fit = self._fitter.refine(fit, samples, FINE[:1])
        best, best_cost = fit, np.inf
        for _ in range(_NUM_ROUNDS):
            tried = self._fitter.with_best_fingers(fit, samples)
            if tried is fit and best_cost < np.inf:
                break
            fit = self._fitter.refine(tried, samples, FINE)
            cost = self._fitter.cost_mm(fit, samples)
            if cost < best_cost:
                best, best_cost = fit, cost
        return best

    def _at_real_size(self, fit: Fit, unit: str) -> Fit:
        """The fit with the scan's unit settled, as far as it can be."""
        # In the scan's own unit.
        length = self.model.length_m(fit.parameters) / fit.similarity.scale
        if unit != "auto":
            metres = METRES_PER_UNIT[unit]
            if not _KNOWN_UNIT_LENGTHS_M[0] <= length * metres <= _KNOWN_UNIT_LENGTHS_M[1]:
                length_mm = 1e3 * length * metres
                raise NoHandError(f"no hand: it would be {length_mm:.3g} mm long in {unit}")
            return self._with_scale(fit, metres)
        for metres in METRES_PER_UNIT.values():
            if _REAL_LENGTHS_M[0] <= length * metres <= _REAL_LENGTHS_M[1]:
                return self._with_scale(fit, metres)
        return self._with_scale(fit, MEAN_LENGTH_M / length)

    def _with_scale(self, fit: Fit, scale: float) -> Fit:
        """The same fit of a smaller or larger hand."""
        old = fit.similarity
        factor = scale / old.scale
        parameters = self.model.with_length(
            fit.parameters, factor * self.model.length_m(fit.parameters)
        )
        return Fit(ScanSimilarity(scale, old.rotation, factor * old.translation), parameters)

    def _finish(self, scan, side, fit) -> Registration:
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
            unit_is_known=fit.similarity.scale in METRES_PER_UNIT.values(),
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
