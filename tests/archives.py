"""Miniature copies of FreiHAND, HO-3D and HIC in their owners' layouts, of a MANO-shaped hand.

Each writer returns what it wrote as the project sees it: metres, x right, y down, z away, our
keypoint order. Pictures show one colour each, and a white blob at one vertex.
"""

import json
import pickle
from dataclasses import dataclass

import jax
import numpy as np
from PIL import Image

from i2uv_jax.hand.mano import KEYPOINT_JOINTS, load_mano, pose_mano
from tests.mano_files import old_pickle

MARKED_VERTEX = 400
_POSED = jax.jit(jax.vmap(pose_mano, (None, 0, 0)))


@dataclass
class Truth:
    """A hand as it was written."""

    vertices: np.ndarray
    keypoints: np.ndarray
    colour: tuple


def hands(mano_path, count, seed=0):
    """Poses, betas, and posed (vertices, keypoints) before any translation; of `count` hands."""
    rng = np.random.default_rng(seed)
    poses = np.zeros((8, 48), np.float32)
    poses[:, 3:] = 0.1 * rng.standard_normal((8, 45))
    poses[:, :3] = 0.3 * rng.standard_normal((8, 3))
    betas = 0.3 * rng.standard_normal((8, 10)).astype(np.float32)
    # Always eight, so that one compilation serves all.
    vertices, keypoints = map(np.asarray, _POSED(load_mano(mano_path), poses, betas))
    return poses[:count], betas[:count], vertices[:count], keypoints[:count]


def picture(path, size, colour, at_px=None):
    """One colour, and a white blob whose middle is at `at_px`, counted from the corner."""
    width, height = size
    pixels = np.empty((height, width, 3), np.float64)
    pixels[:] = colour
    if at_px is not None:
        across, down = (
            np.exp(-((np.arange(length) + 0.5 - place) ** 2) / (2 * 3.0**2))
            for length, place in zip(size, at_px, strict=True)
        )
        pixels += (down[:, None] * across)[..., None] * (255 - pixels)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.round().astype(np.uint8)).save(path, quality=95)


def projected(matrix, point, *, first_pixel):
    """Pixel coordinates from the picture's corner."""
    image = np.asarray(matrix) @ point
    return image[:2] / image[2] + first_pixel


