"""FreiHAND as its archives unpack (FreiHAND_pub_v2.zip, and _eval.zip for the evaluation's truth).

    training/rgb/%08d.jpg      picture i of n (32,560) in version k: number i + n * k
    training/mask/%08d.jpg     of the first version
    training_{K,xyz,scale,mano,verts}.json     one entry for each of the n
    evaluation/rgb/%08d.jpg, evaluation_{K,scale}.json, and with the truth _xyz and _verts

Facts from the owners' toolbox (github.com/lmb-freiburg/freihand). Metres; x right, y down, z away;
keypoints in our order; all right hands. A MANO entry holds 48 axis-angle values, relative to the
mean hand, 10 betas, the root's pixel and a scale. The owners do not say whether camera matrices
count from a pixel's centre or corner: the principal point, exactly half of the 224 pixels, is here
taken for the picture's middle.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from i2uv_jax.data.layouts.archive import Archive
from i2uv_jax.data.layouts.hand_photo import HandPhoto, camera_values

FREIHAND = Archive(
    name="FreiHAND",
    page="https://lmb.informatik.uni-freiburg.de/projects/freihand/",
    terms="for research only, no commercial use",
)

SPLITS = ("training", "evaluation")

VERSIONS = ("green_screen", "homogenised", "colourised", "hallucinated")
"""How the background was replaced; the evaluation has the first alone."""

NUM_VERTICES = 778


@dataclass(frozen=True)
class FreiHand:
    """One split, its numbers in memory; make it with `read_freihand`."""

    folder: Path
    split: str
    camera_matrices: Float[np.ndarray, "n 3 3"]
    scales_m: Float[np.ndarray, "n"]
    """Length of the middle finger's first bone."""
    keypoints: Float[np.ndarray, "n 21 3"] | None
    vertices: Float[np.ndarray, "n 778 3"] | None
    mano: Float[np.ndarray, "n 61"] | None

    def __len__(self) -> int:
        return len(self.camera_matrices)

    def photo(self, index: int, version: int = 0) -> HandPhoto:
        """The picture of an entry in one of the `VERSIONS`.

        Raises:
          ValueError: the picture is missing, or its camera matrix is none.
        """
        number = index + version * len(self)
        focal_px, principal_px = camera_values(
            self.camera_matrices[index],
            first_pixel=0.0,
            where=f"{self.annotation_file('K')}: entry {index}",
        )
        mask = self.folder / self.split / "mask" / f"{index:08d}.jpg"
        keypoints = None if self.keypoints is None else self.keypoints[index]
        return HandPhoto(
            name=f"{self.split}/{number:08d}",
            image_path=FREIHAND.require(self.folder / self.split / "rgb" / f"{number:08d}.jpg"),
            focal_px=focal_px,
            principal_px=principal_px,
            keypoints=keypoints,
            vertices=None if self.vertices is None else self.vertices[index],
            wrist=None if keypoints is None else keypoints[0],
            mask_path=mask if mask.exists() else None,
        )

    def annotation_file(self, name: str) -> Path:
        """Where the entries of a name ("K", "xyz", ...) are."""
        return _annotation_file(self.folder, self.split, name)

    @property
    def num_photos(self) -> int:
        """Pictures in all: those of the training in each of the `VERSIONS`."""
        return len(self) * (len(VERSIONS) if self.split == "training" else 1)


def read_freihand(folder: Path, split: str) -> FreiHand:
    """Reads a split's numbers; pictures stay on disk.

    Raises:
      ValueError: a file is missing (the line says where FreiHAND is to be had), is not what it
        should be, or holds another number of entries.
    """
    FREIHAND.require(folder)
    is_training = split == "training"

    def numbers(name: str, *shape: int, needed: bool) -> np.ndarray | None:
        path = _annotation_file(folder, split, name)
        return FREIHAND.numbers(path, shape) if needed or path.exists() else None

    found = FreiHand(
        folder=folder,
        split=split,
        camera_matrices=numbers("K", 3, 3, needed=True),
        scales_m=numbers("scale", needed=True),
        keypoints=numbers("xyz", 21, 3, needed=is_training),
        vertices=numbers("verts", NUM_VERTICES, 3, needed=False),
        mano=numbers("mano", 61, needed=False) if is_training else None,
    )
    for name, values in (
        ("scale", found.scales_m), ("xyz", found.keypoints), ("verts", found.vertices),
        ("mano", found.mano),
    ):  # fmt: skip
        if values is not None and len(values) != len(found):
            raise ValueError(
                f"{found.annotation_file(name)}: expected {len(found)} entries as in "
                f"{split}_K.json, got {len(values)}"
            )
    return found


def _annotation_file(folder: Path, split: str, name: str) -> Path:
    return folder / f"{split}_{name}.json"
