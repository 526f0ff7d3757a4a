"""HIC, "Hands in Action" (Tzionas et al., IJCV 2016), with the owners' MANO fits.

    SEQ/1/rgb/FRAME.png                                    colour pictures of sequence 01, 02, ...
    IJCV16___Results_MANO___parms_for___joints21/IJCV16___fakeGT___IJCV___SEQ___Model_Hand_S___ncomps45/
        FRAME.pkl                                          the fit of hand S, L or R

The sequences also hold depth, which is not read here, but by what scores predictions
(`evaluate.depth_pictures`). From others' readers, since the owners' page says little: a fit's "v"
holds the mesh of 778 vertices in metres in the colour camera's frame, which is ours; the camera is
that of an Asus Xtion, focal length 525 and principal point (319.5, 239.5) counted from pixel
centres. Not certain: the order of the fit's own joints, so that keypoints are regressed from the
mesh; and how well colour and depth, to which the hands were fitted, coincide.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from i2uv_jax.data.layouts.archive import Archive
from i2uv_jax.data.layouts.hand_photo import PIXEL_CENTRE, HandPhoto, points
from i2uv_jax.restricted_pickle import read_restricted_pickle

HIC = Archive(
    name="HIC",
    page="https://files.is.tue.mpg.de/dtzionas/Hand-Object-Capture/",
    terms="for research only; sequences and the MANO-compatible fits",
)

FITS_FOLDER = "IJCV16___Results_MANO___parms_for___joints21"
FOCAL_PX = 525.0
PRINCIPAL_PX = (319.5 + PIXEL_CENTRE, 239.5 + PIXEL_CENTRE)
NUM_VERTICES = 778

_FIT = re.compile(r"IJCV16___fakeGT___IJCV___(\w+?)___Model_Hand_([LR])___ncomps45")


@dataclass(frozen=True)
class HicFit:
    """One hand in one frame: its picture and the file of its fit."""

    sequence: str
    frame: str
    is_left: bool
    image_path: Path
    fit_path: Path


def list_fits(folder: Path) -> list[HicFit]:
    """All fits whose picture is there, sorted by name.

    Raises:
      ValueError: the fits' folder is missing, or none of the fits has a picture.
    """
    fits = []
    for place in sorted(HIC.require(folder / FITS_FOLDER).iterdir()):
        named = _FIT.fullmatch(place.name)
        for path in sorted(place.glob("*.pkl")) if named else ():
            image = folder / named[1] / "1" / "rgb" / f"{path.stem}.png"
            if image.exists():
                fits.append(HicFit(named[1], path.stem, named[2] == "L", image, path))
    if not fits:
        HIC.require(folder / "01" / "1" / "rgb")
        raise ValueError(f"{folder / FITS_FOLDER}: no fit belongs to a picture in {folder}/*/1/rgb")
    return fits


def read_fit(fit: HicFit) -> HandPhoto:
    """The hand's mesh; without keypoints (see above).

    Raises:
      ValueError: the fit's file is no fit.
    """
    content = read_restricted_pickle(fit.fit_path)
    where = f"{fit.fit_path}: v"
    vertices = points(content.get("v") if isinstance(content, dict) else None, NUM_VERTICES, where)
    if not (vertices[:, 2] > 0).all():
        raise ValueError(f"{where}: expected vertices before the camera (z above 0)")
    side = "left" if fit.is_left else "right"
    return HandPhoto(
        name=f"{fit.sequence}/{fit.frame}/{side}",
        image_path=fit.image_path,
        focal_px=FOCAL_PX,
        principal_px=PRINCIPAL_PX,
        vertices=np.asarray(vertices),
        is_left=fit.is_left,
    )
