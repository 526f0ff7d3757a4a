"""Pose and shape of the rigged hand, and its place in the scan, from corresponding points.

Gauss-Newton steps on distances along the hand's normals (Chen and Medioni 1992, "Object modelling
by registration of multiple range images") and, more weakly, between points; correspondences are
found anew before each step, by place and normal together, so that a finger's front does not take
the back's points. Far pairs lose their weight (Geman and McClure 1987). Joint angles and shape stay
within their limits. All lengths are millimetres here.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from i2uv_jax.geometry.host_normals import vertex_normals
from i2uv_jax.geometry.keypoints import FINGER_NAMES
from i2uv_jax.geometry.surface import SurfaceSamples
from i2uv_jax.hand.named_poses import NAMED_POSES
from i2uv_jax.hand.skeleton import JOINT_NAMES
from i2uv_jax.registration.parameters import (
    LIMITS,
    NUM_ANGLES,
    SPREAD,
    HandParameters,
    SmoothMesh,
    free_angles,
)
from i2uv_jax.registration.placement import Fit, ScanSimilarity

_FOREARM_WEIGHT = 0.3
"""Of the scan's points on the forearm, whose surface the rig knows but roughly."""
_BACK_WEIGHT = 0.5
"""Of pairs from the hand to the scan, against those from the scan to the hand."""
_GREATEST_STEP = 0.35
"""Radians that any angle may turn in one step."""
_COST_POINTS, _COST_REACH_MM, _COST_NORMAL_MM = 1200, 20.0, 6.0
_FINGER_STATES = ("rest", "hanging", "loose fist", "fist", "bag", "sheet")
_FINGER_JOINTS, _THUMB_JOINTS = (
    (("mcp", "pip", "dip"), ("pip", "dip")),
    (("cmc", "mcp", "ip"), ("mcp", "ip")),
)
_THUMB_STATES = (
    "rest", "spread", "fist", "fist, thumb beside", "three", "pinch", "flat, thumb beside", "can",
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Some steps with the same weights."""

    steps: int
    reach_mm: float
    """Distance at which a pair's weight has fallen to a quarter."""
    normal_mm: float
    """Distance that counts as much as a right angle between normals."""
    point_weight: float
    """Of the distance between points, against that along the normal."""
    prior: float
    """Price of a parameter at its spread, in square millimetres of mean squared distance."""
    num_points: int


ROUGH = (
    Stage(steps=6, reach_mm=30.0, normal_mm=12.0, point_weight=0.3, prior=0.3, num_points=500),
    Stage(steps=6, reach_mm=15.0, normal_mm=10.0, point_weight=0.1, prior=0.08, num_points=500),
)
FINE = (
    Stage(steps=8, reach_mm=10.0, normal_mm=8.0, point_weight=0.05, prior=0.015, num_points=1500),
    Stage(steps=8, reach_mm=5.0, normal_mm=6.0, point_weight=0.02, prior=0.004, num_points=3000),
)


class ArticulatedFitter:
    """Fits one rigged hand; what depends on the hand alone is worked out once."""

    def __init__(self, model: HandParameters, mesh: SmoothMesh) -> None:
        self._model = model
        self._mesh = mesh
        self._back = np.random.default_rng(0).permutation(mesh.num_hand_vertices)[:1000]
        hand = model.hand
        self._rig_faces = np.concatenate([hand.faces, hand.forearm_faces])
        self._finger_tries = [_finger_tries(finger) for finger in FINGER_NAMES]

    def refine(self, fit: Fit, scan: SurfaceSamples, stages: tuple[Stage, ...]) -> Fit:
        """Goes through the stages from a fit that is roughly right already.

        The similarity's scale stays: the shape's size takes it up.
        """
        scale = fit.similarity.scale * 1e3
        rotation = fit.similarity.rotation
        translation = fit.similarity.translation * 1e3
        parameters = start = np.array(fit.parameters, np.float64)
        for stage in stages:
            chosen = _evenly(len(scan.points), stage.num_points)
            points, normals = scale * scan.points[chosen], scan.normals[chosen]
            scan_tree = cKDTree(np.concatenate([points, stage.normal_mm * normals], axis=1))
            for _ in range(stage.steps):
                moved, turned = points @ rotation.T + translation, normals @ rotation.T
                step = self._step(
                    stage, moved, turned, scan_tree, rotation, translation, parameters, start
                )
                turn = Rotation.from_rotvec(step[:3]).as_matrix()
                rotation, translation = turn @ rotation, turn @ translation + step[3:6]
                parameters = np.clip(parameters + step[6:], *LIMITS.T)
        similarity = ScanSimilarity(fit.similarity.scale, rotation, translation / 1e3)
        return Fit(similarity, parameters)

    def with_best_fingers(self, fit: Fit, scan: SurfaceSamples) -> Fit:
        """Tries each finger, or what lies beyond its first joint, in a few typical states, the
        others as they are, and keeps the best.

        Steps alone cannot lead a finger from the fist to where the scan's stands out.
        """
        target = _CostTarget(fit, scan)
        best, cost = fit, self._cost_mm(fit.parameters, target)
        for tries in self._finger_tries:
            # All of one finger's tries start from the same pose.
            before = best
            for rows, angles in tries:
                parameters = before.parameters.copy()
                parameters[rows] = angles
                tried_cost = self._cost_mm(parameters, target)
                if tried_cost < cost:
                    best, cost = replace(fit, parameters=parameters), tried_cost
        return best

    def cost_mm(self, fit: Fit, scan: SurfaceSamples) -> float:
        """How badly a fit explains a scan: the mean distance of points both ways, by place and
        normal, far ones cut off. To compare fits by; its least value depends on the density."""
        return self._cost_mm(fit.parameters, _CostTarget(fit, scan))

    def _cost_mm(self, parameters, target):
        posed = self._model.posed(parameters)
        vertices = 1e3 * np.concatenate([posed.vertices, posed.forearm_vertices])
        normals = vertex_normals(vertices, self._rig_faces)
        hand = np.concatenate([vertices, _COST_NORMAL_MM * normals], axis=1)
        there, nearest = cKDTree(hand).query(target.points)
        back, _ = target.tree.query(hand[: len(posed.vertices)])
        weight = np.where(nearest < len(posed.vertices), 1, _FOREARM_WEIGHT)
        mean_there = (weight * np.minimum(there, _COST_REACH_MM)).sum() / weight.sum()
        return float(mean_there + np.minimum(back, _COST_REACH_MM).mean()) / 2

    def _surface(self, parameters):
        vertices, jacobian = self._model.vertices_and_jacobian(parameters)
        return self._mesh.matrix @ (1e3 * vertices), jacobian

    def _step(self, stage, moved, turned, scan_tree, rotation, translation, parameters, start):
        """One Gauss-Newton step of (turn, shift, parameters)."""
        vertices, jacobian = self._surface(parameters)
        normals = vertex_normals(vertices, self._mesh.faces)
        hand_tree = cKDTree(np.concatenate([vertices, stage.normal_mm * normals], axis=1))
        _, there = hand_tree.query(np.concatenate([moved, stage.normal_mm * turned], axis=1))
        # The scan's tree stays in the scan's frame.
        back = self._back
        unmoved = (vertices[back] - translation) @ rotation
        unturned = stage.normal_mm * normals[back] @ rotation
        _, nearest = scan_tree.query(np.concatenate([unmoved, unturned], axis=1))

        vertex = np.concatenate([there, back])
        point = np.concatenate([moved, moved[nearest]])
        facing = (np.concatenate([turned, turned[nearest]]) * normals[vertex]).sum(axis=1)
        gap = point - vertices[vertex]
        weight = 1 / (1 + (gap**2).sum(axis=1) / stage.reach_mm**2) ** 2
        weight *= np.maximum(facing, 0)
        weight[: len(there)] *= np.where(there < self._mesh.num_hand_vertices, 1, _FOREARM_WEIGHT)
        weight[: len(there)] /= len(there)
        weight[len(there) :] *= _BACK_WEIGHT / len(back)
        weight /= weight.sum() + 1e-12

        # How the gap changes: point + turn x point + shift - (vertex + its own motion).
        own = self._mesh.matrix[vertex] @ jacobian.reshape(len(jacobian), -1)
        change = np.empty((len(vertex), 3, 6 + len(parameters)))
        change[:, :, :3] = -_cross_matrices(point)
        change[:, :, 3:6] = np.eye(3)
        change[:, :, 6:] = -1e3 * own.reshape(len(vertex), 3, -1)
        along_change = np.einsum("nd,ndp->np", normals[vertex], change)
        along = (gap * normals[vertex]).sum(axis=1)
        # Each pair counts with its distance along the normal and, less, with the whole gap.
        weighted = (stage.point_weight * weight)[:, None, None] * change
        normal_matrix = change.reshape(-1, change.shape[2]).T @ weighted.reshape(
            -1, change.shape[2]
        )
        normal_matrix += along_change.T @ (weight[:, None] * along_change)
        gradient = np.einsum("ndp,nd->p", weighted, gap) + along_change.T @ (weight * along)
        stiffness = stage.prior / SPREAD**2
        normal_matrix[6:, 6:] += np.diag(stiffness)
        gradient[6:] += stiffness * (parameters - start)
        # Parameters at a limit that want to leave stay out of the step.
        pushing = (parameters <= LIMITS[:, 0] + 1e-9) & (gradient[6:] > 0)
        pushing |= (parameters >= LIMITS[:, 1] - 1e-9) & (gradient[6:] < 0)
        free = np.concatenate([np.ones(6, bool), ~pushing])
        damping = 1e-3 * np.diag(normal_matrix)[free] + 1e-9
        step = np.zeros(len(free))
        step[free] = -np.linalg.solve(
            normal_matrix[np.ix_(free, free)] + np.diag(damping), gradient[free]
        )
        angles = np.concatenate([step[:3], step[6 : 6 + NUM_ANGLES]])
        return step * min(1, _GREATEST_STEP / max(np.abs(angles).max(), 1e-9))


class _CostTarget:
    """Some of a scan's points and normals in the hand frame of a fit."""

    def __init__(self, fit: Fit, scan: SurfaceSamples) -> None:
        chosen = _evenly(len(scan.points), _COST_POINTS)
        moved = 1e3 * fit.similarity(scan.points[chosen])
        turned = scan.normals[chosen] @ fit.similarity.rotation.T
        self.points = np.concatenate([moved, _COST_NORMAL_MM * turned], axis=1)
        self.tree = cKDTree(self.points)


def _finger_tries(finger):
    """(places in the vector, angles) to try for one finger."""
    tries = []
    for name in _THUMB_STATES if finger == "thumb" else _FINGER_STATES:
        angles = free_angles(NAMED_POSES[name])
        for joints in _THUMB_JOINTS if finger == "thumb" else _FINGER_JOINTS:
            is_own = np.zeros((len(JOINT_NAMES), 3))
            is_own[[JOINT_NAMES.index(f"{finger}_{joint}") for joint in joints]] = 1
            rows = np.flatnonzero(free_angles(is_own))
            tries.append((rows, angles[rows]))
    return tries


def _evenly(length, count):
    """At most `count` indices, evenly spread."""
    return np.linspace(0, length - 1, min(length, count)).astype(int)


def _cross_matrices(points):
    """Matrices of the products point x ..."""
    x, y, z = points.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
