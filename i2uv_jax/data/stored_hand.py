"""The hand that a stored set shows: what gives its vertices, UV maps and keypoints their meaning.

Sets of another hand than the package's own (MANO) carry it in their metadata, as JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.hand.asset import load_hand


@dataclass(frozen=True, eq=False)
class StoredHand:
    """Atlas and keypoints of a mesh."""

    atlas: Atlas
    keypoint_regressor: Float[np.ndarray, "21 v"]


def hand_to_json(hand: StoredHand) -> dict[str, Any]:
    """Lists and numbers; the regressor by its entries that are not zero."""
    rows, columns = np.nonzero(hand.keypoint_regressor)
    return {
        "num_vertices": hand.atlas.num_vertices,
        "uv": np.round(hand.atlas.uv.astype(np.float64), 7).tolist(),
        "faces": hand.atlas.faces.tolist(),
        "faces_uv": hand.atlas.faces_uv.tolist(),
        "keypoints": {
            "row": rows.tolist(),
            "vertex": columns.tolist(),
            "weight": hand.keypoint_regressor[rows, columns].astype(float).tolist(),
        },
    }


def hand_from_json(values: Mapping[str, Any]) -> StoredHand:
    """The inverse of `hand_to_json`.

    Raises:
      ValueError: the values are not those of a hand.
    """
    try:
        atlas = Atlas(
            uv=np.array(values["uv"], np.float64),
            faces=np.array(values["faces"], np.int32),
            faces_uv=np.array(values["faces_uv"], np.int32),
            num_vertices=int(values["num_vertices"]),
        )
        regressor = np.zeros((21, atlas.num_vertices), np.float32)
        entries = values["keypoints"]
        regressor[entries["row"], entries["vertex"]] = entries["weight"]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"no description of a hand ({error})") from error
    return StoredHand(atlas, regressor)


def hand_of_set(metadata: Mapping[str, Any]) -> StoredHand:
    """The hand that a set's metadata carry, or by their fingerprint the package's own.

    Raises:
      ValueError: they tell neither.
    """
    if "hand" in metadata:
        return hand_from_json(metadata["hand"])
    own = load_hand()
    fingerprint = metadata.get("settings", {}).get("atlas")
    if fingerprint != own.atlas.fingerprint:
        raise ValueError(
            f"shows a hand with the UV chart {fingerprint}, which is not this version's "
            f"({own.atlas.fingerprint})"
        )
    return StoredHand(own.atlas, own.keypoint_regressor)
