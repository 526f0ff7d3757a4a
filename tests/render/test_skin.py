"""Skins: features lie where anatomy has them, lookups hit their texel, folders fail in one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from i2uv_jax.config import SkinConfig
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.skeleton import JOINT_NAMES
from i2uv_jax.render.colour import srgb_to_linear
from i2uv_jax.render.monk_scale import SKIN_TONES_SRGB
from i2uv_jax.render.skin import (
    _look_up_atlas,
    look_up_skin,
    mean_log,
    monk_tone,
    sample_skin_look,
)
from i2uv_jax.render.skin_atlas import atlas_corners, pack, unpack
from i2uv_jax.render.skin_features import CHANNELS, NUM_VARIANTS, draw_features, surface_of
from i2uv_jax.render.skin_textures import SkinTextures, load_skin_textures, read_skins

SIZE = 64


@pytest.fixture(scope="module")
def hand():
    return load_hand()


@pytest.fixture(scope="module")
def drawn(hand):
    surface, _ = surface_of(hand, 128)
    return surface, draw_features(hand, surface, np.random.default_rng(0))


def test_nails_lie_on_the_back_of_all_five_last_phalanges(hand, drawn):
    surface, features = drawn
    nail = features[:, CHANNELS.index("nail")] > 0.5
    assert (surface.palmar[nail] < 0).all()
    joints = [JOINT_NAMES.index(f"{f}_dip") for f in ("index", "middle", "ring", "little")]
    for finger, joint in enumerate([JOINT_NAMES.index("thumb_ip"), *joints]):
        offset = surface.point[nail] - 1e3 * hand.mean_joints[joint]
        length = 1e3 * np.linalg.norm(hand.mean_tips[finger] - hand.mean_joints[joint])
        along = offset @ hand.bone_directions[joint]
        aside = np.linalg.norm(offset - np.outer(along, hand.bone_directions[joint]), axis=1)
        of_finger = (aside < 16) & (along > 0) & (along < 1.1 * length)
        assert of_finger.sum() >= 5
        assert along[of_finger].min() > 0.3 * length
        nail[np.flatnonzero(nail)[of_finger]] = False
    assert not nail.any()


def test_palms_face_the_palm_side_and_veins_of_the_hand_its_back(drawn):
    surface, features = drawn
    hand = ~surface.is_forearm & (surface.point[:, 1] > 20)
    palm, vein = (features[:, CHANNELS.index(name)] for name in ("palm", "vein"))
    assert surface.palmar[hand & (palm > 0.7)].min() > -0.1
    assert surface.palmar[hand & (vein > 0.3)].max() < 0.1


def test_packed_bytes_come_back():
    values = np.random.default_rng(0).integers(0, 256, (5, 8)).astype(np.uint8)
    words = jnp.asarray(pack(values))
    back = np.stack(unpack(words[:, 0]) + unpack(words[:, 1]), axis=-1)
    np.testing.assert_allclose(back, values / 255, atol=1e-6)


def _coordinate_texture(path, size):
    """A body texture whose red and green are its own x and y."""
    x, y = np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size)
    picture = np.stack([x, y, np.zeros_like(x)], axis=-1)
    Image.fromarray(np.round(255 * picture).astype(np.uint8)).save(path)


def test_a_photographic_texture_is_looked_up_at_the_faces_own_place(tmp_path, hand):
    _coordinate_texture(tmp_path / "coordinates.png", 512)
    photos = read_skins(tmp_path, hand, 128)
    texels = np.zeros((*photos.shape[:3], 8), np.uint8)
    texels[..., :3] = photos
    # Corners in the atlas and in the body texture must name the same place.
    corners, body = atlas_corners(hand).mean(axis=1), hand.body_uv.mean(axis=1)
    channels, _, _ = jax.jit(_look_up_atlas)(pack(texels), 0, corners.T)
    found = np.stack(channels[:2], axis=-1)
    # Bytes of a picture of 512 texels: half a level plus half a texel of it.
    np.testing.assert_allclose(found, body, atol=0.5 / 255 + 0.5 / 512)


def test_slope_of_the_relief_points_uphill():
    ramp = np.zeros((1, 8, 12, 8), np.uint8)
    ramp[..., CHANNELS.index("height")] = 10 * np.arange(12) + 3 * np.arange(8)[:, None]
    _, _, slope = _look_up_atlas(pack(ramp), 0, jnp.array([[0.5], [0.5]]))
    np.testing.assert_allclose(slope[:, 0], [10 / 255, 3 / 255], atol=1e-6)


def test_photo_share_decides_who_wears_photographs(tmp_path, hand):
    _coordinate_texture(tmp_path / "a.png", 64)
    for share in (0.0, 1.0):
        config = SkinConfig(folder=str(tmp_path), photo_share=share, texture_size=32)
        textures = load_skin_textures(config, hand)
        assert textures.atlases.shape[:3] == (NUM_VARIANTS + 1, 32, 48)
        keys = jax.random.split(jax.random.key(0), 16)
        skin = jax.vmap(lambda key, c=config, t=textures: sample_skin_look(key, c, t))(keys)
        assert (skin.is_photo == bool(share)).all()
        assert ((skin.texture == NUM_VARIANTS) == bool(share)).all()


def test_strengths_zero_give_one_tone(hand):
    config = SkinConfig(detail=0.0, relief=0.0, variation=0.0, texture_size=32)
    textures = load_skin_textures(config, hand)
    skin = sample_skin_look(jax.random.key(3), config, textures)
    uv = jax.random.uniform(jax.random.key(4), (2, 200))
    samples = look_up_skin(skin, textures, uv, jnp.float32(1.0))
    np.testing.assert_allclose(samples.albedo, np.tile(samples.albedo[:, :1], 200), rtol=1e-5)
    assert np.abs(samples.slope).max() == 0


def test_tones_of_people_are_read_off_the_monk_scale():
    config, nothing = SkinConfig(), np.zeros((0, 3), np.uint32)
    textures = SkinTextures(atlases=nothing, photo_tones=nothing, noise=nothing)
    keys = jax.random.split(jax.random.key(3), 200)
    skins = jax.vmap(lambda key: sample_skin_look(key, config, textures))(keys)
    tones = np.asarray(jax.vmap(monk_tone)(skins))
    assert tones.min() <= 2 and tones.max() >= 9
    # Darker skins have higher numbers; the scale's three lightest tones differ in hue alone.
    luminance = np.exp(jax.vmap(mean_log)(skins)) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(np.maximum(tones, 3)[np.argsort(-luminance)]) >= 0).all()
    # The fifth tone's own colour, made an albedo as the sampler does, is the fifth tone; twice as
    # dark (the sixth is less than half as bright) it is the sixth.
    fifth = jnp.log(srgb_to_linear(SKIN_TONES_SRGB[4])) + 0.76 * jnp.array([-0.20, -0.40, -0.36])
    one = jax.tree.map(lambda leaf: leaf[0], skins)._replace(is_photo=False, tone_log=fifth)
    assert monk_tone(one._replace(shift_log=jnp.zeros(3))) == 5
    assert monk_tone(one._replace(shift_log=jnp.full(3, -jnp.log(2.0)))) == 6


def test_every_bad_folder_or_file_is_one_line_that_names_it(tmp_path, hand):
    with pytest.raises(ValueError, match=r"render\.skin\.folder .*nowhere: no such folder"):
        read_skins(tmp_path / "nowhere", hand, SIZE)
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ValueError, match=r"render\.skin\.folder .*: holds no picture"):
        read_skins(tmp_path, hand, SIZE)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(ValueError, match=r"skin .*broken\.png: not a readable picture"):
        read_skins(tmp_path, hand, SIZE)
    Image.new("RGB", (64, 32)).save(tmp_path / "broken.png")
    with pytest.raises(ValueError, match=r"broken\.png: expected a square .* got 64 x 32"):
        read_skins(tmp_path, hand, SIZE)
