"""Which source of batches a config means."""

from dataclasses import replace

from jax.sharding import Mesh, NamedSharding

from i2uv_jax.config import AnyExperimentConfig, DetectorExperimentConfig, ExperimentConfig
from i2uv_jax.data.extended import ExtendedSource
from i2uv_jax.data.handless import handless_extension
from i2uv_jax.data.reused import ReusedSource
from i2uv_jax.data.scenes import SceneSource
from i2uv_jax.data.source import BatchSource
from i2uv_jax.data.streams import SourceKeys, Stream, source_keys
from i2uv_jax.data.synthetic import SyntheticSource
from i2uv_jax.data.told_keypoints import told_extension
from i2uv_jax.training.negatives import count_handless
from i2uv_jax.training.seen_extension import SEEN_BY, seen_extension
from i2uv_jax.training.sharding import batch_sharding

_UPRIGHT_TURN_DEGREES = 15.0
"""How far pictures are turned anew where most hands are to stay upright."""


def build_source(config: AnyExperimentConfig, mesh: Mesh) -> BatchSource:
    """Pictures for a model with an AffineNet (also keypoints, and some pictures without a hand, if
    it is to learn of such), pairs of UV maps for an SRNet alone, scenes for a detector.

    Pictures are reused after another network saw their keypoints, which costs about as much as to
    render them, and before these are told, with other errors each time.

    Raises:
      ValueError: something that the config names cannot be used.
    """
    keys, sharding = source_keys(config), batch_sharding(mesh)
    if isinstance(config, DetectorExperimentConfig):
        return SceneSource(config, keys, sharding)
    if config.model.affine is None:
        return _pair_source(config, keys, sharding)
    source = _hand_source(config, keys, sharding)
    if config.model.takes_keypoints:
        seen, seen_keys = seen_extension(sharding), keys.of(Stream.SEEN_KEYPOINTS)
        source = ExtendedSource(source, seen, seen_keys, depends_on={"seen_by": SEEN_BY})
    if config.data.reuse > 1:
        # Any turn would undo the renderer's preference for upright hands.
        is_upright = max(config.render.upright_share, config.render.closeup_share) > 0
        turn_degrees = _UPRIGHT_TURN_DEGREES if is_upright else None
        key = keys.of(Stream.REUSE).training
        source = ReusedSource(source, config.data.reuse, key, sharding, turn_degrees=turn_degrees)
    if config.model.takes_keypoints:
        extension = told_extension(sharding, config.data.told_share)
        source = ExtendedSource(source, extension, keys.of(Stream.TOLD_KEYPOINTS))
    if config.loss.presence_weight == 0:
        return source
    count = count_handless(config.loss.absent_share, config.train, mesh.size)
    if count == 0:
        return source
    pictures = replace(config.render, image_size=config.model.image_size)
    extension = handless_extension(pictures, sharding, count)
    return ExtendedSource(source, extension, keys.of(Stream.HANDLESS))


def _hand_source(
    config: ExperimentConfig, keys: SourceKeys, sharding: NamedSharding
) -> BatchSource:
    if not config.data.sets:
        return SyntheticSource(config, keys, sharding)
    # Only now: reading stored sets takes a second of imports.
    from i2uv_jax.data.files import FileSource

    return FileSource(config, keys, sharding)


def _pair_source(
    config: ExperimentConfig, keys: SourceKeys, sharding: NamedSharding
) -> BatchSource:
    from i2uv_jax.data.pair_source import PairSource, generated_pairs

    if config.surface_pairs.affine is not None:
        if config.data.sets:
            raise ValueError("surface_pairs.affine: expected none with data.sets, which have no "
                             "pictures for it")  # fmt: skip
        from i2uv_jax.training.frozen_affine import frozen_affine_pairs

        maker = frozen_affine_pairs(config, sharding)
    elif config.data.sets:
        from i2uv_jax.data.scan_pairs import scan_pairs

        maker = scan_pairs(config, sharding)
    else:
        maker = generated_pairs(config, sharding)
    return PairSource(config, keys.of(Stream.SURFACE_PAIRS), sharding, maker)
