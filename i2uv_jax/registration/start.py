"""Where in a scan a hand could be: similarity and rough pose, from nothing.

A few typical poses of the mean hand, with and without forearm, are laid into the scan's points in
many rotations; each is improved by some steps of iterated closest points with scale (Besl and
McKay 1992, "A method for registration of 3-D shapes"; both ways, the farthest pairs left out), and
the best go on with more points. All in batches of NumPy arrays.
"""

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from i2uv_jax.geometry.surface import sample_surface
from i2uv_jax.hand.named_poses import NAMED_POSES
from i2uv_jax.registration.parameters import HandParameters, SmoothMesh
from i2uv_jax.registration.placement import Fit, ScanSimilarity

_POSES = (
    "rest", "flat", "relaxed", "can", "fist", "thumbs-up", "pointing", "two", "okay", "sheet",
    "bag",
)  # fmt: skip
_FOREARM_LENGTHS_M = (0.0, 0.08, 0.3)
_KEPT_OF_SCAN, _KEPT_OF_HAND = 0.85, 0.95
"""Shares of the pairs from the scan to the hand and back: holes and forearms spoil the rest."""
_FIRST, _SECOND = (100, 4), (300, 12)
"""Points and steps for every guess, then for the best."""
_NUM_SECOND = 250
_NUM_STARTS = 3
_APART_DEGREES = 35.0
_GRID_CELLS = 32
_TEMPLATE_POINTS = 3000


