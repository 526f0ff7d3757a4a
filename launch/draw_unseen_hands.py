"""Draws the hands on which a test holds the default model's error: pictures and true keypoints, in
metres and in the pictures.

python -m launch.draw_unseen_hands
"""

import argparse
import io
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.config import RenderConfig
from i2uv_jax.data.generator import HandGenerator
from i2uv_jax.geometry.camera import keypoints_in_crop
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.imaging.eight_bit import to_bytes

_SEED = 8001
"""No run and no evaluation draws by it."""
_COUNT = 32
_SIZE = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("tests/golden/unseen_hands.npz"))
    out = parser.parse_args().out
    config = RenderConfig(image_size=_SIZE, uv_map_size=32)
    batch = jax.device_get(HandGenerator(config, load_hand(), _COUNT)(jax.random.key(_SEED)))
    keypoints_crop = keypoints_in_crop(batch.camera, batch.keypoints)
    # All in one column, so that one JPEG holds them.
    column = to_bytes(batch.image).reshape(_COUNT * _SIZE, _SIZE, 3)
    jpeg = io.BytesIO()
    Image.fromarray(column).save(jpeg, "jpeg", quality=92, subsampling=0)
    arrays = io.BytesIO()
    np.savez_compressed(
        arrays,
        jpeg=np.frombuffer(jpeg.getvalue(), np.uint8),
        keypoints_m=np.asarray(batch.keypoints, np.float32),
        keypoints_crop=np.asarray(keypoints_crop, np.float32),
    )
    write_atomically(out, arrays.getvalue())
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
