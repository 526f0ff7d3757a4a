"""Shows rendered hands to MediaPipe's hand landmark network and keeps what its errors have in
common (`i2uv_jax.data.told_keypoints`).

python -m launch.build_mean_keypoint_error --skins SKINS --backgrounds PICTURES
"""

import argparse
import io
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.config import LandmarkNetConfig, RenderConfig
from i2uv_jax.data.generator import HandGenerator
from i2uv_jax.data.told_keypoints import MEAN_ERROR_PATH, in_own_frame
from i2uv_jax.detection.seen_keypoints import see_keypoints
from i2uv_jax.geometry.camera import keypoints_in_crop
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.models.model_files import LANDMARK_NET, shipped_file
from i2uv_jax.models.weights import load_model_file

_SEED = 8101
"""No run and no evaluation draws by it."""
_BATCH_SIZE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skins", help="folder of skin textures")
    parser.add_argument("--backgrounds", help="folder of pictures")
    parser.add_argument("--count", type=int, default=1024, help="how many hands to render")
    parser.add_argument("--out", type=Path, default=MEAN_ERROR_PATH)
    arguments = parser.parse_args()
    config = RenderConfig(image_size=256, uv_map_size=2, supersampling=1)
    config = replace(
        config,
        skin=replace(config.skin, folder=arguments.skins),
        background=replace(config.background, folder=arguments.backgrounds),
        sensor=replace(config.sensor, strength=0.5),
    )
    landmark_config, variables, _ = load_model_file(shipped_file(LANDMARK_NET), LandmarkNetConfig)
    see = jax.jit(see_keypoints, static_argnums=1)
    generator = HandGenerator(config, load_hand(), _BATCH_SIZE)
    hands_key, squares_key = jax.random.split(jax.random.key(_SEED))
    errors = []
    for index, batch in enumerate(generator.batches(hands_key, arguments.count)):
        key = jax.random.fold_in(squares_key, index)
        true = keypoints_in_crop(batch.camera, batch.keypoints)
        seen = see(key, landmark_config, variables, batch.image, true)
        own, other = in_own_frame(true, seen)
        errors.append(np.asarray(other - own))
    errors = np.concatenate(errors)
    errors = errors[np.isfinite(errors).all(axis=(1, 2))]
    if not len(errors):
        parser.error(f"no hand of {arguments.count} was seen")
    mean = errors.mean(axis=0)
    content = io.BytesIO()
    np.save(content, mean.astype(np.float32))
    write_atomically(arguments.out, content.getvalue())
    of_one = np.linalg.norm(errors[..., :2], axis=-1).mean()
    of_all = np.linalg.norm(mean[:, :2], axis=-1).mean()
    print(
        f"{arguments.out}: {len(errors)} of {arguments.count} hands seen, mean error in the "
        f"picture {of_one:.3f} of their spread, of the mean of all {of_all:.3f}"
    )


if __name__ == "__main__":
    main()
