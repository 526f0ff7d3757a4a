"""What an AffineNet and an SRNet from two files become together; no network is run."""

import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.models.joining import join_models

AFFINE = HandNetConfig(AffineNetConfig(decoder_channels=(8,) * 6), sr=None, image_size=64)
SR = HandNetConfig(affine=None, sr=SRNetConfig(size=64))


def loaded(config, recipe=None, **parts):
    return config, {"params": parts}, {"recipe": recipe or {}, "atlas": "chart"}


def test_each_part_comes_from_its_own_file():
    config, variables, card = join_models(
        loaded(AFFINE, affine_net="ours", sr_net="forgotten"), loaded(SR, sr_net="theirs")
    )
    assert (config.affine, config.sr, config.skinned) == (AFFINE.affine, SR.sr, None)
    assert variables["params"] == {"affine_net": "ours", "sr_net": "theirs"}
    assert card["atlas"] == "chart"


def test_an_srnet_is_given_maps_as_it_learned_from():
    skinned = loaded(SR, {"surface_pairs.coarse.skinned": 48}, sr_net="theirs")
    assert join_models(loaded(AFFINE, affine_net="ours"), skinned)[0].skinned == 48
    of_other_texels = loaded(SR, {"surface_pairs.coarse.texels": 32}, sr_net="theirs")
    with pytest.raises(ValueError, match=r"gives maps of 64 x 64 texels, .* those of 32 x 32"):
        join_models(loaded(AFFINE, affine_net="ours"), of_other_texels)
