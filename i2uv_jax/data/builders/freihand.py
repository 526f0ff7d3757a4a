"""`frei_hand`: FreiHAND's photos, the training pictures in all four versions."""

from dataclasses import replace
from pathlib import Path

from i2uv_jax.data.builders.hand_photos import HandPhotos, PhotoEntries
from i2uv_jax.data.layouts.freihand import FREIHAND, FreiHand, read_freihand
from i2uv_jax.data.layouts.hand_photo import HandPhoto
from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES

_ROOT = KEYPOINT_NAMES.index("middle_mcp")

_OWN_NAMES = {"train": "training", "evaluation": "evaluation"}


class FreiHandPhotos(HandPhotos):
    """Splits "train" and, where its truth was unpacked too, "evaluation"."""

    name = "frei_hand"
    ARCHIVE = FREIHAND

    def splits(self, folder: Path) -> list[str]:
        has_truth = all((folder / f"evaluation_{name}.json").exists() for name in ("xyz", "verts"))
        return ["train", "evaluation"] if has_truth else ["train"]

    def entries(self, folder: Path, split: str) -> PhotoEntries:
        read = read_freihand(folder, _OWN_NAMES[split])
        if read.vertices is None and read.mano is None:
            raise ValueError(
                f"{folder}: neither training_verts.json nor training_mano.json, so no meshes"
            )

        def photo(number: int) -> HandPhoto:
            version, index = divmod(number, len(read))
            found = read.photo(index, version)
            if found.vertices is None:
                found = replace(found, vertices=self._mesh(read, index))
            return found

        meshes = "mano" if read.vertices is None else "verts"
        annotations = [read.annotation_file(name) for name in ("K", "xyz", meshes)]
        return PhotoEntries(read.num_photos, photo, annotations)

    def _mesh(self, read: FreiHand, index: int):
        """MANO of the entry's parameters, laid where its keypoints are."""
        parameters = read.mano[index].copy()
        parameters[3:48] += self.mano.mean_pose
        vertices, keypoints = self.posed(parameters[:48], parameters[48:58])
        return vertices + read.keypoints[index, _ROOT] - keypoints[_ROOT]
