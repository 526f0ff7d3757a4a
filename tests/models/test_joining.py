"""What an AffineNet and an SRNet from two files become together; no network is run."""

import dataclasses

import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.models.joining import join_models

AFFINE = HandNetConfig(AffineNetConfig(decoder_channels=(8,) * 6), sr=None, image_size=64)
SR = HandNetConfig(affine=None, sr=SRNetConfig(size=64))


def loaded(config, recipe=None, **parts):
    return config, {"params": parts}, {"recipe": recipe or {}, "atlas": "chart"}


def test_each_part_comes_from_its_own_file():
    affine = dataclasses.replace(AFFINE, skinned=48)
    config, variables, card = join_models(
        loaded(affine, affine_net="ours", sr_net="forgotten"), loaded(SR, sr_net="theirs")
    )
    assert (config.affine, config.sr, config.skinned) == (AFFINE.affine, SR.sr, 48)
    assert variables["params"] == {"affine_net": "ours", "sr_net": "theirs"}
    assert card["atlas"] == "chart"


def test_an_srnet_that_learned_from_maps_of_other_texels_is_refused():
    of_other_texels = loaded(SR, {"surface_pairs.coarse.texels": 32}, sr_net="theirs")
    with pytest.raises(ValueError, match=r"gives maps of 64 x 64 texels, .* those of 32 x 32"):
        join_models(loaded(AFFINE, affine_net="ours"), of_other_texels)
