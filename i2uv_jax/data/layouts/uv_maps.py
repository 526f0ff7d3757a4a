"""A folder of high-fidelity UV position maps, as SuperHandScan is described (it was not released).

One `.npz` a hand, without pickled objects: `uv_map`, (m, m, 3), the surface in metres in the hand's
frame; `coarse_uv_map`, the rigged hand's, where there is one; and `atlas`, the fingerprint of the
UV atlas that both are laid out on, where it is known. `i2uv data register` writes such files.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class UvMapPair:
    """One hand's maps, metres, hand frame."""

    name: str
    uv_map: Float[np.ndarray, "m m 3"]
    coarse_uv_map: Float[np.ndarray, "m m 3"]
    """The fine map itself where the file holds no other."""


def list_uv_maps(folder: Path) -> list[Path]:
    """The files of a folder, sorted by name.

    Raises:
      ValueError: there are none.
    """
    paths = sorted(folder.glob("*.npz")) if folder.is_dir() else []
    if not paths:
        raise ValueError(
            f"{folder}: no UV maps (.npz); `i2uv data register` makes them of scanned hands"
        )
    return paths


def read_uv_maps(path: Path, fingerprint: str) -> UvMapPair:
    """Reads one file.

    Args:
      fingerprint: of the atlas that the maps have to be laid out on, if the file names one.

    Raises:
      ValueError: it cannot be read or holds no such maps, or those of another atlas.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            fine = arrays["uv_map"].astype(np.float32)
            coarse = arrays.get("coarse_uv_map", fine).astype(np.float32)
            laid_out_on = str(arrays.get("atlas", fingerprint))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: no readable UV maps ({error})") from error
    if laid_out_on != fingerprint:
        raise ValueError(
            f"{path}: its UV maps are laid out on another chart ({laid_out_on}) than the hand's "
            f"({fingerprint})"
        )
    for name, uv_map in (("uv_map", fine), ("coarse_uv_map", coarse)):
        is_square = uv_map.ndim == 3 and uv_map.shape == (len(uv_map), len(uv_map), 3)
        if not is_square or uv_map.shape != fine.shape or not np.isfinite(uv_map).all():
            raise ValueError(
                f"{path}: {name}: expected finite (m, m, 3) numbers, got {uv_map.shape}"
            )
    return UvMapPair(path.stem, fine, coarse)
