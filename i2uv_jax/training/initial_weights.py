"""What a run starts from if not from random weights: the variables of a model file."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from i2uv_jax.config import AnyExperimentConfig, HandNetConfig
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.models.hand_stage import KEYPOINT_ENCODER, PRESENCE
from i2uv_jax.models.keypoint_encoder import KeypointEncoder, unknown_keypoints
from i2uv_jax.models.model_files import find_model
from i2uv_jax.models.weights import load_model_file, variable_shapes
from i2uv_jax.models.widening import only_wider, widened


def load_initial_variables(
    config: AnyExperimentConfig, atlas: Atlas | None
) -> dict[str, Any] | None:
    """ "params" and "batch_stats" of the model that `train.init_from` names; None if it names none.

    A model with a narrower encoder is widened to the config's (`models.widening`). One that tells
    no presence, or takes no keypoints, where the config's does, starts undecided about the one and
    deaf to the other.

    Raises:
      ValueError: one line: there is no such model, it is damaged, it was trained on another UV
        chart, or its variables have other names or shapes than those of `config.model`.
    """
    name = config.train.init_from
    if name is None:
        return None
    trained, variables, card = load_model_file(find_model(name), type(config.model))
    wanted = variable_shapes(config.model)
    if isinstance(trained, HandNetConfig):
        if config.model.tells_presence and not trained.tells_presence:
            trained, variables = _with_presence(trained, variables, wanted)
        if config.model.takes_keypoints and not trained.takes_keypoints:
            trained, variables = _with_keypoint_encoder(trained, variables, config.train.seed)
        if only_wider(trained, config.model):
            rng = np.random.default_rng(config.train.seed)
            variables = widened(variables, trained.affine, config.model.affine.width, rng)
    _check_shapes(name, variables, wanted)
    trained_on = card.get("atlas")
    if atlas is not None and trained_on is not None and trained_on != atlas.fingerprint:
        raise ValueError(
            f"train.init_from: {name} was trained on another UV chart ({trained_on}) than this "
            f"run's ({atlas.fingerprint})"
        )
    return variables


def _with_presence(
    trained: HandNetConfig, variables: dict[str, Any], wanted: dict[str, Any]
) -> tuple[HandNetConfig, dict[str, Any]]:
    """The model with an undecided head for presence, if it is of the kind that can have one."""
    if trained.affine is None or not trained.affine.coarse_to_fine:
        return trained, variables
    head = {
        path: np.zeros(leaf.shape, np.float32)
        for path, leaf in flatten_dict(wanted).items()
        if path[-2] == PRESENCE
    }
    variables = unflatten_dict(flatten_dict(variables) | head)
    return replace(trained, affine=replace(trained.affine, presence=True)), variables


def _with_keypoint_encoder(
    trained: HandNetConfig, variables: dict[str, Any], seed: int
) -> tuple[HandNetConfig, dict[str, Any]]:
    """The model with an encoder that says nothing yet, if it is of the kind that can have one."""
    if trained.affine is None or not trained.affine.coarse_to_fine:
        return trained, variables
    encoder = KeypointEncoder(trained.affine.decoder_channels[0])
    made = encoder.init(jax.random.key(seed), unknown_keypoints(1))["params"]
    place = ("params", "affine_net", "hand_stage", KEYPOINT_ENCODER)
    added = {(*place, *path): np.asarray(leaf) for path, leaf in flatten_dict(made).items()}
    variables = unflatten_dict(flatten_dict(variables) | added)
    return replace(trained, affine=replace(trained.affine, takes_keypoints=True)), variables


def _check_shapes(name: str, variables: dict[str, Any], wanted: dict[str, Any]) -> None:
    there, needed = (
        {path: leaf.shape for path, leaf in flatten_dict(tree, sep="/").items()}
        for tree in (variables, wanted)
    )
    for path in sorted(needed | there):
        if there.get(path) != needed.get(path):
            raise ValueError(
                f"train.init_from: {name} does not fit the config's model: {path}: expected "
                f"{_describe(needed.get(path))}, got {_describe(there.get(path))}"
            )


def _describe(shape: tuple[int, ...] | None) -> str:
    return "nothing of this name" if shape is None else f"shape {shape}"
