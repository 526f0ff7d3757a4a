"""Pairs for SRNet whose coarse maps are an AffineNet's own: of rendered pictures, frozen.

The true map is the shown hand's surface with a relief of its own, which the picture does not show
texel by texel: SRNet sees the coarse map alone.
"""

from dataclasses import replace
from typing import Any

import jax
from jax.sharding import NamedSharding
from jaxtyping import Array, PRNGKeyArray

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.data.pair_source import PairMaker, check_hand, pair_view
from i2uv_jax.data.surface_pairs import pair_in_crop
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.detail import sample_traits
from i2uv_jax.hand.high_fidelity import detailed_map
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.looks import mesh_reader, see_hands
from i2uv_jax.models.model_files import find_model
from i2uv_jax.models.weights import load_picture_model
from i2uv_jax.ops.devices import on_own_device
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.ops.resize import resize_corner_aligned
from i2uv_jax.render.assets import load_render_assets
from i2uv_jax.render.framing import Placement
from i2uv_jax.render.scene import sample_batch, sample_placements
from i2uv_jax.training.fingerprint import tree_fingerprint
from i2uv_jax.types import SurfacePairs


def frozen_affine_pairs(config: ExperimentConfig, sharding: NamedSharding) -> PairMaker:
    """Pairs of the AffineNet that `config.surface_pairs.affine` names.

    Raises:
      ValueError: one line: there is no such model, it is damaged, takes no pictures or was trained
        on another UV chart, or a folder of `config.render` cannot be used.
    """
    name = config.surface_pairs.affine
    model_config, variables, card = load_picture_model(find_model(name))
    hand, detail = load_hand(), config.surface_pairs.detail
    check_hand(name, card.get("atlas"), hand)
    # Its own SRNet, if it has one, is what this run's takes the place of.
    model = build_model(replace(model_config, sr=None), by_picture=sharding.mesh.size > 1)
    variables = {kind: {"affine_net": tree["affine_net"]} for kind, tree in variables.items()}
    batch_size, size = config.train.batch_size, config.model.uv_map_size
    view = replace(pair_view(config), image_size=model_config.crop_size)
    tables = build_tables(hand.atlas, model.config.uv_map_size)
    mesh_from_uv_map = mesh_reader(tables, hand.keypoint_regressor)

    def true_pair(key: PRNGKeyArray, placement: Placement) -> SurfacePairs:
        posed = placement.posed
        traits = sample_traits(key, hand, detail)
        fine = detailed_map(hand, posed, placement.pose, traits, detail, size)
        return pair_in_crop(placement.framing, posed.keypoints[WRIST], fine, fine)

    def true_pairs(keys_and_placements) -> SurfacePairs:
        return jax.vmap(true_pair)(*keys_and_placements)

    def sample(key: PRNGKeyArray, arrays: Any, index: Array, is_training: bool) -> SurfacePairs:
        assets, variables = arrays
        batch = sample_batch(key, hand, view, batch_size, assets, sharding=sharding)
        coarse = see_hands(model, variables, batch.image, mesh_from_uv_map).uv_map
        placements = sample_placements(key, hand, view, batch_size)
        keys = jax.random.split(hash_key(jax.random.fold_in(key, 2)), batch_size)
        pairs = on_own_device(true_pairs, sharding)((keys, placements))
        return pairs.replace(coarse_uv_map=resize_corner_aligned(coarse, (size, size)))

    arrays = (load_render_assets(view, hand), variables)
    return PairMaker(sample, arrays, {"affine_net": tree_fingerprint(variables)})
