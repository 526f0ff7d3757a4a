"""Shows rendered hands to the `palm` detector and keeps what it says of their keypoints: the errors
with which keypoints are told in training (`i2uv_jax.data.told_keypoints`).

python -m launch.build_told_keypoints --skins SKINS --backgrounds PICTURES
"""

import argparse
import io
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.config import RenderConfig
from i2uv_jax.data.generator import HandGenerator
from i2uv_jax.data.told_keypoints import TOLD_KEYPOINTS_PATH, ToldHands, in_own_frame
from i2uv_jax.geometry.camera import to_crop_space
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.hand_detector import load_detector

_SEED = 8101
"""No run and no evaluation draws by it."""
_SIZE = 256
_BATCH_SIZE = 64

_MAX_DISTANCE = 0.25
"""Largest mean distance, in crop sides, of what is said of a hand from where it is: beyond, another
hand or none is meant."""
_MAX_ERROR = 4.0
"""Of any keypoint, in a hand's own frame; larger ones would overflow no type but teach nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skins", help="folder of skin textures")
    parser.add_argument("--backgrounds", help="folder of pictures")
    parser.add_argument("--count", type=int, default=4096, help="how many hands to render")
    parser.add_argument("--out", type=Path, default=TOLD_KEYPOINTS_PATH)
    arguments = parser.parse_args()
    config = RenderConfig(image_size=_SIZE, uv_map_size=2, supersampling=1)
    config = replace(
        config,
        skin=replace(config.skin, folder=arguments.skins),
        background=replace(config.background, folder=arguments.backgrounds),
        sensor=replace(config.sensor, strength=0.5),
    )
    generator, detector = HandGenerator(config, load_hand(), _BATCH_SIZE), load_detector()
    true, told = [], []
    for batch in generator.batches(jax.random.key(_SEED), arguments.count):
        wrist_depth_m = batch.keypoints[:, WRIST, 2]
        keypoints = np.asarray(to_crop_space(batch.camera, batch.keypoints, wrist_depth_m))
        for image, own in zip(batch.image, keypoints, strict=True):
            for found in detector(np.round(255 * image).astype(np.uint8)):
                points = found.keypoints / _SIZE
                distance = np.linalg.norm(points[:, :2] - own[:, :2], axis=-1).mean()
                if found.handedness == "right" and distance < _MAX_DISTANCE:
                    true.append(own)
                    told.append(points)
                    break
    frames = in_own_frame(jnp.array(true), jnp.array(told, jnp.float32))
    hands = ToldHands(*(np.asarray(points) for points in frames))
    is_kept = np.abs(hands.told - hands.true).max(axis=(1, 2)) < _MAX_ERROR
    hands = ToldHands(*(points[is_kept].astype(np.float16) for points in hands))
    content = io.BytesIO()
    np.savez_compressed(content, **hands._asdict())
    write_atomically(arguments.out, content.getvalue())
    error = np.linalg.norm((hands.told - hands.true)[..., :2].astype(np.float32), axis=-1)
    print(
        f"{arguments.out}: {len(hands.true)} of {arguments.count} hands, mean error in the picture "
        f"{error.mean():.3f} of their spread, {arguments.out.stat().st_size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main()
