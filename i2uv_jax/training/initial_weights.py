"""What a run starts from if not from random weights: the variables of a model file."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, PRNGKeyArray

from i2uv_jax.config import AnyExperimentConfig, HandNetConfig
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.models.confidence import CONFIDENCE
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.hand_stage import KEYPOINT_ENCODER, PRESENCE
from i2uv_jax.models.model_files import find_model
from i2uv_jax.models.uv_decoder import PULL_FEATURES, PULL_FOLLOWED
from i2uv_jax.models.weights import load_model_file, variable_shapes
from i2uv_jax.models.widening import only_wider, widened

_OPTIONAL_PARTS = {
    "presence": {PRESENCE},
    "takes_keypoints": {KEYPOINT_ENCODER, PULL_FEATURES, PULL_FOLLOWED},
    "confidence": {CONFIDENCE},
}
"""Options of `AffineNetConfig`, and the names of the modules that each adds to the network."""


def load_initial_variables(
    config: AnyExperimentConfig, atlas: Atlas | None
) -> dict[str, Any] | None:
    """ "params" and "batch_stats" of the model that `train.init_from` names; None if it names none.

    A model with a narrower encoder is widened to the config's (`models.widening`). One that tells
    no presence or no confidence, or takes no keypoints, where the config's does, starts undecided
    about the first, with one confidence in all texels, and deaf to the last.

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
        trained, variables = _with_new_parts(trained, variables, config.model, config.train.seed)
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


def _with_new_parts(
    trained: HandNetConfig, variables: dict[str, Any], wanted: HandNetConfig, seed: int
) -> tuple[HandNetConfig, dict[str, Any]]:
    """The model with those optional parts fresh that only the wanted one has, if it is of the kind
    that can have them."""
    if trained.affine is None or wanted.affine is None or not trained.affine.coarse_to_fine:
        return trained, variables
    new = {
        option: names
        for option, names in _OPTIONAL_PARTS.items()
        if getattr(wanted.affine, option) and not getattr(trained.affine, option)
    }
    if not new:
        return trained, variables
    added = _fresh_parts(wanted, set().union(*new.values()), seed)
    variables = unflatten_dict(flatten_dict(variables) | added)
    affine = replace(trained.affine, **dict.fromkeys(new, True))
    return replace(trained, affine=affine), variables


def _fresh_parts(
    config: HandNetConfig, modules: set[str], seed: int
) -> dict[tuple[str, ...], np.ndarray]:
    """What the network's own initialisers draw for some modules, by path."""
    model, image = build_model(config), jnp.zeros((1, config.image_size, config.image_size, 3))

    @jax.jit  # What is not returned is not even compiled.
    def draw(key: PRNGKeyArray) -> dict[str, Array]:
        drawn = flatten_dict(model.init(key, image, train=False), sep="/")
        return {path: leaf for path, leaf in drawn.items() if modules & set(path.split("/"))}

    # The default generator takes many times longer to compile.
    drawn = jax.device_get(draw(jax.random.key(seed, impl="rbg")))
    return {tuple(path.split("/")): leaf for path, leaf in drawn.items()}


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
