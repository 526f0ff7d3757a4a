"""One model of an AffineNet and an SRNet that were trained apart."""

import os
from dataclasses import replace
from typing import Any

from i2uv_jax.config import HandNetConfig
from i2uv_jax.models.model_files import FINE_SRNET, find_model, shipped_file
from i2uv_jax.models.weights import load_model_file, load_picture_model

LoadedModel = tuple[HandNetConfig, dict[str, Any], dict[str, Any]]
"""Config, variables and card, as `models.weights.load_model_file` gives them."""


def load_fine_model(name_or_path: str | os.PathLike) -> LoadedModel:
    """A model's AffineNet with the shipped SRNet that knows the skin's relief.

    Raises:
      ValueError: no such model, its file is broken or foreign, or its coarse maps are not of the
        size that the SRNet was trained on; the message is one line.
    """
    model = load_picture_model(find_model(name_or_path))
    try:
        return join_models(model, load_model_file(shipped_file(FINE_SRNET)))
    except ValueError as error:
        raise ValueError(f"{name_or_path}: {error}") from error


def join_models(affine: LoadedModel, sr: LoadedModel) -> LoadedModel:
    """The first model's AffineNet with the second one's SRNet.

    The new card holds both cards: neither's numbers are those of the whole.

    Raises:
      ValueError: a model lacks its part, the two were trained on different UV charts, or the SRNet
        on coarse maps of another size than the AffineNet's.
    """
    affine_config, affine_variables, affine_card = affine
    sr_config, sr_variables, sr_card = sr
    if affine_config.affine is None:
        raise ValueError("the first model has no AffineNet")
    if sr_config.sr is None:
        raise ValueError("the second model has no SRNet")
    charts = [card["atlas"] for card in (affine_card, sr_card) if "atlas" in card]
    if len(set(charts)) > 1:
        raise ValueError(f"the models were trained on different UV charts: {' and '.join(charts)}")
    given = affine_config.stage_sizes[-1]
    wanted = sr_card.get("recipe", {}).get("surface_pairs.coarse.texels", given)
    if given != wanted:
        raise ValueError(
            f"the AffineNet gives maps of {given} x {given} texels, the SRNet was trained on those "
            f"of {wanted} x {wanted}"
        )
    config = replace(affine_config, sr=sr_config.sr)
    variables = {
        kind: {name: part for name, part in tree.items() if name != "sr_net"}
        for kind, tree in affine_variables.items()
    }
    variables["params"]["sr_net"] = sr_variables["params"]["sr_net"]
    card: dict[str, Any] = {"affine_net": affine_card, "sr_net": sr_card}
    if charts:
        card["atlas"] = charts[0]
    return config, variables, card
