"""`ho3d_v2` and `ho3d_v3`: HO-3D's photos with the meshes of their MANO parameters."""

from dataclasses import replace
from pathlib import Path

from i2uv_jax.data.builders.hand_photos import HandPhotos, PhotoEntries
from i2uv_jax.data.layouts import ho3d
from i2uv_jax.data.layouts.hand_photo import HandPhoto


class _Ho3d(HandPhotos, skip_registration=True):
    """Splits "train" and, where its truth was released into the folder, "evaluation"."""

    RELEASE: str

    def splits(self, folder: Path) -> list[str]:
        has_truth = (folder / "evaluation_verts.json").exists()
        return ["train", "evaluation"] if has_truth else ["train"]

    def entries(self, folder: Path, split: str) -> PhotoEntries:
        names = ho3d.frame_names(folder, self.RELEASE, split)
        truth = ho3d.read_evaluation_truth(folder, self.RELEASE) if split == "evaluation" else None

        def photo(number: int) -> HandPhoto | None:
            frame = ho3d.read_frame(folder, self.RELEASE, split, names[number])
            if frame is None:
                return None
            if truth is not None:
                keypoints, vertices = (part[number] for part in truth)
                return replace(frame.photo, keypoints=keypoints, vertices=vertices)
            vertices, _ = self.posed(frame.pose, frame.betas)
            return replace(frame.photo, vertices=frame.to_camera(vertices))

        annotations = ho3d.annotation_files(folder, split, names)
        return PhotoEntries(len(names), photo, annotations)


class Ho3dV2(_Ho3d):
    """Version 2: pictures without loss."""

    name = "ho3d_v2"
    RELEASE = "v2"
    ARCHIVE = ho3d.archive("v2")
    IMAGE_FORMAT = "png"


class Ho3dV3(_Ho3d):
    """Version 3: better poses, JPEG."""

    name = "ho3d_v3"
    RELEASE = "v3"
    ARCHIVE = ho3d.archive("v3")