def colours(count):
    return [(20 + 50 * (i % 4), 40 + 40 * (i // 4), 90) for i in range(count)]


def write_freihand(folder, mano_path, count=2, *, with_vertices=True):
    """Training (four versions) and evaluation of `count` entries; truth by picture name."""
    matrix = [[480.0, 0, 112], [0, 480.0, 112], [0, 0, 1]]
    truths = {}
    for split, seed, versions in (("training", 0, 4), ("evaluation", 1, 1)):
        poses, betas, vertices, keypoints = hands(mano_path, count, seed)
        shift = np.array([-0.08, -0.09, 0.7]) - vertices.min(1, keepdims=True) * [1, 1, 0]
        vertices, keypoints = vertices + shift, keypoints + shift
        for name, values in (
            ("K", [matrix] * count),
            ("xyz", keypoints.tolist()),
            ("scale", [0.03] * count),
            ("verts", vertices.tolist()),
        ):
            if name != "verts" or with_vertices:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{split}_{name}.json").write_text(json.dumps(values))
        if split == "training":
            relative = poses - np.concatenate([np.zeros(3), load_mano(mano_path).mean_pose])
            rows = np.concatenate([relative, betas, np.zeros((count, 3))], axis=1)
            text = json.dumps([[row] for row in rows.tolist()])
            (folder / "training_mano.json").write_text(text)
        for number, colour in enumerate(colours(count * versions)):
            index = number % count
            at_px = projected(matrix, vertices[index, MARKED_VERTEX], first_pixel=0)
            path = folder / split / "rgb" / f"{number:08d}.jpg"
            picture(path, (224, 224), colour, at_px)
            truths[f"{split}/{number:08d}"] = Truth(vertices[index], keypoints[index], colour)
            if split == "training" and number < count:
                picture(folder / split / "mask" / path.name, (224, 224), (255, 255, 255))
    return truths


def write_ho3d(folder, mano_path, version, count=2):
    """One training and one evaluation sequence; truth of the training frames by name."""
    matrix = np.array([[614.6, 0, 320.3], [0, 614.2, 241.1], [0, 0, 1]])
    flip = np.array([1, -1, -1])
    suffix = "png" if version == "v2" else "jpg"
    truths = {}
    for split, sequence in (("train", "ABF10"), ("evaluation", "SM1")):
        poses, betas, vertices, keypoints = hands(mano_path, count, len(split))
        translation = np.array([-0.08, -0.09, -0.6])
        for index, colour in enumerate(colours(count)):
            frame = f"{index:04d}"
            ours = (vertices[index] + translation) * flip
            own_order = np.empty((21, 3))
            own_order[list(KEYPOINT_JOINTS)] = keypoints[index] + translation
            meta = {"camMat": matrix, "objName": "003_cracker_box", "objRot": np.zeros((3, 1))}
            if split == "train":
                meta |= {
                    "handJoints3D": own_order,
                    "handPose": poses[index],
                    "handBeta": betas[index],
                    "handTrans": translation,
                }
            else:
                meta |= {"handJoints3D": own_order[0], "handBoundingBox": [200, 100, 420, 330]}
            place = folder / split / sequence
            (place / "meta").mkdir(parents=True, exist_ok=True)
            (place / "meta" / f"{frame}.pkl").write_bytes(old_pickle(meta))
            at_px = projected(matrix, ours[MARKED_VERTEX], first_pixel=0.5)
            picture(place / "rgb" / f"{frame}.{suffix}", (640, 480), colour, at_px)
            truths[f"{split}/{sequence}/{frame}"] = Truth(
                ours, (keypoints[index] + translation) * flip, colour
            )
        # A frame whose hand nobody annotated, as the owners have some.
        (place / "meta" / "0009.pkl").write_bytes(old_pickle({"handJoints3D": None}))
        names = [f"{sequence}/{index:04d}" for index in range(count)]
        names += [f"{sequence}/0009"] if split == "train" else []
        (folder / f"{split}.txt").write_text("\n".join(names) + "\n")
    return truths


def write_ho3d_depth(folder, name, depth_m):
    """The depth picture of a frame in its owners' encoding: low byte in red, high one in green."""
    steps = np.round(depth_m / 0.00012498664727900177).astype(int)
    sequence, frame = name.rsplit("/", 1)
    path = folder / sequence / "depth" / f"{frame}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = np.stack([steps % 256, steps // 256, 0 * steps], axis=-1).astype(np.uint8)
    Image.fromarray(channels).save(path)


def write_hic(folder, mano_path, count=2):
    """One sequence, right and left hands in turn; truth by name, left hands as in the picture."""
    matrix = np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]])
    _, _, vertices, _ = hands(mano_path, count, 5)
    truths = {}
    for index, colour in enumerate(colours(count)):
        side, mirror = ("L", [-1, 1, 1]) if index % 2 else ("R", [1, 1, 1])
        mesh = (vertices[index] + np.array([-0.08, -0.09, 0.7])) * mirror
        at_px = projected(matrix, mesh[MARKED_VERTEX], first_pixel=0.5)
        picture(folder / "01" / "1" / "rgb" / f"{index:03d}.png", (640, 480), colour, at_px)
        place = folder / "IJCV16___Results_MANO___parms_for___joints21"
        place /= f"IJCV16___fakeGT___IJCV___01___Model_Hand_{side}___ncomps45"
        place.mkdir(parents=True, exist_ok=True)
        content = {"pose": np.zeros(48), "betas": np.zeros(10), "trans": np.zeros(3), "v": mesh}
        (place / f"{index:03d}.pkl").write_bytes(pickle.dumps(content, 2))
        name = f"01/{index:03d}/{'left' if side == 'L' else 'right'}"
        truths[name] = Truth(mesh, None, colour)
    return truths


def write_hic_depth(folder, name, truth, behind_m=0.0):
    """The depth picture of a hand that `write_hic` wrote: 16-bit millimetres at the pixels of its
    vertices, as if they lay behind the fit."""
    sequence, frame, _ = name.split("/")
    points = truth.vertices + np.array([0, 0, behind_m])
    place = 525.0 * points[:, :2] / points[:, 2:] + np.array([320.0, 240.0])
    depth = np.zeros((480, 640), np.uint16)
    across, down = np.floor(place).astype(int).T
    depth[down, across] = np.round(1000 * points[:, 2])
    path = folder / sequence / "1" / "depth" / f"{frame}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(depth).save(path)