class NearestGrid:
    """The nearest of many points by a table over space: good to a cell, and quick."""

    def __init__(self, points: Float[np.ndarray, "n 3"]) -> None:
        self.points = points
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.25 * (high - low).max()
        self._low = low - margin
        self._cell = (high - low + 2 * margin).max() / _GRID_CELLS
        self._shape = np.ceil((high - low + 2 * margin) / self._cell).astype(int)
        cells = np.indices(self._shape).reshape(3, -1).T
        _, self._nearest = cKDTree(points).query(self._low + (cells + 0.5) * self._cell)

    def __call__(self, points: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 3"]:
        """The nearest point to each; those outside the table are moved to its border first."""
        cells = ((points - self._low) / self._cell).astype(int)
        x, y, z = np.moveaxis(np.clip(cells, 0, self._shape - 1), -1, 0)
        return self.points[self._nearest[(x * self._shape[1] + y) * self._shape[2] + z]]


class Templates:
    """Point clouds of the typical poses, hand frame, metres."""

    def __init__(self, model: HandParameters, mesh: SmoothMesh) -> None:
        self.parameters = [model.from_angles(NAMED_POSES[name]) for name in _POSES]
        self.grids = []
        """(pose, points of the hand with none, a piece or all of the forearm)."""
        for pose, parameters in enumerate(self.parameters):
            posed = model.posed(parameters)
            points = mesh.matrix @ np.concatenate([posed.vertices, posed.forearm_vertices])
            faces_from_wrist = np.linalg.norm(points, axis=1)[mesh.faces].max(axis=1)
            for length in _FOREARM_LENGTHS_M:
                kept = faces_from_wrist < length
                kept[: len(mesh.hand_faces)] = True
                samples = sample_surface(points, mesh.faces[kept], _TEMPLATE_POINTS)
                self.grids.append((pose, NearestGrid(samples.points)))


def find_starts(points: Float[np.ndarray, "n 3"], templates: Templates) -> list[Fit]:
    """The most promising guesses, best first, with rotations that differ.

    Args:
      points: spread evenly over the scan, in its own unit and frame.
    """
    scan = NearestGrid(points)
    guesses = []
    for number, (_, template) in enumerate(templates.grids):
        found = _first_guesses(points, template.points)
        guesses += _refined(scan, template, number, found, *_FIRST)
    guesses.sort(key=lambda guess: guess[0])
    refined = []
    for number, (_, template) in enumerate(templates.grids):
        own = [guess[2:] for guess in guesses[:_NUM_SECOND] if guess[1] == number]
        if own:
            found = tuple(np.stack(part) for part in zip(*own, strict=True))
            refined += _refined(scan, template, number, found, *_SECOND)
    refined.sort(key=lambda guess: guess[0])
    starts: list[Fit] = []
    for _, number, scale, rotation, translation in refined:
        if len(starts) == _NUM_STARTS:
            break
        if all(
            _degrees_apart(rotation, one.similarity.rotation) > _APART_DEGREES for one in starts
        ):
            pose, _ = templates.grids[number]
            similarity = ScanSimilarity(float(scale), rotation, translation)
            starts.append(Fit(similarity, templates.parameters[pose]))
    return starts


def _refined(scan, template, number, guess, count, steps):
    """(distance, template's number, scale, rotation, translation) of each guess, improved."""
    found, distance = _refine(scan, template, guess, count, steps)
    return list(zip(distance, [number] * len(distance), *found, strict=True))


def _first_guesses(points, template):
    """Turns with the centres and the sizes of both laid on each other."""
    rotation = _rotations(points, template)
    scale = np.full(len(rotation), _radius(template) / _radius(points))
    turned = scale[:, None] * (rotation @ points.mean(axis=0))
    return scale, rotation, template.mean(axis=0) - turned


def _refine(scan, template, guess, count, steps):
    """Steps of iterated closest points for a batch of similarities; the last distances."""
    rng = np.random.default_rng(0)
    few = scan.points[rng.permutation(len(scan.points))[:count]]
    cloud = template.points[rng.permutation(len(template.points))[:count]]
    for step in range(steps + 1):
        scale, rotation, translation = (part[:, None] for part in guess)
        moved = scale[..., None] * (few @ rotation[:, 0].swapaxes(1, 2)) + translation
        there = template(moved)
        back = scan((cloud - translation) @ rotation[:, 0] / scale[..., None])
        returned = scale[..., None] * (back @ rotation[:, 0].swapaxes(1, 2)) + translation
        weight_there, mean_there = _trim(moved - there, _KEPT_OF_SCAN)
        weight_back, mean_back = _trim(returned - cloud, _KEPT_OF_HAND)
        if step == steps:
            # Shrinking the scan shrinks all distances, stretching it those in its own unit: the
            # geometric mean of both units leaves the choice to the fit.
            return guess, (mean_there + mean_back) / 2 / np.sqrt(scale[:, 0])
        source = np.concatenate([np.broadcast_to(few, moved.shape), back], axis=1)
        target = np.concatenate([there, np.broadcast_to(cloud, back.shape)], axis=1)
        guess = _similarities(source, target, np.concatenate([weight_there, weight_back], axis=1))


def _trim(gap, kept_share):
    """Weights that leave the farthest pairs out and sum to 1, and the mean distance of the rest."""
    distance = np.linalg.norm(gap, axis=-1)
    kept = distance <= np.quantile(distance, kept_share, axis=1, keepdims=True)
    weight = kept / kept.sum(axis=1, keepdims=True)
    return weight, (weight * distance).sum(axis=1)


def _similarities(source, target, weight):
    """Best rotations of weighted pairs (Umeyama 1991, as `geometry.alignment`), and symmetric
    scales (Horn 1987): least squares would shrink the scan wherever pairs are still wrong."""
    weight = weight / weight.sum(axis=1, keepdims=True)
    source_mean = (weight[..., None] * source).sum(axis=1)
    target_mean = (weight[..., None] * target).sum(axis=1)
    centred = source - source_mean[:, None]
    centred_target = target - target_mean[:, None]
    covariance = (weight[..., None] * centred_target).swapaxes(1, 2) @ centred
    u, _, vt = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    signs = np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=-1)
    rotation = (u * signs[:, None]) @ vt
    spread_of_source = (weight[..., None] * centred**2).sum(axis=(1, 2))
    spread_of_target = (weight[..., None] * centred_target**2).sum(axis=(1, 2))
    scale = np.sqrt(spread_of_target / np.maximum(spread_of_source, 1e-300))
    translation = target_mean - scale[:, None] * np.einsum("bij,bj->bi", rotation, source_mean)
    return scale, rotation, translation


def _rotations(points, cloud):
    """Turns that lay principal axes on each other, in all 24 ways, and 60 even ones."""
    axes = _principal_axes(cloud)
    turns = Rotation.create_group("O").as_matrix()
    aligned = axes @ turns @ _principal_axes(points).T
    return np.concatenate([aligned, Rotation.create_group("I").as_matrix()])


def _principal_axes(points):
    """Columns of a rotation."""
    _, _, rows = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    return rows.T * np.array([1, 1, np.linalg.det(rows)])


def _radius(points):
    return np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())


def _degrees_apart(first, second):
    cosine = (np.trace(first @ second.T) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
