"""What the builders of photo sets share: features, the user's MANO, and where the archives lie.

The archives are unpacked in tensorflow-datasets' `manual_dir`, as their owners ship them. Photos
are stored in random order, the same at every build.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float, Int

from i2uv_jax.data.builders.resumable import ResumableBuilder, Shard, count_shards
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


@dataclasses.dataclass(frozen=True)
class PhotoEntries:
    """The photos of a split by number, from 0 to before `count`."""

    count: int
    photo: Callable[[int], HandPhoto | None]
    """With at least its mesh; None where the owners annotated none."""
    annotations: Sequence[Path]
    """The files that say what the pictures show."""


class HandPhotos(ResumableBuilder, skip_registration=True):
    """Base of the builders; a subclass says where its photos are and in which splits."""

    VERSION = tfds.core.Version("1.0.0")
    ARCHIVE: Archive
    IMAGE_FORMAT = "jpeg"

    def __init__(self, *, config: PhotoSetConfig, **arguments: Any) -> None:
        """Reads the user's MANO and template.

        Raises:
          ValueError: one of the two cannot be used, or they do not go together.
        """
        self.mano = load_mano(config.mano_path)
        self.hand = _hand(self.mano, config)
        super().__init__(config=config, **arguments)

    @property
    def MANUAL_DOWNLOAD_INSTRUCTIONS(self) -> str:  # noqa: N802, tensorflow-datasets' name
        return f"{self.ARCHIVE.name}: {self.ARCHIVE.page} ({self.ARCHIVE.terms})"

    def entries(self, folder: Path, split: str) -> PhotoEntries:
        """What there is of a split in the folder of archives."""
        raise NotImplementedError

    def splits(self, folder: Path) -> list[str]:
        """The splits that the folder's archives give; "train" among them."""
        raise NotImplementedError

    def build(
        self,
        manual_dir: Path,
        *,
        on_progress: Callable[[int], None] = lambda num_samples: None,
    ) -> None:
        """Builds what is missing of the set from the archives in a folder.

        A set that is there must be of the same UV template, MANO and annotations; the pictures
        themselves are not compared.

        Args:
          on_progress: see `ResumableBuilder`.

        Raises:
          ValueError: something is missing (the line says where it is to be had) or wrong.
          OSError: the set cannot be written.
        """
        self.ARCHIVE.require(manual_dir)
        self.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=manual_dir),
            on_progress=on_progress,
        )

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

    def _shard_iterators_per_split(self, dl_manager: Any) -> dict[str, list[Shard]]:
        folder = Path(dl_manager.manual_dir)
        entries = {split: self.entries(folder, split) for split in self.splits(folder)}
        self.info.metadata["entries"] = {split: found.count for split, found in entries.items()}
        annotations = chain.from_iterable(found.annotations for found in entries.values())
        self._sources = {"MANO": self.builder_config.mano_path} | {
            path.relative_to(folder).as_posix(): self.ARCHIVE.require(path) for path in annotations
        }
        return {split: self._shards(found) for split, found in entries.items()}

    def _shards(self, entries: PhotoEntries) -> list[Shard]:
        order = np.random.default_rng(0).permutation(entries.count)
        num_shards = count_shards(entries.count)
        return [partial(self._samples, entries, order[i::num_shards]) for i in range(num_shards)]

    def _samples(
        self, entries: PhotoEntries, numbers: Int[np.ndarray, "n"]
    ) -> Iterator[tuple[str, dict]]:
        for number in numbers:
            photo = entries.photo(int(number))
            if photo is None:
                continue
            keypoints = photo.keypoints
            if keypoints is None:
                keypoints = self.hand.keypoint_regressor @ photo.vertices
            sample = encode_photo(photo, photo.vertices, keypoints, self.hand.atlas.faces)
            yield photo.name, sample

    def _check_same(self, noted: Mapping[str, Any]) -> None:
        if _fingerprint(noted) != self.hand.atlas.fingerprint:
            raise ValueError(f"it has another UV template than {self.builder_config.template_path}")
        now = self.info.metadata["entries"]
        if noted["entries"] != now:
            raise ValueError(f"its archives held {noted['entries']} photos, these {now}")


def _fingerprint(metadata: Mapping[str, Any]) -> str:
    return hand_of_set(metadata).atlas.fingerprint


def _hand(mano: Mano, config: PhotoSetConfig) -> StoredHand:
    atlas = Atlas.from_obj(config.template_path)
    if atlas.num_vertices != len(mano.template):
        raise ValueError(
            f"{config.template_path}: expected MANO's {len(mano.template)} vertices, "
            f"got {atlas.num_vertices}"
        )
    return StoredHand(atlas, mano.keypoint_regressor)
