"""What the builders of photo sets share: features, the user's MANO, and where the archives lie.

The archives are unpacked in tensorflow-datasets' `manual_dir`, as their owners ship them. A set
appears under its name when it is whole; an interrupted build leaves a folder `...incomplete...`
that no reader takes for one.
"""

import contextlib
import dataclasses
import io
import sys
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float

from i2uv_jax.data.layouts.archive import Archive
from i2uv_jax.data.layouts.hand_photo import HandPhoto
from i2uv_jax.data.stored_hand import StoredHand, hand_of_set, hand_to_json
from i2uv_jax.data.stored_photo import encode_photo
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.hand.mano import Mano, load_mano, pose_mano

_DESCRIPTION = """Whole photos of hands with MANO's mesh in the camera's frame (x right, y down, z
forward, metres). A vertex is `vertices_low + vertices_step * vertices`; `principal_px` counts from
the picture's corner. The hand's UV chart and keypoints are in the metadata."""


@dataclasses.dataclass(eq=False, kw_only=True)
class PhotoSetConfig(tfds.core.BuilderConfig):
    """The user's files that give a set its mesh and chart."""

    name: str = "mano"
    mano_path: Path
    """MANO_RIGHT.pkl."""
    template_path: Path
    """OBJ with MANO's vertices in their order, and texture coordinates (`vt`)."""


class HandPhotos(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base of the builders; a subclass says where its photos are and in which splits."""

    VERSION = tfds.core.Version("1.0.0")
    ARCHIVE: Archive
    IMAGE_FORMAT = "jpeg"
    url_infos = None
    """Of downloads, of which there are none: the search takes a package that may be missing."""

    def __init__(self, *, config: PhotoSetConfig, **arguments: Any) -> None:
        """Reads the user's MANO and template.

        Raises:
          ValueError: one of the two cannot be used, or they do not go together.
        """
        self.mano = load_mano(config.mano_path)
        self.hand = _hand(self.mano, config)
        # The default format needs TensorFlow.
        super().__init__(config=config, file_format="array_record", **arguments)

    @property
    def MANUAL_DOWNLOAD_INSTRUCTIONS(self) -> str:  # noqa: N802, tensorflow-datasets' name
        return f"{self.ARCHIVE.name}: {self.ARCHIVE.page} ({self.ARCHIVE.terms})"

    def photos(self, folder: Path, split: str) -> Iterator[HandPhoto]:
        """Photos of a split, with at least their mesh."""
        raise NotImplementedError

    def splits(self, folder: Path) -> list[str]:
        """The splits that the folder's archives give; "train" among them."""
        raise NotImplementedError

    def build(self, manual_dir: Path) -> None:
        """Builds the set, if it is not there, from the archives in a folder.

        Raises:
          ValueError: something is missing (the line says where it is to be had) or wrong.
          OSError: the set cannot be written.
        """
        self.ARCHIVE.require(manual_dir)
        there = self.info.metadata if self.info.initialized else None
        if (
            there is not None
            and hand_of_set(there).atlas.fingerprint != self.hand.atlas.fingerprint
        ):
            raise ValueError(
                f"{self.data_path}: holds a set with another UV template; remove it or choose "
                "another folder"
            )
        prepare(self, manual_dir=manual_dir)

    def posed(
        self, pose: Float[np.ndarray, "48"], betas: Float[np.ndarray, "10"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """MANO's vertices and keypoints, metres, in the model's own frame."""
        vertices, keypoints = self._pose(self.mano, pose, betas)
        return np.asarray(vertices), np.asarray(keypoints)

    @cached_property
    def _pose(self):
        return jax.jit(pose_mano)

    def _info(self) -> tfds.core.DatasetInfo:
        vector = tfds.features.Tensor(shape=(3,), dtype=np.float32)
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format=self.IMAGE_FORMAT),
            "hand_mask": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
            "vertices": tfds.features.Tensor(
                # As bytes: Example protos know no integers below 64 bits.
                shape=(self.hand.atlas.num_vertices, 3),
                dtype=np.uint16,
                encoding="bytes",
            ),
            "vertices_low": vector,
            "vertices_step": vector,
            "keypoints": tfds.features.Tensor(shape=(21, 3), dtype=np.float32),
            "focal_px": tfds.features.Scalar(dtype=np.float32),
            "principal_px": tfds.features.Tensor(shape=(2,), dtype=np.float32),
            "is_left": tfds.features.Scalar(dtype=np.bool_),
            "name": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            homepage=self.ARCHIVE.page,
            license=self.ARCHIVE.terms,
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(hand=hand_to_json(self.hand)),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        folder = Path(dl_manager.manual_dir)
        return {split: self._generate_examples(folder, split) for split in self.splits(folder)}

    def _generate_examples(self, folder: Path, split: str) -> Iterator[tuple[str, dict]]:
        for photo in self.photos(folder, split):
            keypoints = photo.keypoints
            if keypoints is None:
                keypoints = self.hand.keypoint_regressor @ photo.vertices
            yield (
                photo.name,
                encode_photo(photo, photo.vertices, keypoints, self.hand.atlas.faces),
            )


def prepare(builder: tfds.core.GeneratorBasedBuilder, **settings: Any) -> None:
    """tensorflow-datasets' own building, without what concerns downloads."""
    settings = tfds.download.DownloadConfig(
        **settings, try_download_gcs=False, compute_stats="skip"
    )
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    with tempfile.TemporaryDirectory() as nothing, contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(download_dir=nothing, download_config=settings)


def _hand(mano: Mano, config: PhotoSetConfig) -> StoredHand:
    atlas = Atlas.from_obj(config.template_path)
    if atlas.num_vertices != len(mano.template):
        raise ValueError(
            f"{config.template_path}: expected MANO's {len(mano.template)} vertices, "
            f"got {atlas.num_vertices}"
        )
    return StoredHand(atlas, mano.keypoint_regressor)
