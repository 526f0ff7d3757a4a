"""`hic`: HIC's photos, one sample for each hand in them; keypoints are regressed from the meshes.

A left hand is stored as it is and mirrored when it is read; its mesh, of MANO's left model, then
stands for one of the right model's, vertex by vertex.
"""

from pathlib import Path

from i2uv_jax.data.builders.hand_photos import HandPhotos, PhotoEntries
from i2uv_jax.data.layouts.hic import HIC, list_fits, read_fit


class HicPhotos(HandPhotos):
    """Split "train"."""

    name = "hic"
    ARCHIVE = HIC
    IMAGE_FORMAT = "png"

    def splits(self, folder: Path) -> list[str]:
        return ["train"]

    def entries(self, folder: Path, split: str) -> PhotoEntries:
        fits = list_fits(folder)
        annotations = [fit.fit_path for fit in fits]
        return PhotoEntries(len(fits), lambda number: read_fit(fits[number]), annotations)
