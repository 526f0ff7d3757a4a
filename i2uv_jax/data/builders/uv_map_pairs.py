"""`uv_map_pairs`: a folder of high-fidelity UV maps, as SuperHandScan is described."""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from i2uv_jax.data.builders.resumable import ResumableBuilder, Shard, count_shards
from i2uv_jax.data.layouts.uv_maps import list_uv_maps, read_uv_maps
from i2uv_jax.hand.asset import load_hand

_DESCRIPTION = """UV position maps of hands in the hand's frame, metres: the surface in full detail
and the rigged mesh's below it."""


@dataclasses.dataclass(eq=False, kw_only=True)
class UvMapPairsConfig(tfds.core.BuilderConfig):
    """Where the maps are."""

    name: str = "maps"
    folder: Path


class UvMapPairs(ResumableBuilder):
    """Split "train"; all maps have the size of the folder's first."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, config: UvMapPairsConfig, **arguments: Any) -> None:
        self._folder = config.folder
        self._fingerprint = load_hand().atlas.fingerprint
        super().__init__(config=config, **arguments)

    @cached_property
    def _size(self) -> int:
        first = list_uv_maps(self._folder)[0]
        return len(read_uv_maps(first, self._fingerprint).uv_map)

    def _info(self) -> tfds.core.DatasetInfo:
        uv_map = tfds.features.Tensor(
            shape=(self._size, self._size, 3), dtype=np.float32, encoding="zlib"
        )
        features = {"uv_map": uv_map, "coarse_uv_map": uv_map, "name": tfds.features.Text()}
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(settings={"atlas": self._fingerprint}),
        )

    def _shard_iterators_per_split(self, dl_manager: Any) -> dict[str, list[Shard]]:
        del dl_manager  # nothing is downloaded
        paths = list_uv_maps(self._folder)
        self._names = [path.stem for path in paths]
        self.info.metadata["names"] = self._names
        self._sources = {path.name: path for path in paths}
        num_shards = count_shards(len(paths))
        return {"train": [partial(self._samples, paths[i::num_shards]) for i in range(num_shards)]}

    def _samples(self, paths: list[Path]) -> Iterator[tuple[str, dict]]:
        for path in paths:
            pair = read_uv_maps(path, self._fingerprint)
            if len(pair.uv_map) != self._size:
                raise ValueError(
                    f"{path}: expected maps of {self._size} texels a side as the folder's first, "
                    f"got {len(pair.uv_map)}"
                )
            yield pair.name, dataclasses.asdict(pair)

    def _check_same(self, noted: Mapping[str, Any]) -> None:
        # Not `self.info.metadata`, of which a finished set fills what it has noted itself.
        if noted["settings"] != {"atlas": self._fingerprint}:
            raise ValueError("its maps are laid out on another UV atlas")
        if noted["names"] != self._names:
            raise ValueError("its names are not those of the folder")
